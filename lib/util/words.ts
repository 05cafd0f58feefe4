/** Bytes four at a time, at any place: most of what is done with each byte of a header is done with a word as well. */

/** Takes about as long as to look at a hundred bytes. */
export function wordsOf({ buffer, byteOffset, length }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, length)
}

const NOTHING: Uint8Array = new Uint8Array(0)
const NO_WORDS = wordsOf(NOTHING)

/** The chunk that was looked at last. All connections share it, so that no more than one is kept alive. */
let viewed = NOTHING
let view = NO_WORDS

/** Returns the view of a chunk that came in, which is asked for over and over until the next one comes. */
export function chunkWordsOf(chunk: Uint8Array): DataView {
  if (chunk !== viewed) {
    viewed = chunk
    view = wordsOf(chunk)
  }
  return view
}

/** Lets go of the chunk that was looked at. */
export function releaseChunk(): void {
  viewed = NOTHING
  view = NO_WORDS
}
