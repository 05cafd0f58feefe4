/**
 * MessagePack, as far as scripts speak it (`cmsgpack` of Redis): whole batches of operations go to Redis as
 * one argument, and their results come back as one. Also the layout of small records that are kept.
 */

import { Buffer } from 'node:buffer'

/** What a script or a record may hold. Text comes back as bytes, since Redis tells no difference. */
export type Packed = number | boolean | null | Buffer | Packed[]

/** Half of what is written at once is smaller than this. */
const INITIAL_BYTES = 4_096

/** A larger buffer is given back after use: one large batch must not stay for ever. */
const KEPT_BYTES_MAX = 1024 ** 2

const TWO_POW_32 = 2 ** 32

export class PackWriter {
  #bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES)
  #length = 0

  /** What was written, as a view that the next `clear` makes invalid. */
  get written(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  get length(): number {
    return this.#length
  }

  clear(): void {
    this.#length = 0
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES)
  }

  /** A whole number from 0 to 2^53 - 1. */
  number(value: number): void {
    this.#reserve(9)
    const bytes = this.#bytes
    const at = this.#length
    if (value < 0x80) {
      bytes[at] = value
      this.#length = at + 1
    } else if (value < TWO_POW_32) {
      bytes[at] = 0xce
      bytes.writeUInt32BE(value, at + 1)
      this.#length = at + 5
    } else {
      bytes[at] = 0xcf
      bytes.writeUInt32BE(Math.floor(value / TWO_POW_32), at + 1)
      bytes.writeUInt32BE(value % TWO_POW_32, at + 5)
      this.#length = at + 9
    }
  }

  boolean(value: boolean): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = value ? 0xc3 : 0xc2
  }

  bytes(value: Buffer): void {
    this.startBytes(value.length)
    this.append(value)
  }

  text(value: string): void {
    const length = Buffer.byteLength(value)
    this.startBytes(length)
    this.#bytes.write(value, this.#length)
    this.#length += length
  }

  /** Begins a string of `length` bytes, which follow by `append`, `byte` and `bigEndian`. */
  startBytes(length: number): void {
    this.#reserve(5 + length)
    const bytes = this.#bytes
    if (length < 32) {
      bytes[this.#length++] = 0xa0 | length
    } else {
      bytes[this.#length] = 0xdb
      bytes.writeUInt32BE(length, this.#length + 1)
      this.#length += 5
    }
  }

  append(value: Buffer): void {
    value.copy(this.#bytes, this.#length)
    this.#length += value.length
  }

  appendText(value: string): void {
    this.#length += this.#bytes.write(value, this.#length)
  }

  byte(value: number): void {
    this.#bytes[this.#length++] = value
  }

  bigEndian(value: number, byteCount: number): void {
    this.#bytes.writeUIntBE(value, this.#length, byteCount)
    this.#length += byteCount
  }

  startArray(count: number): void {
    this.#reserve(5)
    this.#bytes[this.#length] = 0xdd
    this.#bytes.writeUInt32BE(count, this.#length + 1)
    this.#length += 5
  }

  #reserve(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}

/** Reads what `PackWriter` or a script wrote, value by value. */
export class PackReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  number(): number {
    const first = this.#bytes[this.#at] as number
    if (first < 0x80) {
      this.#at++
      return first
    }
    const value = this.value()
    if (typeof value !== 'number') throw new RangeError('not a number')
    return value
  }

  boolean(): boolean {
    return this.value() === true
  }

  /** A view of the bytes that are read. */
  bytes(): Buffer {
    const value = this.value()
    if (!Buffer.isBuffer(value)) throw new RangeError('not a string of bytes')
    return value
  }

  text(): string {
    return this.bytes().toString()
  }

  array(): Packed[] {
    const value = this.value()
    if (!Array.isArray(value)) throw new RangeError('not an array')
    return value
  }

  startArray(): number {
    const first = this.#byte()
    // A table without entries is a map to cmsgpack.
    if (first === 0x80) return 0
    if ((first & 0xf0) === 0x90) return first & 0x0f
    if (first === 0xdc) return this.#unsigned(2)
    if (first === 0xdd) return this.#unsigned(4)
    throw new RangeError('not an array')
  }

  value(): Packed {
    const first = this.#byte()
    if (first < 0x80) return first
    if (first >= 0xe0) return first - 0x100
    if (first >= 0xa0 && first < 0xc0) return this.#slice(first & 0x1f)
    switch (first) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc4:
      case 0xd9:
        return this.#slice(this.#unsigned(1))
      case 0xc5:
      case 0xda:
        return this.#slice(this.#unsigned(2))
      case 0xc6:
      case 0xdb:
        return this.#slice(this.#unsigned(4))
      case 0xca:
        return this.#bytes.readFloatBE((this.#at += 4) - 4)
      case 0xcb:
        return this.#bytes.readDoubleBE((this.#at += 8) - 8)
      case 0xcc:
        return this.#unsigned(1)
      case 0xcd:
        return this.#unsigned(2)
      case 0xce:
        return this.#unsigned(4)
      case 0xcf:
        return this.#unsigned(4) * TWO_POW_32 + this.#unsigned(4)
      case 0xd0:
        return this.#bytes.readInt8(this.#at++)
      default:
        this.#at--
        return this.#values()
    }
  }

  #values(): Packed[] {
    const values: Packed[] = []
    for (let count = this.startArray(); count > 0; count--) values.push(this.value())
    return values
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++]
    if (byte === undefined) throw new RangeError('ends too early')
    return byte
  }

  #unsigned(byteCount: number): number {
    this.#at += byteCount
    return this.#bytes.readUIntBE(this.#at - byteCount, byteCount)
  }

  #slice(length: number): Buffer {
    this.#at += length
    if (this.#at > this.#bytes.length) throw new RangeError('ends too early')
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}
