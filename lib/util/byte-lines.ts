/** Cuts a stream of bytes into lines, as bytes: a line of text may be cut only where it ends. */

import { Buffer } from 'node:buffer'

const LINE_FEED = 0x0a

/**
 * Yields lines without their end, which the last one need not have. Throws what `makeError` makes when
 * one is longer than `lineBytesMax`: nothing longer is gathered.
 */
export async function* byteLines(
  chunks: AsyncIterable<Buffer>,
  lineBytesMax: number,
  makeError: () => Error,
): AsyncGenerator<Buffer, void> {
  let begun: Buffer[] = []
  let begunBytes = 0
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
      if (begunBytes + end - start > lineBytesMax) throw makeError()
      const rest = chunk.subarray(start, end)
      yield begun.length === 0 ? rest : Buffer.concat([...begun, rest])
      begun = []
      begunBytes = 0
      start = end + 1
    }
    if (start === chunk.length) continue
    begun.push(chunk.subarray(start))
    begunBytes += chunk.length - start
    if (begunBytes > lineBytesMax) throw makeError()
  }
  if (begun.length > 0) yield Buffer.concat(begun)
}
