/**
 * Opening a store for tools that only look: beside a running broker where the kind of store allows it,
 * and as its only user where it does not.
 */

import { assertStoreThere, kindOf, loadStore } from './load.ts'
import type {
  Opened,
  QueueEntry,
  ReplayItem,
  Seq,
  SessionRef,
  StoreEvents,
  StoreFinding,
} from './storage.ts'
import type { StoreParts } from './store-parts.ts'

/** The part of `Store` that changes nothing. */
export interface StoreReader {
  replay(onItem: (item: ReplayItem) => void): Promise<void>
  readQueue(session: SessionRef, after: Seq, max: number, maxBytes: number): Promise<QueueEntry[]>
  check(): Promise<StoreFinding[]>
  close(): Promise<void>
}

export interface OpenedReader extends Opened {
  readonly reader: StoreReader
  /** How many records could not be read so far: what is told lacks them. */
  readonly damagedRecords: () => number
}

/** Opens for reading. Rejects with `StoreError` where there is no store, or it is in use and not shared. */
export async function openForReading(
  parts: StoreParts,
  events: StoreEvents,
): Promise<OpenedReader> {
  const { url } = parts.configuration
  await assertStoreThere(url)
  return canReadBeside(url) ? openBeside(parts) : openAlone(parts, events)
}

/** Says whether a store can be read while a broker has it. */
export function canReadBeside(url: string): boolean {
  return kindOf(url) === 'disk'
}

async function openBeside({ configuration, clock }: StoreParts): Promise<OpenedReader> {
  const { openEmbeddedForReading } = await import('./embedded/embedded-reader.ts')
  const { directoryOf } = await import('./embedded/database.ts')
  const directory = directoryOf(configuration.url)
  const embedded = await openEmbeddedForReading(directory)
  const isSynced = configuration.durability !== 'process'
  return {
    durability: isSynced ? 'disk' : 'process',
    detail: isSynced
      ? `on the disk, in ${directory}, before it is acknowledged`
      : `in ${directory}, on the disk when the system finds time`,
    damagedRecords: () => embedded.damagedRecords,
    reader: {
      replay: async (onItem) => embedded.replay(onItem, clock.now()),
      readQueue: async (...request) => embedded.readQueue(...request),
      check: async () => embedded.check(),
      close: () => embedded.close(),
    },
  }
}

async function openAlone(parts: StoreParts, events: StoreEvents): Promise<OpenedReader> {
  const makeStore = await loadStore(parts.configuration.url)
  const store = makeStore(parts)
  const opened = await store.open(events)
  const reader: StoreReader = {
    replay: (onItem) => store.replay(onItem),
    readQueue: (...request) => store.readQueue(...request),
    check: () => store.check({ repair: false }),
    close: () => store.close(),
  }
  // A store that is open has its log tell of damage.
  return { ...opened, reader, damagedRecords: () => 0 }
}
