/**
 * What a session has sent of shared subscriptions and its client has not answered. When the session ends,
 * another member may have what was sent at QoS 1; QoS 2 belongs to this client alone (section 4.8.2).
 */

import type { Share } from '../router/subscriber.ts'
import type { Seq } from '../storage/storage.ts'
import type { Delivery } from './delivery.ts'

export class SharedInFlight {
  readonly #deliveries = new Map<Seq, Delivery>()

  /** `delivery.message` is undefined where the store has it. */
  note(delivery: Delivery): void {
    this.#deliveries.set(delivery.seq, delivery)
  }

  groupOf(seq: Seq): Share | undefined {
    return this.#deliveries.get(seq)?.group
  }

  /** The client has it: by PUBACK, PUBREC, or because it refused it [MQTT-4.8.2-6]. */
  settle(seq: Seq): void {
    this.#deliveries.delete(seq)
  }

  /** Takes out all, as the session ends. */
  takeAll(): Delivery[] {
    const all = [...this.#deliveries.values()]
    this.#deliveries.clear()
    return all
  }
}
