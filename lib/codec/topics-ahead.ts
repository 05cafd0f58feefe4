/**
 * Where the Topic Names of the packets stand that follow in a chunk, found before the packets are looked at. A guess:
 * nothing is checked but that all of it lies in the chunk.
 */

import { PacketType } from '../protocol/packets.ts'

/** So many packets are looked at together. */
export const TOPICS_AHEAD_MAX = 16

/** From here on a Remaining Length takes more than two bytes. */
const LENGTH_END = 0x4000

export class TopicsAhead {
  /** Of the first `count` packets: where the Topic Name begins and ends. */
  readonly starts: Int32Array = new Int32Array(TOPICS_AHEAD_MAX)
  readonly ends: Int32Array = new Int32Array(TOPICS_AHEAD_MAX)
  count = 0
  /** Behind the packets that were looked at. */
  end = 0
  readonly #topicBytesMax: number

  /** A packet whose Topic Name is longer than `topicBytesMax` counts as large. */
  constructor(topicBytesMax: number) {
    this.#topicBytesMax = topicBytesMax
  }

  /** Looks at packets from `start` on, up to one that is no PUBLISH, is cut, or is large. */
  find(bytes: Uint8Array, start: number): void {
    let at = start
    let count = 0
    while (
      count < TOPICS_AHEAD_MAX &&
      at + 5 <= bytes.length &&
      bytes[at]! >> 4 === PacketType.Publish
    ) {
      let length = bytes[at + 1]!
      let bodyStart = at + 2
      if (length >= 0x80) length = (length & 0x7f) | (bytes[bodyStart++]! << 7)
      const topicStart = bodyStart + 2
      const topicEnd = topicStart + ((bytes[bodyStart]! << 8) | bytes[bodyStart + 1]!)
      const end = bodyStart + length
      if (length >= LENGTH_END || topicEnd > end || end > bytes.length) break
      if (topicEnd - topicStart > this.#topicBytesMax) break
      this.starts[count] = topicStart
      this.ends[count] = topicEnd
      count++
      at = end
    }
    this.count = count
    this.end = at
  }
}
