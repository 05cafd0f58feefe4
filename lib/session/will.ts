/** The Will Message of a session, and its stored form (section 3.1.2.5). */

import { Message } from '../protocol/message.ts'
import type { StoredWill } from '../storage/storage.ts'

/** A Will is stored as it came; it becomes a `Message` when it is published. */
export type Will = StoredWill

/** Makes the message to publish: its expiry counts from now. */
export function willMessage(will: Will, now: number): Message {
  const expiresAt =
    will.expirySeconds === undefined ? Number.POSITIVE_INFINITY : now + will.expirySeconds * 1000
  return Message.fromBody(will.body, will.qos, will.retain, expiresAt) // [MQTT-3.1.2-14] [MQTT-3.1.2-15]
}
