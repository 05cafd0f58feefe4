/** Subscribes and leaves again, over and over, beside the traffic of others: once for so many of their deliveries. */

import { setTimeout as delay } from 'node:timers/promises'
import { Client, type Surroundings } from './client.ts'
import type { Ledger } from './ledger.ts'
import { TOPIC_ROOT } from './routes.ts'

const LOOK_MS = 1

export class Resubscriber extends Client {
  readonly #index: number
  readonly #ledger: Ledger
  readonly #every: number
  #isRunning = false
  #count = 0

  constructor(around: Surroundings, index: number, ledger: Ledger, every: number) {
    super(around, `resubscriber ${index}`)
    this.#index = index
    this.#ledger = ledger
    this.#every = every
  }

  /** Goes on until the connection is abandoned. */
  start(): void {
    this.#isRunning = true
    this.#work().catch((failure: unknown) => this.around.fail(failure as Error))
  }

  override abandon(): void {
    this.#isRunning = false
    super.abandon()
  }

  async #work(): Promise<void> {
    let nextAt = this.#ledger.delivered
    while (this.#isRunning) {
      if (this.#ledger.delivered < nextAt) {
        await delay(LOOK_MS)
        continue
      }
      nextAt += this.#every
      const filters = [this.#nextFilter()]
      await this.subscribe(filters, 0)
      await this.unsubscribe(filters)
    }
  }

  /** Filters in the branch of the traffic that match none of it; every other one has a `+`. */
  #nextFilter(): string {
    this.#count++
    const level = this.#count % 2 === 0 ? '+' : 'nobody'
    return `${TOPIC_ROOT}/${level}/${this.#index}/${this.#count}`
  }
}
