/**
 * What the host program publishes, in its order. While it is being called in the midst of a delivery, that waits for
 * later turns: it would overtake the message that it answers, and two handlers that answer each other would
 * fill the stack.
 */

import type { Router } from '../router/router.ts'
import type { Clock } from '../util/clock.ts'
import type { MemoryBudget } from '../util/memory-budget.ts'
import { type PublishInput, toMessage } from './application-message.ts'

export class HostMessages {
  readonly #router: Router
  readonly #clock: Clock
  readonly #budget: MemoryBudget
  #waiting = 0

  /** What waits counts in `budget`. */
  constructor(router: Router, clock: Clock, budget: MemoryBudget) {
    this.#router = router
    this.#clock = clock
    this.#budget = budget
  }

  /** See `Broker.publish`. */
  async publish(input: PublishInput): Promise<void> {
    const message = toMessage(input, this.#clock.now())
    if (this.#router.isBusy || this.#waiting > 0) await this.#laterTurn(message.bodyBytes)
    const publication = this.#router.route(message, undefined)
    if (publication === undefined) return
    await new Promise<void>((resolve, reject) => {
      publication.observer = {
        published: () => resolve(),
        publicationFailed: (_, error) => reject(error),
      }
    })
  }

  /** Turns come in the order in which they were asked for. */
  async #laterTurn(heldBytes: number): Promise<void> {
    this.#budget.hold(heldBytes)
    this.#waiting++
    await new Promise((resolve) => setImmediate(resolve))
    this.#waiting--
    this.#budget.release(heldBytes)
  }
}
