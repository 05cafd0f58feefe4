/**
 * Encodes a message once per shape and hands the same bytes to all receivers of that shape.
 *
 * A shape is version, QoS and RETAIN; DUP and the Packet Identifier are written into each receiver's own
 * copy afterwards. Receivers with Subscription Identifiers or a Topic Alias get an encoding of their own.
 * Where the bytes that came in are right but for flags, Packet Identifier and the number of a Topic Alias
 * (same version, same QoS), they are passed on.
 */

import { Buffer } from 'node:buffer'
import type { Message } from '../protocol/message.ts'
import type { MqttVersion, Qos } from '../protocol/packets.ts'
import { variableByteIntegerSize, writeVariableByteInteger } from './variable-byte-integer.ts'

/** What differs between receivers of one message. */
export interface PublishShape {
  readonly version: MqttVersion
  readonly qos: Qos
  readonly retain: boolean
  readonly subscriptionIdentifiers: readonly number[] | undefined
  /** 0: none. */
  readonly topicAlias: number
  /** False when the client already knows what the alias stands for. */
  readonly isTopicSent: boolean
}

/** Payloads of at least this size are not copied into the frame but follow it by reference. */
export const SHARED_PAYLOAD_MIN_BYTES = 16_384

const MESSAGE_EXPIRY_INTERVAL = 0x02
const SUBSCRIPTION_IDENTIFIER = 0x0b
const TOPIC_ALIAS = 0x23
const FOUR_BYTE_INTEGER_MAX = 0xffff_ffff
const SCRATCH_BYTES = 256 * 1024

const NOTHING = Buffer.alloc(0)

/**
 * An encoded PUBLISH: valid until the next message is encoded, and one with Subscription Identifiers or
 * a Topic Alias until anything is.
 */
export class PublishFrame {
  bytes: Buffer = NOTHING
  start = 0
  /** End of the bytes in `bytes`; the payload follows from elsewhere if `hasSharedPayload`. */
  end = 0
  /** Whether `bytes` are those that came in. */
  isPassedOn = false
  /** Whether they leave with not a byte replaced. */
  isVerbatim = false
  /** Stands in front, where `bytes` that came in may have another. */
  firstByte = 0
  /** Where the Packet Identifier goes, counted from `start`; 0 at QoS 0. */
  packetIdentifierAt = 0
  /** Where the number of the receiver's Topic Alias goes, likewise; 0: nowhere, or it is there already. */
  topicAliasAt = 0
  hasSharedPayload = false
  /** Size of the whole packet, a shared payload included. */
  size = 0
}

export class PublishEncoder {
  #message: Message | undefined
  #seconds = 0
  readonly #frames: readonly PublishFrame[] = Array.from({ length: 12 }, () => new PublishFrame())
  readonly #own = new PublishFrame()
  #encoded = 0 // Bit n: frames[n] holds #message.
  #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  #used = 0

