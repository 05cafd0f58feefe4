/** What the standard demands of the content of a UTF-8 Encoded String (section 1.5.4). */

import { type Buffer, isUtf8 } from 'node:buffer'

/**
 * Says whether the bytes are well-formed UTF-8 (no surrogates, no overlong forms) without U+0000.
 * Allocates nothing for ASCII. U+FEFF is a character like any other [MQTT-1.5.4-3]: whoever decodes
 * uses `Buffer.toString`, since a `TextDecoder` strips it.
 */
export function isWellFormedString(bytes: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!
    if (byte === 0) return false // [MQTT-1.5.4-2]
    if (byte >= 0x80) {
      const rest = bytes.subarray(i, end)
      return isUtf8(rest) && !rest.includes(0) // [MQTT-1.5.4-1] [MQTT-1.5.4-2]
    }
  }
  return true
}
