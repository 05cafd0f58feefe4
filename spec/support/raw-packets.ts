/**
 * Builds frames byte by byte, right and wrong ones, without the codec under test: each function writes
 * what it is told and checks nothing.
 */

import { Buffer } from 'node:buffer'
import type {
  Connect,
  InboundPacket,
  MqttVersion,
  Properties,
  SubscriptionRequest,
} from '../../lib/protocol/packets.ts'
import type { PublishInFull } from './publish-in-full.ts'

/** The four-bit packet types, written out again here so that a wrong table in lib/ shows. */
export const type = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const

/** Bytes of a part: a Buffer, one byte, or several. */
export type Part = Buffer | number | readonly number[]

export function join(...parts: readonly Part[]): Buffer {
  return Buffer.concat(
    parts.map((part) =>
      Buffer.isBuffer(part) ? part : Buffer.from(typeof part === 'number' ? [part] : part),
    ),
  )
}

/** A whole packet: first byte from type and flags, Remaining Length, body. */
export function frame(packetType: number, flags: number, ...body: readonly Part[]): Buffer {
  const bytes = join(...body)
  return join((packetType << 4) | flags, variable(bytes.length), bytes)
}

/** Where the body of a whole packet begins. */
export function bodyStartOf(packet: Buffer, start = 0): number {
  let at = start + 1
  while (packet[at]! >= 0x80) at++
  return at + 1
}

export function twoBytes(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff])
}

