/**
 * A set of Packet Identifiers, as bits of a ring. Clients give them out in ascending order and use few at a time, so
 * that what is in the set mostly stands in a short span: the ring is as long as that, rounded up, and 8 KiB at most.
 */

import { TWO_BYTE_INTEGER_MAX } from '../protocol/limits.ts'

const NO_BITS = new Uint32Array(0)
const WORDS_MIN = 2
/** As much is kept by an empty set. */
const WORDS_KEPT_MAX = 16

export class PacketIdentifierSet {
  #size = 0
  /** One of the set, if there is any; all others stand behind it, none behind `#last`. */
  #first = 0
  #last = 0
  /** The bit of an identifier stands at the identifier modulo the length of the ring, a power of two. */
  #bits: Uint32Array = NO_BITS

  has(packetIdentifier: number): boolean {
    return this.#isInRing(packetIdentifier) && (this.#wordOf(packetIdentifier) & 1) === 1
  }

  add(packetIdentifier: number): void {
    if (this.has(packetIdentifier)) return
    this.#reach(packetIdentifier)
    this.#size++
    this.#flip(packetIdentifier)
  }

  /** Says whether it was in the set. */
  delete(packetIdentifier: number): boolean {
    if (!this.has(packetIdentifier)) return false
    this.#size--
    this.#flip(packetIdentifier)
    if (this.#size > 0) {
      if (packetIdentifier === this.#first) this.#first = this.#nextOf(packetIdentifier)
    } else if (this.#bits.length > WORDS_KEPT_MAX) {
      this.#bits = NO_BITS
    }
    return true
  }

  /** In the order in which they are given out. */
  values(): number[] {
    return this.#valuesFrom(this.#first)
  }

  #valuesFrom(first: number): number[] {
    const values: number[] = []
    for (let at = first; values.length < this.#size; at = behind(at)) {
      at = this.#nextOf(at)
      values.push(at)
    }
    return values
  }

  #isInRing(packetIdentifier: number): boolean {
    return distance(this.#first, packetIdentifier) < this.#bits.length * 32
  }

  /** The bits from that of the identifier, which stands lowest, to the end of its word. */
  #wordOf(packetIdentifier: number): number {
    return (
      this.#bits[(packetIdentifier >> 5) & (this.#bits.length - 1)]! >>> (packetIdentifier & 31)
    )
  }

  #flip(packetIdentifier: number): void {
    this.#bits[(packetIdentifier >> 5) & (this.#bits.length - 1)]! ^= 1 << (packetIdentifier & 31)
  }

  /** The first one in the set from `at` on; there must be one. */
  #nextOf(at: number): number {
    let next = at
    let word = this.#wordOf(next)
    while (word === 0) {
      next = behind(next | 31)
      word = this.#wordOf(next)
    }
    return next + 31 - Math.clz32(word & -word)
  }

  /** Makes the identifier part of the span, at the end where the span stays the shorter. */
  #reach(packetIdentifier: number): void {
    if (this.#size === 0) {
      this.#first = packetIdentifier
      this.#last = packetIdentifier
    }
    const first = this.#first
    const span = distance(this.#first, this.#last)
    const behindFirst = distance(this.#first, packetIdentifier)
    const beforeLast = distance(packetIdentifier, this.#last)
    if (behindFirst > span) {
      if (behindFirst <= beforeLast) this.#last = packetIdentifier
      else this.#first = packetIdentifier
    }
    const needed = 1 + distance(this.#first, this.#last)
    if (needed > this.#bits.length * 32) this.#grow(needed, first)
  }

  /** Moves what is in the set, which begins with `first`, to a ring that is long enough for `span`. */
  #grow(span: number, first: number): void {
    const values = this.#valuesFrom(first)
    let words = Math.max(WORDS_MIN, this.#bits.length)
    while (words * 32 < span) words *= 2
    this.#bits = new Uint32Array(words)
    for (const value of values) this.#flip(value)
  }
}

/** How far `to` stands behind `from`, in the order in which identifiers are given out. */
function distance(from: number, to: number): number {
  return (to - from) & TWO_BYTE_INTEGER_MAX
}

function behind(packetIdentifier: number): number {
  return (packetIdentifier + 1) & TWO_BYTE_INTEGER_MAX
}
