/** Exports as text, imports of text, and what two stores tell when they keep the same. */

import { Buffer } from 'node:buffer'
import { StoreExport } from '../../lib/storage/export.ts'
import { importInto } from '../../lib/storage/import.ts'
import { MemoryStore } from '../../lib/storage/memory.ts'
import type { QueueEntry, Store, StoredRetained, StoredSession } from '../../lib/storage/storage.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'
import { ManualClock } from '../support/clock.ts'
import { queueOf, retainedOf, sessionsOf } from './contract-support.ts'

export const HEADER = { timeMs: 0, program: '1.2.3' }

export function memoryStore(): MemoryStore {
  return new MemoryStore(new ManualClock(), new MemoryBudget(1e9))
}

export async function exportText(store: Store): Promise<string> {
  let text = ''
  for await (const lines of new StoreExport(store, HEADER).lines()) text += lines
  return text
}

export async function* chunksOf(text: string): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += 1_000) yield bytes.subarray(at, at + 1_000)
}

export function importText(
  store: Store,
  text: string,
  signal: AbortSignal = new AbortController().signal,
): ReturnType<typeof importInto> {
  return importInto(store, chunksOf(text), signal)
}

/** What a store keeps, but for what it calls its sessions. */
export async function kept(
  store: Store,
): Promise<{ sessions: (StoredSession & { queue: QueueEntry[] })[]; retained: StoredRetained[] }> {
  const sessions = await sessionsOf(store)
  const told = sessions
    .toSorted((a, b) => (a.ref.clientIdentifier < b.ref.clientIdentifier ? -1 : 1))
    .map(async (session) => ({
      ...session,
      ref: { clientIdentifier: session.ref.clientIdentifier, incarnation: 0, epoch: 0 },
      queue: await queueOf(store, session.ref),
    }))
  return { sessions: await Promise.all(told), retained: await retainedOf(store) }
}
