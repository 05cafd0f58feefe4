/** Messages as the host program writes and reads them, and their way to and from `Message`. */

import { Buffer } from 'node:buffer'
import { encodePropertyList } from '../codec/property-block.ts'
import { readProperties } from '../codec/property-cursor.ts'
import { composeBody, Message } from '../protocol/message.ts'
import type { Properties, Qos } from '../protocol/packets.ts'
import { isSystemTopic, isTopicName } from '../protocol/topics.ts'

/** The properties of MQTT 5.0 that travel with a message (section 3.3.2.3). */
export type PublishProperties = Pick<
  Properties,
  'payloadFormatIndicator' | 'contentType' | 'responseTopic' | 'correlationData' | 'userProperties'
>

/** A message that the host program publishes. */
export interface PublishInput {
  /** Topic Name: no wildcards, not below `$SYS`. */
  readonly topic: string
  /** Default: empty. Strings are sent as UTF-8. */
  readonly payload?: string | Uint8Array
  /** Default: 0. */
  readonly qos?: Qos
  /** Default: false. */
  readonly retain?: boolean
  /** Seconds until nobody wants it any more; default: it does not expire. */
  readonly messageExpirySeconds?: number
  readonly properties?: PublishProperties
}

/** A message as events and in-process subscriptions hand it out. It is the host's to keep. */
export interface ApplicationMessage {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: Qos
  readonly retain: boolean
  readonly properties: PublishProperties
}

/** Throws `TypeError` for a topic that nobody may publish to. */
export function toMessage(input: PublishInput, now: number): Message {
  const { topic, payload = '', qos = 0, retain = false, messageExpirySeconds, properties } = input
  if (!isTopicName(topic) || topic.includes('\0') || Buffer.byteLength(topic) > 65_535) {
    // [MQTT-4.7.3-3]
    throw new TypeError(
      `"${topic}" is not a Topic Name: it is empty, too long, or has a wildcard in it.`,
    )
  }
  if (isSystemTopic(topic)) throw new TypeError(`"${topic}" belongs to the broker.`)
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : Buffer.from(payload)
  const body = composeBody(topic, encodePropertyList(properties ?? {}), bytes)
  const expiresAt =
    messageExpirySeconds === undefined
      ? Number.POSITIVE_INFINITY
      : now + messageExpirySeconds * 1000
  return Message.fromBody(body, qos, retain, expiresAt)
}

/** The host may do with it what it likes: it has memory of its own. */
export function toApplicationMessage(message: Message): ApplicationMessage {
  const body = Buffer.from(message.body())
  return {
    topic: message.topic,
    payload: body.subarray(message.payloadStart, message.payloadEnd),
    qos: message.qos,
    retain: message.retain,
    properties: readProperties(body, 2 + body.readUInt16BE(0), body.length, 'publish'),
  }
}
