/** Embedded stores for tests, in directories that go when the test ends. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import type { StoreConfiguration } from '../../lib/config/options.ts'
import { EmbeddedStore } from '../../lib/storage/embedded/embedded-store.ts'
import type { StoreEvents } from '../../lib/storage/storage.ts'
import { type Clock, systemClock } from '../../lib/util/clock.ts'
import { type Logger, silentLogger } from '../../lib/util/logger.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'
import { noEvents } from './contract-support.ts'

export interface EmbeddedOptions {
  readonly clock?: Clock
  readonly durability?: StoreConfiguration['durability']
  readonly events?: StoreEvents
  readonly budget?: MemoryBudget
  readonly log?: Logger
}

export function storeDirectory(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'noctule-store-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Makes a store that is not open yet. */
export function makeEmbedded(directory: string, options: EmbeddedOptions = {}): EmbeddedStore {
  const { clock = systemClock, durability, budget = new MemoryBudget(1e9) } = options
  const { log = silentLogger } = options
  // Of the configuration the store reads these alone.
  const configuration = { url: `disk:${directory}`, durability } as StoreConfiguration
  return new EmbeddedStore({ configuration, clock, budget, log })
}

/** Opens a store; it is closed when the test ends, if it is still open. */
export async function openEmbedded(
  t: ExecutionContext,
  directory: string,
  options: EmbeddedOptions = {},
): Promise<EmbeddedStore> {
  const store = makeEmbedded(directory, options)
  await store.open(options.events ?? noEvents)
  t.teardown(() => store.close())
  return store
}
