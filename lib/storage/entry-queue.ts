/**
 * The entries of one queue in order of their numbers. Nearly always the first is taken and one is added
 * behind the last; those from the middle leave a hole, until there are more holes than entries.
 */

import type { QueueEntry, Seq } from './storage.ts'

/** Fewer places than this are not worth moving. */
const COMPACT_MIN = 32

export class EntryQueue implements Iterable<QueueEntry> {
  #seqs: Seq[] = []
  #entries: (QueueEntry | undefined)[] = []
  /** Where the first entry stands, if there is any. */
  #head = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  get first(): QueueEntry | undefined {
    return this.#entries[this.#head]
  }

  get(seq: Seq): QueueEntry | undefined {
    const index = this.#indexFrom(seq)
    return this.#seqs[index] === seq ? this.#entries[index] : undefined
  }

  /** Adds an entry, whose number is higher than all others. */
  push(entry: QueueEntry): void {
    this.#seqs.push(entry.seq)
    this.#entries.push(entry)
    this.#size++
  }

  /** Removes the entry at `seq`, and returns it if there was one. */
  delete(seq: Seq): QueueEntry | undefined {
    const index = this.#indexFrom(seq)
    const entry = this.#seqs[index] === seq ? this.#entries[index] : undefined
    if (entry === undefined) return undefined
    this.#entries[index] = undefined
    this.#size--
    const { length } = this.#entries
    while (this.#head < length && this.#entries[this.#head] === undefined) this.#head++
    if (length > COMPACT_MIN && this.#size < length / 2) this.#compact()
    return entry
  }

  [Symbol.iterator](): Iterator<QueueEntry> {
    return this.behind(0)
  }

  /** The entries behind `after`, in order. */
  *behind(after: Seq): IterableIterator<QueueEntry> {
    for (let i = this.#indexFrom(after + 1); i < this.#entries.length; i++) {
      const entry = this.#entries[i]
      if (entry !== undefined) yield entry
    }
  }

  /** Index of the first place whose number is `seq` or higher. */
  #indexFrom(seq: Seq): number {
    const seqs = this.#seqs
    let low = this.#head
    if (low === seqs.length) return low
    // Where nothing is missing in between, the number tells the place.
    const likely = low + seq - seqs[low]!
    if (seqs[likely] === seq) return likely
    let high = seqs.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (seqs[middle]! < seq) low = middle + 1
      else high = middle
    }
    return low
  }

  #compact(): void {
    const entries = [...this]
    this.#entries = entries
    this.#seqs = entries.map(({ seq }) => seq)
    this.#head = 0
  }
}
