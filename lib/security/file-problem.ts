/** What is wrong with a file that people write: the line, and a sentence without its first capital. */

export class FileProblem extends Error {
  override readonly name = 'FileProblem'
  /** From 1; 0 when it is about the file as a whole. */
  readonly line: number

  constructor(line: number, sentence: string) {
    super(sentence)
    this.line = line
  }

  /** "acl.conf:7: …" */
  at(path: string): string {
    return `${path}${this.line > 0 ? `:${this.line}` : ''}: ${this.message}`
  }
}
