/** The retained messages of the store in memory. */

import type { MemoryBudget } from '../util/memory-budget.ts'
import { type PackedBytes, packBytes, unpackBytes } from '../util/packed-bytes.ts'
import type { StoredRetained, Unit } from './storage.ts'

type Kept = Pick<Unit, 'qos' | 'expiresAt'> & { readonly body: PackedBytes }

/** Map entry, record and topic of a retained message, beside its body. */
const OVERHEAD_BYTES = 256

/** How many there are before those that have expired are looked for. */
const SWEEP_MIN = 1_024

export class KeptRetained {
  readonly #budget: MemoryBudget
  readonly #messages = new Map<string, Kept>()
  /** With so many the expired ones are removed. */
  #sweepAt = SWEEP_MIN

  constructor(budget: MemoryBudget) {
    this.#budget = budget
  }

  /** In no particular order, expired ones included. */
  *[Symbol.iterator](): IterableIterator<StoredRetained> {
    for (const [topic, { body, qos, expiresAt }] of this.#messages) {
      yield { topic, body: unpackBytes(body), qos, expiresAt }
    }
  }

  set({ topic, body, qos, expiresAt }: Unit, now: number): void {
    this.clear(topic)
    if (this.#messages.size >= this.#sweepAt) this.sweep(now)
    const kept = { body: packBytes(body), qos, expiresAt }
    this.#messages.set(topic, kept)
    this.#budget.hold(sizeOf(kept))
  }

  clear(topic: string): void {
    const kept = this.#messages.get(topic)
    if (kept === undefined) return
    this.#messages.delete(topic)
    this.#budget.release(sizeOf(kept))
  }

  /** Nobody clears what has expired: ever new topics would fill the memory. */
  sweep(now: number): void {
    for (const [topic, { expiresAt }] of this.#messages) {
      if (expiresAt <= now) this.clear(topic)
    }
    this.#sweepAt = Math.max(SWEEP_MIN, this.#messages.size * 2)
  }
}

function sizeOf({ body }: Kept): number {
  return (typeof body === 'string' ? body.length : 0) + OVERHEAD_BYTES
}
