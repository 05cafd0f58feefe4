/** Why a file cannot be read, for people. */

const sentences: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EACCES: 'this user may not read it',
  EISDIR: 'it is a directory',
}

/** Returns the end of a sentence, without the path; what the system says where we have no better words. */
export function fileSentence({ code = '', message }: NodeJS.ErrnoException): string {
  return sentences[code] ?? message
}
