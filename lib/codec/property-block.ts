/**
 * Writes the properties of an MQTT 5.0 packet by the table of lib/protocol/properties.ts, the mirror of
 * `readProperties`.
 */

import assert from 'node:assert'
import { Buffer } from 'node:buffer'
import { TWO_BYTE_INTEGER_MAX } from '../protocol/limits.ts'
import type { Properties, UserProperty } from '../protocol/packets.ts'
import { type PropertyType, propertyRules } from '../protocol/properties.ts'
import { variableByteIntegerSize, writeVariableByteInteger } from './variable-byte-integer.ts'

type PropertyValue = string | number | Buffer | readonly number[] | readonly UserProperty[]

/** Returns the Property Length and the properties behind it; one zero byte if there are none. */
export function encodeProperties(properties: Properties): Buffer {
  const list = encodePropertyList(properties)
  return Buffer.concat([encodeVariableByteInteger(list.length), list]) // [MQTT-2.2.2-1]
}

/** Returns the properties one behind the other, without their length. */
export function encodePropertyList(properties: Properties): Buffer {
  const parts: Buffer[] = []
  for (const { identifier, name, type } of propertyRules) {
    const value: PropertyValue | undefined = properties[name]
    if (value === undefined) continue
    for (const one of Array.isArray(value) ? value : [value]) {
      parts.push(Buffer.of(identifier), ...encodeValue(type, one))
    }
  }
  return Buffer.concat(parts)
}

function encodeVariableByteInteger(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(variableByteIntegerSize(value))
  writeVariableByteInteger(bytes, 0, value)
  return bytes
}

function encodeValue(type: PropertyType, value: PropertyValue): readonly Buffer[] {
  if (typeof value === 'string') return [encodeLengthPrefixed(Buffer.from(value))]
  if (Buffer.isBuffer(value)) return [encodeLengthPrefixed(value)]
  if (typeof value === 'number') return [encodeNumber(type, value)]
  return value.map((text) => encodeLengthPrefixed(Buffer.from(String(text))))
}

function encodeNumber(type: PropertyType, value: number): Buffer {
  if (type === 'variable') return encodeVariableByteInteger(value)
  const size = type === 'byte' ? 1 : type === 'two-byte' ? 2 : 4
  const bytes = Buffer.allocUnsafe(size)
  bytes.writeUIntBE(value, 0, size)
  return bytes
}

function encodeLengthPrefixed(content: Buffer): Buffer {
  assert(content.length <= TWO_BYTE_INTEGER_MAX, 'a property has at most 65,535 bytes')
  const bytes = Buffer.allocUnsafe(2 + content.length)
  bytes.writeUInt16BE(content.length, 0)
  content.copy(bytes, 2)
  return bytes
}
