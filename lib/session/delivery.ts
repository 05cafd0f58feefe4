/** A message on its way to one session, waiting in its queue. */

import type { Message } from '../protocol/message.ts'
import type { Qos } from '../protocol/packets.ts'
import type { Share } from '../router/subscriber.ts'
import type { Seq } from '../storage/storage.ts'

/**
 * Whether the client may have a message already:
 * - `never`: it was not sent. Only these have DUP 0;
 * - `perhaps`: the broker was killed while the client was connected, and nobody knows;
 * - `before`: it was sent on an earlier connection, and not acknowledged;
 * - `received`: PUBREC came on an earlier connection: PUBREL is due, never the PUBLISH [MQTT-4.3.3-6].
 */
export type Sent = 'never' | 'perhaps' | 'before' | 'received'

export interface Delivery {
  /** Place in the store's queue; 0 in a volatile session, which numbers messages as it sends them. */
  readonly seq: Seq
  /** Undefined while only the store has it. */
  message: Message | undefined
  readonly qos: Qos
  retain: boolean
  identifiers: readonly number[] | undefined
  readonly group: Share | undefined
  readonly sent: Sent
  /** What it counts for in the queue's bound, in bytes. */
  readonly size: number
}

/**
 * Whether it may expire, and the bounds of the queue count it and may drop it. Of what may have been sent,
 * QoS 2 may not: the client may hold its Packet Identifier, and would take the next message that has it for
 * this one [MQTT-4.3.3-7].
 */
export function isDroppable({ sent, qos }: Delivery): boolean {
  return sent === 'never' || (sent === 'perhaps' && qos === 1)
}

/** Whether another member of the shared subscription may have it before this session ends (section 4.8.2). */
export function mayBeHandedOver(delivery: Delivery): boolean {
  return delivery.group !== undefined && isDroppable(delivery)
}
