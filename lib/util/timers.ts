/**
 * Any number of timers over one of the clock's: keep alives of 20,000 connections, wills, expiries.
 * They stand in a binary heap by deadline; a cancelled one is taken out at once.
 */

import type { Clock } from './clock.ts'

export interface Timer {
  /** When it is due, in ms since 1970. */
  readonly deadline: number
  /** Prevents the call; does nothing afterwards. */
  cancel(): void
}

class Entry implements Timer {
  readonly deadline: number
  readonly callback: () => void
  readonly #timers: Timers
  /** Place in the heap; -1 when out of it. */
  index = -1

  constructor(deadline: number, callback: () => void, timers: Timers) {
    this.deadline = deadline
    this.callback = callback
    this.#timers = timers
  }

  cancel(): void {
    this.#timers.remove(this)
  }
}

export class Timers {
  readonly #clock: Clock
  readonly #heap: Entry[] = []
  #cancelWake: (() => void) | undefined
  #wakeAt = Number.POSITIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#heap.length
  }

  /** Calls `callback` once, `delayMs` from now. What it throws is rethrown in a turn of its own. */
  after(delayMs: number, callback: () => void): Timer {
    const entry = new Entry(this.#clock.now() + delayMs, callback, this)
    entry.index = this.#heap.length
    this.#heap.push(entry)
    this.#rise(entry.index)
    this.#arrange()
    return entry
  }

  /** Cancels every timer. */
  close(): void {
    for (const entry of this.#heap) entry.index = -1
    this.#heap.length = 0
    this.#arrange()
  }

  /** Called by timers alone. */
  remove(entry: Timer & { index: number }): void {
    const { index } = entry
    if (index === -1) return
    entry.index = -1
    const last = this.#heap.pop()!
    if (index === this.#heap.length) return
    this.#put(last, index)
    this.#sink(index)
    this.#rise(last.index)
  }

  /** Asks the clock for a call at the earliest deadline. An early call is harmless, so none is moved back. */
  #arrange(): void {
    const next = this.#heap[0]?.deadline ?? Number.POSITIVE_INFINITY
    if (next >= this.#wakeAt && this.#heap.length > 0) return
    this.#cancelWake?.()
    this.#cancelWake = undefined
    this.#wakeAt = next
    if (next === Number.POSITIVE_INFINITY) return
    this.#cancelWake = this.#clock.after(Math.max(0, next - this.#clock.now()), () => this.#wake())
  }

  #wake(): void {
    this.#wakeAt = Number.POSITIVE_INFINITY
    this.#cancelWake = undefined
    const now = this.#clock.now()
    for (
      let first = this.#heap[0];
      first !== undefined && first.deadline <= now;
      first = this.#heap[0]
    ) {
      this.remove(first)
      try {
        first.callback()
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
    this.#arrange()
  }

  #put(entry: Entry, index: number): void {
    this.#heap[index] = entry
    entry.index = index
  }

  #rise(start: number): void {
    let index = start
    const entry = this.#heap[index]!
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = this.#heap[parentIndex]!
      if (parent.deadline <= entry.deadline) break
      this.#put(parent, index)
      index = parentIndex
    }
    this.#put(entry, index)
  }

  #sink(start: number): void {
    let index = start
    const entry = this.#heap[index]!
    for (;;) {
      let childIndex = index * 2 + 1
      if (childIndex >= this.#heap.length) break
      const right = this.#heap[childIndex + 1]
      if (right !== undefined && right.deadline < this.#heap[childIndex]!.deadline) childIndex++
      const child = this.#heap[childIndex]!
      if (child.deadline >= entry.deadline) break
      this.#put(child, index)
      index = childIndex
    }
    this.#put(entry, index)
  }
}
