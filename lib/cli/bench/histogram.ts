/**
 * Counts whole numbers in buckets that grow with them: 128 to each power of two, so that what is read from it
 * is right to 1 %, in 13 KiB and without any work but an increment.
 */

const SUB_BITS = 7
const SUB_COUNT = 1 << SUB_BITS

/** The largest number has 32 bits. */
const BUCKETS = (32 - SUB_BITS + 1) * SUB_COUNT

export class Histogram {
  readonly #buckets = new Uint32Array(BUCKETS)
  #count = 0
  #max = 0

  get count(): number {
    return this.#count
  }

  /** Exactly; 0 when there was none. */
  get max(): number {
    return this.#max
  }

  /** `value` is from 0 to 2^32 - 1. */
  add(value: number): void {
    const shift = value < SUB_COUNT ? 0 : 31 - Math.clz32(value) - SUB_BITS
    const bucket = shift * SUB_COUNT + (value >>> shift)
    this.#buckets[bucket] = (this.#buckets[bucket] as number) + 1
    this.#count++
    if (value > this.#max) this.#max = value
  }

  /** The smallest number that at least this `share` (0 to 1) of all are not above, at most 1 % too large. */
  percentile(share: number): number {
    const wanted = Math.max(1, Math.ceil(share * this.#count))
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#buckets[bucket] as number
      if (seen >= wanted) return Math.min(largestIn(bucket), this.#max)
    }
    return this.#max
  }
}

function largestIn(bucket: number): number {
  const shift = bucket < 2 * SUB_COUNT ? 0 : Math.floor(bucket / SUB_COUNT) - 1
  return (bucket - shift * SUB_COUNT + 1) * 2 ** shift - 1
}
