/**
 * Puts the lines of an export (export-format.ts) into a store, in batches: each session with its very
 * numbering, so that Packet Identifiers mean to its client what they meant before.
 */

import { Buffer } from 'node:buffer'
import { VARIABLE_BYTE_INTEGER_MAX } from '../protocol/limits.ts'
import { byteLines } from '../util/byte-lines.ts'
import { PAGE_BYTES_MAX, PAGE_MESSAGES_MAX } from './export.ts'
import { type ExportCounts, type ExportRecord, noCounts, readLine } from './export-format.ts'
import { LineError } from './line-fields.ts'
import type {
  QueueEntry,
  Seq,
  SessionRef,
  Store,
  StoredRetained,
  StoredSession,
} from './storage.ts'
import { writeUnit } from './write-unit.ts'

/** The largest message in base64, and room for what else is in its line. */
const LINE_BYTES_MAX = Math.ceil((VARIABLE_BYTE_INTEGER_MAX * 4) / 3) + 1024 ** 2

/** An import did not get to its end. */
export class ImportError extends Error {
  override readonly name = 'ImportError'
  /** Where it stopped, from 1; what was wrong may have been in one of the lines before if it is the store's. */
  readonly line: number
  /** What the store has got: only whole sessions are counted. */
  readonly counts: Readonly<ExportCounts>
  /** The session that is there without some of its messages. */
  readonly unfinished: { readonly clientIdentifier: string; readonly messages: number } | undefined

  constructor(
    line: number,
    cause: unknown,
    counts: Readonly<ExportCounts> = noCounts(),
    unfinished?: ImportError['unfinished'],
  ) {
    super((cause as Error).message, { cause })
    this.line = line
    this.counts = counts
    this.unfinished = unfinished
  }
}

/** Says whether a store keeps anything. */
export async function isEmptyStore(store: Pick<Store, 'replay'>): Promise<boolean> {
  let isEmpty = true
  await store.replay(() => {
    isEmpty = false
  })
  return isEmpty
}

/** Reads an export to its end and keeps nothing; rejects with `ImportError` at its first mistake. */
export async function checkExport(chunks: AsyncIterable<Buffer>): Promise<void> {
  const lines = new ExportLines()
  try {
    for await (const _ of lines.read(chunks));
  } catch (error) {
    throw new ImportError(lines.line, error)
  }
}

/**
 * Puts an export into a store, in place of sessions of the same Client Identifier and retained messages of
 * the same topic. Resolves to what was put; rejects with `ImportError` at the first mistake, where the store
 * fails, and when `signal` is aborted, with its reason.
 */
