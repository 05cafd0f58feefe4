/**
 * Publishes at a fixed rate, whatever the broker does. Each message is stamped with the moment when it was due: if
 * it has to wait, that counts, as it would for somebody who relies on it (no coordinated omission).
 */

import { stampNow } from './payload.ts'
import type { Publisher } from './publisher.ts'

export class Pacer {
  readonly #publishers: readonly Publisher[]
  readonly #intervalUs: number
  #isRunning = false
  #startUs = 0
  #count = 0

  constructor(publishers: readonly Publisher[], ratePerSecond: number) {
    this.#publishers = publishers
    this.#intervalUs = 1_000_000 / ratePerSecond
  }

  start(): void {
    this.#isRunning = true
    this.#startUs = stampNow()
    this.#spin()
  }

  stop(): void {
    this.#isRunning = false
  }

  /** Timers are right to a millisecond only, so the loop goes round all the time. */
  readonly #spin = (): void => {
    if (!this.#isRunning) return
    const passedUs = (stampNow() - this.#startUs) >>> 0
    for (;;) {
      const dueUs = this.#count * this.#intervalUs
      if (dueUs > passedUs) break
      const publisher = this.#publishers[this.#count % this.#publishers.length] as Publisher
      if (!publisher.hasWindow) break
      publisher.publish((this.#startUs + dueUs) >>> 0)
      this.#count++
    }
    setImmediate(this.#spin)
  }
}
