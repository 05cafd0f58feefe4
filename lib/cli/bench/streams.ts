/**
 * Streams of messages numbered without gaps, as they arrive. Of each it is known which number comes next, and
 * which of the last `HISTORY` have come: so nothing that is lost, doubled or late goes unseen.
 */

/** Longer than anything under way. A number that is older has come before, as far as we know. */
export const HISTORY = 2048

const WORDS = HISTORY / 32

/** What `Streams.take` says of a number: it came twice, or after its time; if neither, how far it is ahead. */
export const DOUBLED = -1
export const LATE = -2

export class Streams {
  readonly #next: Uint32Array
  readonly #seen: Uint32Array

  constructor(count: number) {
    this.#next = new Uint32Array(count)
    this.#seen = new Uint32Array(count * WORDS)
  }

  /** Returns how many numbers were skipped before this one, 0 in the best case, or `DOUBLED`, or `LATE`. */
  take(stream: number, sequence: number): number {
    const skipped = (sequence - (this.#next[stream] as number)) | 0
    const word = stream * WORDS + ((sequence % HISTORY) >>> 5)
    const bit = 1 << (sequence & 31)
    if (skipped >= 0) {
      if (skipped > 0) this.#forget(stream, sequence, Math.min(skipped, HISTORY))
      this.#next[stream] = sequence + 1
      this.#seen[word] = (this.#seen[word] as number) | bit
      return skipped
    }
    if (-skipped > HISTORY || (this.#seen[word] as number) & bit) return DOUBLED
    this.#seen[word] = (this.#seen[word] as number) | bit
    return LATE
  }

  /** Marks the `count` numbers before `sequence` as not seen. */
  #forget(stream: number, sequence: number, count: number): void {
    for (let i = sequence - count; i < sequence; i++) {
      const word = stream * WORDS + ((i % HISTORY) >>> 5)
      this.#seen[word] = (this.#seen[word] as number) & ~(1 << (i & 31))
    }
  }
}
