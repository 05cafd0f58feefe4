/** Compares bytes, four at a time where that is worth it. */

import type { Buffer } from 'node:buffer'
import { chunkWordsOf } from '../util/words.ts'

/** From this length on, a view is worth its price. */
const WORDS_MIN_BYTES = 8

/**
 * Whether the `length` bytes of `chunk` from `at` on are those of `other` from `otherAt` on, all of which are there.
 * `otherView` is its view, needed if it is not the chunk itself.
 */
export function isSame(
  chunk: Buffer,
  at: number,
  length: number,
  other: Buffer,
  otherAt: number,
  otherView?: DataView,
): boolean {
  // From behind: what differs mostly does so at its end.
  let left = length
  if (left >= WORDS_MIN_BYTES) {
    const chunkView = chunkWordsOf(chunk)
    const words = otherView ?? chunkView
    for (; left >= 4; left -= 4) {
      if (chunkView.getInt32(at + left - 4) !== words.getInt32(otherAt + left - 4)) return false
    }
  }
  while (left-- > 0) if (chunk[at + left] !== other[otherAt + left]) return false
  return true
}
