/**
 * Any persistence of Aedes (version 11 of its interface) as a store for our broker, with what such a
 * persistence can promise: nothing that survives for sure.
 *
 * A store in memory is what the broker works with; the persistence is written to as well, and read as the
 * store opens.
 */

import { SESSION_NEVER_EXPIRES } from '../protocol/limits.ts'
import { systemClock } from '../util/clock.ts'
import { type Logger, silentLogger } from '../util/logger.ts'
import { MemoryBudget } from '../util/memory-budget.ts'
import type { AedesPersistenceInterface } from './aedes/interface.ts'
import { Mirror } from './aedes/mirror.ts'
import { MemoryStore } from './memory.ts'
import {
  type Claimed,
  type ClaimOptions,
  type Opened,
  type QueueEntry,
  type ReleaseOptions,
  type Seq,
  type SessionChange,
  type SessionRef,
  type Sink,
  type Store,
  type StoredSession,
  StoreError,
  type Target,
  type Unit,
} from './storage.ts'
import type { StoreParts } from './store-parts.ts'

export interface ForeignPersistenceOptions extends Partial<Pick<StoreParts, 'clock' | 'budget'>> {
  /** Hears of removals that failed, after which a message may come again. Default: silent. */
  readonly logger?: Logger | undefined
  /** Clients whose sessions Aedes has kept: a persistence cannot say which there are. Default: none. */
  readonly clientIds?: readonly string[] | undefined
}

const DETAIL =
  'a persistence of Aedes keeps no session as a whole. Over a restart sessions expire anew, wills lose their delay, and no QoS 2 message is remembered that came in. A message and the identifier it came with are not written together. All that waits is in memory too, and outside its budget'

/** The methods that make a persistence one of version 11. */
const METHODS = ['setup', 'outgoingEnqueue', 'outgoingClearMessageId', 'streamWill', 'destroy']

/**
 * Makes a store for `createBroker({ storage })` of a persistence of Aedes that nobody else uses. Throws
 * `TypeError` for what is none, or one of Aedes 0.x.
 */
export function foreignPersistence(
  persistence: object,
  options: ForeignPersistenceOptions = {},
): Store {
  const missing = METHODS.filter((name) => typeof Reflect.get(persistence, name) !== 'function')
  if (missing.length > 0) {
    throw new TypeError(
      `This is no persistence for Aedes 1.x, since it has no ${missing.join(', ')}. Give what a package such as aedes-persistence makes.`,
    )
  }
  return new ForeignStore(persistence as AedesPersistenceInterface, options)
}

/** Where the broker reads, this is the store in memory; whatever changes something is written twice. */
class ForeignStore extends MemoryStore {
  readonly #mirror: Mirror
  readonly #log: Logger
  readonly #clientIds: readonly string[]
  readonly #owners = new Map<string, SessionRef>()
  readonly #ownPressure = { pendingUnits: 0, pendingBytes: 0, isHealthy: true }
  /** Resolves when every unit of which memory has told is reported, in their order. */
  #reported: Promise<void> = Promise.resolve()

  constructor(
    persistence: AedesPersistenceInterface,
    {
      clock = systemClock,
      budget = new MemoryBudget(Number.POSITIVE_INFINITY),
      logger = silentLogger,
      clientIds = [],
    }: ForeignPersistenceOptions,
  ) {
    super(clock, budget)
    this.#mirror = new Mirror(persistence)
    this.#log = logger
    this.#clientIds = clientIds
  }

  override async open(): Promise<Opened> {
    await this.#asked(this.#load())
    return { durability: 'volatile', detail: DETAIL }
  }

  override async close(): Promise<void> {
    await super.close()
    this.#ownPressure.isHealthy = false
    await this.#reported
    await this.#mirror.destroy()
  }

  override async claim(clientIdentifier: string, options: ClaimOptions): Promise<Claimed> {
    const claimed = await super.claim(clientIdentifier, options)
    this.#owners.set(clientIdentifier, claimed.ref)
    if (!claimed.present) await this.#asked(this.#mirror.wipe(clientIdentifier))
    await this.#asked(this.#mirror.list(clientIdentifier, options.expirySeconds))
    await this.#asked(this.#mirror.changeWill(clientIdentifier, options.will))
    return claimed
  }

