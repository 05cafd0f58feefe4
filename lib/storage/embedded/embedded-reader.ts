/**
 * Reads an embedded store while a broker may be running on it: for tools. Each call sees what is durable
 * at that moment; nothing is written, and no lock is taken.
 */

import { resolve } from 'node:path'
import type { QueueEntry, ReplayItem, Seq, StoreFinding } from '../storage.ts'
import { checkStore, countRecords, type RecordCounts } from './check.ts'
import { assertStoreIn, type Database, openDatabase } from './database.ts'
import {
  loadSession,
  loadSessions,
  readEntries,
  replayRetained,
  replaySessions,
} from './loading.ts'

/** Opens the store in `directory` for reading. Rejects with `StoreError` if there is none that can be read. */
export async function openEmbeddedForReading(directory: string): Promise<EmbeddedReader> {
  const path = resolve(directory)
  assertStoreIn(path)
  return new EmbeddedReader(await openDatabase(path, { isSynced: true, isReadOnly: true }))
}

export class EmbeddedReader {
  readonly #database: Database
  #damaged = 0

  constructor(database: Database) {
    this.#database = database
  }

  /** How many records could not be read so far: `check` says which. */
  get damagedRecords(): number {
    return this.#damaged
  }

  /** Tells of all that is kept; what has expired by `now`, in ms since 1970, is left out. */
  replay(onItem: (item: ReplayItem) => void, now: number): void {
    this.#database.resetReadTxn()
    const { sessions } = loadSessions(this.#database, this.#onDamage)
    replaySessions(this.#database, sessions, onItem, this.#onDamage)
    replayRetained(this.#database, now, onItem, this.#onDamage)
  }

  /** Reads the queue of a session as `Store.readQueue` does; empty where there is no such session. */
  readQueue(clientIdentifier: string, after: Seq, max: number, maxBytes: number): QueueEntry[] {
    this.#database.resetReadTxn()
    const state = loadSession(this.#database, clientIdentifier, this.#onDamage)
    if (state === undefined) return []
    return readEntries(this.#database, state, after, { max, maxBytes }, this.#onDamage)
  }

  /** Looks for what should not be there. Beside a broker it may see what is about to be removed. */
  check(): StoreFinding[] {
    this.#database.resetReadTxn()
    return checkStore(this.#database).findings
  }

  countRecords(): RecordCounts {
    this.#database.resetReadTxn()
    return countRecords(this.#database)
  }

  close(): Promise<void> {
    return this.#database.close()
  }

  readonly #onDamage = (): void => {
    this.#damaged++
  }
}
