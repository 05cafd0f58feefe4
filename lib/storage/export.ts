/**
 * Writes what a store keeps as lines (export-format.ts), no faster than they are taken: queues are read
 * page by page. Sessions without their queues, and retained messages, are in memory meanwhile, as in a broker.
 */

import {
  type ExportCounts,
  headerLine,
  messageLine,
  noCounts,
  retainedLine,
  sessionLine,
  trailerLine,
} from './export-format.ts'
import type { StoreReader } from './reading.ts'
import type { StoredRetained, StoredSession } from './storage.ts'

/** What is read of a queue at once: enough for the disk, little beside what a broker has in memory. */
export const PAGE_MESSAGES_MAX = 256
export const PAGE_BYTES_MAX: number = 1024 ** 2

export interface ExportHeader {
  readonly timeMs: number
  /** Version of the program. */
  readonly program: string
}

export class StoreExport {
  /** What was written so far. */
  readonly counts: ExportCounts = noCounts()
  readonly #reader: Pick<StoreReader, 'replay' | 'readQueue'>
  readonly #header: ExportHeader

  constructor(reader: Pick<StoreReader, 'replay' | 'readQueue'>, header: ExportHeader) {
    this.#reader = reader
    this.#header = header
  }

  /** Yields text of whole lines, the next when the last is taken. */
  async *lines(): AsyncGenerator<string, void> {
    const { timeMs, program } = this.#header
    const sessions: StoredSession[] = []
    const retained: StoredRetained[] = []
    await this.#reader.replay((item) => {
      if (item.kind === 'session') sessions.push(item.session)
      else retained.push(item.message)
    })
    yield headerLine(timeMs, program)
    for (const session of sessions) yield* this.#session(session)
    for (const message of retained) {
      this.counts.retained++
      yield retainedLine(message)
    }
    yield trailerLine(this.counts)
  }

  async *#session(session: StoredSession): AsyncGenerator<string, void> {
    const { ref, lastSeq, lowWaterMark, subscriptions } = session
    this.counts.sessions++
    this.counts.subscriptions += subscriptions.length
    yield sessionLine(session)
    for (let after = lowWaterMark; after < lastSeq; ) {
      // oxlint-disable-next-line no-await-in-loop -- One page at a time is what bounds the memory.
      const page = await this.#reader.readQueue(ref, after, PAGE_MESSAGES_MAX, PAGE_BYTES_MAX)
      // What a running broker has added since would be no part of the numbering that was written.
      const entries = page.filter(({ seq }) => seq <= lastSeq)
      if (entries.length === 0) return
      this.counts.messages += entries.length
      after = entries.at(-1)!.seq
      yield entries.map(messageLine).join('')
    }
  }
}