export function fourBytes(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** A Variable Byte Integer, by the pseudocode of section 1.5.5. */
export function variable(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  do {
    const digit = rest % 128
    rest = Math.floor(rest / 128)
    bytes.push(rest > 0 ? digit + 128 : digit)
  } while (rest > 0)
  return Buffer.from(bytes)
}

/** A string or Binary Data with its length before it. */
export function text(content: string | Buffer | readonly number[]): Buffer {
  const bytes = typeof content === 'string' ? Buffer.from(content) : Buffer.from(content)
  return join(twoBytes(bytes.length), bytes)
}

/** Property Length and the properties given. */
export function block(...parts: readonly Part[]): Buffer {
  const bytes = join(...parts)
  return join(variable(bytes.length), bytes)
}

/** Identifier of each property, and its size if it is a number of fixed size (table 2-4). */
const propertyLayouts: Readonly<Record<keyof Properties, readonly [number, number?]>> = {
  payloadFormatIndicator: [0x01, 1],
  messageExpiryInterval: [0x02, 4],
  contentType: [0x03],
  responseTopic: [0x08],
  correlationData: [0x09],
  subscriptionIdentifiers: [0x0b],
  sessionExpiryInterval: [0x11, 4],
  assignedClientIdentifier: [0x12],
  serverKeepAlive: [0x13, 2],
  authenticationMethod: [0x15],
  authenticationData: [0x16],
  requestProblemInformation: [0x17, 1],
  willDelayInterval: [0x18, 4],
  requestResponseInformation: [0x19, 1],
  responseInformation: [0x1a],
  serverReference: [0x1c],
  reasonString: [0x1f],
  receiveMaximum: [0x21, 2],
  topicAliasMaximum: [0x22, 2],
  topicAlias: [0x23, 2],
  maximumQos: [0x24, 1],
  retainAvailable: [0x25, 1],
  userProperties: [0x26],
  maximumPacketSize: [0x27, 4],
  wildcardSubscriptionAvailable: [0x28, 1],
  subscriptionIdentifiersAvailable: [0x29, 1],
  sharedSubscriptionAvailable: [0x2a, 1],
}

type PropertyValue = string | number | Buffer | readonly string[]

/** One property as it stands in a block; `value` may be out of range or of any content. */
export function property(name: keyof Properties, value: PropertyValue): Buffer {
  const [identifier, size] = propertyLayouts[name]
  if (typeof value === 'number') {
    const all = fourBytes(value)
    return join(identifier, size === undefined ? variable(value) : all.subarray(4 - size))
  }
  if (typeof value === 'string' || Buffer.isBuffer(value)) return join(identifier, text(value))
  return join(identifier, ...value.map(text))
}

/** A property block in the order of the object's keys. */
export function properties(of: Properties): Buffer {
  return block(
    ...Object.keys(of)
      .filter((name) => isPropertyName(name))
      .flatMap((name) => {
        const value = of[name] ?? []
        return Array.isArray(value)
          ? value.map((each) => property(name, each))
          : [property(name, value)]
      }),
  )
}

function isPropertyName(name: string): name is keyof Properties {
  return Object.hasOwn(propertyLayouts, name)
}

export interface ConnectParts {
  protocolName?: Part
  level?: number
  flags?: number
  keepAlive?: Part
  /** Property block; pass an empty list for 3.x. */
  properties?: Part
  payload?: readonly Part[]
}

/** A CONNECT of MQTT 5.0 with Clean Start and Client Identifier "c", where nothing else is said. */
export function connectOf(parts: ConnectParts = {}): Buffer {
  const { protocolName = text('MQTT'), level = 5, flags = 0x02, keepAlive = twoBytes(0) } = parts
  const { properties: propertyBlock = level === 5 ? block() : [], payload = [text('c')] } = parts
  return frame(type.connect, 0, protocolName, level, flags, keepAlive, propertyBlock, ...payload)
}

/** The frame of `connect`, with all fields it has. */
export function connectFrame(connect: Connect): Buffer {
  const { protocolVersion: level, will, userName, password } = connect
  const inVersion5 = (part: Part): Part => (level === 5 ? part : [])
  const flags =
    (userName === undefined ? 0 : 0x80) |
    (password === undefined ? 0 : 0x40) |
    (will === undefined ? 0 : 0x04 | (will.qos << 3) | (will.retain ? 0x20 : 0)) |
    (connect.cleanStart ? 0x02 : 0)
  const payload: Part[] = [text(connect.clientIdentifier)]
  if (will !== undefined) {
    payload.push(inVersion5(properties(will.properties)), text(will.topicName), text(will.payload))
  }
  if (userName !== undefined) payload.push(text(userName))
  if (password !== undefined) payload.push(text(password))
  return connectOf({
    protocolName: text(level === 3 ? 'MQIsdp' : 'MQTT'),
    level,
    flags,
    keepAlive: twoBytes(connect.keepAliveSeconds),
    properties: inVersion5(properties(connect.properties)),
    payload,
  })
}

/** The frame of a packet without needless bytes: codes and blocks that may be left out are. */
export function packetFrame(packet: InboundPacket, version: MqttVersion): Buffer {
  if (packet.type === 'connect') return connectFrame(packet)
  if (packet.type === 'pingreq') return frame(type.pingreq, 0)
  if (packet.type === 'disconnect' || packet.type === 'auth') {
    return frame(type[packet.type], 0, codeAndProperties(packet, version))
  }
  const identifier = twoBytes(packet.packetIdentifier)
  if (packet.type === 'subscribe' || packet.type === 'unsubscribe') {
    const filters =
      packet.type === 'subscribe'
        ? packet.subscriptions.map((each) => subscription(each))
        : packet.topicFilters.map((each) => text(each))
    const propertyBlock = version === 5 ? properties(packet.properties) : []
    return frame(type[packet.type], 2, identifier, propertyBlock, ...filters)
  }
  const flags = packet.type === 'pubrel' ? 2 : 0
  return frame(type[packet.type], flags, identifier, codeAndProperties(packet, version))
}

/** A Topic Filter and its Subscription Options. */
export function subscription(request: SubscriptionRequest): Buffer {
  const { topicFilter, qos, noLocal, retainAsPublished, retainHandling } = request
  const options =
    qos | (noLocal ? 0x04 : 0) | (retainAsPublished ? 0x08 : 0) | (retainHandling << 4)
  return join(text(topicFilter), options)
}

function codeAndProperties(
  packet: { reasonCode: number; properties: Properties },
  version: MqttVersion,
): Buffer {
  const isBare = packet.reasonCode === 0 && Object.keys(packet.properties).length === 0
  if (version !== 5 || isBare) return Buffer.alloc(0)
  return join(packet.reasonCode, properties(packet.properties))
}

/** The frame of a PUBLISH. */
export function publishFrame(publish: PublishInFull, version: MqttVersion): Buffer {
  const { topic, payload, qos, retain, dup, packetIdentifier } = publish
  return frame(
    type.publish,
    (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0),
    text(topic),
    packetIdentifier === undefined ? [] : twoBytes(packetIdentifier),
    version === 5 ? properties(publish.properties) : [],
    payload,
  )
}
