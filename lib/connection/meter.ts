/**
 * What goes through one connection, in one direction, against the rates of all whom it counts for. While
 * nothing is left of one of them the meter is closed; it opens by itself. Time is read only when a rate is used up.
 */

import type { Clock } from '../util/clock.ts'
import type { Timer, Timers } from '../util/timers.ts'
import type { TokenBucket } from '../util/token-bucket.ts'

/** It stays closed for so long at least: to open for every single message would cost more than it. */
const CLOSED_MIN_MS = 50

export interface Rate {
  readonly bucket: TokenBucket
  readonly unit: 'messages' | 'bytes'
  /** What limits it, for the log. */
  readonly option: string
}

export interface MeterParts {
  readonly clock: Clock
  readonly timers: Timers
  /** Called with the option that says how much may go through. */
  readonly closed: (option: string) => void
  readonly opened: () => void
}

export class Meter {
  isOpen = true
  readonly #rates: readonly Rate[]
  readonly #parts: MeterParts
  #timer: Timer | undefined

  constructor(rates: readonly Rate[], parts: MeterParts) {
    this.#rates = rates
    this.#parts = parts
  }

  take(messages: number, bytes: number): void {
    let isEmpty = false
    for (let i = 0; i < this.#rates.length; i++) {
      const { bucket, unit } = this.#rates[i]!
      bucket.take(unit === 'messages' ? messages : bytes)
      if (bucket.isEmpty) isEmpty = true
    }
    if (isEmpty && this.isOpen) this.#refill()
  }

  stop(): void {
    this.#timer?.cancel()
  }

  /** Opens or closes, as it has to be now. */
  #refill(): void {
    const { clock, timers, closed, opened } = this.#parts
    const now = clock.now()
    let waitMs = 0
    let option = ''
    for (const rate of this.#rates) {
      const ms = rate.bucket.refill(now)
      if (ms > waitMs) option = rate.option
      waitMs = Math.max(waitMs, ms)
    }
    const wasOpen = this.isOpen
    this.isOpen = waitMs === 0
    if (!this.isOpen) {
      this.#timer = timers.after(Math.max(waitMs, CLOSED_MIN_MS), () => this.#refill())
    }
    if (wasOpen && !this.isOpen) closed(option)
    else if (!wasOpen && this.isOpen) opened()
  }
}
