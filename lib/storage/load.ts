/** From the URL of a store to the code that makes it: what a store needs is loaded only where it is used. */

import { MemoryStore } from './memory.ts'
import { StoreError } from './storage.ts'
import type { MakeStore } from './store-parts.ts'

export const makeMemoryStore: MakeStore = ({ clock, budget }) => new MemoryStore(clock, budget)

/** Returns what makes stores of the kind that `url` begins with; the configuration has checked the kind. */
export async function loadStore(url: string): Promise<MakeStore> {
  const kind = kindOf(url)
  if (kind === 'memory') return makeMemoryStore
  if (kind === 'disk') return (await import('./embedded/embedded-store.ts')).makeEmbeddedStore
  return (await import('./redis/redis-store.ts')).makeRedisStore
}

/** What the URL of a store begins with; whether it is one of Redis is in the rest of the word. */
export function kindOf(url: string): string {
  return url.slice(0, url.search(/:|$/))
}

/** Rejects with `StoreError` where `url` names nothing that a second program could ever look into. */
export async function assertStoreThere(url: string): Promise<void> {
  const kind = kindOf(url)
  if (kind === 'memory') {
    throw new StoreError(
      'unusable',
      'A store in memory belongs to its broker alone and ends with it: there is nothing to look into. Name another store with --store URL.',
    )
  }
  if (kind !== 'disk') return
  const { assertStoreIn, directoryOf } = await import('./embedded/database.ts')
  assertStoreIn(directoryOf(url))
}
