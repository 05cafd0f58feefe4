/** What a store is made with. Every kind of store has one function of type `MakeStore` in its main file. */

import type { StoreConfiguration } from '../config/options.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import type { MemoryBudget } from '../util/memory-budget.ts'
import type { Store } from './storage.ts'

export interface StoreParts {
  readonly configuration: StoreConfiguration
  readonly clock: Clock
  /** What the store keeps in memory for clients is held here; buffers on their way are not. */
  readonly budget: MemoryBudget
  readonly log: Logger
}

export type MakeStore = (parts: StoreParts) => Store
