/**
 * Bytes that are kept for long and in large numbers, small ones as one-byte strings: a `Buffer` costs
 * about 300 bytes beside its content, a string 16.
 */

import { Buffer } from 'node:buffer'

export type PackedBytes = string | Buffer

/** Larger ones stay as they are: what a `Buffer` costs does not matter there, and a string is copied back. */
const STRING_MAX_BYTES = 4_096

/** Returns `bytes` in the form that costs less; a `Buffer` is kept, not copied. */
export function packBytes(bytes: Buffer): PackedBytes {
  return bytes.length <= STRING_MAX_BYTES ? bytes.toString('latin1') : bytes
}

/** Returns what was packed; the `Buffer` of a small one is the caller's own. */
export function unpackBytes(packed: PackedBytes): Buffer {
  return typeof packed === 'string' ? Buffer.from(packed, 'latin1') : packed
}
