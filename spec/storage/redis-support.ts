/** What the tests of Redis stores share: what a store says by itself, and a load whose every unit is counted. */

import type { ExecutionContext } from 'ava'
import type { RedisStore } from '../../lib/storage/redis/redis-store.ts'
import type { SessionRef, Sink, StoreError, StoreEvents, Unit } from '../../lib/storage/storage.ts'
import { defer } from '../support/deferred.ts'
import { claim, targetOf, unitOf } from './contract-support.ts'

/** Notes what the store says by itself, and lets a test wait for it. */
export function listen(): {
  events: StoreEvents
  health: boolean[]
  reasons: string[]
  down: Promise<void>
  up: Promise<void>
  lost: Promise<StoreError>
} {
  const [down, up, lost] = [defer<void>(), defer<void>(), defer<StoreError>()]
  const health: boolean[] = []
  const reasons: string[] = []
  const events: StoreEvents = {
    healthChanged(isHealthy, reason) {
      health.push(isHealthy)
      reasons.push(reason)
      if (isHealthy) up.resolve()
      else down.resolve()
    },
    lost: (error) => lost.resolve(error),
    emptied: async () => {},
  }
  return { events, health, reasons, down: down.promise, up: up.promise, lost: lost.promise }
}

/** Writes numbered units without end, a hundred at once. */
export class Load implements Sink {
  doneCount = 0
  readonly #store: RedisStore
  readonly #refs: readonly SessionRef[]
  #next = 0
  #isRunning = true
  #waiting: { count: number; resolve: () => void } | undefined
  #onDrained: (() => void) | undefined

  constructor(store: RedisStore, refs: readonly SessionRef[]) {
    this.#store = store
    this.#refs = refs
  }

  /** Claims sessions of these names to write to. */
  static async to(store: RedisStore, names: readonly string[]): Promise<Load> {
    const claimed = await Promise.all(names.map((name) => claim(store, name)))
    return new Load(
      store,
      claimed.map(({ ref }) => ref),
    )
  }

  start(): void {
    for (let i = 0; i < 100; i++) this.#write()
  }

  untilDone(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = { count, resolve }
    })
  }

  async stop(): Promise<void> {
    this.#isRunning = false
    if (this.doneCount < this.#next)
      await new Promise<void>((resolve) => {
        this.#onDrained = resolve
      })
  }

  /** Asserts that each queue has every unit once, in order. */
  async assertWhole(t: ExecutionContext): Promise<void> {
    for (const ref of this.#refs) {
      const entries = await this.#store.readQueue(ref, 0, 1e6, 1e9)
      t.deepEqual(
        entries.map(({ seq, body }) => `${seq} ${String(body)}`),
        Array.from({ length: this.doneCount }, (_, i) => `${i + 1} body of ${i}`),
      )
    }
  }

  stored(): void {}

  done(): void {
    this.doneCount++
    if (this.#isRunning) this.#write()
    if (this.doneCount === this.#next) this.#onDrained?.()
    if (this.#waiting !== undefined && this.doneCount >= this.#waiting.count) {
      this.#waiting.resolve()
      this.#waiting = undefined
    }
  }

  failed(_: Unit, error: StoreError): void {
    throw error
  }

  #write(): void {
    const targets = this.#refs.map((ref) => targetOf(ref))
    this.#store.write(unitOf(String(this.#next++), targets), this)
  }
}
