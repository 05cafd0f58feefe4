/**
 * Bytes that are kept for long and in large numbers, small ones as one-byte strings: a `Buffer` of 100
 * bytes takes 494 bytes of resident memory, such a string 158 (a million of each, Node 20).
 */

import { Buffer } from 'node:buffer'

export type PackedBytes = string | Buffer

/** Larger ones stay as they are: what a `Buffer` costs does not matter there, and a string is copied back. */
const STRING_MAX_BYTES = 4_096

/** Returns `bytes` in the form that costs less; a large `Buffer` is copied only if it is part of another. */
export function packBytes(bytes: Buffer): PackedBytes {
  if (bytes.length <= STRING_MAX_BYTES) return bytes.toString('latin1')
  if (bytes.length === bytes.buffer.byteLength) return bytes
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(copy)
  return copy
}

/** Returns what was packed: a small one anew, in memory of its own size, as the pool would pin 8 KiB. */
export function unpackBytes(packed: PackedBytes): Buffer {
  if (typeof packed !== 'string') return packed
  const bytes = Buffer.allocUnsafeSlow(packed.length)
  bytes.write(packed, 'latin1')
  return bytes
}
