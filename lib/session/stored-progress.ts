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

  constructor(store: Store, lowWaterMark: Seq) {
    this.#store = store
    this.#lowWaterMark = lowWaterMark
  }

  /** `seq` is completed; everything up to `lowWaterMark` is. */
  note(session: SessionRef, seq: Seq, lowWaterMark: Seq): void {
    if (lowWaterMark > this.#lowWaterMark) {
      this.#lowWaterMark = lowWaterMark
      this.#store.acknowledgeTo(session, lowWaterMark)
      return
    }
    this.#behind.push(seq)
    if (this.#behind.length < DISCARD_BATCH) return
    this.#store.discard(session, this.#behind)
    this.#behind = []
  }
}
