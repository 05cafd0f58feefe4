/**
 * A file that people and programs change while the broker runs: read at the start, and again when it has
 * changed. The system says so; where it does not (network file systems), it is seen within a second. A file
 * that is being written is read when it has come to rest.
 */

import { type BigIntStats, type FSWatcher, watch } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from './clock.ts'
import { fileSentence } from './file-sentence.ts'

/** How often it is looked at, whatever the system says. */
const FILE_CHECK_MS: number = 1000
/** How long a changed file has to be at rest before it is read. */
const FILE_REST_MS: number = 50
/** More is not what people write. */
export const FILE_BYTES_MAX: number = 64 * 1024 ** 2

export interface WatchedFileEvents {
  /** It has changed and could be read. */
  readonly changed: (text: string) => void | Promise<void>
  /** It cannot be read any more, and why: told once until that changes. */
  readonly failed: (sentence: string) => void
}

export class WatchedFile {
  readonly path: string
  readonly #clock: Clock
  readonly #events: WatchedFileEvents
  #watcher: FSWatcher | undefined
  #cancelCheck = () => {}
  /** What tells one state of the file from another; a sentence while it cannot be read. */
  #seen = ''
  #check: Promise<void> | undefined
  #isAskedAgain = false
  #isClosed = false

  constructor(path: string, clock: Clock, events: WatchedFileEvents) {
    this.path = path
    this.#clock = clock
    this.#events = events
  }

  /** Reads it and begins to watch. Rejects with an `Error` that says, for people, why it cannot. */
  async open(): Promise<string> {
    const { text, mark } = await readMarked(this.path)
    this.#seen = mark
    this.#watch()
    this.#checkLater()
    return text
  }

  /** Looks whether it has changed; resolves when that has been told. While it looks, it will look again. */
  check(): Promise<void> {
    this.#isAskedAgain = true
    this.#check ??= this.#lookUntilCalm()
    return this.#check
  }

  close(): void {
    this.#isClosed = true
    this.#watcher?.close()
    this.#cancelCheck()
  }

  /** The folder, since editors and `mv` put another file in its place. */
  #watch(): void {
    try {
      this.#watcher = watch(dirname(this.path), { persistent: false }, () => void this.check())
      this.#watcher.on('error', () => this.#watcher?.close())
    } catch {
      // The system watches no more files: the clock does.
    }
  }

  #checkLater(): void {
    this.#cancelCheck = this.#clock.after(FILE_CHECK_MS, () => {
      void this.check()
      this.#checkLater()
    })
  }

  async #lookUntilCalm(): Promise<void> {
    while (this.#isAskedAgain && !this.#isClosed) {
      this.#isAskedAgain = false
      await this.#look()
    }
    this.#check = undefined
  }

  async #look(): Promise<void> {
    const mark = await markOf(this.path)
    if (mark === this.#seen || this.#isClosed) return
    await new Promise<void>((resolve) => this.#clock.after(FILE_REST_MS, resolve))
    if (this.#isClosed) return
    if ((await markOf(this.path)) !== mark) {
      this.#isAskedAgain = true
      return
    }
    try {
      const read = await readMarked(this.path)
      this.#seen = read.mark
      await this.#events.changed(read.text)
    } catch (error) {
      this.#seen = mark
      this.#events.failed((error as Error).message)
    }
  }
}

async function markOf(path: string): Promise<string> {
  try {
    return markFrom(await stat(path, { bigint: true }))
  } catch (error) {
    return fileSentence(error as NodeJS.ErrnoException)
  }
}

function markFrom({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [ino, size, mtimeNs, ctimeNs].join(' ')
}

async function readMarked(path: string): Promise<{ text: string; mark: string }> {
  try {
    const stats = await stat(path, { bigint: true })
    if (stats.size > FILE_BYTES_MAX) throw new Error(`it has more than ${FILE_BYTES_MAX} bytes`)
    return { text: await readFile(path, 'utf8'), mark: markFrom(stats) }
  } catch (error) {
    throw new Error(fileSentence(error as NodeJS.ErrnoException), { cause: error })
  }
}