export async function importInto(
  store: Store,
  chunks: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<ExportCounts> {
  const lines = new ExportLines()
  const target = new ImportTarget(store, signal)
  try {
    for await (const record of lines.read(chunks)) await target.put(record)
    await target.finish()
    return target.counts
  } catch (error) {
    // Whoever aborts may have ended what we read from, too: that is not the reason.
    const cause: unknown = signal.aborted ? signal.reason : error
    throw new ImportError(lines.line, cause, target.counts, target.unfinished)
  }
}

/** Reads lines and sees that they make a whole export. */
class ExportLines {
  /** The number of the line that was read last. */
  line = 0
  readonly #found: ExportCounts = noCounts()
  #state: 'at the start' | 'inside' | 'at the end' = 'at the start'
  /** What the next message has to stand behind; undefined where there is no session that it could be of. */
  #after: Seq | undefined
  #lastSeq: Seq = 0

  async *read(chunks: AsyncIterable<Buffer>): AsyncGenerator<ExportRecord, void> {
    const tooLong = () => {
      this.line++
      return new LineError('it is longer than any line of an export')
    }
    for await (const bytes of byteLines(chunks, LINE_BYTES_MAX, tooLong)) {
      this.line++
      const record = readLine(bytes)
      this.#check(record)
      yield record
    }
    if (this.#state === 'at the start') throw new LineError('there is nothing in it')
    if (this.#state === 'inside') {
      throw new LineError('it ends here without a trailer: the rest of the export is missing')
    }
  }

  #check(record: ExportRecord): void {
    if (this.#state === 'at the end') throw new LineError('nothing may follow the trailer')
    const isHeader = record.kind === 'header'
    if (isHeader !== (this.#state === 'at the start')) {
      throw new LineError(
        isHeader ? 'only the first line is a header' : 'an export begins with a header',
      )
    }
    this.#state = record.kind === 'trailer' ? 'at the end' : 'inside'
    this.#count(record)
  }

  #count(record: ExportRecord): void {
    const found = this.#found
    switch (record.kind) {
      case 'header':
        return
      case 'session':
        found.sessions++
        found.subscriptions += record.session.subscriptions.length
        this.#after = record.session.lowWaterMark
        this.#lastSeq = record.session.lastSeq
        return
      case 'message':
        found.messages++
        return this.#checkSeq(record.entry)
      case 'retained':
        found.retained++
        this.#after = undefined
        return
      case 'trailer':
        return this.#compare(record.counts)
    }
  }

  #checkSeq({ seq }: QueueEntry): void {
    if (this.#after === undefined) {
      throw new LineError('a message stands behind its session, or another message of it')
    }
    if (seq <= this.#after || seq > this.#lastSeq) {
      throw new LineError(
        `seq must be from ${this.#after + 1} to ${this.#lastSeq}, as the lines before say; found ${seq}`,
      )
    }
    this.#after = seq
  }

  #compare(counts: ExportCounts): void {
    for (const name of Object.keys(counts) as (keyof ExportCounts)[]) {
      if (counts[name] === this.#found[name]) continue
      throw new LineError(
        `the trailer counts ${counts[name]} ${name}, and there are ${this.#found[name]}: lines are missing or were changed`,
      )
    }
  }
}

/** Gathers batches for the store. */
class ImportTarget {
  /** What the store has got. */
  readonly counts: ExportCounts = noCounts()
  readonly #store: Store
  readonly #signal: AbortSignal
  #session: StoredSession | undefined
  #ref: SessionRef | undefined
  /** Messages of the session that the store has got. */
  #messages = 0
  #entries: QueueEntry[] = []
  #retained: StoredRetained[] = []
  /** Of the bodies that are gathered. */
  #gatheredBytes = 0

  constructor(store: Store, signal: AbortSignal) {
    this.#store = store
    this.#signal = signal
  }

  get unfinished(): ImportError['unfinished'] {
    if (this.#session === undefined) return undefined
    const { clientIdentifier } = this.#session.ref
    return { clientIdentifier, messages: this.#messages }
  }

  async put(record: ExportRecord): Promise<void> {
    this.#signal.throwIfAborted()
    if (record.kind === 'session') return this.#begin(record.session)
    if (record.kind === 'message') {
      this.#entries.push(record.entry)
      return this.#gather(record.entry.body)
    }
    if (record.kind === 'retained') {
      await this.#finishSession()
      this.#retained.push(record.message)
      return this.#gather(record.message.body)
    }
  }

  async finish(): Promise<void> {
    await this.#finishSession()
    await this.#flush()
  }

  async #begin(session: StoredSession): Promise<void> {
    await this.finish()
    this.#session = session
    this.#messages = 0
    this.#ref = await this.#unlessAborted(this.#store.adopt(session))
  }

  async #finishSession(): Promise<void> {
    if (this.#session === undefined) return
    await this.#flush()
    this.counts.sessions++
    this.counts.subscriptions += this.#session.subscriptions.length
    this.counts.messages += this.#messages
    this.#session = undefined
  }

  async #gather(body: Buffer): Promise<void> {
    this.#gatheredBytes += body.length
    const count = this.#entries.length + this.#retained.length
    if (count >= PAGE_MESSAGES_MAX || this.#gatheredBytes >= PAGE_BYTES_MAX) await this.#flush()
  }

  async #flush(): Promise<void> {
    const entries = this.#entries
    const retained = this.#retained
    this.#entries = []
    this.#retained = []
    this.#gatheredBytes = 0
    if (entries.length > 0) {
      await this.#unlessAborted(this.#store.adoptQueue(this.#ref!, entries))
      this.#messages += entries.length
    }
    if (retained.length > 0) {
      await this.#unlessAborted(writeRetained(this.#store, retained))
      this.counts.retained += retained.length
    }
  }

  /** A store that takes nothing answers when it takes something again, which may be never. */
  #unlessAborted<T>(promise: Promise<T>): Promise<T> {
    const signal = this.#signal
    return new Promise((resolve, reject) => {
      const abort = () => reject(signal.reason as Error)
      signal.addEventListener('abort', abort, { once: true })
      promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
    })
  }
}

async function writeRetained(store: Store, messages: readonly StoredRetained[]): Promise<void> {
  await Promise.all(messages.map((message) => writeUnit(store, { ...message, retain: 'set' })))
}
