/**
 * Cuts a stream of bytes into packets: fixed header, Remaining Length, packets that span chunks.
 *
 * The caller pushes a chunk and then asks `next()` until it says there is no whole packet left; it may
 * stop asking at any time (reading is paused) and go on later. A packet that is too large is refused
 * from its fixed header, before a byte of it is buffered.
 */

import { Buffer } from 'node:buffer'
import { MalformedPacketError, ProtocolError } from '../protocol/errors.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'

const NOTHING = Buffer.alloc(0)

/** First room for a packet that spans chunks; it doubles as bytes arrive, since a length is only a claim. */
const PARTIAL_BYTES_MIN = 4_096

export class Decoder {
  /** Largest packet taken, in bytes, fixed header included. */
  packetBytesMax: number
  /** The bytes that hold the current packet, and where it stands in them. */
  bytes: Buffer = NOTHING
  start = 0
  bodyStart = 0
  end = 0
  /** The current packet, and those that were passed over behind it. */
  packets = 0
  /** Up to here in `bytes` somebody has looked ahead. */
  aheadEnd = 0

  #at = 0
  /** What follows `bytes`, once those are consumed. */
  #rest: Buffer | undefined
  /** A packet whose end has not come, and how many bytes of it have. */
  #partial: Buffer | undefined
  #partialUsed = 0
  /** Size of the partial packet; 0 while even its length has not come. */
  #partialSize = 0
  #remainingLength = 0

  constructor(packetBytesMax: number) {
    this.packetBytesMax = packetBytesMax
  }

  /** Bytes held: of packets that `next` has not come to, and of one that has not come whole. */
  get heldBytes(): number {
    return this.bytes.length - this.#at + (this.#rest?.length ?? 0) + this.#partialUsed
  }

  /** Adds what arrived; bytes that `next()` has not looked at yet stay in front of it. */
  push(chunk: Buffer): void {
    if (this.#at < this.bytes.length || this.#rest !== undefined) {
      this.bytes = Buffer.concat([this.bytes.subarray(this.#at), this.#rest ?? NOTHING, chunk])
      this.#rest = undefined
    } else if (this.#partial === undefined) {
      this.bytes = chunk
    } else {
      this.#addToPartial(this.#partial, chunk)
    }
    this.#at = 0
    this.aheadEnd = 0
  }

  /**
   * Moves to the next whole packet and returns its type, the upper four bits of its first byte, with
   * `bytes`, `start`, `bodyStart` and `end` set; 0 when none is complete.
   */
  next(): number {
    if (this.#at === this.bytes.length && this.#rest !== undefined) {
      this.bytes = this.#rest
      this.#rest = undefined
      this.#at = 0
      this.aheadEnd = 0
    }
    const bytes = this.bytes
    const at = this.#at
    const available = bytes.length - at
    if (available < 2) return this.#keep(0)

    let remainingLength = bytes[at + 1]!
    let bodyStart = at + 2
    if (remainingLength >= 0x80) {
      const size = this.#readRemainingLength(bytes, at + 1)
      if (size === 0) return this.#keep(0)
      remainingLength = this.#remainingLength
      bodyStart = at + 1 + size
    }
    const type = bytes[at]! >> 4
    if (type === 0) throw new MalformedPacketError('packet type 0')
    const end = bodyStart + remainingLength
    if (end - at > this.packetBytesMax) {
      throw new ProtocolError(
        ReasonCode.PacketTooLarge,
        `packet of ${end - at} bytes where ${this.packetBytesMax} are allowed`,
      )
    }
    if (end > bytes.length) return this.#keep(end - at)
    this.start = at
    this.bodyStart = bodyStart
    this.end = end
    this.packets = 1
    this.#at = end
    return type
  }

  /** Leaves out `count` packets that stand behind the current one and have its size. */
  passOver(count: number): void {
    this.#at = this.end + count * (this.end - this.start)
    this.packets += count
  }

  /** Reads a Remaining Length of two to four bytes at `at`; returns its size, 0 if it is not all there. */
  #readRemainingLength(bytes: Buffer, at: number): number {
    let value = 0
    for (let i = 0; i < 4; i++) {
      if (at + i >= bytes.length) return 0
      const byte = bytes[at + i]!
      value |= (byte & 0x7f) << (7 * i)
      if (byte < 0x80) {
        if (byte === 0) throw new MalformedPacketError('Remaining Length longer than needed') // [MQTT-1.5.5-1]
        this.#remainingLength = value
        return i + 1
      }
    }
    throw new MalformedPacketError('Remaining Length of more than four bytes')
  }

  /** Keeps what is left in memory of its own, so that the chunk is not pinned. */
  #keep(size: number): 0 {
    const left = this.bytes.length - this.#at
    if (left > 0) {
      const room = size === 0 ? left : Math.min(size, Math.max(PARTIAL_BYTES_MIN, left * 2))
      const partial = Buffer.allocUnsafeSlow(room)
      this.bytes.copy(partial, 0, this.#at)
      this.#partial = partial
      this.#partialUsed = left
      this.#partialSize = size
    }
    this.bytes = NOTHING
    this.#at = 0
    return 0
  }

  #addToPartial(partial: Buffer, chunk: Buffer): void {
    if (this.#partialSize === 0) {
      this.bytes = Buffer.concat([partial, chunk])
      this.#forgetPartial()
      return
    }
    const taken = Math.min(this.#partialSize - this.#partialUsed, chunk.length)
    const used = this.#partialUsed + taken
    let room = partial
    if (used > partial.length) {
      room = Buffer.allocUnsafeSlow(Math.min(this.#partialSize, Math.max(used, partial.length * 2)))
      partial.copy(room, 0, 0, this.#partialUsed)
    }
    chunk.copy(room, this.#partialUsed, 0, taken)
    this.#partial = room
    this.#partialUsed = used
    if (used < this.#partialSize) return
    this.bytes = room.subarray(0, used)
    if (taken < chunk.length) this.#rest = chunk.subarray(taken)
    this.#forgetPartial()
  }

  #forgetPartial(): void {
    this.#partial = undefined
    this.#partialUsed = 0
    this.#partialSize = 0
  }
}
