/** Checks the raw bytes of a CONNECT of any version (section 3.1); `checkPacket` calls it. */

import type { Buffer } from 'node:buffer'
import { MalformedPacketError, ProtocolError } from '../protocol/errors.ts'
import type { MqttVersion } from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import { checkBinary, checkString, checkTopicName, readTwoByteInteger } from './fields.ts'
import { skipProperties } from './property-cursor.ts'

/** Connect Flags (section 3.1.2.3). */
export const ConnectFlag = {
  UserName: 0x80,
  Password: 0x40,
  WillRetain: 0x20,
  WillQosMask: 0x18,
  Will: 0x04,
  CleanStart: 0x02,
  Reserved: 0x01,
} as const

/**
 * Checks a CONNECT from `bodyStart` to `end`. Its flags may promise a User Name and Password that are not
 * there: MQTT 3.1 tells servers to bear that (its section 3.1, "User name").
 */
export function checkConnect(bytes: Buffer, bodyStart: number, end: number): void {
  const levelAt = checkBinary(bytes, bodyStart, end, 'Protocol Name')
  if (levelAt + 4 > end) throw new MalformedPacketError('CONNECT ends before its Keep Alive')
  const version = checkVersion(bytes, bodyStart, levelAt)
  const flags = bytes[levelAt + 1]!
  checkFlags(flags, version)
  checkPayload(bytes, levelAt + 4, end, flags, version)
}

/** Returns the version that a CONNECT speaks which was checked. */
export function connectVersionAt(bytes: Buffer, bodyStart: number): MqttVersion {
  return bytes[bodyStart + 2 + readTwoByteInteger(bytes, bodyStart)] as MqttVersion
}

function checkVersion(bytes: Buffer, nameAt: number, levelAt: number): MqttVersion {
  const name = bytes.toString('latin1', nameAt + 2, Math.min(levelAt, nameAt + 9))
  const level = bytes[levelAt]
  if (name === 'MQTT' && (level === 5 || level === 4)) return level // [MQTT-3.1.2-1] [MQTT-3.1.2-2]
  if (name === 'MQIsdp' && level === 3) return 3
  throw new ProtocolError(
    ReasonCode.UnsupportedProtocolVersion,
    `protocol ${JSON.stringify(name)} of version ${level}: known are MQIsdp 3, MQTT 4 and MQTT 5`,
  )
}

function checkFlags(flags: number, version: MqttVersion): void {
  if ((flags & ConnectFlag.Reserved) !== 0)
    throw new MalformedPacketError('reserved Connect Flag is set') // [MQTT-3.1.2-3]
  if ((flags & ConnectFlag.Will) === 0) {
    if ((flags & ConnectFlag.WillQosMask) !== 0)
      throw new MalformedPacketError('Will QoS without a Will') // [MQTT-3.1.2-11]
    if ((flags & ConnectFlag.WillRetain) !== 0)
      throw new MalformedPacketError('Will Retain without a Will') // [MQTT-3.1.2-13]
  } else if ((flags & ConnectFlag.WillQosMask) === ConnectFlag.WillQosMask) {
    throw new MalformedPacketError('Will QoS 3') // [MQTT-3.1.2-12]
  }
  if (version < 5 && (flags & ConnectFlag.Password) !== 0 && (flags & ConnectFlag.UserName) === 0) {
    throw new MalformedPacketError('Password without a User Name') // [3.1.1: MQTT-3.1.2-22]
  }
}

/** The fields stand in this order and nothing follows them [MQTT-3.1.3-1]. */
function checkPayload(
  bytes: Buffer,
  start: number,
  end: number,
  flags: number,
  version: MqttVersion,
): void {
  let at = start
  if (version === 5) at = skipProperties(bytes, at, end, 'connect')
  at = checkString(bytes, at, end, 'Client Identifier') // [MQTT-3.1.3-3] [MQTT-3.1.3-4]
  if ((flags & ConnectFlag.Will) !== 0) at = checkWill(bytes, at, end, version) // [MQTT-3.1.2-9]

  let present = flags
  if (version === 3 && at === end) present &= ~(ConnectFlag.UserName | ConnectFlag.Password)
  if ((present & ConnectFlag.UserName) !== 0) at = checkString(bytes, at, end, 'User Name') // [MQTT-3.1.2-17] [MQTT-3.1.3-12]
  if (version === 3 && at === end) present &= ~ConnectFlag.Password
  if ((present & ConnectFlag.Password) !== 0) at = checkBinary(bytes, at, end, 'Password') // [MQTT-3.1.2-19]
  if (at !== end) throw new MalformedPacketError('bytes behind the last field of CONNECT') // [MQTT-3.1.2-16] [MQTT-3.1.2-18]
}

function checkWill(bytes: Buffer, start: number, end: number, version: MqttVersion): number {
  let at = start
  if (version === 5) at = skipProperties(bytes, at, end, 'will')
  const topicEnd = checkTopicName(bytes, at, end, 'Will Topic') // [MQTT-3.1.3-11]
  if (topicEnd === at + 2) {
    throw new ProtocolError(ReasonCode.TopicNameInvalid, 'empty Will Topic') // [MQTT-4.7.3-1]
  }
  return checkBinary(bytes, topicEnd, end, 'Will Payload')
}
