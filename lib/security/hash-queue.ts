/**
 * A gate before work that others do: so much of it at once, so much waiting, and no more. Passwords and
 * tokens are the work of threads that also read and write files for the store, and must not take them all;
 * questions to a service go through one too.
 */

import type { Clock } from '../util/clock.ts'

/** Who has waited longer is refused: before it gives up by itself, and without work for nobody. */
export const WAIT_MAX_MS: number = 5000

export class HashQueue {
  readonly #concurrency: number
  readonly #waitingMax: number
  readonly #clock: Clock
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(concurrency: number, waitingMax: number, clock: Clock) {
    this.#concurrency = concurrency
    this.#waitingMax = waitingMax
    this.#clock = clock
  }

  /** Does `work` when its turn comes; resolves with undefined if too many wait, or its turn came too late. */
  async run<T>(work: () => Promise<T>): Promise<T | undefined> {
    const askedAt = this.#clock.now()
    if (this.#running < this.#concurrency) this.#running++
    else if (this.#waiting.length >= this.#waitingMax) return undefined
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      const isLate = this.#clock.now() - askedAt > WAIT_MAX_MS
      return isLate ? undefined : await work()
    } finally {
      this.#next()
    }
  }

  /** Hands the place on, or gives it back. */
  #next(): void {
    const first = this.#waiting.shift()
    if (first === undefined) this.#running--
    else first()
  }
}
