/** Finds packets that stand one behind the other and are the same but for what follows their header. */

import type { Buffer } from 'node:buffer'
import { isSame } from './same-bytes.ts'

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
    if (!isSame(bytes, next, headerEnd - start, bytes, start)) break
    count++
  }
  return count
}
