/** A store whose writes are completed, or fail, when and in the order a test wants. */

import { MemoryStore } from '../../lib/storage/memory.ts'
import { type Sink, StoreError, type Unit } from '../../lib/storage/storage.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'
import { ManualClock } from './clock.ts'

export class HeldStore extends MemoryStore {
  readonly clock: ManualClock
  isHolding = false
  readonly #held: { unit: Unit; sink: Sink }[] = []

  constructor() {
    const clock = new ManualClock()
    super(clock, new MemoryBudget(Number.POSITIVE_INFINITY))
    this.clock = clock
  }

  get heldCount(): number {
    return this.#held.length
  }

  override write(unit: Unit, sink: Sink): void {
    if (this.isHolding) this.#held.push({ unit, sink })
    else super.write(unit, sink)
  }

  /** Completes the write that waits at `index`. */
  complete(index = 0): void {
    const [held] = this.#held.splice(index, 1)
    if (held !== undefined) super.write(held.unit, held.sink)
  }

  fail(index = 0): void {
    const [held] = this.#held.splice(index, 1)
    held?.sink.failed(held.unit, new StoreError('unavailable', 'the test says so'))
  }
}
