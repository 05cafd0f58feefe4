/**
 * Everything that exists while a Redis store is open: connection, lease, lanes, known sessions. It carries
 * requests there, and does what has to be done when Redis comes back: look whether it is still ours, and
 * have it written back if it is empty.
 */

import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { asStoreError, closedError, type Opened, StoreError, type StoreEvents } from '../storage.ts'
import type { StoreParts } from '../store-parts.ts'
import { type Client, connect, describePlace, parseUrl, untilReady } from './connection.ts'
import { Keys } from './keys.ts'
import type { Lane } from './lane.ts'
import { Lanes } from './lanes.ts'
import { inUse, Lease } from './lease.ts'
import { Meta } from './meta.ts'
import { Request, type RequestOptions } from './operations.ts'
import { checkServers } from './server-checks.ts'
import { raiseRequest } from './session-requests.ts'
import { KnownSessions } from './sessions.ts'

const RETRY_MS = 100

export class Backend {
  readonly client: Client
  readonly meta: Meta
  readonly lanes: Lanes
  readonly sessions: KnownSessions
  readonly isCluster: boolean
  readonly #parts: StoreParts
  readonly #events: StoreEvents
  readonly #lease: Lease
  #isOver = false
  #writeBack: 'none' | 'under way' | 'once more' = 'none'

  private constructor(
    parts: StoreParts,
    events: StoreEvents,
    client: Client,
    lease: Lease,
    meta: Meta,
  ) {
    const { configuration, clock } = parts
    const place = parseUrl(configuration.url)
    this.#parts = parts
    this.#events = events
    this.client = client
    this.meta = meta
    this.isCluster = place.kind === 'cluster'
    this.#lease = lease
    this.lanes = new Lanes({
      client,
      keys: meta.keys,
      clock,
      isCluster: this.isCluster,
      epoch: meta.epoch,
      replicas: configuration.waitReplicas,
      place: describePlace(place),
      host: {
        probe: () => this.#probe(),
        healthChanged: events.healthChanged,
        replaced: () => this.#stop(this.#replacedError()),
        turnEnds: () => this.sessions.flushDiscards(),
        recover: (lane) => this.#recover(lane),
      },
    })
    const sending = {
      laneOf: (group: number) => this.lanes.of(group),
      add: this.lanes.add.bind(this.lanes),
    }
    this.sessions = new KnownSessions(meta.keys, sending, clock)
    lease.onLost = () => this.#stop(this.#replacedError())
  }

