/**
 * Makes batches durable, one after the other. What a turn of the event loop gathers leaves when the turn
 * ends; while one batch is on its way the next one gathers.
 *
 * A disk without room stops this, not more: the batch stays first and is tried once a second. Meanwhile
 * removals go before it, as they free pages inside the file. Any other failure is the end.
 */

import { statfs } from 'node:fs/promises'
import type { Clock } from '../../util/clock.ts'
import { StoreError, type StoreEvents } from '../storage.ts'
import { Batch } from './batch.ts'
import type { Database } from './database.ts'

/** What the owner of a committer is told, and does in between. */
export interface CommitterHooks extends Pick<StoreEvents, 'healthChanged' | 'lost'> {
  /** The turn is over: last chance to add what belongs to it. */
  readonly beforeCommit: (batch: Batch) => void
  /** The batch is about to be reported, as durable or as failed. */
  readonly beforeReport: (batch: Batch) => void
  readonly afterCommit: () => void
  /** Adds up to so many removals, of what is durable alone: nothing is written while there is no room. */
  readonly relieve: (batch: Batch, most: number) => void
}

const RETRY_MS = 1_000

/** So many removals are in the largest of the pieces that go before a batch without room. */
const RELIEF_MAX = 1_024

/** A commit that takes longer is told of: a disk that hangs, or LMDB, which after some failures never answers. */
const SILENCE_MAX_MS = 10_000

/** EIO, ENOSPC, EDQUOT, MDB_MAP_FULL. */
const IO_ERROR = 5
const NO_ROOM: readonly (number | undefined)[] = [28, 122, -30_792]

/** A commit writes the pages on the way to each entry: it needs more room than the entries have bytes. */
const ROOM_BYTES_MIN = 1024 ** 2

interface CommitFailure extends Error {
  readonly commitError?: Promise<never>
  readonly code?: number
}

export class Committer {
  readonly #database: Database
  readonly #directory: string
  readonly #clock: Clock
  readonly #hooks: CommitterHooks
  #gathering: Batch | undefined
  #committing: Promise<void> | undefined
  #relief = new Batch()
  #failure: StoreError | undefined
  #isHealthy = true
  #isClosing = false
  #wake: (() => void) | undefined

  constructor(database: Database, directory: string, clock: Clock, hooks: CommitterHooks) {
    this.#database = database
    this.#directory = directory
    this.#clock = clock
    this.#hooks = hooks
  }

  /** False while there is no room, and once the store is lost. */
  get isHealthy(): boolean {
    return this.#isHealthy
  }

  /** Why nothing is written any more. */
  get failure(): StoreError | undefined {
    return this.#failure
  }

