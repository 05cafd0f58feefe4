/**
 * The store that keeps everything in memory and loses it with the process. It is the reference: what a
 * store does is what this one does, and the shared test table holds the others to it.
 */

import { KEPT_OVERHEAD_BYTES } from '../protocol/message.ts'
import type { Subscription } from '../protocol/subscription.ts'
import type { Clock } from '../util/clock.ts'
import type { MemoryBudget } from '../util/memory-budget.ts'
import { EntryQueue } from './entry-queue.ts'
import { KeptRetained } from './kept-retained.ts'
import {
  type Claimed,
  type ClaimOptions,
  closedError,
  entryFor,
  type Left,
  nextOwner,
  type Opened,
  type Pressure,
  type QueueEntry,
  type ReleaseOptions,
  type ReplayItem,
  type Seq,
  type SessionChange,
  type SessionRef,
  type Sink,
  type Store,
  type StoredSession,
  type StoredWill,
  type StoreFinding,
  type Target,
  type Unit,
} from './storage.ts'

interface KeptSession {
  ref: SessionRef
  readonly subscriptions: Map<string, Subscription>
  readonly queue: EntryQueue
  lastSeq: Seq
  lowWaterMark: Seq
  readonly released: Set<Seq>
  readonly inbound: Set<number>
  will: StoredWill | undefined
  expirySeconds: number
  left: Left | undefined
  sentTo: Seq | undefined
  /** Of the bodies in the queue. */
  queuedBytes: number
}

export class MemoryStore implements Store {
  readonly #clock: Clock
  readonly #budget: MemoryBudget
  readonly #sessions = new Map<string, KeptSession>()
  /** In how many queues a body stands, if it is more than one. */
  readonly #references = new WeakMap<Buffer, number>()
  readonly #retained: KeptRetained
  #incarnations = 0
  #batch: { unit: Unit; sink: Sink }[] = []
  protected readonly currentPressure = { pendingUnits: 0, pendingBytes: 0, isHealthy: true }
  #isClosed = false

  constructor(clock: Clock, budget: MemoryBudget) {
    this.#clock = clock
    this.#budget = budget
    this.#retained = new KeptRetained(budget)
  }

  async open(): Promise<Opened> {
    return { durability: 'volatile', detail: 'everything is in memory and ends with the process' }
  }

  async close(): Promise<void> {
    // A sink never hears of its unit before `write` and `close` have returned.
    await Promise.resolve()
    this.#flush()
    this.#isClosed = true
    this.currentPressure.isHealthy = false
  }

