/** One batch on its way: operations laid out for the script, and the keys they touch. */

import type { StoreError } from '../storage.ts'
import type { Code } from './codes.ts'
import { type PackReader, PackWriter } from './pack.ts'

/**
 * Whether an operation makes Redis hold more. When Redis is out of memory the first kind goes on, so that
 * queues drain; the second may, without what needs room; the third fails. The last needs no room, but goes
 * only where all goes that was written with it.
 */
export type Growth = 'none' | 'avoidable' | 'needed' | 'companion'

/** Something that changes what is kept, on its way through a lane. */
export interface Operation {
  readonly growth: Growth
  /** About how much it adds to a batch, if that is much. */
  readonly bytes: number
  /** Whether it is taken while the store is written back, see `StoreEvents.emptied`. */
  readonly writesBack: boolean
  /** Nobody waits for it any more: it need not leave. */
  readonly isCancelled: boolean
  encode(batch: Batch): void
  /** It is durable; reads its own results, no more and no less. */
  settle(results: PackReader): void
  fail(error: StoreError): void
}

export class Batch extends PackWriter {
  /** The first is the lane itself. */
  readonly keys: string[] = []
  readonly #indexes = new Map<string, number>()
  /** Redis is out of memory: only what is there already may be touched. */
  isFull = false
  #countAt = 0
  #count = 0

  begin(lane: string, isFull: boolean): void {
    this.clear()
    this.keys.length = 0
    this.#indexes.clear()
    this.keys.push(lane)
    this.isFull = isFull
    this.#count = 0
    this.startArray(0)
    this.#countAt = this.length - 4
  }

  /** The argument for the script; a view that the next `begin` makes invalid. */
  finish(): Buffer {
    const bytes = this.written
    bytes.writeUInt32BE(this.#count, this.#countAt)
    return bytes
  }

  code(code: Code): void {
    this.number(code)
  }

  /** Writes which of the keys is meant. */
  key(name: string): void {
    let index = this.#indexes.get(name)
    if (index === undefined) {
      index = this.keys.push(name)
      this.#indexes.set(name, index)
    }
    this.number(index)
  }

  /** Writes a list: how many, then each as text. */
  list(values: readonly (string | number)[]): void {
    this.number(values.length)
    for (const value of values) this.text(String(value))
  }

  override number(value: number): void {
    this.#count++
    super.number(value)
  }

  override boolean(value: boolean): void {
    this.#count++
    super.boolean(value)
  }

  override startBytes(length: number): void {
    this.#count++
    super.startBytes(length)
  }
}
