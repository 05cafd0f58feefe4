/**
 * Packets as bytes. All but PUBLISH come from mqtt-packet, once; of a PUBLISH a template is made, in which a
 * publisher then only changes numbers.
 */

import mqttPacket, { type Packet } from 'mqtt-packet'
import type { Qos } from '../../protocol/packets.ts'
import { blankPayload } from './payload.ts'

/** Packet types in the place of a packet's first byte (section 2.1.2). */
export const PacketType = {
  Connack: 0x20,
  Publish: 0x30,
  Puback: 0x40,
  Pubrec: 0x50,
  Pubrel: 0x60,
  Pubcomp: 0x70,
  Suback: 0x90,
  Unsuback: 0xb0,
  Pingresp: 0xd0,
  Disconnect: 0xe0,
} as const

/** PUBREL has a flag that must be set (section 3.6.1). */
export const PUBREL_FIRST_BYTE = 0x62

/** Keep Alive of our clients: longer than any run, as they send no PINGREQ of themselves. */
const KEEP_ALIVE_SECONDS = 3600
const SESSION_EXPIRY_SECONDS = 3600

/** Aliases that a subscriber allows. */
const TOPIC_ALIASES_MAX = 16

export interface Identity {
  readonly clientId: string
  readonly protocolVersion: 4 | 5
  readonly username?: string | undefined
  readonly password?: string | undefined
}

export function connectPacket(identity: Identity, isDurable: boolean, hasAliases: boolean): Buffer {
  const { clientId, protocolVersion, username, password } = identity
  return generate(protocolVersion, {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion,
    clientId,
    clean: !isDurable,
    keepalive: KEEP_ALIVE_SECONDS,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password: Buffer.from(password) }),
    properties: {
      ...(isDurable ? { sessionExpiryInterval: SESSION_EXPIRY_SECONDS } : {}),
      ...(hasAliases ? { topicAliasMaximum: TOPIC_ALIASES_MAX } : {}),
    },
  })
}

export function subscribePacket(
  protocolVersion: 4 | 5,
  messageId: number,
  filters: readonly string[],
  qos: Qos,
): Buffer {
  const subscriptions = filters.map((topic) => ({ topic, qos }))
  return generate(protocolVersion, { cmd: 'subscribe', messageId, subscriptions })
}

export function unsubscribePacket(
  protocolVersion: 4 | 5,
  messageId: number,
  filters: readonly string[],
): Buffer {
  return generate(protocolVersion, { cmd: 'unsubscribe', messageId, unsubscriptions: [...filters] })
}

export const pingPacket: Buffer = Buffer.from([0xc0, 0])
export const disconnectPacket: Buffer = Buffer.from([0xe0, 0])

export interface PublishOptions {
  readonly protocolVersion: 4 | 5
  readonly topic: string
  readonly qos: Qos
  readonly payloadBytes: number
  readonly userProperties: number
  /** Told with the topic, or instead of it when that is empty. */
  readonly topicAlias: number | undefined
  readonly isRetained: boolean
}

/** A PUBLISH and the places in it where something changes from one to the next. */
export interface PublishTemplate {
  readonly bytes: Buffer
  readonly topicAt: number
  /** Of the Packet Identifier, for QoS 1 and 2. */
  readonly packetIdAt: number
  readonly payloadAt: number
}

export function publishTemplate(options: PublishOptions): PublishTemplate {
  const { protocolVersion, topic, qos, payloadBytes, userProperties, topicAlias } = options
  const properties = {
    ...(topicAlias === undefined ? {} : { topicAlias }),
    ...(userProperties === 0 ? {} : { userProperties: userPropertiesOf(userProperties) }),
  }
  const bytes = generate(protocolVersion, {
    cmd: 'publish',
    topic,
    qos,
    payload: blankPayload(payloadBytes),
    retain: options.isRetained,
    dup: false,
    messageId: 1,
    properties,
  })
  let topicAt = 2
  while ((bytes[topicAt - 1] as number) & 0x80) topicAt++
  topicAt += 2
  const packetIdAt = topicAt + Buffer.byteLength(topic)
  return { bytes, topicAt, packetIdAt, payloadAt: bytes.length - payloadBytes }
}

/** How many Topic Aliases the broker allows us, by the body of its CONNACK of MQTT 5.0. */
export function topicAliasMaximumOf(body: Buffer): number {
  let maximum = 0
  const parser = mqttPacket.parser({ protocolVersion: 5 })
  parser.on('packet', (packet: Packet) => {
    if (packet.cmd === 'connack') maximum = packet.properties?.topicAliasMaximum ?? 0
  })
  parser.parse(Buffer.concat([fixedHeader(PacketType.Connack, body.length), body]))
  return maximum
}

/** The fixed header of a packet. */
function fixedHeader(first: number, remaining: number): Buffer {
  const digits: number[] = []
  let rest = remaining
  do {
    digits.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
    rest >>>= 7
  } while (rest > 0)
  return Buffer.from([first, ...digits])
}

function userPropertiesOf(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`name-${i}`, `value-${i}`]))
}

function generate(protocolVersion: 4 | 5, packet: Packet): Buffer {
  return mqttPacket.generate(packet, { protocolVersion })
}