  /** The batch of this turn. */
  gather(): Batch {
    if (this.#gathering === undefined) {
      this.#gathering = new Batch()
      if (this.#committing === undefined) setImmediate(() => this.#commitNext())
    }
    return this.#gathering
  }

  /** Resolves when all that was gathered so far is durable. */
  async flushed(): Promise<void> {
    if (this.#gathering !== undefined) await this.#gathering.settled()
    else await this.#committing
  }

  /** Waits for what was gathered; where there is no room for it, fails it. */
  async close(): Promise<void> {
    this.#isClosing = true
    this.#wake?.()
    while (this.#gathering !== undefined || this.#committing !== undefined) {
      if (this.#committing === undefined) this.#commitNext()
      await this.#committing
    }
  }

  #commitNext(): void {
    const batch = this.#gathering
    if (batch === undefined || this.#committing !== undefined) return
    this.#hooks.beforeCommit(batch)
    this.#gathering = undefined
    this.#committing = this.#commit(batch).then(() => {
      this.#committing = undefined
      // Not now: the turn that we are in may have more to say.
      if (this.#gathering !== undefined) setImmediate(() => this.#commitNext())
    })
  }

  async #commit(batch: Batch): Promise<void> {
    const failure = this.#failure ?? (await this.#write(batch))
    this.#hooks.beforeReport(batch)
    batch.settle(failure)
    if (failure === undefined) this.#hooks.afterCommit()
  }

  /** Writes a batch, however long there is no room for it. Resolves to why it could not be. */
  async #write(batch: Batch): Promise<StoreError | undefined> {
    for (;;) {
      const error = await this.#transact(batch)
      if (error === undefined) {
        this.#setHealth(true, `There is room again for the store in ${this.#directory}.`)
        return undefined
      }
      const freeBytes = await this.#freeBytes()
      if (!isOutOfRoom(error, freeBytes, batch)) return this.#lose(error)
      const reason = `There is no room for the store in ${this.#directory}: ${freeBytes} bytes are free. Nothing more is acknowledged until you free some, or clients take what waits for them.`
      if (this.#isClosing) return new StoreError('full', reason, { cause: error })
      this.#setHealth(false, reason)
      await this.#room(batch)
    }
  }

  /** Resolves when it is worth another try. */
  async #room(batch: Batch): Promise<void> {
    for (;;) {
      await this.#pause()
      if (this.#isClosing) return
      const hasRelieved = await this.#relieve()
      if (hasRelieved || (await this.#freeBytes()) > neededBytes(batch)) return
    }
  }

  /**
   * Removes what may go, in small pieces first: LMDB writes down the pages that a removal frees, and has
   * room for that in what earlier ones freed alone.
   */
  async #relieve(): Promise<boolean> {
    let hasRelieved = false
    for (let most = 1; most <= RELIEF_MAX; most *= 2) {
      if (this.#relief.isEmpty) this.#hooks.relieve(this.#relief, most)
      if (this.#relief.isEmpty || (await this.#transact(this.#relief)) !== undefined) break
      this.#relief.settle(undefined)
      this.#relief = new Batch()
      hasRelieved = true
    }
    return hasRelieved
  }

  async #transact(batch: Batch): Promise<CommitFailure | undefined> {
    const stop = this.#clock.after(SILENCE_MAX_MS, () => {
      const seconds = SILENCE_MAX_MS / 1_000
      this.#setHealth(
        false,
        `The disk of the store in ${this.#directory} has not answered for ${seconds} seconds: look at it, and restart the broker if it does not recover.`,
      )
    })
    try {
      await this.#database.batch(() => batch.writeTo(this.#database))
      this.#database.resetReadTxn()
      return undefined
    } catch (error) {
      // The promise of the reason rejects on its own, later; whoever does not wait for it ends the process.
      const reason = (error as CommitFailure).commitError
      return reason === undefined ? (error as Error) : reason.catch((cause: CommitFailure) => cause)
    } finally {
      stop()
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.#clock.after(RETRY_MS, resolve)
      this.#wake = () => {
        stop()
        resolve()
      }
      if (this.#isClosing) this.#wake()
    })
  }

  async #freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#directory)
    return bavail * bsize
  }

  #lose(cause: CommitFailure): StoreError {
    this.#failure = new StoreError(
      'unavailable',
      `The store in ${this.#directory} could not be written (${cause.message}): look at the disk and restart the broker.`,
      { cause },
    )
    this.#isHealthy = false
    this.#hooks.lost(this.#failure)
    return this.#failure
  }

  #setHealth(isHealthy: boolean, reason: string): void {
    if (this.#isHealthy === isHealthy) return
    this.#isHealthy = isHealthy
    this.#hooks.healthChanged(isHealthy, reason)
  }
}

/** LMDB tells of a full disk as EIO, as a page that was written in part is one: what is free tells them apart. */
function isOutOfRoom({ code }: CommitFailure, freeBytes: number, batch: Batch): boolean {
  return NO_ROOM.includes(code) || (code === IO_ERROR && freeBytes < neededBytes(batch))
}

function neededBytes(batch: Batch): number {
  return ROOM_BYTES_MIN + 2 * batch.valueBytes
}
