/**
 * The fast path for PUBLISH: checks a whole frame and makes a `Message` of offsets into it, without an
 * object per field. spec/properties/publish.spec.ts shows that it agrees with mqtt-packet.
 */

import { Buffer } from 'node:buffer'
import { MalformedPacketError, ProtocolError } from '../protocol/errors.ts'
import { Message } from '../protocol/message.ts'
import type { MqttVersion, Qos } from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import { isAscii } from '../util/ascii.ts'
import { PublishProperties } from './publish-properties.ts'
import { isWellFormedString } from './utf8.ts'

/** Knows Topic Names by their bytes: they have been checked, and need not be made again. */
export interface TopicNames {
  /** Whether what stands at `at` was looked for already, with a topic before it. */
  isExpected(at: number): boolean
  /** Returns the Topic Name from `start` to `end`, if it is known. */
  nameOf(bytes: Buffer, start: number, end: number): string | undefined
}

/**
 * What a PUBLISH says beside its message. One object serves every packet of a connection: read it at once.
 */
export class PublishHeader {
  isDuplicate = false
  /** 0 at QoS 0. */
  packetIdentifier = 0
  /** 0: none. Never 0 on the wire, see `decodePublish`. */
  topicAlias = 0
  /** Payload Format Indicator 1: the payload says it is UTF-8. */
  isPayloadUtf8 = false
  /** The last Topic Name if it was short. Most clients publish on one topic, or on it again. Empty: not noted. */
  lastTopic = ''
  /** Made with the first PUBLISH of MQTT 5.0. */
  properties: PublishProperties | undefined = undefined
  /** Asked for each Topic Name that is not the last one. */
  readonly names: TopicNames | undefined

  constructor(names?: TopicNames) {
    this.names = names
  }
}

/** Longer Topic Names are decoded each time: comparing costs as much, and each connection keeps one. */
const LAST_TOPIC_LENGTH_MAX = 128

const levels: readonly Qos[] = [0, 1, 2]

/**
 * Decodes the PUBLISH between `start` (its first byte) and `end`; its variable header begins at
 * `bodyStart`. Fills `header`. Throws `ProtocolError` for whatever a client must not send.
 */
export function decodePublish(
  bytes: Buffer,
  start: number,
  bodyStart: number,
  end: number,
  version: MqttVersion,
  now: number,
  header: PublishHeader,
): Message {
  const first = bytes[start]!
  const qos = levels[(first >> 1) & 3]
  header.isDuplicate = (first & 0x08) !== 0
  if (qos === undefined) throw new MalformedPacketError('PUBLISH with both QoS bits set') // [MQTT-3.3.1-4]
  if (qos === 0 && header.isDuplicate) throw new MalformedPacketError('PUBLISH with DUP at QoS 0') // [MQTT-3.3.1-2]

  if (bodyStart + 2 > end) throw new MalformedPacketError('PUBLISH without a Topic Name') // [MQTT-3.3.2-1]
  const topicEnd = bodyStart + 2 + ((bytes[bodyStart]! << 8) | bytes[bodyStart + 1]!)
  if (topicEnd > end) throw new MalformedPacketError('PUBLISH whose Topic Name runs past its end')
  const { lastTopic } = header
  const topic = isAscii(bytes, bodyStart + 2, topicEnd, lastTopic)
    ? lastTopic
    : topicNameOf(bytes, bodyStart + 2, topicEnd, header)

  let at = topicEnd
  header.packetIdentifier = 0
  if (qos > 0) {
    if (at + 2 > end) throw new MalformedPacketError('PUBLISH without a Packet Identifier')
    header.packetIdentifier = (bytes[at]! << 8) | bytes[at + 1]!
    if (header.packetIdentifier === 0) throw new MalformedPacketError('Packet Identifier 0') // [MQTT-2.2.1-3]
    at += 2
  }

  header.topicAlias = 0
  header.isPayloadUtf8 = false
  if (version === 5)
    return decodeProperties(bytes, start, bodyStart, at, end, topic, qos, now, header)

  if (topic.length === 0) throw new ProtocolError(ReasonCode.TopicNameInvalid, 'empty Topic Name') // [MQTT-4.7.3-1]
  const message = new Message(topic, qos, (first & 1) === 1, Number.POSITIVE_INFINITY, bytes)
  message.topicStart = bodyStart
  message.payloadStart = at
  message.payloadEnd = end
  message.frameStart = start
  message.frameShape = 4
  return message
}

