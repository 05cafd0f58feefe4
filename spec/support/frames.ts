/** What the broker sends, byte for byte: for what a parser of packets would hide. */

import { Buffer } from 'node:buffer'
import type { MemoryClient } from './client.ts'
import { bodyStartOf } from './raw-packets.ts'

/** Records from now on; the function returned gives the whole packets that have come. */
export function recordFrames(client: MemoryClient): () => Buffer[] {
  const chunks: Buffer[] = []
  const { onData } = client.end
  client.end.onData = (chunk) => {
    chunks.push(Buffer.from(chunk))
    onData(chunk)
  }
  return () => splitFrames(Buffer.concat(chunks))
}

function splitFrames(bytes: Buffer): Buffer[] {
  const frames: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const bodyStart = bodyStartOf(bytes, at)
    let length = 0
    for (let i = at + 1; i < bodyStart; i++) {
      length += (bytes[i]! & 0x7f) * 128 ** (i - at - 1)
    }
    frames.push(bytes.subarray(at, bodyStart + length))
    at = bodyStart + length
  }
  return frames
}
