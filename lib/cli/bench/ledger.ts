/** The books of one run: what was sent, what came of it, and how long it took. Everything is counted, nothing guessed. */

import { Histogram } from './histogram.ts'
import type { Counts, Latency } from './load.ts'
import { DOUBLED, LATE, Streams } from './streams.ts'

export class Ledger {
  sent = 0
  expected = 0
  delivered = 0
  duplicated = 0
  reordered = 0
  corrupted = 0
  misrouted = 0
  acknowledged = 0
  /** Whether latencies are recorded. */
  isMeasuring = false
  readonly #streams: Streams
  /** Where several share a stream, what each of them saw last is what is in order. */
  readonly #lastOf: Int32Array | undefined
  readonly #latency = new Histogram()

  /** `members` is the number of publishers times subscribers where subscribers share, else 0. */
  constructor(streams: number, members = 0) {
    this.#streams = new Streams(streams)
    if (members > 0) this.#lastOf = new Int32Array(members).fill(-1)
  }

  get lost(): number {
    return this.expected - this.delivered
  }

  /**
   * Books a message that came whole to its receiver, `tookUs` after it was due. Returns how many deliveries
   * its publisher need not wait for any longer: with it those that were skipped, which may be lost.
   */
  take(stream: number, sequence: number, member: number, tookUs: number): number {
    const skipped = this.#streams.take(stream, sequence)
    if (skipped === DOUBLED) {
      this.duplicated++
      return 0
    }
    this.delivered++
    if (this.isMeasuring) this.#latency.add(tookUs)
    if (this.#lastOf !== undefined) {
      if (sequence < (this.#lastOf[member] as number)) this.reordered++
      else this.#lastOf[member] = sequence
      return 1
    }
    if (skipped !== LATE) return skipped + 1
    this.reordered++
    return 0
  }

  get counts(): Counts {
    const { sent, expected, delivered, lost, duplicated, reordered } = this
    const { corrupted, misrouted, acknowledged } = this
    return {
      sent,
      expected,
      delivered,
      lost,
      duplicated,
      reordered,
      corrupted,
      misrouted,
      acknowledged,
    }
  }

  /** Undefined when no message came while measuring. */
  get latency(): Latency | undefined {
    if (this.#latency.count === 0) return undefined
    return {
      p50Us: this.#latency.percentile(0.5),
      p99Us: this.#latency.percentile(0.99),
      p999Us: this.#latency.percentile(0.999),
      maxUs: this.#latency.max,
    }
  }
}
