/** The operations a store sends through its lanes, but for units (units.ts): how each is laid out and answered. */

import { StoreError } from '../storage.ts'
import type { Batch, Growth, Operation } from './batch.ts'
import type { PackReader } from './pack.ts'

export interface RequestOptions<T> {
  readonly growth?: Growth
  readonly writesBack?: boolean
  readonly bytes?: number
  readonly encode: (batch: Batch) => void
  /** Reads what came back. Without it nothing comes. */
  readonly read: (results: PackReader) => T
}

/** An operation whose sender waits for it. */
export class Request<T> implements Operation {
  readonly growth: Growth
  readonly writesBack: boolean
  readonly bytes: number
  readonly promise: Promise<T>
  readonly #options: RequestOptions<T>
  #resolve!: (value: T) => void
  #reject!: (error: StoreError) => void
  #isSent = false
  #isCancelled = false

  constructor(options: RequestOptions<T>) {
    this.#options = options
    this.growth = options.growth ?? 'none'
    this.writesBack = options.writesBack ?? false
    this.bytes = options.bytes ?? 0
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // Some wait only for the lane.
    this.promise.catch(() => {})
  }

  get isCancelled(): boolean {
    return this.#isCancelled
  }

  encode(batch: Batch): void {
    this.#isSent = true
    this.#options.encode(batch)
  }

  settle(results: PackReader): void {
    try {
      this.#resolve(this.#options.read(results))
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#reject(
        error instanceof StoreError
          ? error
          : new StoreError('unusable', `Redis holds what is not ours: ${reason}.`, {
              cause: error,
            }),
      )
    }
  }

  fail(error: StoreError): void {
    this.#reject(error)
  }

  /** Nobody waits any longer; if it has not left yet, it never will. */
  cancel(error: StoreError): void {
    this.#isCancelled = !this.#isSent
    this.#reject(error)
  }
}

/** An operation that nobody waits for, and that a later one makes good if it is lost. */
export class LazyRequest implements Operation {
  readonly growth: Growth
  readonly bytes = 0
  readonly writesBack = false
  readonly isCancelled = false
  readonly #encode: (batch: Batch) => void
  readonly #settle: (results: PackReader) => void
  readonly #lost: () => void

  /** `lost` is called if it will not be sent; a `companion` is lost with what it was to go with. */
  constructor(
    encode: (batch: Batch) => void,
    settle: (results: PackReader) => void,
    { growth = 'none', lost = () => {} }: { growth?: Growth; lost?: () => void } = {},
  ) {
    this.#encode = encode
    this.#settle = settle
    this.growth = growth
    this.#lost = lost
  }

  encode(batch: Batch): void {
    this.#encode(batch)
  }

  settle(results: PackReader): void {
    this.#settle(results)
  }

  fail(): void {
    // Losing it only re-delivers, or leaves what `check` finds.
    this.#lost()
  }
}
