/**
 * Removes in the background, in small pieces, what ended: all of an incarnation that was discarded, and
 * acknowledged messages where there are too many for one batch. What is still to do stands in the tree, so
 * it goes on after a restart.
 */

import type { Seq } from '../storage.ts'
import type { Batch } from './batch.ts'
import type { Database } from './database.ts'
import {
  allOfIncarnation,
  entriesBetween,
  KINDS_OF_INCARNATION,
  Kind,
  keyOf,
  numberIn,
} from './keys.ts'
import type { SessionState } from './session-state.ts'

/** So many records go in one piece: about 1 ms of the event loop, measured. */
const PIECE_RECORDS = 512

export class Sweeper {
  readonly #database: Database
  readonly #discarded: number[] = []
  readonly #untrimmed = new Set<SessionState>()

  constructor(database: Database) {
    this.#database = database
  }

  get hasWork(): boolean {
    return this.#discarded.length > 0 || this.#untrimmed.size > 0
  }

  /** To be called when it is durable that the incarnation has ended. */
  sweep(incarnation: number): void {
    this.#discarded.push(incarnation)
  }

  /** The entries of this session between `trimmedTo` and the low-water mark are to go. */
  trim(state: SessionState): void {
    this.#untrimmed.add(state)
  }

  /** Adds up to `most` removals to a batch, of what is in the tree now. */
  addPiece(batch: Batch, most: number = PIECE_RECORDS): void {
    let left = most
    while (left > 0 && this.#discarded.length > 0) left = this.#sweepSome(batch, left)
    for (const state of this.#untrimmed) {
      if (left <= 0) return
      left = this.#trimSome(batch, state, left)
    }
  }

  #sweepSome(batch: Batch, most: number): number {
    const incarnation = this.#discarded.at(-1)!
    let left = most
    for (const kind of KINDS_OF_INCARNATION) {
      const range = allOfIncarnation(kind, incarnation, left)
      for (const key of this.#database.getKeys(range)) {
        batch.remove(key)
        left--
      }
      if (left === 0) return 0
    }
    batch.remove(keyOf(Kind.Discarded, incarnation))
    this.#discarded.pop()
    return left - 1
  }

  #trimSome(batch: Batch, state: SessionState, most: number): number {
    const { incarnation, lowWaterMark, firmMark } = state
    let left = most
    let last: Seq = state.trimmedTo
    if (!state.isGone) {
      const range = entriesBetween(incarnation, last, firmMark, most)
      for (const key of this.#database.getKeys(range)) {
        batch.remove(key)
        last = numberIn(key)
        left--
      }
    }
    state.trimmedTo = left > 0 ? Math.max(last, firmMark) : last
    if (left > 0 && firmMark === lowWaterMark) this.#untrimmed.delete(state)
    return left
  }
}
