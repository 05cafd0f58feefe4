/** From the URL of a store to the code that makes it: what a store needs is loaded only where it is used. */

import { MemoryStore } from './memory.ts'
import type { MakeStore } from './store-parts.ts'

export const makeMemoryStore: MakeStore = ({ clock, budget }) => new MemoryStore(clock, budget)

/** Returns what makes stores of the kind that `url` begins with; the configuration has checked the kind. */
export async function loadStore(url: string): Promise<MakeStore> {
  const kind = url.split(':', 1)[0]
  if (kind === 'memory') return makeMemoryStore
  if (kind === 'disk') return (await import('./embedded/embedded-store.ts')).makeEmbeddedStore
  return (await import('./redis/redis-store.ts')).makeRedisStore
}
