/**
 * The end of a durable session's queue that only the store has: a stretch of sequence numbers, how many
 * messages stand in it, and what is known of whether they were sent. It costs the same for ten messages and
 * for ten million; the session reads it page by page when its turn comes.
 */

import type { Seq, StoredSession } from '../storage/storage.ts'
import { negated } from '../util/negated.ts'
import type { Delivery, Sent } from './delivery.ts'

export class Backlog {
  /** The backlog begins behind this. */
  after: Seq
  /** Its last message. */
  until: Seq
  /** Messages in it; may count some that are gone from its middle. */
  count: number
  /** Told by how much `bytes` has changed. */
  onBytes: (bytes: number) => void = () => {}
  /** Whether there may be messages of shared subscriptions among them. */
  mayHaveShared: boolean
  /** Up to here messages were, or may have been, sent before the broker was started. */
  readonly sentTo: Seq
  #bytes: number
  readonly #isSentCertain: boolean
  readonly #released: ReadonlySet<Seq>

  /** `stored` is what the store had as the session was made or restored; `overheadBytes` counts for each. */
  constructor(stored: StoredSession | undefined, overheadBytes: number) {
    const { lastSeq, lowWaterMark, sentTo, released, queued, queuedBytes } = stored ?? EMPTY
    this.after = queued === 0 ? lastSeq : lowWaterMark
    this.until = lastSeq
    this.count = queued
    this.#bytes = queuedBytes + queued * overheadBytes
    this.mayHaveShared = queued > 0
    this.sentTo = sentTo ?? lastSeq
    this.#isSentCertain = sentTo !== undefined
    this.#released = released.length === 0 ? NONE : new Set(released)
  }

  /** What they count for in the queue's bound; as exact as `count`. */
  get bytes(): number {
    return this.#bytes
  }

  get isEmpty(): boolean {
    return this.after >= this.until
  }

  /** Adds a message that stands in the store behind all others. */
  add(seq: Seq, size: number, isShared: boolean): void {
    if (this.isEmpty) this.after = seq - 1
    this.until = seq
    this.count++
    this.#addBytes(size)
    this.mayHaveShared ||= isShared
  }

  /** One of its messages, of `size` bytes, has been read. */
  take(size: number): void {
    this.count--
    this.#addBytes(-size)
  }

  /** Everything up to `seq` has been read, or is gone. */
  passTo(seq: Seq): void {
    this.after = Math.max(this.after, Math.min(seq, this.until))
    if (!this.isEmpty) return
    this.count = 0
    this.#addBytes(negated(this.#bytes))
    this.mayHaveShared = false
  }

  /** Puts messages, all that stand in front of it, back. */
  putBack(deliveries: readonly Delivery[]): void {
    const first = deliveries[0]
    const last = deliveries.at(-1)
    if (first === undefined || last === undefined) return
    if (this.isEmpty) this.until = Math.max(this.until, last.seq)
    this.after = first.seq - 1
    for (const { size, group } of deliveries) {
      this.count++
      this.#addBytes(size)
      this.mayHaveShared ||= group !== undefined
    }
  }

  #addBytes(bytes: number): void {
    this.#bytes += bytes
    this.onBytes(bytes)
  }

  /** Whether a message in it has been sent. */
  sentOf(seq: Seq): Sent {
    if (this.#released.has(seq)) return 'received'
    if (seq > this.sentTo) return 'never'
    return this.#isSentCertain ? 'before' : 'perhaps'
  }
}

/** Most sessions have none: a set of its own would be a tenth of what a session costs. */
const NONE: ReadonlySet<Seq> = new Set()

const EMPTY: Pick<
  StoredSession,
  'lastSeq' | 'lowWaterMark' | 'sentTo' | 'released' | 'queued' | 'queuedBytes'
> = { lastSeq: 0, lowWaterMark: 0, sentTo: 0, released: [], queued: 0, queuedBytes: 0 }
