/**
 * What an open embedded store is made of, and how its parts work together: the database, the sessions in
 * memory, and those who write, flush and sweep.
 */

import type { Clock } from '../../util/clock.ts'
import { LimitedLog } from '../../util/limited-log.ts'
import type { SessionRef, StoreEvents } from '../storage.ts'
import type { StoreParts } from '../store-parts.ts'
import type { Batch } from './batch.ts'
import { Committer } from './committer.ts'
import { type Database, openDatabase, prepareDirectory } from './database.ts'
import { type DirectoryLock, lockDirectory } from './directory-lock.ts'
import { loadSessions } from './loading.ts'
import { Progress } from './progress.ts'
import type { SessionState } from './session-state.ts'
import { SessionTable } from './session-table.ts'
import { Sweeper } from './sweeper.ts'
import { putSession } from './writes.ts'

export interface EngineOptions extends Omit<StoreParts, 'configuration'> {
  readonly directory: string
  /** Whether a commit waits for the disk. */
  readonly isSynced: boolean
  /** Is kept true. */
  readonly pressure: { pendingUnits: number; pendingBytes: number; isHealthy: boolean }
  readonly events: StoreEvents
}

export class Engine {
  readonly database: Database
  readonly sessions: SessionTable
  readonly progress: Progress
  readonly clock: Clock
  readonly #options: EngineOptions
  readonly #lock: DirectoryLock
  readonly #committer: Committer
  readonly #sweeper: Sweeper
  readonly #log: LimitedLog
  #isSweeping = false
  #isClosing = false

  /** Rejects with `StoreError` where the directory cannot be used, or is another broker's. */
  static async open(options: EngineOptions): Promise<Engine> {
    const { directory, isSynced } = options
    prepareDirectory(directory)
    const lock = await lockDirectory(directory)
    let database: Database | undefined
    try {
      database = await openDatabase(directory, { isSynced, isReadOnly: false })
      return new Engine(options, lock, database)
    } catch (error) {
      await database?.close()
      await lock.release()
      throw error
    }
  }

  private constructor(options: EngineOptions, lock: DirectoryLock, database: Database) {
    const { directory, clock, budget, log } = options
    this.#options = options
    this.#lock = lock
    this.#log = new LimitedLog(log, clock)
    this.database = database
    this.clock = clock
    const loaded = loadSessions(database, this.onDamage)
    this.sessions = new SessionTable(loaded, budget)
    this.#sweeper = new Sweeper(database)
    this.#committer = new Committer(database, directory, clock, this)
    this.progress = new Progress(clock, this.#committer, this.#sweeper)
    for (const incarnation of loaded.discarded) this.#sweeper.sweep(incarnation)
    for (const state of loaded.untrimmed) this.#sweeper.trim(state)
    this.afterCommit()
  }

  /** The batch of this turn. */
  gather(): Batch {
    return this.#committer.gather()
  }

  /** Resolves when all that was done so far is durable, what may wait included. */
  async flushed(): Promise<void> {
    if (this.progress.hasWork) this.progress.flushAll(this.gather())
    await this.#committer.flushed()
  }

  discardSession(state: SessionState, batch: Batch): void {
    this.sessions.discard(state, batch)
    batch.onSettled((error) => {
      if (error === undefined) this.#sweeper.sweep(state.incarnation)
    })
  }

  forgetWill(ref: SessionRef, batch: Batch): void {
    const state = this.sessions.ownedBy(ref)
    if (state === undefined) return
    state.will = undefined
    putSession(batch, state)
  }

  /** Writes what is pending; fails what there is no room for. */
  async close(): Promise<void> {
    this.#isClosing = true
    this.#options.pressure.isHealthy = false
    this.progress.close()
    if (this.progress.hasWork) this.progress.flushAll(this.gather())
    await this.#committer.close()
    await this.database.close()
    this.sessions.close()
    await this.#lock.release()
  }

  /** Told where a record cannot be read, and reading goes on without it. */
  readonly onDamage = (what: string): void => {
    const { directory } = this.#options
    this.#log.error(
      'damaged record',
      { directory },
      `a record of the store is damaged and was left out: ${what}`,
    )
  }

  healthChanged(isHealthy: boolean, reason: string): void {
    this.#options.pressure.isHealthy = isHealthy && !this.#isClosing
    this.#options.events.healthChanged(isHealthy, reason)
  }

  lost(...[error]: Parameters<StoreEvents['lost']>): void {
    this.#options.pressure.isHealthy = false
    this.#options.events.lost(error)
  }

  beforeCommit(batch: Batch): void {
    if (batch.unitCount > 0) this.progress.flushDiscarded(batch)
  }

  beforeReport(batch: Batch): void {
    const { pressure } = this.#options
    pressure.pendingUnits -= batch.unitCount
    pressure.pendingBytes -= batch.unitBytes
  }

  /** Sweeps one piece after the other, each with a turn of its own. */
  afterCommit(): void {
    if (this.#isSweeping || this.#isClosing || !this.#sweeper.hasWork) return
    this.#isSweeping = true
    const batch = this.gather()
    this.#sweeper.addPiece(batch)
    batch.onSettled(() => {
      this.#isSweeping = false
    })
  }

  relieve(batch: Batch, most: number): void {
    this.progress.trimAll(batch)
    this.#sweeper.addPiece(batch, most)
  }
}
