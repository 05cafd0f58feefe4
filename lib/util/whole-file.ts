/** Changes a file as a whole: whoever reads it finds the old one or the new one, never a part. */

import {
  chmodSync,
  chownSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { fileSentence } from './file-sentence.ts'

/** What it is in while it is written; two at once would lose one's change. */
const BESIDE = '.new'

/** Only the broker and its administrators need to read what is in there. */
const MODE = 0o600

/** A file could not be read or written. The message is a sentence for people. */
export class FileFailure extends Error {
  override readonly name = 'FileFailure'
  /** Somebody else is changing the file, and will soon be through. */
  readonly isBusy: boolean

  constructor(message: string, isBusy = false) {
    super(message)
    this.isBusy = isBusy
  }
}

/** Returns the text; undefined if there is no such file. Throws a `FileFailure`. */
export function readWholeFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const fault = error as NodeJS.ErrnoException
    if (fault.code === 'ENOENT') return undefined
    throw new FileFailure(`Cannot read ${path}: ${fileSentence(fault)}.`)
  }
}

/**
 * Writes what `change` makes of the present text; it is given '' where there is no file. Returns what was
 * written. Throws a `FileFailure`, or what `change` throws, and then nothing has changed.
 */
export function changeWholeFile(path: string, change: (text: string) => string): string {
  const target = existing(path)
  const beside = `${target}${BESIDE}`
  reserve(beside)
  try {
    const text = change(readWholeFile(target) ?? '')
    write(target, beside, text)
    return text
  } catch (error) {
    rmSync(beside, { force: true })
    throw error
  }
}

function write(target: string, beside: string, text: string): void {
  try {
    writeFileSync(beside, text, { flush: true })
    keepOwner(target, beside)
    renameSync(beside, target)
  } catch (error) {
    throw new FileFailure(`Cannot write ${target}: ${(error as Error).message}.`)
  }
}

/** Behind a link is the file to be replaced. */
function existing(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

function reserve(beside: string): void {
  try {
    writeFileSync(beside, '', { flag: 'wx', mode: MODE })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const isBusy = code === 'EEXIST'
    const sentence = isBusy
      ? `Another command is changing the file: ${beside} exists. If there is none, remove that file and try again.`
      : `Cannot write ${beside}: ${message}.`
    throw new FileFailure(sentence, isBusy)
  }
}

/** The broker that could read the old file can read the new one. */
function keepOwner(target: string, beside: string): void {
  const stats = statSync(target, { throwIfNoEntry: false })
  if (stats === undefined) return
  chmodSync(beside, stats.mode)
  try {
    chownSync(beside, stats.uid, stats.gid)
  } catch {
    // Only root can give files away; who may write the folder keeps what is written there.
  }
}
