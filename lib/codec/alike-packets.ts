/** Finds packets that stand one behind the other and are the same but for what follows their header. */

import type { Buffer } from 'node:buffer'
import { chunkViewOf, WORDS_MIN_BYTES } from './chunk-view.ts'

/**
 * How many there are, up to `max`, with the packet from `start` to `end`, whose header ends at `headerEnd` and has the
 * fixed header in it: they all have its size.
 */
export function countAlike(
  bytes: Buffer,
  start: number,
  headerEnd: number,
  end: number,
  max: number,
): number {
  const size = end - start
  let count = 1
  for (let next = end; count < max && next + size <= bytes.length; next += size) {
    if (!hasHeader(bytes, next, start, headerEnd)) break
    count++
  }
  return count
}

function hasHeader(bytes: Buffer, at: number, start: number, end: number): boolean {
  // From behind: most topics differ at their end.
  let left = end - start
  if (left >= WORDS_MIN_BYTES) {
    const view = chunkViewOf(bytes)
    for (; left >= 4; left -= 4) {
      if (view.getInt32(at + left - 4) !== view.getInt32(start + left - 4)) return false
    }
  }
  while (left-- > 0) if (bytes[at + left] !== bytes[start + left]) return false
  return true
}
