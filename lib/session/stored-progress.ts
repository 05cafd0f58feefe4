/**
 * Tells the store how far a durable session has been acknowledged: by its low-water mark, and message by
 * message only for those acknowledged behind a stuck one, `DISCARD_BATCH` at a time. Lazy on purpose:
 * what the store does not hear is sent again, with DUP.
 */

import type { Seq, SessionRef, Store } from '../storage/storage.ts'

/** Acknowledged messages behind a stuck one that are removed from the store together. */
const DISCARD_BATCH = 64

export class StoredProgress {
  readonly #store: Store
  #lowWaterMark: Seq
  #behind: Seq[] = []
  /** The first of the messages that stay in the store although others behind them are acknowledged. */
  #heldFrom: Seq = Number.POSITIVE_INFINITY
  #heldCount = 0

  constructor(store: Store, lowWaterMark: Seq) {
    this.#store = store
    this.#lowWaterMark = lowWaterMark
  }

  /** `seq` is completed; everything up to `lowWaterMark` is. */
  note(session: SessionRef, seq: Seq, lowWaterMark: Seq): void {
    const mark = Math.min(lowWaterMark, this.#heldFrom - 1)
    if (mark > this.#lowWaterMark) {
      this.#lowWaterMark = mark
      this.#store.acknowledgeTo(session, mark)
    }
    if (seq <= this.#lowWaterMark) return
    this.#behind.push(seq)
    if (this.#behind.length < DISCARD_BATCH) return
    this.#store.discard(session, this.#behind)
    this.#behind = []
  }

  /** `count` messages, the first at `seq`, are on their way to another session. */
  hold(seq: Seq, count: number): void {
    this.#heldFrom = Math.min(this.#heldFrom, seq)
    this.#heldCount += count
  }

  /** They have arrived, or are back. */
  free(count: number): void {
    this.#heldCount -= count
    if (this.#heldCount === 0) this.#heldFrom = Number.POSITIVE_INFINITY
  }
}
