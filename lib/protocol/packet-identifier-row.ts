/** The Packet Identifiers of packets that stand one behind the other and have one size. */

import type { Buffer } from 'node:buffer'

export class PacketIdentifierRow {
  readonly bytes: Buffer
  /** Where the first one stands. */
  readonly start: number
  /** From one to the next. */
  readonly packetBytes: number
  readonly count: number

  constructor(bytes: Buffer, start: number, packetBytes: number, count: number) {
    this.bytes = bytes
    this.start = start
    this.packetBytes = packetBytes
    this.count = count
  }

  at(index: number): number {
    const at = this.start + index * this.packetBytes
    return (this.bytes[at]! << 8) | this.bytes[at + 1]!
  }

  /** The first `count` of them. */
  upTo(count: number): PacketIdentifierRow {
    const { bytes, start, packetBytes } = this
    return count === this.count ? this : new PacketIdentifierRow(bytes, start, packetBytes, count)
  }
}
