/** Compares bytes, four at a time where that is worth it. */

import { Buffer } from 'node:buffer'

/** From this length on, a view is worth its price. */
const WORDS_MIN_BYTES = 8

/** The chunk that was looked at last. All connections share it, so that no more than one is kept alive. */
let viewed: Buffer = Buffer.alloc(0)
let view = viewOf(viewed)

export function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length)
}

/** To make a view takes longer than to compare a packet, and one chunk is asked for over and over. */
function chunkViewOf(chunk: Buffer): DataView {
  if (chunk !== viewed) {
    viewed = chunk
    view = viewOf(chunk)
  }
  return view
}

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
    const chunkView = chunkViewOf(chunk)
    const words = otherView ?? chunkView
    for (; left >= 4; left -= 4) {
      if (chunkView.getInt32(at + left - 4) !== words.getInt32(otherAt + left - 4)) return false
    }
  }
  while (left-- > 0) if (chunk[at + left] !== other[otherAt + left]) return false
  return true
}
