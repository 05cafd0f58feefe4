/** Programs of others, run as processes: found on the PATH, read line by line, ended with the test. */

import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { ExecutionContext } from 'ava'

/**
 * Returns the path of a program. If it is missing, the test passes with a loud line, or fails where the
 * environment says `CI=true`; either way the caller has nothing more to do.
 */
export function requireProgram(
  t: ExecutionContext,
  name: string,
  debianPackage: string,
): string | undefined {
  const path = findProgram(name)
  if (path !== undefined) return path
  const sentence = `NOT TESTED: the program ${name} is missing. Install it: apt install ${debianPackage}`
  if (process.env['CI'] === 'true') {
    t.fail(sentence)
  } else {
    t.log(sentence)
    t.pass()
  }
  return undefined
}

function findProgram(name: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

export interface Exit {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A running program; it is killed when the test ends. */
export class Program {
  /** Resolves when it has ended and all its output has been read. */
  readonly exited: Promise<Exit>
  readonly #child: ChildProcessWithoutNullStreams
  readonly #name: string
  #stdout = ''
  #stderr = ''
  #taken = 0
  #isOver = false
  #wake: () => void = () => {}

  constructor(t: ExecutionContext, path: string, args: readonly string[]) {
    this.#name = path
    this.#child = spawn(path, args)
    t.teardown(() => this.kill())
    const { stdin, stdout, stderr } = this.#child
    // A program that ends before it has read everything is judged by its exit code.
    stdin.on('error', () => {})
    stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
      this.#wake()
    })
    stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
    })
    this.exited = new Promise((resolve, reject) => {
      this.#child.on('error', reject)
      this.#child.on('close', (code) => {
        this.#isOver = true
        this.#wake()
        resolve({ code, stdout: this.#stdout, stderr: this.#stderr })
      })
    })
  }

  /** Writes `input` and ends the standard input. */
  feed(input: string): void {
    this.#child.stdin.end(input)
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  /** The next line of its standard output; rejects with its complaint when there will be none. */
  async nextLine(): Promise<string> {
    for (;;) {
      const end = this.#stdout.indexOf('\n', this.#taken)
      if (end !== -1) {
        const line = this.#stdout.slice(this.#taken, end)
        this.#taken = end + 1
        return line
      }
      if (this.#isOver) throw new Error(`${this.#name} has ended: ${this.#stderr}`)
      // oxlint-disable-next-line no-await-in-loop -- Each piece may be the one.
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}