  async replay(onItem: (item: ReplayItem) => void): Promise<void> {
    for (const session of this.#sessions.values()) {
      onItem({ kind: 'session', session: describe(session) })
    }
    this.#retained.sweep(this.#clock.now())
    for (const message of this.#retained) onItem({ kind: 'retained', message })
  }

  async claim(clientIdentifier: string, options: ClaimOptions): Promise<Claimed> {
    this.#assertOpen()
    let session = this.#sessions.get(clientIdentifier)
    const isGone = (session?.left?.expiresAt ?? Number.POSITIVE_INFINITY) <= this.#clock.now()
    if (session !== undefined && (options.cleanStart || isGone)) {
      this.#discardSession(session)
      session = undefined
    }
    const present = session !== undefined
    session ??= this.#createSession(clientIdentifier)
    session.ref = nextOwner(session.ref)
    const before = describe(session)
    session.will = options.will
    session.expirySeconds = options.expirySeconds
    session.left = undefined
    session.sentTo = undefined
    if (!present) await this.cleared(clientIdentifier)
    return { ...before, present }
  }

  async update(ref: SessionRef, change: SessionChange): Promise<void> {
    const session = this.#ownedBy(ref)
    if (session === undefined) return
    for (const subscription of change.subscribe ?? []) {
      session.subscriptions.set(subscription.topicFilter, subscription)
    }
    for (const topicFilter of change.unsubscribe ?? []) session.subscriptions.delete(topicFilter)
    if (change.will !== undefined) session.will = change.will ?? undefined
    if (change.expirySeconds !== undefined) session.expirySeconds = change.expirySeconds
    if (change.sentTo !== undefined) session.sentTo = change.sentTo
    await this.changed(ref.clientIdentifier, change)
  }

  async release(ref: SessionRef, { expiresAt, willAt, sentTo }: ReleaseOptions): Promise<void> {
    const session = this.#ownedBy(ref)
    if (session === undefined) return
    session.left = { expiresAt, willAt }
    session.sentTo = sentTo
    if (expiresAt !== 0) return
    this.#discardSession(session)
    await this.cleared(ref.clientIdentifier)
  }

  write(unit: Unit, sink: Sink): void {
    if (this.#batch.length === 0) queueMicrotask(() => this.#flush())
    this.#batch.push({ unit, sink })
    this.currentPressure.pendingUnits++
    this.currentPressure.pendingBytes += unit.body.length
  }

  async handOver(
    from: SessionRef,
    seqs: readonly Seq[],
    to: Target,
    stored: (entry: QueueEntry) => void,
  ): Promise<void> {
    const source = this.#sameLife(from)
    const target = this.#sameLife(to.session)
    if (source === undefined || target === undefined) return
    for (const seq of seqs) {
      const entry = source.queue.get(seq)
      if (entry === undefined) continue
      this.#references.set(entry.body, (this.#references.get(entry.body) ?? 1) + 1)
      const standing = this.#append(target, to, entry.expiresAt, entry.body)
      this.#remove(source, seq)
      stored(standing)
    }
  }

  async readQueue(
    ref: SessionRef,
    after: Seq,
    max: number,
    maxBytes: number,
  ): Promise<QueueEntry[]> {
    const session = this.#sameLife(ref)
    const entries: QueueEntry[] = []
    if (session === undefined) return entries
    let bytes = 0
    for (const entry of session.queue.behind(after)) {
      bytes += entry.body.length
      if (entries.length >= max || (bytes > maxBytes && entries.length > 0)) break
      entries.push(entry)
    }
    return entries
  }

  acknowledgeTo(ref: SessionRef, lowWaterMark: Seq): void {
    const session = this.#sameLife(ref)
    if (session === undefined || lowWaterMark <= session.lowWaterMark) return
    this.#removeUpTo(session, lowWaterMark)
    session.lowWaterMark = lowWaterMark
  }

  discard(ref: SessionRef, seqs: readonly Seq[]): void {
    const session = this.#sameLife(ref)
    if (session === undefined) return
    for (const seq of seqs) this.#remove(session, seq)
  }

  discardRetained(topics: readonly string[]): void {
    for (const topic of topics) this.#retained.clear(topic)
  }

  async markReleased(ref: SessionRef, seqs: readonly Seq[]): Promise<void> {
    this.#assertOpen()
    const session = this.#ownedBy(ref)
    if (session === undefined) return
    for (const seq of seqs) if (session.queue.get(seq) !== undefined) session.released.add(seq)
  }

  async forgetInbound(ref: SessionRef, packetIdentifier: number): Promise<void> {
    this.#assertOpen()
    this.#ownedBy(ref)?.inbound.delete(packetIdentifier)
  }

  pressure(): Pressure {
    return this.currentPressure
  }

  async adopt(stored: StoredSession): Promise<SessionRef> {
    this.#assertOpen()
    const { clientIdentifier } = stored.ref
    const before = this.#sessions.get(clientIdentifier)
    if (before !== undefined) this.#discardSession(before)
    const session = this.#createSession(clientIdentifier)
    for (const seq of stored.released) session.released.add(seq)
    for (const packetIdentifier of stored.inbound) session.inbound.add(packetIdentifier)
    const { lastSeq, lowWaterMark, sentTo, will, expirySeconds, left } = stored
    Object.assign(session, { lastSeq, lowWaterMark, sentTo, will, expirySeconds, left })
    const subscribed = { subscribe: stored.subscriptions }
    await Promise.all([this.cleared(clientIdentifier), this.update(session.ref, subscribed)])
    return session.ref
  }

  async adoptQueue(ref: SessionRef, entries: readonly QueueEntry[]): Promise<void> {
    this.#assertOpen()
    const session = this.#sameLife(ref)
    if (session === undefined) return
    for (const entry of entries) {
      this.#budget.hold(entry.body.length)
      this.#add(session, entry)
    }
  }

  async check(): Promise<StoreFinding[]> {
    return []
  }

  /** For a store that keeps a copy elsewhere, and is waited for: a session begins or has ended; it changes. */
  protected async cleared(_clientIdentifier: string): Promise<void> {}
  protected async changed(_clientIdentifier: string, _change: SessionChange): Promise<void> {}

  /** Likewise, and not waited for: an entry is in the queue of a session now; it is there no more. */
  protected added(_clientIdentifier: string, _entry: QueueEntry): void {}
  protected removed(_clientIdentifier: string, _seq: Seq): void {}

  #flush(): void {
    const batch = this.#batch
    this.#batch = []
    for (const { unit, sink } of batch) {
      this.currentPressure.pendingUnits--
      this.currentPressure.pendingBytes -= unit.body.length
      if (this.#isClosed) sink.failed(unit, closedError())
      else this.#apply(unit, sink)
    }
  }

  #apply(unit: Unit, sink: Sink): void {
    if (unit.publisher !== undefined) {
      this.#ownedBy(unit.publisher.session)?.inbound.add(unit.publisher.packetIdentifier)
    }
    const willOf = unit.willOf === undefined ? undefined : this.#ownedBy(unit.willOf)
    if (willOf !== undefined) willOf.will = undefined
    if (unit.retain === 'set') this.#retained.set(unit, this.#clock.now())
    else if (unit.retain === 'clear') this.#retained.clear(unit.topic)
    const { expiresAt, body, targets } = unit
    // A body counts once, in however many queues it stands; its places count each.
    if (targets.length > 0) this.#budget.hold(body.length)
    if (targets.length > 1) this.#references.set(body, targets.length)
    for (let i = 0; i < targets.length; i++) {
      const target = targets[i]!
      const session = this.#sameLife(target.session)
      if (session === undefined) {
        this.#releaseBody(body)
        continue
      }
      sink.stored(unit, i, this.#append(session, target, expiresAt, body).seq)
    }
    sink.done(unit)
  }

  #append(session: KeptSession, target: Target, expiresAt: number, body: Buffer): QueueEntry {
    const entry = entryFor(target, ++session.lastSeq, expiresAt, body)
    this.#add(session, entry)
    return entry
  }

  #add(session: KeptSession, entry: QueueEntry): void {
    session.queue.push(entry)
    session.queuedBytes += entry.body.length
    this.#budget.hold(KEPT_OVERHEAD_BYTES)
    this.added(session.ref.clientIdentifier, entry)
  }

