/**
 * Ends the turn of the event loop for all outboxes of a broker, and gives them what they share: the slab that their
 * regions are carved from, and views of what more than one of them sends.
 */

import { Buffer } from 'node:buffer'
import { OutsideMemory } from '../util/outside-memory.ts'
import { wordsOf } from '../util/words.ts'

/** As much is written without waiting for the turn to end. Also the size of a slab. */
export const FLUSH_BYTES: number = 64 * 1024

const NO_BLOCK = Buffer.alloc(0)

/** An outbox, as its flusher sees it. */
export interface Flushed {
  /** Writes what it has gathered. */
  endTurn(): void
}

/** Flushes all outboxes of a broker, once at the end of each turn in which any of them got something. */
export class Flusher {
  /** The slab that regions are carved from; its first `slabUsed` bytes are given away. */
  slab: Buffer = NO_BLOCK
  slabWords: DataView = wordsOf(NO_BLOCK)
  slabUsed = 0
  readonly #schedule: (flush: () => void) => void
  readonly #flush: () => void
  readonly #outside: OutsideMemory
  #outboxes: Flushed[] = []
  #isScheduled = false
  /** The last view, which stands at `viewStart` of `viewed`. */
  #view: Buffer = NO_BLOCK
  #viewed: Buffer = NO_BLOCK
  #viewStart = 0
  /** What was asked for last by `wordsAgain`. */
  #source: Buffer = NO_BLOCK
  #sourceWords: DataView | undefined

  constructor(
    schedule: (flush: () => void) => void = setImmediate,
    outside: OutsideMemory = new OutsideMemory(),
  ) {
    this.#schedule = schedule
    this.#outside = outside
    this.#flush = () => {
      this.#isScheduled = false
      this.flushNow()
    }
  }

  /** Flushes what was gathered so far. What comes while it does so waits for the next turn. */
  flushNow(): void {
    const outboxes = this.#outboxes
    this.#outboxes = []
    for (const outbox of outboxes) outbox.endTurn()
    this.#view = NO_BLOCK
    this.#viewed = NO_BLOCK
    this.#source = NO_BLOCK
    this.#sourceWords = undefined
  }

  /** Returns `bytes` as words from the second time on that they are asked for in a row: for one it does not pay. */
  wordsAgain(bytes: Buffer): DataView | undefined {
    if (bytes === this.#source) return (this.#sourceWords ??= wordsOf(bytes))
    this.#source = bytes
    this.#sourceWords = undefined
    return undefined
  }

  /** Returns `bytes` from `start` to `end`, to all who ask for the same the same view. */
  viewOf(bytes: Buffer, start: number, end: number): Buffer {
    const isSame = bytes === this.#viewed && start === this.#viewStart
    if (!isSame || end - start !== this.#view.length) {
      this.#view = bytes.subarray(start, end)
      this.#viewed = bytes
      this.#viewStart = start
    }
    return this.#view
  }

  add(outbox: Flushed): void {
    this.#outboxes.push(outbox)
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#schedule(this.#flush)
  }

  /** Returns the start of a new region of at least `needed` bytes; it ends at `slabUsed`. */
  carve(needed: number, wanted: number): number {
    if (this.slabUsed + needed > this.slab.length) {
      this.#outside.note(FLUSH_BYTES)
      this.slab = Buffer.allocUnsafeSlow(FLUSH_BYTES)
      this.slabWords = wordsOf(this.slab)
      this.slabUsed = 0
    }
    const start = this.slabUsed
    this.slabUsed = Math.min(start + wanted, FLUSH_BYTES)
    return start
  }

  /** Says whether the region that ends at `limit` could grow where it is: it is the last of its slab. */
  extend(block: Buffer, limit: number, neededLimit: number, wantedLimit: number): boolean {
    const isLast = block === this.slab && limit === this.slabUsed && limit > 0
    if (!isLast || neededLimit > FLUSH_BYTES) return false
    this.slabUsed = Math.min(wantedLimit, FLUSH_BYTES)
    return true
  }

  /** Takes back the end of a region, from `from` on, if it is the last of its slab. */
  giveBack(block: Buffer, from: number, limit: number): void {
    if (block === this.slab && limit === this.slabUsed) this.slabUsed = from
  }
}
