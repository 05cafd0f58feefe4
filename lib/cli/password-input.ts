/** Where a password comes from: a file, standard input, or a prompt that does not show what is typed. */

import { Buffer } from 'node:buffer'
import type { ReadStream } from 'node:tty'
import { readFlagFile } from './connect-request.ts'
import { CommandFailure, UsageError } from './failures.ts'

/** No CONNECT can carry a longer one. */
const PASSWORD_BYTES_MAX = 65_535

const ENTER = /[\r\n]/
const BACKSPACE = /[\b\u007f]/
const CTRL_C = '\u0003'
const CTRL_D = '\u0004'
const CTRL_U = '\u0015'

/** Reads the password that a user is to have. Rejects with a sentence if there is none. */
export async function readPassword(file: string | undefined): Promise<Buffer> {
  const { stdin } = process
  if (file !== undefined) return check(firstLine(readFlagFile('--password-file', file)))
  if (!stdin.isTTY) return check(firstLine(await readAll(stdin)))
  // Before the first question and until the last answer: what is typed early must not be shown either.
  stdin.setEncoding('utf8').setRawMode(true)
  try {
    const password = check(Buffer.from(await ask(stdin, 'Password: ')))
    const again = await ask(stdin, 'The same again: ')
    if (again !== password.toString()) throw new CommandFailure('The two are not the same.')
    return password
  } finally {
    stdin.setRawMode(false)
  }
}

function check(password: Buffer): Buffer {
  if (password.length === 0) throw new UsageError('A password must not be empty')
  if (password.length > PASSWORD_BYTES_MAX) {
    throw new UsageError(`A password has at most ${PASSWORD_BYTES_MAX} bytes`)
  }
  return password
}

/** Editors and `echo` end a line where nobody meant the password to go on. */
function firstLine(bytes: Buffer): Buffer {
  const end = bytes.indexOf('\n')
  if (end === -1) return bytes
  return bytes.subarray(0, bytes[end - 1] === 0x0d ? end - 1 : end)
}

async function readAll(input: NodeJS.ReadStream): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of input) {
    chunks.push(Buffer.from(chunk as Buffer))
    length += (chunk as Buffer).length
    // What is beyond is refused as too long, and need not be read.
    if (length > 2 * PASSWORD_BYTES_MAX) break
  }
  return Buffer.concat(chunks)
}

/** Asks in the terminal, which shows nothing by itself. */
function ask(terminal: ReadStream, question: string): Promise<string> {
  process.stderr.write(question)
  terminal.resume()
  return new Promise((resolve, reject) => {
    let typed: string[] = []
    const finish = () => {
      terminal.off('data', take).pause()
      process.stderr.write('\n')
    }
    const take = (keys: string) => {
      for (const key of keys) {
        if (ENTER.test(key)) {
          finish()
          resolve(typed.join(''))
          return
        }
        if (key === CTRL_C || key === CTRL_D) {
          finish()
          reject(new CommandFailure('Nothing was changed.'))
          return
        }
        if (key === CTRL_U) typed = []
        else if (BACKSPACE.test(key)) typed.pop()
        else typed.push(key)
      }
    }
    terminal.on('data', take)
  })
}
