/** Removes retained messages that have expired, from memory and from the store; sleeps while none expires. */

import type { RetainedMessages } from '../retained/retained-messages.ts'
import type { Store } from '../storage/storage.ts'
import type { Clock } from '../util/clock.ts'
import type { Timer, Timers } from '../util/timers.ts'

/** Nobody is given an expired message anyhow, so removing them may take its time. */
const SWEEP_INTERVAL_MIN_MS = 1000

export interface RetainedExpiryParts {
  readonly retained: RetainedMessages
  readonly store: Store
  readonly clock: Clock
  readonly timers: Timers
}

export class RetainedExpiry {
  readonly #parts: RetainedExpiryParts
  #timer: Timer | undefined

  constructor(parts: RetainedExpiryParts) {
    this.#parts = parts
  }

  start(): void {
    const { retained, store } = this.#parts
    retained.onExpired = (topics) => store.discardRetained(topics)
    retained.onEarlierExpiry = () => this.#arrange()
    this.#arrange()
  }

  #arrange(): void {
    this.#timer?.cancel()
    const { retained, clock, timers } = this.#parts
    const { nextExpiry } = retained
    if (nextExpiry === Number.POSITIVE_INFINITY) return
    const delayMs = Math.max(nextExpiry - clock.now(), SWEEP_INTERVAL_MIN_MS)
    this.#timer = timers.after(delayMs, () => this.#sweep())
  }

  #sweep(): void {
    const { retained, clock } = this.#parts
    retained.expire(clock.now())
    this.#arrange()
  }
}
