/** A broker that ends and is started again on the same store, which never forgets. */

import type { ExecutionContext } from 'ava'
import { type Broker, type CreateBrokerOptions, createBroker } from '../../lib/index.ts'
import { MemoryStore } from '../../lib/storage/memory.ts'
import type { ReplayItem } from '../../lib/storage/storage.ts'
import type { Clock } from '../../lib/util/clock.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'
import { ManualClock } from './clock.ts'

class LastingStore extends MemoryStore {
  readonly #clock: ManualClock

  constructor(clock: ManualClock) {
    super(clock, new MemoryBudget(Number.POSITIVE_INFINITY))
    this.#clock = clock
  }

  /** Takes its time, as a store does that is read page by page. */
  override async replay(onItem: (item: ReplayItem) => void): Promise<void> {
    const items: ReplayItem[] = []
    await super.replay((item) => items.push(item))
    for (const item of items) {
      onItem(item)
      await this.#clock.advance(0)
    }
  }

  override async close(): Promise<void> {
    // What was written in this turn is stored by its end.
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** What a process that was killed had waited for never comes. */
class MortalClock implements Clock {
  readonly #clock: Clock
  isDead = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): number {
    return this.#clock.now()
  }

  after(delayMs: number, callback: () => void): () => void {
    return this.#clock.after(delayMs, () => {
      if (!this.isDead) callback()
    })
  }
}

export class Restarts {
  readonly clock: ManualClock = new ManualClock()
  readonly #t: ExecutionContext
  readonly #options: CreateBrokerOptions
  readonly #store: MemoryStore
  #mortal = new MortalClock(this.clock)
  #broker: Broker | undefined

  constructor(t: ExecutionContext, options: CreateBrokerOptions = {}) {
    this.#t = t
    this.#options = options
    this.#store = new LastingStore(this.clock)
  }

  get broker(): Broker {
    return this.#broker as Broker
  }

  async start(): Promise<Broker> {
    this.#mortal = new MortalClock(this.clock)
    const parts = { clock: this.#mortal, storage: this.#store }
    const broker = await createBroker({ listeners: [], ...this.#options, ...parts })
    this.#broker = broker
    this.#t.teardown(() => broker.close())
    return broker
  }

  /** Ends the broker as kill -9 would: it does nothing more. Starts it again `downMs` later. */
  async crash(downMs = 0): Promise<Broker> {
    this.#mortal.isDead = true
    await this.clock.advance(downMs)
    return this.start()
  }

  /** Stops the broker in an orderly way, and starts it again `downMs` later. */
  async restart(downMs = 0): Promise<Broker> {
    await this.broker.close()
    this.#mortal.isDead = true
    await this.clock.advance(downMs)
    return this.start()
  }
}
