/** The text of rules that a command is given: a file, or standard input. */

import { readFileSync } from 'node:fs'
import { fileSentence } from '../util/file-sentence.ts'
import { CommandFailure } from './failures.ts'

/** More than all rules that are possible would have. */
const LENGTH_MAX = 16 * 1024 ** 2

export async function readRulesFile(path: string): Promise<string> {
  try {
    // yargs leaves nothing of a lone dash.
    return path === '-' || path === '' ? await readInput() : readFileSync(path, 'utf8')
  } catch (error) {
    throw new CommandFailure(
      `Cannot read ${path}: ${fileSentence(error as NodeJS.ErrnoException)}.`,
    )
  }
}

async function readInput(): Promise<string> {
  let text = ''
  process.stdin.setEncoding('utf8')
  for await (const chunk of process.stdin) {
    text += String(chunk)
    if (text.length > LENGTH_MAX) throw new Error('it is too long')
  }
  return text
}
