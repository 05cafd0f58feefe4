/** Redis stores for tests, each with a key prefix of its own unless they say otherwise. */

import { randomUUID } from 'node:crypto'
import type { ExecutionContext } from 'ava'
import type { StoreConfiguration } from '../../lib/config/options.ts'
import { RedisStore } from '../../lib/storage/redis/redis-store.ts'
import type { StoreEvents } from '../../lib/storage/storage.ts'
import { type Clock, systemClock } from '../../lib/util/clock.ts'
import { type Logger, silentLogger } from '../../lib/util/logger.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'

export interface StoreOptions extends Partial<StoreConfiguration> {
  readonly clock?: Clock
  readonly log?: Logger
}

/** For stores of which nothing is expected to happen by itself. */
const quiet: StoreEvents = {
  healthChanged: () => {},
  lost: () => {},
  emptied: async () => {},
}

/** A key prefix that nobody else has. */
export function freshPrefix(): string {
  return `${randomUUID()}:`
}

export function makeStore(url: string, options: StoreOptions = {}): RedisStore {
  const { clock = systemClock, log = silentLogger, ...change } = options
  const configuration: StoreConfiguration = {
    url,
    durability: undefined,
    allowWeaker: false,
    timeoutMs: 5_000,
    pendingUnitsMax: 100_000,
    pendingBytesMax: 1e8,
    keyPrefix: freshPrefix(),
    waitReplicas: 0,
    onEmpty: 'continue',
    ...change,
  }
  return new RedisStore({ configuration, clock, budget: new MemoryBudget(1e9), log })
}

/** Opens a store, which is closed at the end of the test if it still is open. */
export async function openStore(
  t: ExecutionContext,
  url: string,
  options: StoreOptions & { readonly events?: Partial<StoreEvents> } = {},
): Promise<RedisStore> {
  const { events, ...rest } = options
  const store = makeStore(url, rest)
  await store.open({ ...quiet, ...events })
  t.teardown(() => store.close())
  return store
}