  override async update(session: SessionRef, change: SessionChange): Promise<void> {
    await super.update(session, change)
    if (!this.#isOwner(session)) return
    const { subscribe = [], unsubscribe = [], will, expirySeconds } = change
    const id = session.clientIdentifier
    await this.#asked(this.#mirror.changeSubscriptions(id, subscribe, unsubscribe))
    if (will !== undefined) await this.#asked(this.#mirror.changeWill(id, will ?? undefined))
    if (expirySeconds !== undefined) await this.#asked(this.#mirror.list(id, expirySeconds))
  }

  override async release(session: SessionRef, options: ReleaseOptions): Promise<void> {
    await super.release(session, options)
    if (options.expiresAt !== 0 || !this.#isOwner(session)) return
    this.#owners.delete(session.clientIdentifier)
    await this.#asked(this.#mirror.wipe(session.clientIdentifier))
  }

  override write(unit: Unit, sink: Sink): void {
    this.#ownPressure.pendingUnits++
    this.#ownPressure.pendingBytes += unit.body.length
    const stored: [target: number, seq: Seq][] = []
    super.write(unit, {
      stored: (_, target, seq) => stored.push([target, seq]),
      done: () => this.#report(unit, sink, stored, this.#write(unit, stored)),
      failed: (_, error) => this.#report(unit, sink, [], Promise.reject(error)),
    })
  }

  override async handOver(
    from: SessionRef,
    seqs: readonly Seq[],
    to: Target,
  ): Promise<QueueEntry[]> {
    const moved = await super.handOver(from, seqs, to)
    if (moved.length === 0) return moved
    await this.#enqueue(to.session, moved)
    await this.#asked(this.#mirror.remove(from.clientIdentifier, seqs))
    return moved
  }

  override acknowledgeTo(session: SessionRef, lowWaterMark: Seq): void {
    super.acknowledgeTo(session, lowWaterMark)
    if (!this.#isSameLife(session)) return
    this.#lazily(this.#mirror.removeUpTo(session.clientIdentifier, lowWaterMark))
  }

  override discard(session: SessionRef, seqs: readonly Seq[]): void {
    super.discard(session, seqs)
    if (!this.#isSameLife(session)) return
    this.#lazily(this.#mirror.remove(session.clientIdentifier, seqs))
  }

  override discardRetained(topics: readonly string[]): void {
    super.discardRetained(topics)
    for (const topic of topics) this.#lazily(this.#mirror.retain(topic, undefined, 0, 0))
  }

  override async markReleased(session: SessionRef, seqs: readonly Seq[]): Promise<void> {
    await super.markReleased(session, seqs)
    if (this.#isOwner(session)) {
      await this.#asked(this.#mirror.release(session.clientIdentifier, seqs))
    }
  }

  override pressure(): ReturnType<Store['pressure']> {
    return this.#ownPressure
  }

  override async adopt(stored: StoredSession): Promise<SessionRef> {
    const ref = await super.adopt(stored)
    const id = ref.clientIdentifier
    this.#owners.set(id, ref)
    await this.#asked(this.#mirror.wipe(id))
    await this.#asked(this.#mirror.list(id, stored.expirySeconds))
    await this.#asked(this.#mirror.changeSubscriptions(id, stored.subscriptions, []))
    await this.#asked(this.#mirror.changeWill(id, stored.will))
    return ref
  }

  override async adoptQueue(session: SessionRef, entries: readonly QueueEntry[]): Promise<void> {
    await super.adoptQueue(session, entries)
    await this.#enqueue(session, entries)
  }

  async #load(): Promise<void> {
    await this.#mirror.setup()
    const nothing = { targets: [], publisher: undefined, willOf: undefined }
    const silent: Sink = { stored() {}, done() {}, failed() {} }
    for await (const message of this.#mirror.retained()) {
      super.write({ ...message, ...nothing, retain: 'set' }, silent)
    }
    const clients = await this.#mirror.clients()
    for (const clientId of this.#clientIds) clients.set(clientId, SESSION_NEVER_EXPIRES)
    for (const [clientId, expirySeconds] of clients) {
      // oxlint-disable-next-line no-await-in-loop -- There may be very many.
      const found = await this.#mirror.find(clientId, expirySeconds)
      // oxlint-disable-next-line no-await-in-loop -- As above.
      const ref = await super.adopt(found.session)
      // oxlint-disable-next-line no-await-in-loop -- As above.
      await super.adoptQueue(ref, found.entries)
      this.#owners.set(clientId, ref)
    }
  }

  async #write(unit: Unit, stored: readonly [target: number, seq: Seq][]): Promise<void> {
    const { topic, body, qos, expiresAt, retain, willOf } = unit
    const written = stored.map(([target, seq]) => {
      const { session, ...wanted } = unit.targets[target]!
      return this.#mirror.enqueue(session.clientIdentifier, { seq, expiresAt, body, ...wanted })
    })
    if (retain !== undefined) {
      written.push(this.#mirror.retain(topic, retain === 'set' ? body : undefined, qos, expiresAt))
    }
    if (willOf !== undefined && this.#isOwner(willOf)) {
      written.push(this.#mirror.changeWill(willOf.clientIdentifier, undefined))
    }
    await Promise.all(written)
  }

  async #enqueue(session: SessionRef, entries: readonly QueueEntry[]): Promise<void> {
    const id = session.clientIdentifier
    await this.#asked(Promise.all(entries.map((entry) => this.#mirror.enqueue(id, entry))))
  }

  #report(
    unit: Unit,
    sink: Sink,
    stored: readonly [target: number, seq: Seq][],
    written: Promise<void>,
  ): void {
    const before = this.#reported
    const outcome = this.#asked(written).then(
      () => undefined,
      (error: StoreError) => error,
    )
    this.#reported = before.then(async () => {
      const error = await outcome
      this.#ownPressure.pendingUnits--
      this.#ownPressure.pendingBytes -= unit.body.length
      if (error !== undefined) {
        sink.failed(unit, error)
        return
      }
      for (const [target, seq] of stored) sink.stored(unit, target, seq)
      sink.done(unit)
    })
  }

  #isSameLife({ clientIdentifier, incarnation }: SessionRef): boolean {
    return this.#owners.get(clientIdentifier)?.incarnation === incarnation
  }

  #isOwner(session: SessionRef): boolean {
    const owner = this.#owners.get(session.clientIdentifier)
    return this.#isSameLife(session) && owner?.epoch === session.epoch
  }

  /** What a persistence throws is anything: the broker gets errors of a store. */
  async #asked<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (cause) {
      if (cause instanceof StoreError) throw cause
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new StoreError('unavailable', `The persistence failed: ${reason}`, { cause })
    }
  }

  #lazily(work: Promise<void>): void {
    work.catch((error: unknown) =>
      this.#log.warn({ error }, 'the persistence did not remove a message: it may come again'),
    )
  }
}
