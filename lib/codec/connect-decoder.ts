/** Decodes a CONNECT that was checked, for `decodePacket`. */

import { Buffer } from 'node:buffer'
import type { Connect, ConnectWill, MqttVersion, Properties, Qos } from '../protocol/packets.ts'
import type { PropertyPlace } from '../protocol/properties.ts'
import { ConnectFlag, checkConnect, connectPropertiesAt } from './connect-check.ts'
import { readTwoByteInteger } from './fields.ts'
import { readProperties } from './property-cursor.ts'
import {
  bodyStartOf,
  readVariableByteInteger,
  variableByteIntegerSize,
} from './variable-byte-integer.ts'

/** Decodes the whole, checked CONNECT from `start` to `end`. */
export function decodeConnect(bytes: Buffer, start: number, end: number): Connect {
  // The password outlives this turn while it is checked; the chunk need not.
  const frame = Buffer.from(bytes.subarray(start, end))
  const bodyStart = bodyStartOf(frame, 0, frame.length)
  const version = versionOf(frame, bodyStart)
  const flags = checkConnect(frame, bodyStart, frame.length)
  const propertiesAt = connectPropertiesAt(bodyStart, version)
  const fields = new Fields(frame, propertiesAt, version)
  const has = (flag: number): boolean => (flags & flag) !== 0
  // The fields from `properties` on are read in the order in which they stand here.
  return {
    type: 'connect',
    protocolVersion: version,
    cleanStart: has(ConnectFlag.CleanStart),
    keepAliveSeconds: readTwoByteInteger(frame, propertiesAt - 2),
    properties: fields.properties('connect'),
    clientIdentifier: fields.text(),
    will: has(ConnectFlag.Will) ? willOf(fields, flags) : undefined,
    userName: has(ConnectFlag.UserName) ? fields.text() : undefined,
    password: has(ConnectFlag.Password) ? fields.binary() : undefined,
  }
}

function willOf(fields: Fields, flags: number): ConnectWill {
  return {
    properties: fields.properties('will'),
    topicName: fields.text(),
    // It stays as long as the session: the password must not.
    payload: Buffer.from(fields.binary()),
    qos: ((flags & ConnectFlag.WillQosMask) >> 3) as Qos,
    retain: (flags & ConnectFlag.WillRetain) !== 0,
  }
}

/** Reads the fields of a packet one after the other. */
class Fields {
  readonly #bytes: Buffer
  readonly #version: MqttVersion
  #at: number

  constructor(bytes: Buffer, at: number, version: MqttVersion) {
    this.#bytes = bytes
    this.#at = at
    this.#version = version
  }

  binary(): Buffer {
    const start = this.#at + 2
    this.#at = start + readTwoByteInteger(this.#bytes, this.#at)
    return this.#bytes.subarray(start, this.#at)
  }

  text(): string {
    return this.binary().toString()
  }

  /** Empty where the version knows none. */
  properties(place: PropertyPlace): Properties {
    if (this.#version < 5) return {}
    const bytes = this.#bytes
    const properties = readProperties(bytes, this.#at, bytes.length, place)
    const length = readVariableByteInteger(bytes, this.#at, bytes.length)
    this.#at += variableByteIntegerSize(length) + length
    return properties
  }
}

function versionOf(frame: Buffer, bodyStart: number): MqttVersion {
  if (readTwoByteInteger(frame, bodyStart) === 'MQIsdp'.length) return 3
  return frame[bodyStart + 2 + 'MQTT'.length] === 5 ? 5 : 4
}
