/** What waits, or is under way, to one session's client and belongs to shared subscriptions: others may have it. */

import type { Share } from '../router/subscriber.ts'
import type { Seq } from '../storage/storage.ts'
import type { Counters } from '../util/counters.ts'
import { type Delivery, mayBeHandedOver } from './delivery.ts'
import type { Exchanges } from './exchanges.ts'
import type { MessageQueue } from './message-queue.ts'

export class SharedDeliveries {
  readonly #queue: MessageQueue
  readonly #exchanges: Exchanges
  readonly #counters: Counters

  constructor(queue: MessageQueue, exchanges: Exchanges, counters: Counters) {
    this.#queue = queue
    this.#exchanges = exchanges
    this.#counters = counters
  }

  get hasUnsent(): boolean {
    return this.#queue.hasUnsentShared
  }

  /** Takes out what was never sent, so that another member can have it. It stays in the store until `free`. */
  takeUnsent(group?: Share): Delivery[] {
    const taken = this.#queue.removeIf(
      (delivery) =>
        mayBeHandedOver(delivery) && (group === undefined || delivery.group?.share === group.share),
    )
    if (taken[0] !== undefined) this.hold(taken[0].seq, taken.length)
    return taken
  }

  /** Puts back what nobody else could have; returns what cannot be sent any more under its number. */
  putBack(deliveries: readonly Delivery[]): Delivery[] {
    const { last } = this.#exchanges.inFlight
    // A later message has been sent.
    const isLate = ({ seq }: Delivery): boolean => seq !== 0 && seq <= last
    this.#queue.putBack(deliveries.filter((delivery) => !isLate(delivery)))
    return deliveries.filter(isLate)
  }

  /** `count` messages, the first at `seq`, are not acknowledged before `free`, whatever is. */
  hold(seq: Seq, count: number): void {
    this.#exchanges.progress.hold(seq, count)
  }

  /** `count` messages that were taken out are elsewhere, or back. */
  free(count: number): void {
    this.#exchanges.progress.free(count)
  }

  /**
   * Takes out, as the session ends, what was sent and others may have: QoS 1. QoS 2 dies with the session
   * [MQTT-4.8.2-5], and is counted.
   */
  takeUnacknowledged(): Delivery[] {
    const known = this.#queue.removeIf(
      (delivery) => delivery.group !== undefined && !mayBeHandedOver(delivery),
    )
    const all = [...this.#exchanges.takeShared(), ...known]
    const taken = all.filter(({ qos }) => qos === 1)
    this.#counters.sharedLost += all.length - taken.length
    return taken
  }
}
