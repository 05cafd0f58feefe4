/** Decodes a CONNECT through mqtt-packet, for `decodePacket`. */

import assert from 'node:assert'
import { Buffer } from 'node:buffer'
import type { IConnectPacket } from 'mqtt-packet'
import type { Connect, ConnectWill, MqttVersion } from '../protocol/packets.ts'
import { checkConnect, connectFlagsAt, connectPropertiesAt } from './connect-check.ts'
import { readTwoByteInteger } from './fields.ts'
import { readProperties } from './property-cursor.ts'
import {
  bodyStartOf,
  readVariableByteInteger,
  variableByteIntegerSize,
} from './variable-byte-integer.ts'
import { parseConnectFrame } from './whole-frame-parser.ts'

/** Decodes the whole, checked CONNECT from `start` to `end`. */
export function decodeConnect(bytes: Buffer, start: number, end: number): Connect {
  // The password outlives this turn while it is checked; the chunk need not.
  const frame = Buffer.from(bytes.subarray(start, end))
  const bodyStart = bodyStartOf(frame, 0, frame.length)
  const version = versionOf(frame, bodyStart)
  if (version === 3) {
    // mqtt-packet does not bear what MQTT 3.1 allows: the flag of a field that is not there.
    frame[connectFlagsAt(bodyStart, 3)] = checkConnect(frame, bodyStart, frame.length)
  }
  const packet = parseConnectFrame(frame, version)
  assert(packet.cmd === 'connect', 'the frame is a CONNECT')
  const propertiesAt = connectPropertiesAt(bodyStart, version)
  return {
    type: 'connect',
    protocolVersion: version,
    clientIdentifier: packet.clientId,
    cleanStart: packet.clean === true,
    keepAliveSeconds: packet.keepalive ?? 0,
    userName: packet.username,
    password: packet.password,
    will: willOf(packet, frame, propertiesAt, version),
    properties: version === 5 ? readProperties(frame, propertiesAt, frame.length, 'connect') : {},
  }
}

function willOf(
  packet: IConnectPacket,
  frame: Buffer,
  propertiesAt: number,
  version: MqttVersion,
): ConnectWill | undefined {
  if (packet.will === undefined) return undefined
  const { topic, payload, qos = 0, retain = false } = packet.will
  const will = { topicName: topic, payload: Buffer.from(payload), qos, retain, properties: {} }
  if (version === 5) {
    const identifierAt = endOfProperties(frame, propertiesAt)
    const willAt = identifierAt + 2 + readTwoByteInteger(frame, identifierAt)
    will.properties = readProperties(frame, willAt, frame.length, 'will')
  }
  return will
}

function versionOf(frame: Buffer, bodyStart: number): MqttVersion {
  if (readTwoByteInteger(frame, bodyStart) === 'MQIsdp'.length) return 3
  return frame[bodyStart + 2 + 'MQTT'.length] === 5 ? 5 : 4
}

function endOfProperties(frame: Buffer, at: number): number {
  const length = readVariableByteInteger(frame, at, frame.length)
  return at + variableByteIntegerSize(length) + length
}
