/**
 * Every packet but CONNECT and PUBLISH, through mqtt-packet: whole frames that `checkPacket` accepted become our
 * packet types, and ours become bytes. Properties are read from and written to the bytes by our own
 * table, so that their order and types are ours.
 */

import assert from 'node:assert'
import { Buffer } from 'node:buffer'
import mqttPacket, { type ISubscription, type Packet } from 'mqtt-packet'
import {
  type Auth,
  type Connack,
  type Disconnect,
  type InboundPacket,
  type MqttVersion,
  type OutboundPacket,
  PacketType,
  type Properties,
  type PublishResponse,
  type Qos,
  type SubscriptionRequest,
} from '../protocol/packets.ts'
import type { PropertyPlace } from '../protocol/properties.ts'
import { connectReturnCode, ReasonCode } from '../protocol/reason-codes.ts'
import { decodeConnect } from './connect-decoder.ts'
import { readTwoByteInteger } from './fields.ts'
import { encodeProperties, encodeVariableByteInteger } from './property-block.ts'
import { readProperties } from './property-cursor.ts'
import { bodyStartOf } from './variable-byte-integer.ts'
import { parseFrame } from './whole-frame-parser.ts'

// mqtt-packet would keep a Buffer for each of the 65,536 Two Byte Integers from its first packet on.
mqttPacket.writeToStream.cacheNumbers = false

const DUP_FLAG = 0x08
const SUBACK_FAILURE = 0x80

/** A PUBLISH with every field spelled out. */
export interface PublishInFull {
  topic: string
  payload: Buffer
  qos: Qos
  retain: boolean
  dup: boolean
  /** Undefined at QoS 0. */
  packetIdentifier: number | undefined
  properties: Properties
}

/**
 * Decodes the whole, checked frame from `start` to `end`, which is not a PUBLISH; `version` is undefined
 * for a CONNECT. The result holds no view of `bytes`.
 */
export function decodePacket(
  bytes: Buffer,
  start: number,
  end: number,
  version: MqttVersion | undefined,
): InboundPacket {
  if (bytes[start]! >> 4 === PacketType.Connect) return decodeConnect(bytes, start, end)
  assert(version !== undefined, 'a CONNECT has told the version')
  const at = bodyStartOf(bytes, start, end)
  // mqtt-packet refuses an AUTH without a Reason Code (section 3.15.2.1).
  if (bytes[start]! >> 4 === PacketType.Auth && at === end) {
    return { type: 'auth', reasonCode: ReasonCode.Success, properties: {} }
  }
  const packet = parseFrame(frameOf(bytes, start, end, version), version)
  const packetIdentifier = packet.messageId ?? 0
  switch (packet.cmd) {
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp': {
      const properties = propertiesAt(bytes, at + 3, end, version, packet.cmd)
      return { type: packet.cmd, packetIdentifier, reasonCode: packet.reasonCode ?? 0, properties }
    }
    case 'subscribe': {
      const subscriptions = packet.subscriptions.map(toSubscriptionRequest)
      const properties = propertiesAt(bytes, at + 2, end, version, 'subscribe')
      return { type: 'subscribe', packetIdentifier, subscriptions, properties }
    }
    case 'unsubscribe': {
      const properties = propertiesAt(bytes, at + 2, end, version, 'unsubscribe')
      const topicFilters = packet.unsubscriptions
      return { type: 'unsubscribe', packetIdentifier, topicFilters, properties }
    }
    case 'pingreq':
      return { type: 'pingreq' }
    case 'disconnect':
    case 'auth': {
      const properties = propertiesAt(bytes, at + 1, end, version, packet.cmd)
      return { type: packet.cmd, reasonCode: packet.reasonCode ?? 0, properties }
    }
    case 'connect':
    case 'publish':
    case 'connack':
    case 'suback':
    case 'unsuback':
    case 'pingresp':
      break
  }
  return assert.fail(`${packet.cmd} is not for decodePacket`)
}

/** Decodes a whole, checked PUBLISH: the slow twin of `decodePublish`, for tests. */
export function decodePublishInFull(
  bytes: Buffer,
  start: number,
  end: number,
  version: MqttVersion,
): PublishInFull {
  const packet = parseFrame(bytes.subarray(start, end), version)
  assert(packet.cmd === 'publish', 'the frame is a PUBLISH')
  const { topic, payload, qos, retain, dup } = packet
  const topicAt = bodyStartOf(bytes, start, end)
  const topicEnd = topicAt + 2 + readTwoByteInteger(bytes, topicAt)
  return {
    topic,
    payload: Buffer.from(payload),
    qos,
    retain,
    dup,
    packetIdentifier: packet.messageId,
    properties: propertiesAt(bytes, topicEnd + (qos === 0 ? 0 : 2), end, version, 'publish'),
  }
}

/**
 * Encodes a packet for a client of `version`; 3.x hears only what it can: no properties, its own return
 * codes. Throws where a packet does not exist in that version or a text is too long.
 */