  #remove(session: KeptSession, seq: Seq): void {
    const entry = session.queue.delete(seq)
    if (entry === undefined) return
    session.queuedBytes -= entry.body.length
    session.released.delete(seq)
    this.#budget.release(KEPT_OVERHEAD_BYTES)
    this.#releaseBody(entry.body)
    this.removed(session.ref.clientIdentifier, seq)
  }

  /** By what is there, not number by number: a queue may have lost millions. */
  #removeUpTo(session: KeptSession, seq: Seq): void {
    let { first } = session.queue
    while (first !== undefined && first.seq <= seq) {
      this.#remove(session, first.seq)
      first = session.queue.first
    }
  }

  /** The body stands in one queue less. */
  #releaseBody(body: Buffer): void {
    const others = (this.#references.get(body) ?? 1) - 1
    if (others === 0) this.#budget.release(body.length)
    else if (others === 1) this.#references.delete(body)
    else this.#references.set(body, others)
  }

  #createSession(clientIdentifier: string): KeptSession {
    const session: KeptSession = {
      ref: { clientIdentifier, incarnation: ++this.#incarnations, epoch: 0 },
      subscriptions: new Map(),
      queue: new EntryQueue(),
      lastSeq: 0,
      lowWaterMark: 0,
      released: new Set(),
      inbound: new Set(),
      will: undefined,
      expirySeconds: 0,
      left: undefined,
      sentTo: 0,
      queuedBytes: 0,
    }
    this.#sessions.set(clientIdentifier, session)
    return session
  }

  #discardSession(session: KeptSession): void {
    this.#removeUpTo(session, session.lastSeq)
    this.#sessions.delete(session.ref.clientIdentifier)
  }

  /** The session, unless it has been started anew since. */
  #sameLife(ref: SessionRef): KeptSession | undefined {
    const session = this.#sessions.get(ref.clientIdentifier)
    return session?.ref.incarnation === ref.incarnation ? session : undefined
  }

  /** The session, unless somebody else has claimed it since. */
  #ownedBy(ref: SessionRef): KeptSession | undefined {
    const session = this.#sameLife(ref)
    return session?.ref.epoch === ref.epoch ? session : undefined
  }

  #assertOpen(): void {
    if (this.#isClosed) throw closedError()
  }
}

/** What others are told of a session: a picture that stays as it is. */
function describe(session: KeptSession): StoredSession {
  const { subscriptions, queue, released, inbound, ...kept } = session
  return {
    ...kept,
    subscriptions: [...subscriptions.values()],
    released: [...released],
    inbound: [...inbound],
    queued: queue.size,
  }
}

/** A large body is the very `Buffer` that the broker's own retained messages hold and count. */
