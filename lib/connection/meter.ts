/**
 * What goes through one connection, in one direction, against the rates of all whom it counts for. While
 * nothing is left of one of them the meter is closed; it opens by itself. Time is read only when a rate is used up.
 */

import type { Clock } from '../util/clock.ts'
import type { Timer, Timers } from '../util/timers.ts'
import type { TokenBucket } from '../util/token-bucket.ts'

/** It stays closed for so long at least: to open for every single message would cost more than it. */
const CLOSED_MIN_MS = 50

export interface MeterParts {
  readonly messages: readonly TokenBucket[]
  readonly bytes: readonly TokenBucket[]
  readonly clock: Clock
  readonly timers: Timers
  readonly closed: () => void
  readonly opened: () => void
}

export class Meter {
  isOpen = true
  readonly #parts: MeterParts
  readonly #messages: readonly TokenBucket[]
  readonly #bytes: readonly TokenBucket[]
  #timer: Timer | undefined

  constructor(parts: MeterParts) {
    this.#parts = parts
    this.#messages = parts.messages
    this.#bytes = parts.bytes
  }

  take(messages: number, bytes: number): void {
    let isEmpty = false
    for (let i = 0; i < this.#messages.length; i++) {
      const bucket = this.#messages[i]!
      bucket.take(messages)
      if (bucket.isEmpty) isEmpty = true
    }
    for (let i = 0; i < this.#bytes.length; i++) {
      const bucket = this.#bytes[i]!
      bucket.take(bytes)
      if (bucket.isEmpty) isEmpty = true
    }
    if (isEmpty && this.isOpen) this.#refill()
  }

  stop(): void {
    this.#timer?.cancel()
  }

  /** Opens or closes, as it has to be now. */
  #refill(): void {
    const waitMs = this.#waitMs()
    const wasOpen = this.isOpen
    this.isOpen = waitMs === 0
    if (waitMs > 0) {
      const delayMs = Math.max(waitMs, CLOSED_MIN_MS)
      this.#timer = this.#parts.timers.after(delayMs, () => this.#refill())
    }
    if (wasOpen && !this.isOpen) this.#parts.closed()
    else if (!wasOpen && this.isOpen) this.#parts.opened()
  }

  #waitMs(): number {
    const now = this.#parts.clock.now()
    let waitMs = 0
    for (const bucket of this.#messages) waitMs = Math.max(waitMs, bucket.refill(now))
    for (const bucket of this.#bytes) waitMs = Math.max(waitMs, bucket.refill(now))
    return waitMs
  }
}
