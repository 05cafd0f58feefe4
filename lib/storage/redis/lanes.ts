/**
 * All lanes of a store: gathers what a turn of the event loop wrote, sends it, and knows whether Redis is
 * there. While it is not, batches wait in order; none fails because of that.
 */

import type { Clock } from '../../util/clock.ts'
import { StoreError } from '../storage.ts'
import type { Operation } from './batch.ts'
import { Refusal } from './codes.ts'
import type { Client } from './connection.ts'
import type { Keys } from './keys.ts'
import { Lane, type LaneBatch, type LaneOffice, type LaneRefusal } from './lane.ts'
import { confirmReplicas } from './replicas.ts'

export interface LanesParts {
  readonly client: Client
  readonly keys: Keys
  readonly clock: Clock
  readonly isCluster: boolean
  readonly epoch: number
  /** How many replicas must have a batch before it counts. */
  readonly replicas: number
  /** For the log: which Redis. */
  readonly place: string
  readonly host: LanesHost
}

/** Whom lanes tell of what is more than their matter. */
export interface LanesHost {
  /** Rejects while Redis cannot be used; says so elsewhere if it is not what it was. */
  readonly probe: () => Promise<void>
  readonly healthChanged: (isHealthy: boolean, reason: string) => void
  readonly replaced: () => void
  /** A turn ends: last chance to add to it. */
  readonly turnEnds: () => void
  /** What a lane must do whose Redis has lost confirmed batches. */
  readonly recover: (lane: Lane) => Operation[]
}

/** How long until Redis is asked again whether it works, if it does not say so by itself. */
const RETRY_MS = 200

/** How long a batch may be without an answer before it is sent again. */
const ANSWER_MAX_MS = 3_000

/** Replies which say that Redis cannot do it now, here, but will; of an empty Redis the probe takes care. */
const PASSES =
  /^(?:EMPTIED|READONLY|LOADING|CLUSTERDOWN|TRYAGAIN|MASTERDOWN|MOVED|ASK|NOREPLICAS|MISCONF|BUSY|NOAUTH|WRONGPASS|NOPERM)\b/

export class Lanes implements LaneOffice {
  readonly epoch: number
  readonly #parts: LanesParts
  readonly #lanes: readonly Lane[]
  readonly #failing = new Set<Lane>()
  #state: 'open' | 'away' | 'closed' = 'open'
  #isHealthy = true
  #isSealing = false
  #isProbing = false
  /** Grows when the batches under way became worthless. */
  #generation = 0
  #lastError = 'the connection ended'
  #cancelRetry: (() => void) | undefined
  #onBack: (() => void)[] = []
  #onIdle: (() => void)[] = []

