/** Bytes four at a time. */

import { Buffer } from 'node:buffer'

/** From this length on, a view is worth its price. */
export const WORDS_MIN_BYTES = 8

/** The chunk that was looked at last. All connections share it, so that no more than one is kept alive. */
let viewed: Buffer = Buffer.alloc(0)
let view = newViewOf(viewed)

export function newViewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length)
}

/** As `newViewOf`, which takes longer than to compare a packet: for what is asked of one chunk over and over. */
export function chunkViewOf(chunk: Buffer): DataView {
  if (chunk !== viewed) {
    viewed = chunk
    view = newViewOf(chunk)
  }
  return view
}
