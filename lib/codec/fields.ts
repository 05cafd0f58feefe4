/** The fields that many packets share, checked one by one: each function returns where its field ends. */

import type { Buffer } from 'node:buffer'
import { MalformedPacketError, ProtocolError } from '../protocol/errors.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import { isWellFormedString } from './utf8.ts'

export function readTwoByteInteger(bytes: Buffer, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!
}

/** Returns the end of the Binary Data at `at`; `name` is what an error calls it. */
export function checkBinary(bytes: Buffer, at: number, end: number, name: string): number {
  if (at + 2 > end) throw new MalformedPacketError(`${name} is missing`)
  const fieldEnd = at + 2 + readTwoByteInteger(bytes, at) // [MQTT-4.7.3-3]
  if (fieldEnd > end) throw new MalformedPacketError(`${name} runs past the end of the packet`)
  return fieldEnd
}

/** Returns the end of the UTF-8 Encoded String at `at`. */
export function checkString(bytes: Buffer, at: number, end: number, name: string): number {
  const fieldEnd = checkBinary(bytes, at, end, name)
  if (!isWellFormedString(bytes, at + 2, fieldEnd)) {
    throw new MalformedPacketError(`${name} is not well-formed UTF-8 without U+0000`) // [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-4.7.3-2]
  }
  return fieldEnd
}

/** Returns the end of the Topic Name at `at`; an empty one is left to the caller. */
export function checkTopicName(bytes: Buffer, at: number, end: number, name: string): number {
  const fieldEnd = checkString(bytes, at, end, name)
  for (let i = at + 2; i < fieldEnd; i++) {
    const byte = bytes[i]
    if (byte === 0x2b || byte === 0x23) {
      throw new ProtocolError(ReasonCode.TopicNameInvalid, `wildcard in a ${name}`) // [MQTT-4.7.0-1]
    }
  }
  return fieldEnd
}

/** Returns the end of the Packet Identifier at `at`, which must not be 0. */
export function checkPacketIdentifier(bytes: Buffer, at: number, end: number): number {
  if (at + 2 > end) throw new MalformedPacketError('Packet Identifier is missing')
  if (readTwoByteInteger(bytes, at) === 0) throw new MalformedPacketError('Packet Identifier 0') // [MQTT-2.2.1-3]
  return at + 2
}
