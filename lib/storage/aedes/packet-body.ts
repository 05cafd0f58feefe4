/**
 * Packets of Aedes in the form that stores keep (protocol/message.ts), so that our broker can read them.
 *
 * Topic, payload and the properties of MQTT 5.0 stand where they belong. What only Aedes knows is JSON in
 * one more User Property, the last.
 */

import { Buffer } from 'node:buffer'
import { encodeProperties, encodePropertyList } from '../../codec/property-block.ts'
import { readProperties, skipProperties } from '../../codec/property-cursor.ts'
import { TWO_BYTE_INTEGER_MAX } from '../../protocol/limits.ts'
import { composeBody, Message } from '../../protocol/message.ts'
import type { Properties, Qos, UserProperty } from '../../protocol/packets.ts'
import type { Unit } from '../storage.ts'
import type { AedesPacket, AedesProperties } from './interface.ts'

/** Name of the User Property with the facts. */
const FACTS = 'aedes-packet'

/** What of a packet stands beside its body wherever one is kept. */
export interface BesideBody {
  readonly qos: Qos
  readonly retain: boolean
}

/** What a store keeps of a message, be it retained or waiting; RETAIN stands beside it. */
export type StoredMessage = Pick<Unit, 'topic' | 'body' | 'qos' | 'expiresAt'>

/** Returns a packet in stored form. Properties that break the standard are left out. */
export function encodePacket(packet: AedesPacket): StoredMessage {
  const { topic: _, payload = '', qos: __, retain: ___, properties, ...rest } = packet
  const others = splitProperties(properties ?? {})[1]
  const hasProperties = properties !== undefined
  const facts = { ...rest, hasProperties, isText: typeof payload === 'string', others }
  return composeMessage(packet, [[FACTS, textOf(facts)]])
}

/** Returns a packet in stored form without what only Aedes knows. */
export function encodeMessage(packet: AedesPacket): StoredMessage {
  return composeMessage(packet, [])
}

function composeMessage(packet: AedesPacket, more: readonly UserProperty[]): StoredMessage {
  const { topic = '', payload = '', properties = {}, qos = 0 } = packet
  const { messageExpiry: expiresAt = Number.POSITIVE_INFINITY } = packet
  const [ours] = splitProperties(properties)
  const kept = isValid(ours) ? ours : {}
  const userProperties = [...(kept.userProperties ?? []), ...more]
  const propertyList = encodePropertyList({ ...kept, userProperties })
  return { topic, body: composeBody(topic, propertyList, Buffer.from(payload)), qos, expiresAt }
}

/** Returns the packet of a body, be it from `encodePacket` or from our broker. */
export function decodePacket(body: Buffer, { qos, retain }: BesideBody): AedesPacket {
  const message = Message.fromBody(body, qos, retain, Number.POSITIVE_INFINITY)
  const { topic, payload } = message
  const properties = readProperties(body, 2 + body.readUInt16BE(0), body.length, 'publish')
  const last = properties.userProperties?.at(-1)
  if (last?.[0] !== FACTS) {
    const plain = { cmd: 'publish', topic, payload, qos, retain, dup: false }
    return properties.userProperties === undefined && Object.keys(properties).length === 0
      ? plain
      : { ...plain, properties: joinProperties(properties, {}) }
  }
  properties.userProperties?.pop()
  const { hasProperties, isText, others, ...rest } = JSON.parse(last[1]) as Facts
  const packet: AedesPacket = { ...rest, topic, payload: isText ? String(payload) : payload }
  if (hasProperties) packet.properties = joinProperties(properties, others)
  return { ...packet, qos, retain }
}

interface Facts extends Omit<AedesPacket, 'topic' | 'payload' | 'properties'> {
  readonly hasProperties: boolean
  readonly isText: boolean
  /** Properties that a body has not. */
  readonly others: Record<string, unknown>
}

/** A Client Identifier alone may fill a User Property: whose message it is, is told to nobody later. */
function textOf(facts: Record<string, unknown>): string {
  const text = JSON.stringify(facts)
  if (Buffer.byteLength(text) <= TWO_BYTE_INTEGER_MAX) return text
  return JSON.stringify({ ...facts, clientId: undefined })
}

/**
 * Says whether properties can be read again. Aedes lets through what the standard forbids, such as U+0000
 * in a text: one message with it would make the whole queue unreadable.
 */
function isValid(properties: Properties): boolean {
  const block = encodeProperties(properties)
  try {
    skipProperties(block, 0, block.length, 'publish')
    return true
  } catch {
    return false
  }
}

/** Divides properties into those that a body has, in our form, and the others. */
function splitProperties(properties: AedesProperties): [Properties, Record<string, unknown>] {
  const {
    payloadFormatIndicator,
    contentType,
    responseTopic,
    correlationData,
    userProperties,
    ...others
  } = properties
  const ours: Properties = {}
  if (payloadFormatIndicator !== undefined)
    ours.payloadFormatIndicator = payloadFormatIndicator ? 1 : 0
  if (contentType !== undefined) ours.contentType = contentType
  if (responseTopic !== undefined) ours.responseTopic = responseTopic
  if (correlationData !== undefined) ours.correlationData = Buffer.from(correlationData)
  if (userProperties !== undefined) ours.userProperties = pairsOf(userProperties)
  return [ours, others]
}

function joinProperties(ours: Properties, others: Record<string, unknown>): AedesProperties {
  const { payloadFormatIndicator, userProperties, ...same } = ours
  const joined: AedesProperties = { ...others, ...same }
  if (payloadFormatIndicator !== undefined)
    joined.payloadFormatIndicator = payloadFormatIndicator === 1
  if (userProperties !== undefined && userProperties.length > 0)
    joined.userProperties = recordOf(userProperties)
  return joined
}

function pairsOf(record: Record<string, string | string[]>): UserProperty[] {
  return Object.entries(record).flatMap(([name, values]) =>
    [values].flat().map((value): UserProperty => [name, value]),
  )
}

/** Names come from strangers: the record has no prototype that one of them could mean. */
function recordOf(pairs: readonly UserProperty[]): Record<string, string | string[]> {
  const record: Record<string, string | string[]> = Object.create(null)
  for (const [name, value] of pairs) {
    const before = record[name]
    record[name] = before === undefined ? value : [before, value].flat()
  }
  return record
}
