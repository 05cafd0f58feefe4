/** Variable Byte Integers: seven bits a byte, the least significant first (section 1.5.5). */

import type { Buffer } from 'node:buffer'
import { MalformedPacketError } from '../protocol/errors.ts'

/**
 * Returns the value at `at`, or -1 when it does not end before `end`. Its size is
 * `variableByteIntegerSize(value)`, since a longer encoding than needed is refused.
 */
export function readVariableByteInteger(bytes: Buffer, at: number, end: number): number {
  let value = 0
  for (let i = 0; i < 4; i++) {
    if (at + i >= end) return -1
    const byte = bytes[at + i]!
    value |= (byte & 0x7f) << (7 * i)
    if (byte < 0x80) {
      if (byte === 0 && i > 0) {
        throw new MalformedPacketError('Variable Byte Integer longer than needed') // [MQTT-1.5.5-1]
      }
      return value
    }
  }
  throw new MalformedPacketError('Variable Byte Integer of more than four bytes')
}

/** Writes `value`, at most VARIABLE_BYTE_INTEGER_MAX, at `at` and returns the offset behind it. */
export function writeVariableByteInteger(bytes: Buffer, at: number, value: number): number {
  let rest = value
  let next = at
  while (rest >= 0x80) {
    bytes[next++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  bytes[next++] = rest
  return next
}

/** Returns how many bytes `value`, at most VARIABLE_BYTE_INTEGER_MAX, takes. */
export function variableByteIntegerSize(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  return value < 0x20_0000 ? 3 : 4
}

/** Returns where the body of a whole packet begins: behind its Remaining Length. */
export function bodyStartOf(bytes: Buffer, start: number, end: number): number {
  return start + 1 + variableByteIntegerSize(readVariableByteInteger(bytes, start + 1, end))
}