/** The part behind the Packet Identifier in MQTT 5.0. */
function decodeProperties(
  bytes: Buffer,
  start: number,
  bodyStart: number,
  at: number,
  end: number,
  topic: string,
  qos: Qos,
  now: number,
  header: PublishHeader,
): Message {
  header.properties ??= new PublishProperties()
  const { properties } = header
  properties.read(bytes, at, end)
  const { expiryAt, aliasAt, topicAlias } = properties
  header.topicAlias = topicAlias
  header.isPayloadUtf8 = properties.isPayloadUtf8
  if (topic.length === 0 && topicAlias === 0) {
    throw new ProtocolError(ReasonCode.ProtocolError, 'empty Topic Name without a Topic Alias')
  }

  const isRetained = (bytes[start]! & 1) === 1
  const expiresAt =
    expiryAt === -1 ? Number.POSITIVE_INFINITY : now + properties.expirySeconds * 1000
  const message = new Message(topic, qos, isRetained, expiresAt, bytes)
  if (topic.length > 0) message.topicStart = bodyStart
  message.propertyBytes = bytes
  message.propertiesStart = at + properties.start
  message.propertiesEnd = at + properties.end
  message.payloadStart = at + properties.end
  message.payloadEnd = end
  if (expiryAt === -1) {
    message.frameStart = start
    message.frameShape = 5
    if (aliasAt !== -1) message.aliasAt = at + aliasAt + 1
  }
  if (expiryAt !== -1 || aliasAt !== -1) {
    cutProperties(message, expiryAt === -1 ? -1 : at + expiryAt, aliasAt === -1 ? -1 : at + aliasAt)
  }
  return message
}

const EXPIRY_SIZE = 5
const ALIAS_SIZE = 3

/**
 * Takes out of a message's properties the two that are the broker's business, each where it stands or -1.
 * What stands at either end, as these mostly do, is left out by pointing past it.
 */
function cutProperties(message: Message, expiryAt: number, aliasAt: number): void {
  let [first, last] = [message.propertiesStart, message.propertiesEnd]
  let [expiry, alias] = [expiryAt, aliasAt]
  for (let i = 0; i < 2; i++) {
    if (expiry === first) first += EXPIRY_SIZE
    else if (expiry + EXPIRY_SIZE === last) last = expiry
    if (alias === first) first += ALIAS_SIZE
    else if (alias + ALIAS_SIZE === last) last = alias
    if (expiry < first || expiry >= last) expiry = -1
    if (alias < first || alias >= last) alias = -1
  }
  message.propertiesStart = first
  message.propertiesEnd = last
  if (expiry !== -1 || alias !== -1) copyProperties(message, expiry, alias)
}

/** Copies the properties without those in their midst. */
function copyProperties(message: Message, expiryAt: number, aliasAt: number): void {
  const { propertyBytes, propertiesStart, propertiesEnd } = message
  const cuts = [
    { at: expiryAt, size: EXPIRY_SIZE },
    { at: aliasAt, size: ALIAS_SIZE },
  ].filter(({ at }) => at !== -1)
  const parts: Buffer[] = []
  let from = propertiesStart
  for (const { at, size } of cuts.toSorted((a, b) => a.at - b.at)) {
    parts.push(propertyBytes.subarray(from, at))
    from = at + size
  }
  parts.push(propertyBytes.subarray(from, propertiesEnd))
  message.propertyBytes = Buffer.concat(parts)
  message.propertiesStart = 0
  message.propertiesEnd = message.propertyBytes.length
}

/** Asks who may know the Topic Name, else reads it; notes it for the next packet. */
function topicNameOf(bytes: Buffer, start: number, end: number, header: PublishHeader): string {
  const { names } = header
  const isExpected = names !== undefined && names.isExpected(start)
  const topic = names?.nameOf(bytes, start, end) ?? readTopicName(bytes, start, end)
  // One among many is not noted: to compare it with the next would be to fetch it from memory, and for nothing.
  header.lastTopic = isExpected || topic.length > LAST_TOPIC_LENGTH_MAX ? '' : topic
  return topic
}

/** Checks and decodes a Topic Name in one pass when it is ASCII, as nearly all are. */
function readTopicName(bytes: Buffer, start: number, end: number): string {
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!
    if (byte === 0x2b || byte === 0x23) {
      throw new ProtocolError(ReasonCode.TopicNameInvalid, 'wildcard in a Topic Name') // [MQTT-3.3.2-2]
    }
    if (byte === 0 || byte >= 0x80) return readUnicodeTopicName(bytes, start, end)
  }
  return bytes.toString('latin1', start, end)
}

function readUnicodeTopicName(bytes: Buffer, start: number, end: number): string {
  if (!isWellFormedString(bytes, start, end)) {
    throw new MalformedPacketError('Topic Name is not well-formed UTF-8 without U+0000') // [MQTT-1.5.4-1] [MQTT-4.7.3-2]
  }
  const topic = bytes.toString('utf8', start, end)
  if (topic.includes('+') || topic.includes('#')) {
    throw new ProtocolError(ReasonCode.TopicNameInvalid, 'wildcard in a Topic Name') // [MQTT-3.3.2-2]
  }
  return topic
}
