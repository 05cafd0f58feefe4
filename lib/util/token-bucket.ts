/**
 * A rate: so much per second, and what was not used for a while at once. What is taken although it is not
 * there is a debt that time pays off. Time is read by whoever refills, so that taking costs nothing.
 */

export class TokenBucket {
  readonly #perMs: number
  readonly #capacity: number
  #tokens: number
  #refilledAt: number

  /** Full at the beginning: `perSecond` for `burstSeconds`. */
  constructor(perSecond: number, burstSeconds: number, now: number) {
    this.#perMs = perSecond / 1000
    this.#capacity = perSecond * burstSeconds
    this.#tokens = this.#capacity
    this.#refilledAt = now
  }

  /** Whether nothing is left, as far as it was refilled. */
  get isEmpty(): boolean {
    return this.#tokens < 1
  }

  take(count: number): void {
    this.#tokens -= count
  }

  /** Adds what has come since the last time; returns in how many ms one is there, 0: now. */
  refill(now: number): number {
    const tokens = this.#tokens + (now - this.#refilledAt) * this.#perMs
    this.#tokens = Math.min(this.#capacity, tokens)
    this.#refilledAt = now
    return this.isEmpty ? Math.ceil((1 - this.#tokens) / this.#perMs) : 0
  }

  /** Takes one if there is one; says whether there was. */
  tryTake(now: number): boolean {
    if (this.refill(now) > 0) return false
    this.take(1)
    return true
  }
}
