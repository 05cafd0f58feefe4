/** Finds the packets in received bytes: numbers only, no object is made. */

/** Bytes and a view of the same memory, good only during the call that hands them over. */
export interface Chunk {
  readonly bytes: Buffer
  readonly view: DataView
}

/** Takes one whole packet: its first byte, and where what follows the Remaining Length begins and ends. */
export interface PacketTaker {
  takePacket(first: number, chunk: Chunk, start: number, end: number): void
}

export function chunkOf(bytes: Buffer): Chunk {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) }
}

/**
 * Hands over each whole packet in the first `length` bytes; returns where the one begins that is not whole.
 * Throws a RangeError when a Remaining Length has more than four bytes.
 */
export function walkPackets(chunk: Chunk, length: number, taker: PacketTaker): number {
  const { bytes } = chunk
  let at = 0
  while (at + 2 <= length) {
    let start = at + 1
    let digit = bytes[start++] as number
    let remaining = digit & 0x7f
    for (let shift = 7; digit & 0x80; shift += 7) {
      if (shift > 21) throw new RangeError('a Remaining Length has no end')
      if (start === length) return at
      digit = bytes[start++] as number
      remaining |= (digit & 0x7f) << shift
    }
    const end = start + remaining
    if (end > length) return at
    taker.takePacket(bytes[at] as number, chunk, start, end)
    at = end
  }
  return at
}

/** Reads a Variable Byte Integer and returns where what follows it begins, past as many bytes as it says. */
export function skipProperties(bytes: Buffer, at: number): number {
  let length = 0
  let digit = 0x80
  for (let shift = 0; digit & 0x80 && shift <= 21; shift += 7) {
    digit = bytes[at++] as number
    length |= (digit & 0x7f) << shift
  }
  return at + length
}