  static async open(
    parts: StoreParts,
    events: StoreEvents,
  ): Promise<{ backend: Backend; opened: Opened }> {
    const { configuration, clock, log } = parts
    const { url, timeoutMs, waitReplicas, keyPrefix } = configuration
    const place = parseUrl(url)
    const client = await connect(place, timeoutMs)
    try {
      await untilReady(client, describePlace(place), clock, timeoutMs)
      const opened = await checkServers(client, waitReplicas)
      const owner = `${hostname()} ${process.pid} ${randomUUID()}`
      const keys = new Keys(keyPrefix)
      const lease = new Lease({ client, keys, clock, log, owner })
      await lease.take()
      const meta = await Meta.open(client, keyPrefix)
      const backend = new Backend(parts, events, client, lease, meta)
      if (!(await meta.own(backend.#groups))) throw inUse('a later start', keyPrefix)
      return { backend, opened }
    } catch (error) {
      client.disconnect()
      throw asRedisError(error)
    }
  }

  get keys(): Keys {
    return this.meta.keys
  }

  /** Whether the broker is giving back what an empty Redis does not have. */
  get isWritingBack(): boolean {
    return this.#writeBack !== 'none'
  }

  laneOf(clientIdentifier: string): Lane {
    return this.lanes.of(this.keys.groupOf(clientIdentifier))
  }

  /**
   * Sends a request of a session, and waits for it so long as clients may wait. Where `isVoid` after that,
   * it is not applied later either, unless it is under way.
   */
  async request<T>(
    clientIdentifier: string,
    options: RequestOptions<T>,
    isVoid = false,
  ): Promise<T> {
    if (this.#isOver) throw closedError()
    const request = new Request(options)
    this.lanes.add(this.laneOf(clientIdentifier), request)
    const cancelTimer = this.#parts.clock.after(this.#parts.configuration.timeoutMs, () => {
      if (isVoid) request.cancel(this.#lateError())
      else request.fail(this.#lateError())
    })
    try {
      return await request.promise
    } finally {
      cancelTimer()
    }
  }

  /**
   * Sends a request whose outcome has to be known, and waits for it as long as that takes: it may be applied
   * whenever Redis is back.
   */
  insist<T>(clientIdentifier: string, options: RequestOptions<T>): Promise<T> {
    if (this.#isOver) return Promise.reject(closedError())
    const request = new Request(options)
    this.lanes.add(this.laneOf(clientIdentifier), request)
    return request.promise
  }

  /** Resolves when everything that was added to a session's lane before is applied. */
  barrier(clientIdentifier: string): Promise<void> {
    return this.request(clientIdentifier, { encode() {}, read() {} })
  }

  /** Reads; again if Redis goes away meanwhile, but no longer than clients may wait. */
  async ask<T>(read: () => Promise<T>): Promise<T> {
    const { clock, configuration } = this.#parts
    let expire: (error: StoreError) => void = () => {}
    const expired = new Promise<never>((_, reject) => {
      expire = reject
    })
    // Nobody may be waiting for it at the moment it happens.
    expired.catch(() => {})
    const cancelTimer = clock.after(configuration.timeoutMs, () => expire(this.#lateError()))
    try {
      for (;;) {
        if (this.#isOver) throw closedError()
        try {
          // oxlint-disable-next-line no-await-in-loop -- The next attempt is made if this one fails.
          return await Promise.race([read(), expired])
        } catch (error) {
          if (error instanceof StoreError) throw error
          const pause = new Promise<void>((resolve) => clock.after(RETRY_MS, resolve))
          // oxlint-disable-next-line no-await-in-loop -- As above.
          await Promise.race([pause, expired])
        }
      }
    } finally {
      cancelTimer()
    }
  }

  /** Writes what is pending; gives up when it takes longer than clients may wait. */
  async settle(): Promise<void> {
    this.sessions.flushAll()
    this.lanes.seal()
    await new Promise<void>((resolve) => {
      const cancelTimer = this.#parts.clock.after(this.#parts.configuration.timeoutMs, resolve)
      void this.lanes.whenIdle().then(() => {
        cancelTimer()
        resolve()
      })
    })
  }

  /** Writes what is pending, and gives the store back. */
  async close(): Promise<void> {
    if (this.#isOver) return
    await this.settle()
    if (this.#isOver) return
    this.#isOver = true
    this.#lease.stop()
    this.lanes.abandon(closedError())
    this.sessions.close()
    if (this.client.status === 'ready') await this.#giveBack()
    this.client.disconnect()
  }

  async #giveBack(): Promise<void> {
    try {
      await this.#lease.giveBack()
    } catch (error) {
      this.#parts.log.warn({ error }, 'the lease in Redis could not be given back; it runs out')
    }
  }

  get #groups(): number[] {
    return this.lanes.all.map(({ group }) => group)
  }

  async #probe(): Promise<void> {
    const other = await this.#lease.renew()
    if (this.#isOver) return
    const state = other === undefined ? await this.meta.look() : 'other'
    if (state === 'other') return this.#stop(this.#replacedError())
    const missing = await this.meta.missing(this.#groups)
    if (state === 'none' || missing.length > 0) await this.#beginWriteBack(missing)
  }

  async #beginWriteBack(missing: readonly number[]): Promise<void> {
    if (this.#parts.configuration.onEmpty === 'refuse') {
      return this.#stop(
        new StoreError('unusable', 'Redis has come back without what it kept (store.onEmpty).'),
      )
    }
    this.#parts.log.warn({}, 'Redis has come back without what it kept: writing back what is known')
    this.lanes.hold(missing.map((group) => this.lanes.of(group)))
    await this.meta.writeBack()
    await this.meta.own(this.#groups)
    if (this.#writeBack === 'none') void this.#finishWriteBack()
    else this.#writeBack = 'once more'
  }

  async #finishWriteBack(): Promise<void> {
    do {
      this.#writeBack = 'under way'
      try {
        // oxlint-disable-next-line no-await-in-loop -- Redis may have become empty again meanwhile.
        await this.#events.emptied((client) => this.laneOf(client).isHeld)
      } catch (error) {
        this.#parts.log.error({ error }, 'Redis could not be written back as a whole')
      }
    } while (this.#writeBack !== 'under way')
    this.#writeBack = 'none'
    this.lanes.resume(this.lanes.all)
  }

  /** What was given out before Redis lost it must not be given out again. */
  #recover(lane: Lane): Request<void>[] {
    this.#parts.log.warn({}, 'Redis has lost what it had confirmed, as it may in a failover')
    const known = [...this.sessions].filter(
      ({ group, lastSeq }) => lastSeq > 0 && this.lanes.of(group) === lane,
    )
    return known.map((session) => new Request(raiseRequest(session)))
  }

  /** Somebody else has the store, or it is of no use: nothing is acknowledged any more. */
  #stop(error: StoreError): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#lease.stop()
    this.lanes.abandon(error)
    this.sessions.close()
    this.client.disconnect()
    this.#events.lost(error)
  }

  #replacedError(): StoreError {
    return inUse('it has taken over', this.#parts.configuration.keyPrefix)
  }

  #lateError(): StoreError {
    return new StoreError('unavailable', 'Redis has not answered in time.')
  }
}

/** Says in the store's own words what Redis or its client has said. */
export function asRedisError(error: unknown): StoreError {
  if (error instanceof Error && error.message.startsWith('WRONGTYPE')) {
    const sentence = 'Redis has data of others under store.keyPrefix.'
    return new StoreError('unusable', sentence, { cause: error })
  }
  return asStoreError('Redis', error)
}
