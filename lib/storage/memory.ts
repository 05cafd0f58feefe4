/**
 * The store that keeps everything in memory and loses it with the process. It is the reference: what a
 * store does is what this one does, and the shared test table holds the others to it.
 */

import { KEPT_OVERHEAD_BYTES } from '../protocol/message.ts'
import type { Subscription } from '../protocol/subscription.ts'
import type { Clock } from '../util/clock.ts'
import type { MemoryBudget } from '../util/memory-budget.ts'
import { type PackedBytes, packBytes, unpackBytes } from '../util/packed-bytes.ts'
import {
  type Claimed,
  type ClaimOptions,
  closedError,
  type Left,
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
  /** In order of seq, as entries are only ever added behind the last. */
  readonly queue: Map<Seq, QueueEntry>
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

type KeptRetained = Pick<Unit, 'qos' | 'expiresAt'> & { readonly body: PackedBytes }

/** Map entry, record and topic of a retained message, beside its body. */
const RETAINED_OVERHEAD_BYTES = 256

const NEVER = Number.POSITIVE_INFINITY

/** How many retained messages there are before those that have expired are looked for. */
const SWEEP_MIN = 1_024

export class MemoryStore implements Store {
  readonly #clock: Clock
  readonly #budget: MemoryBudget
  readonly #sessions = new Map<string, KeptSession>()
  /** In how many queues each body stands. */
  readonly #references = new WeakMap<Buffer, number>()
  readonly #retained = new Map<string, KeptRetained>()
  /** With so many retained messages the expired ones are removed. */
  #sweepAt = SWEEP_MIN
  #incarnations = 0
  #batch: { unit: Unit; sink: Sink }[] = []
  protected readonly currentPressure = { pendingUnits: 0, pendingBytes: 0, isHealthy: true }
  #isClosed = false

  constructor(clock: Clock, budget: MemoryBudget) {
    this.#clock = clock
    this.#budget = budget
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
    this.#sweep()
    for (const [topic, { body, qos, expiresAt }] of this.#retained) {
      onItem({ kind: 'retained', message: { topic, body: unpackBytes(body), qos, expiresAt } })
    }
  }

  async claim(clientIdentifier: string, options: ClaimOptions): Promise<Claimed> {
    this.#assertOpen()
    let session = this.#sessions.get(clientIdentifier)
    const isGone = (session?.left?.expiresAt ?? NEVER) <= this.#clock.now()
    if (session !== undefined && (options.cleanStart || isGone)) {
      this.#discardSession(session)
      session = undefined
    }
    const present = session !== undefined
    session ??= this.#createSession(clientIdentifier)
    session.ref = { ...session.ref, epoch: session.ref.epoch + 1 }
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
    const { session, qos, retain, subscriptionIdentifiers, share } = to
    const source = this.#sameLife(from)
    const target = this.#sameLife(session)
    if (source === undefined || target === undefined) return
    for (const seq of seqs) {
      const entry = source.queue.get(seq)
      if (entry === undefined) continue
      const moved = { ...entry, qos, retain, subscriptionIdentifiers, share }
      const standing = this.#append(target, moved)
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
    for (const entry of session.queue.values()) {
      if (entry.seq <= after) continue
      bytes += entry.body.length
      if (entries.length >= max || (bytes > maxBytes && entries.length > 0)) break
      entries.push(entry)
    }
    return entries
  }

  acknowledgeTo(ref: SessionRef, lowWaterMark: Seq): void {
    const session = this.#sameLife(ref)
    if (session === undefined || lowWaterMark <= session.lowWaterMark) return
    // By what is there, not number by number: a queue may have lost millions.
    for (const seq of session.queue.keys()) {
      if (seq > lowWaterMark) break
      this.#remove(session, seq)
    }
    session.lowWaterMark = lowWaterMark
  }

  discard(ref: SessionRef, seqs: readonly Seq[]): void {
    const session = this.#sameLife(ref)
    if (session === undefined) return
    for (const seq of seqs) this.#remove(session, seq)
  }

  discardRetained(topics: readonly string[]): void {
    for (const topic of topics) this.#clearRetained(topic)
  }

  async markReleased(ref: SessionRef, seqs: readonly Seq[]): Promise<void> {
    this.#assertOpen()
    const session = this.#ownedBy(ref)
    if (session === undefined) return
    for (const seq of seqs) if (session.queue.has(seq)) session.released.add(seq)
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
    if (session !== undefined) for (const entry of entries) this.#add(session, entry)
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
    if (unit.retain !== undefined) this.#clearRetained(unit.topic)
    if (unit.retain === 'set') this.#setRetained(unit)
    for (let i = 0; i < unit.targets.length; i++) {
      const target = unit.targets[i]!
      const session = this.#sameLife(target.session)
      if (session === undefined) continue
      const { qos, retain, subscriptionIdentifiers, share } = target
      const { expiresAt, body } = unit
      const entry = { seq: 0, qos, retain, subscriptionIdentifiers, share, expiresAt, body }
      sink.stored(unit, i, this.#append(session, entry).seq)
    }
    sink.done(unit)
  }

  #setRetained({ topic, body, qos, expiresAt }: Unit): void {
    if (this.#retained.size >= this.#sweepAt) this.#sweep()
    const retained = { body: packBytes(body), qos, expiresAt }
    this.#retained.set(topic, retained)
    this.#budget.hold(retainedBytes(retained))
  }

  #clearRetained(topic: string): void {
    const retained = this.#retained.get(topic)
    if (retained === undefined) return
    this.#retained.delete(topic)
    this.#budget.release(retainedBytes(retained))
  }

  /** Nobody clears what has expired: ever new topics would fill the memory. */
  #sweep(): void {
    const now = this.#clock.now()
    for (const [topic, { expiresAt }] of this.#retained) {
      if (expiresAt <= now) this.#clearRetained(topic)
    }
    this.#sweepAt = Math.max(SWEEP_MIN, this.#retained.size * 2)
  }

  #append(session: KeptSession, entry: QueueEntry): QueueEntry {
    const stored = { ...entry, seq: ++session.lastSeq }
    this.#add(session, stored)
    return stored
  }

  #add(session: KeptSession, entry: QueueEntry): void {
    session.queue.set(entry.seq, entry)
    session.queuedBytes += entry.body.length
    this.#countBody(entry.body, 1)
    this.added(session.ref.clientIdentifier, entry)
  }

  #remove(session: KeptSession, seq: Seq): void {
    const entry = session.queue.get(seq)
    if (entry === undefined) return
    session.queue.delete(seq)
    session.queuedBytes -= entry.body.length
    session.released.delete(seq)
    this.#countBody(entry.body, -1)
    this.removed(session.ref.clientIdentifier, seq)
  }

  /** A body counts once, in however many queues it stands; its places count each. */
  #countBody(body: Buffer, change: 1 | -1): void {
    const before = this.#references.get(body) ?? 0
    const after = before + change
    if (after === 0) this.#references.delete(body)
    else this.#references.set(body, after)
    const isFirstOrLast = before === 0 || after === 0
    this.#budget.hold(change * (KEPT_OVERHEAD_BYTES + (isFirstOrLast ? body.length : 0)))
  }

  #createSession(clientIdentifier: string): KeptSession {
    const session: KeptSession = {
      ref: { clientIdentifier, incarnation: ++this.#incarnations, epoch: 0 },
      subscriptions: new Map(),
      queue: new Map(),
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
    for (const seq of session.queue.keys()) this.#remove(session, seq)
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
function retainedBytes({ body }: KeptRetained): number {
  return (typeof body === 'string' ? body.length : 0) + RETAINED_OVERHEAD_BYTES
}