  /** Returns the message as `shape` wants it. `now` tells how much of its expiry interval is left. */
  encode(message: Message, shape: PublishShape, now: number): PublishFrame {
    const remaining = message.expiresAt === Number.POSITIVE_INFINITY ? 0 : secondsLeft(message, now)
    if (this.#message !== message || this.#seconds !== remaining) {
      this.#message = message
      this.#seconds = remaining
      this.#encoded = 0
      this.#used = 0
    }
    if (shape.subscriptionIdentifiers !== undefined || shape.topicAlias !== 0) {
      if (mayPassOn(message, shape)) passOn(this.#own, message, shape)
      else this.#write(this.#own, message, shape, remaining)
      return this.#own
    }
    const index = (shape.version === 5 ? 6 : 0) + shape.qos * 2 + (shape.retain ? 1 : 0)
    const frame = this.#frames[index]!
    if ((this.#encoded & (1 << index)) === 0) {
      if (mayPassOn(message, shape)) passOn(frame, message, shape)
      else this.#write(frame, message, shape, remaining)
      this.#encoded |= 1 << index
    }
    return frame
  }

  /** Forgets the last message, so that it and the chunk it came in can be collected. */
  release(): void {
    this.#message = undefined
    this.#encoded = 0
    this.#own.bytes = NOTHING
    for (const frame of this.#frames) frame.bytes = NOTHING
  }

  #write(frame: PublishFrame, message: Message, shape: PublishShape, remaining: number): void {
    const payloadLength = message.payloadLength
    const topicLength = topicLengthOf(message, shape)
    let variableLength = 2 + topicLength + (shape.qos > 0 ? 2 : 0)
    let propertiesLength = 0
    if (shape.version === 5) {
      propertiesLength = propertiesLengthOf(message, shape)
      variableLength += variableByteIntegerSize(propertiesLength) + propertiesLength
    }
    const remainingLength = variableLength + payloadLength
    const headLength = 1 + variableByteIntegerSize(remainingLength) + variableLength
    const isShared = payloadLength >= SHARED_PAYLOAD_MIN_BYTES
    const bytes = this.#reserve(isShared ? headLength : headLength + payloadLength, frame)

    frame.isPassedOn = false
    frame.isVerbatim = false
    frame.firstByte = firstByteOf(shape)
    let at = frame.start
    bytes[at++] = frame.firstByte
    at = writeVariableByteInteger(bytes, at, remainingLength)
    at = writeTopic(bytes, at, message, topicLength)
    frame.topicAliasAt = 0
    frame.packetIdentifierAt = 0
    if (shape.qos > 0) {
      frame.packetIdentifierAt = at - frame.start // [MQTT-2.2.1-2]
      at += 2
    }
    if (shape.version === 5) {
      at = writeVariableByteInteger(bytes, at, propertiesLength)
      at = writeOwnProperties(bytes, at, message, shape, remaining)
    }
    frame.end = copyRest(bytes, at, message, shape.version === 5, !isShared)
    frame.hasSharedPayload = isShared
    frame.size = headLength + payloadLength
  }

  /** Finds room for one frame: the scratch buffer begins anew with each message. */
  #reserve(length: number, frame: PublishFrame): Buffer {
    if (this.#used + length > SCRATCH_BYTES) {
      frame.bytes = Buffer.allocUnsafe(length)
      frame.start = 0
    } else {
      frame.bytes = this.#scratch
      frame.start = this.#used
      // Encodings for one receiver are read before the next is written: they need no room for good.
      if (frame !== this.#own) this.#used += length
    }
    return frame.bytes
  }
}

/** Whether a receiver of `shape` may be sent the bytes that came in, but for DUP and the Packet Identifier. */
export function leavesAsItCame(message: Message, shape: PublishShape): boolean {
  return message.retain === shape.retain && hasNumberOf(message, shape) && mayPassOn(message, shape)
}

/** Not a byte is to be replaced: no flag, Packet Identifier or Topic Alias. */
function isVerbatim(message: Message, shape: PublishShape): boolean {
  return shape.qos === 0 && shape.retain === message.retain && hasNumberOf(message, shape)
}

/** The Topic Alias in `message` as it came, if it has one, is that of `shape`. */
function hasNumberOf({ bytes, aliasAt }: Message, { topicAlias }: PublishShape): boolean {
  return aliasAt === -1 || ((bytes[aliasAt]! << 8) | bytes[aliasAt + 1]!) === topicAlias
}

/** Large packets are sent by reference, thus only as they came. */
function mayPassOn(message: Message, shape: PublishShape): boolean {
  if (message.frameShape !== (shape.version === 5 ? 5 : 4) || message.qos !== shape.qos)
    return false
  if (shape.subscriptionIdentifiers !== undefined || !hasAliasOf(message, shape)) return false
  const isSmall = message.payloadEnd - message.frameStart < SHARED_PAYLOAD_MIN_BYTES
  return isSmall || isVerbatim(message, shape)
}

/** Whether a Topic Alias stands in `message` as it came, beside or instead of the topic, as in `shape`. */
function hasAliasOf(
  { aliasAt, topicStart }: Message,
  { topicAlias, isTopicSent }: PublishShape,
): boolean {
  if (aliasAt === -1 || topicAlias === 0) return aliasAt === -1 && topicAlias === 0
  return isTopicSent === (topicStart !== -1)
}

function passOn(frame: PublishFrame, message: Message, shape: PublishShape): void {
  const { bytes, frameStart, aliasAt } = message
  frame.bytes = bytes
  frame.start = frameStart
  frame.end = message.payloadEnd
  frame.isPassedOn = true
  frame.isVerbatim = isVerbatim(message, shape)
  frame.firstByte = firstByteOf(shape)
  frame.packetIdentifierAt = 0
  if (shape.qos > 0) {
    const bodyStart = bodyStartOf(message)
    const topicLength = (bytes[bodyStart]! << 8) | bytes[bodyStart + 1]!
    frame.packetIdentifierAt = bodyStart + 2 + topicLength - frameStart
  }
  frame.topicAliasAt = aliasAt === -1 ? 0 : aliasAt - frameStart
  frame.hasSharedPayload = false
  frame.size = frame.end - frame.start
}

/** Where the variable header of the frame that came in begins: with the topic, or with its empty place. */
function bodyStartOf({ bytes, frameStart, topicStart }: Message): number {
  if (topicStart !== -1) return topicStart
  let at = frameStart + 1
  while ((bytes[at++]! & 0x80) !== 0);
  return at
}

/** The first byte of a PUBLISH that was never sent before. */
export function firstByteOf({ qos, retain }: Pick<PublishShape, 'qos' | 'retain'>): number {
  return 0x30 | (qos << 1) | (retain ? 1 : 0) // [MQTT-3.3.1-3] [MQTT-4.3.1-1]
}

/** The Message Expiry Interval to send: what came less the time the message waited [MQTT-3.3.2-6]. */
function secondsLeft(message: Message, now: number): number {
  const seconds = Math.ceil((message.expiresAt - now) / 1000)
  return Math.min(Math.max(1, seconds), FOUR_BYTE_INTEGER_MAX)
}

function topicLengthOf(message: Message, shape: PublishShape): number {
  if (!shape.isTopicSent) return 0
  return message.topicStart === -1
    ? Buffer.byteLength(message.topic)
    : message.bytes.readUInt16BE(message.topicStart)
}

function writeTopic(bytes: Buffer, at: number, message: Message, length: number): number {
  if (length > 0 && message.topicStart !== -1) {
    return at + message.bytes.copy(bytes, at, message.topicStart, message.topicStart + 2 + length)
  }
  bytes[at] = length >> 8
  bytes[at + 1] = length & 0xff
  if (length > 0) bytes.write(message.topic, at + 2)
  return at + 2 + length
}

function propertiesLengthOf(message: Message, shape: PublishShape): number {
  let length = message.propertiesEnd - message.propertiesStart
  if (message.expiresAt !== Number.POSITIVE_INFINITY) length += 5
  if (shape.topicAlias !== 0) length += 3
  if (shape.subscriptionIdentifiers !== undefined) {
    for (const identifier of shape.subscriptionIdentifiers) {
      length += 1 + variableByteIntegerSize(identifier)
    }
  }
  return length
}

/** Writes the properties that differ between receivers. */
function writeOwnProperties(
  bytes: Buffer,
  start: number,
  message: Message,
  shape: PublishShape,
  remaining: number,
): number {
  let at = start
  if (message.expiresAt !== Number.POSITIVE_INFINITY) {
    bytes[at++] = MESSAGE_EXPIRY_INTERVAL
    at = bytes.writeUInt32BE(remaining, at)
  }
  if (shape.topicAlias !== 0) {
    bytes[at++] = TOPIC_ALIAS
    at = bytes.writeUInt16BE(shape.topicAlias, at)
  }
  if (shape.subscriptionIdentifiers !== undefined) {
    for (const identifier of shape.subscriptionIdentifiers) {
      bytes[at++] = SUBSCRIPTION_IDENTIFIER
      at = writeVariableByteInteger(bytes, at, identifier)
    }
  }
  return at
}

/**
 * Copies all other properties, which go on as they came [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16]
 * [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20], and the payload, as far as wanted: at once where they
 * stand side by side.
 */
function copyRest(
  target: Buffer,
  at: number,
  message: Message,
  withProperties: boolean,
  withPayload: boolean,
): number {
  const { bytes, propertyBytes, propertiesStart, propertiesEnd, payloadStart, payloadEnd } = message
  if (withProperties && withPayload && propertyBytes === bytes && propertiesEnd === payloadStart)
    return at + bytes.copy(target, at, propertiesStart, payloadEnd)
  let end = at
  if (withProperties) end += propertyBytes.copy(target, end, propertiesStart, propertiesEnd)
  if (withPayload) end += bytes.copy(target, end, payloadStart, payloadEnd)
  return end
}