export function encodePacket(packet: OutboundPacket, version: MqttVersion): Buffer {
  if (packet.type === 'pingresp') return mqttPacket.generate({ cmd: 'pingresp' })
  if (packet.type === 'connack') return encodeConnack(packet, version)
  if (packet.type === 'disconnect' || packet.type === 'auth')
    return encodeDisconnectOrAuth(packet, version)
  if (packet.type === 'suback' || packet.type === 'unsuback') {
    const { type: cmd, packetIdentifier: messageId, reasonCodes, properties } = packet
    const granted = version === 5 ? reasonCodes : reasonCodes.map(toReturnCode)
    return generate({ cmd, messageId, granted }, version, 2, properties)
  }
  return encodeResponse(packet, version)
}

/** The frame as mqtt-packet takes it: it refuses the DUP flag of PUBREL, SUBSCRIBE, UNSUBSCRIBE in 3.1. */
function frameOf(bytes: Buffer, start: number, end: number, version: MqttVersion): Buffer {
  const frame = bytes.subarray(start, end)
  if (version !== 3 || (frame[0]! & DUP_FLAG) === 0) return frame
  const copy = Buffer.from(frame)
  copy[0]! &= ~DUP_FLAG
  return copy
}

/** The properties whose length stands at `at`; none where the packet ends before it. */
function propertiesAt(
  bytes: Buffer,
  at: number,
  end: number,
  version: MqttVersion,
  place: PropertyPlace,
): Properties {
  return version === 5 && at < end ? readProperties(bytes, at, end, place) : {}
}

function toSubscriptionRequest({ topic, qos, nl, rap, rh }: ISubscription): SubscriptionRequest {
  return {
    topicFilter: topic,
    qos,
    noLocal: nl === true,
    retainAsPublished: rap === true,
    retainHandling: rh === 1 || rh === 2 ? rh : 0,
  }
}

function encodeConnack(packet: Connack, version: MqttVersion): Buffer {
  const { reasonCode, properties } = packet
  // In MQTT 3.1 the byte of Session Present is reserved.
  const sessionPresent = version > 3 && packet.sessionPresent // [MQTT-3.2.2-1]
  const returnCode = connectReturnCode(reasonCode)
  return generate(
    { cmd: 'connack', sessionPresent, reasonCode, returnCode },
    version,
    2,
    properties,
  )
}

function encodeResponse(packet: PublishResponse, version: MqttVersion): Buffer {
  const { type: cmd, packetIdentifier: messageId, reasonCode, properties } = packet
  if (version === 5 && reasonCode === ReasonCode.Success && isEmpty(properties)) {
    // mqtt-packet leaves out Reason Code and Property Length when it is given no properties at all.
    return mqttPacket.generate({ cmd, messageId, reasonCode }, { protocolVersion: version })
  }
  return generate({ cmd, messageId, reasonCode }, version, 3, properties)
}

function encodeDisconnectOrAuth(packet: Disconnect | Auth, version: MqttVersion): Buffer {
  const { type: cmd, reasonCode, properties } = packet
  assert(version === 5, `a server sends no ${cmd} to a client of MQTT 3`)
  if (reasonCode === ReasonCode.Success && isEmpty(properties)) {
    // mqtt-packet always writes both (sections 3.14.2.1 and 3.15.2.1 let us leave them out).
    return Buffer.of((cmd === 'auth' ? PacketType.Auth : PacketType.Disconnect) << 4, 0)
  }
  return generate({ cmd, reasonCode }, version, 1, properties)
}

/** A SUBACK of MQTT 3.1.1 knows one failure [3.1.1: MQTT-3.9.3-2]. */
function toReturnCode(reasonCode: number): number {
  return reasonCode < SUBACK_FAILURE ? reasonCode : SUBACK_FAILURE
}

/**
 * Lets mqtt-packet write `packet` with an empty property block, which stands `propertiesOffset` bytes
 * into the body, and puts our properties there.
 */
function generate(
  packet: Exclude<Packet, { cmd: 'pingreq' | 'pingresp' }>,
  version: MqttVersion,
  propertiesOffset: number,
  properties: Properties,
): Buffer {
  if (version !== 5) return mqttPacket.generate(packet, { protocolVersion: version })
  const frame = mqttPacket.generate({ ...packet, properties: {} }, { protocolVersion: version })
  if (isEmpty(properties)) return frame
  const bodyStart = bodyStartOf(frame, 0, frame.length)
  const propertiesStart = bodyStart + propertiesOffset
  const block = encodeProperties(properties)
  const remainingLength = frame.length - bodyStart - 1 + block.length
  return Buffer.concat([
    frame.subarray(0, 1),
    encodeVariableByteInteger(remainingLength),
    frame.subarray(bodyStart, propertiesStart),
    block,
    frame.subarray(propertiesStart + 1),
  ])
}

function isEmpty(properties: Properties): boolean {
  for (const _ in properties) return false
  return true
}