  constructor(parts: LanesParts) {
    this.#parts = parts
    this.epoch = parts.epoch
    const count = parts.isCluster ? parts.keys.groups : 1
    this.#lanes = Array.from(
      { length: count },
      (_, group) => new Lane(parts.keys.lane(group), group, this, parts.host.recover),
    )
    parts.client.on('error', (error: Error) => {
      this.#lastError = error.message
    })
    parts.client.on('close', () => this.#leave())
    parts.client.on('ready', () => void this.#probe())
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  get all(): readonly Lane[] {
    return this.#lanes
  }

  of(group: number): Lane {
    return this.#lanes[this.#lanes.length === 1 ? 0 : group] as Lane
  }

  /** Adds to the turn of a lane, and sees that it ends. */
  add(lane: Lane, operation: Operation): void {
    lane.add(operation)
    if (this.#isSealing) return
    this.#isSealing = true
    setImmediate(() => this.seal())
  }

  /** Ends the turn. */
  seal(): void {
    this.#parts.host.turnEnds()
    this.#isSealing = false
    for (const lane of this.#lanes) if (lane.hasTurn) lane.seal()
  }

  /** Resolves when nothing is under way. */
  whenIdle(): Promise<void> {
    if (this.#isIdle) return Promise.resolve()
    return new Promise((resolve) => this.#onIdle.push(resolve))
  }

  idle(): void {
    if (this.#onIdle.length === 0 || !this.#isIdle) return
    for (const resolve of this.#onIdle.splice(0)) resolve()
  }

  async send(lane: Lane, batch: LaneBatch): Promise<Buffer> {
    const generation = this.#generation
    for (;;) {
      let failure: Error
      try {
        // oxlint-disable-next-line no-await-in-loop -- The next attempt is made if this one fails.
        const results = await this.#attempt(batch)
        this.#succeeded(lane)
        return results
      } catch (error) {
        failure = error as Error
      }
      if (generation === this.#generation) this.#judge(failure)
      if (generation !== this.#generation) throw refusal('emptied')
      // oxlint-disable-next-line no-await-in-loop -- As above.
      await this.#back(lane, failure)
      if (generation !== this.#generation) throw refusal('emptied')
    }
  }

  /** Redis has nothing of these lanes any more: they wait until they are written back. */
  hold(lanes: readonly Lane[]): void {
    this.#generation++
    this.#failing.clear()
    for (const lane of lanes) lane.hold()
    this.#wake()
  }

  resume(lanes: readonly Lane[]): void {
    for (const lane of lanes) lane.resume()
  }

  /** Fails everything that is pending, and takes part in nothing any more. */
  abandon(error: StoreError): void {
    this.#state = 'closed'
    this.#cancelRetry?.()
    for (const lane of this.#lanes) lane.abandon(error)
    for (const resolve of this.#onIdle.splice(0)) resolve()
  }

  get #isIdle(): boolean {
    return this.#lanes.every(({ isIdle }) => isIdle)
  }

  async #attempt(batch: LaneBatch): Promise<Buffer> {
    const { client, replicas } = this.#parts
    const { keys, number, operations, grows, isNext } = batch
    const args = [this.epoch, number, isNext ? 1 : 0, operations]
    const results = grows
      ? client.noctuleBatchBuffer(keys.length, keys, args)
      : client.noctuleDrainBuffer(keys.length, keys, args)
    // Right behind the batch on the same connection, so that it costs no round trip of its own.
    if (replicas > 0)
      return this.#answered(
        Promise.all([results, confirmReplicas(client, replicas)]).then(([first]) => first),
      )
    return this.#answered(results)
  }

  /**
   * Waits for an answer, which may get lost between redirections of a Cluster. To send a batch once more does
   * no harm: it is answered without being applied again, and one that comes late is refused.
   */
  #answered<T>(results: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancelTimer = this.#parts.clock.after(ANSWER_MAX_MS, () =>
        reject(new Error(`no answer for ${ANSWER_MAX_MS / 1_000} seconds`)),
      )
      results.then(resolve, reject).finally(cancelTimer)
    })
  }

  /** Returns if the failure passes; throws what the lane has to know otherwise. */
  #judge({ name, message }: Error): void {
    // A promise that is rejected this way stays pending: whoever is replaced reports nothing.
    if (message.startsWith(Refusal.Fenced)) this.#parts.host.replaced()
    else if (message.startsWith(Refusal.Behind)) throw refusal('behind')
    else if (message.startsWith('OOM')) throw refusal('full')
    else if (name === 'ReplyError' && !PASSES.test(message)) throw failedWith(message)
  }

  /** Resolves when it is worth another attempt. */
  #back(lane: Lane, { message }: Error): Promise<void> {
    this.#failing.add(lane)
    this.#lastError = message
    this.#leave()
    return new Promise((resolve) => this.#onBack.push(resolve))
  }

  #succeeded(lane: Lane): void {
    this.#failing.delete(lane)
    if (this.#failing.size === 0 && this.isOpen) this.#report(true)
  }

  #leave(): void {
    if (this.#state === 'closed') return
    this.#state = 'away'
    this.#report(false)
    this.#cancelRetry ??= this.#parts.clock.after(RETRY_MS, () => {
      this.#cancelRetry = undefined
      void this.#probe()
    })
  }

  async #probe(): Promise<void> {
    if (this.#state !== 'away' || this.#isProbing) return
    this.#isProbing = true
    try {
      await this.#answered(this.#parts.host.probe())
      if (this.#parts.client.status === 'ready') this.#return()
    } catch (error) {
      this.#lastError = error instanceof Error ? error.message : String(error)
    } finally {
      this.#isProbing = false
    }
    if (!this.isOpen) this.#leave()
  }

  #return(): void {
    if (this.#state !== 'away') return
    this.#state = 'open'
    if (this.#failing.size === 0) this.#report(true)
    this.#wake()
    for (const lane of this.#lanes) lane.pump()
  }

  #wake(): void {
    for (const resolve of this.#onBack.splice(0)) resolve()
  }

  #report(isHealthy: boolean): void {
    if (this.#isHealthy === isHealthy) return
    this.#isHealthy = isHealthy
    const { place, host } = this.#parts
    host.healthChanged(
      isHealthy,
      isHealthy
        ? `${place} is back; what waited is being written.`
        : `${place} cannot be used: ${this.#lastError}. Messages wait until it is back.`,
    )
  }
}

function refusal(kind: 'full' | 'behind' | 'emptied'): LaneRefusal {
  return { kind }
}

function failedWith(message: string): LaneRefusal {
  return { kind: 'failed', error: new StoreError('unavailable', `Redis says: ${message}`) }
}
