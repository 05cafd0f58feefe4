/**
 * The store on the disk of one machine: LMDB in a directory of its own (`store.url: disk:DIRECTORY`).
 *
 * All that a turn of the event loop writes is one transaction, and is reported when the disk has it
 * (committer.ts). Numbers of sessions are kept in memory (session-state.ts): on the way of a message
 * nothing is read. What need not be durable at once, removals above all, is gathered for each session
 * (progress.ts), and what a session leaves behind is swept in the background (sweeper.ts).
 */

import { Buffer } from 'node:buffer'
import {
  type Claimed,
  type ClaimOptions,
  closedError,
  entryFor,
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
  type StoreEvents,
  type StoreFinding,
  type Target,
  type Unit,
} from '../storage.ts'
import type { MakeStore, StoreParts } from '../store-parts.ts'
import { checkStore, countRecords, type RecordCounts } from './check.ts'
import { directoryOf } from './database.ts'
import { Engine } from './engine.ts'
import { Kind, numberedKey, retainedKey } from './keys.ts'
import {
  describe,
  hasEntry,
  readEntries,
  readEntry,
  replayRetained,
  replaySessions,
  subscriptionsOf,
} from './loading.ts'
import {
  adoptEntries,
  adoptSession,
  appendEntry,
  changeRetained,
  changeSession,
  putInbound,
  putReleased,
  putSession,
} from './writes.ts'

export const makeEmbeddedStore: MakeStore = (parts) => new EmbeddedStore(parts)

/** A unit that carries no message of its own. */
const NOTHING = {
  topic: '',
  body: Buffer.alloc(0),
  expiresAt: Number.POSITIVE_INFINITY,
  qos: 0,
  retain: undefined,
  publisher: undefined,
  willOf: undefined,
} as const

export class EmbeddedStore implements Store {
  /** Where it is, as an absolute path. */
  readonly directory: string
  readonly #parts: StoreParts
  readonly #pressure = { pendingUnits: 0, pendingBytes: 0, isHealthy: true }
  #engine: Engine | undefined
  #closing: Promise<void> | undefined

  constructor(parts: StoreParts) {
    this.#parts = parts
    this.directory = directoryOf(parts.configuration.url)
  }

  async open(events: StoreEvents): Promise<Opened> {
    const { directory } = this
    const { configuration, ...parts } = this.#parts

    const isSynced = configuration.durability !== 'process'
    const pressure = this.#pressure
    const engine = await Engine.open({ ...parts, directory, isSynced, pressure, events })
    if (this.#closing !== undefined) {
      await engine.close()
      throw closedError()
    }
    this.#engine = engine
    return isSynced
      ? {
          durability: 'disk',
          detail: `everything is on the disk, in ${directory}, before it is acknowledged`,
        }
      : {
          durability: 'process',
          detail: `as store.durability is process, ${directory} is written to the disk when the system finds time: a power cut may cost the latest messages, or the whole store`,
        }
  }

  close(): Promise<void> {
    this.#closing ??= this.#engine?.close() ?? Promise.resolve()
    return this.#closing
  }

  async replay(onItem: (item: ReplayItem) => void): Promise<void> {
    const engine = this.#opened()
    await engine.flushed()
    const { clock, database, sessions, onDamage } = engine
    replaySessions(database, sessions.all, onItem, onDamage)
    this.discardRetained(replayRetained(database, clock.now(), onItem, onDamage))
  }

  async claim(clientIdentifier: string, options: ClaimOptions): Promise<Claimed> {
    const engine = this.#opened()
    const batch = engine.gather()
    let state = engine.sessions.all.get(clientIdentifier)
    const isOver = (state?.left?.expiresAt ?? Number.POSITIVE_INFINITY) <= engine.clock.now()
    if (state !== undefined && (options.cleanStart || isOver)) {
      engine.discardSession(state, batch)
      state = undefined
    }
    const present = state !== undefined
    state ??= engine.sessions.create(clientIdentifier, batch)
    engine.progress.flush(state, batch)
    const { will, expirySeconds, left, lastSeq, lowWaterMark, sentTo } = state
    const before = { will, expirySeconds, left, lastSeq, lowWaterMark, sentTo }
    state.epoch++
    state.will = options.will
    state.expirySeconds = options.expirySeconds
    state.left = undefined
    state.sentTo = undefined
    const { ref } = state
    putSession(batch, state)
    await batch.settled()
    const { database, onDamage } = engine
    const subscriptions = present ? subscriptionsOf(database, state, onDamage) : []
    // What came meanwhile is reported to whoever wrote it: it does not count here too.
    const rest = describe(database, state, subscriptions, onDamage, lastSeq)
    return { ...rest, ...before, ref, present }
  }

  async update(ref: SessionRef, change: SessionChange): Promise<void> {
    const engine = this.#opened()
    const state = engine.sessions.ownedBy(ref)
    if (state === undefined) return
    const batch = engine.gather()
    changeSession(batch, state, change)
    await batch.settled()
  }

  async release(ref: SessionRef, { expiresAt, willAt, sentTo }: ReleaseOptions): Promise<void> {
    const engine = this.#opened()
    const state = engine.sessions.ownedBy(ref)
    if (state === undefined) return
    const batch = engine.gather()
    if (expiresAt === 0) {
      engine.discardSession(state, batch)
    } else {
      state.left = { expiresAt, willAt }
      state.sentTo = sentTo
      engine.progress.flush(state, batch)
      putSession(batch, state)
    }
    await batch.settled()
  }

  write(unit: Unit, sink: Sink): void {
    if (this.#closing !== undefined) {
      const fail = () => sink.failed(unit, closedError())
      // Not before what was written earlier is reported.
      this.#closing.then(fail, fail)
      return
    }
    const engine = this.#opened()
    const batch = engine.gather()
    batch.addUnit(unit, sink)
    this.#pressure.pendingUnits++
    this.#pressure.pendingBytes += unit.body.length
    const { publisher, willOf, targets } = unit
    const from = publisher && engine.sessions.ownedBy(publisher.session)
    if (from !== undefined) putInbound(batch, from, publisher!.packetIdentifier)
    if (willOf !== undefined) engine.forgetWill(willOf, batch)
    changeRetained(batch, unit.retain, unit)
    for (const target of targets) {
      const state = engine.sessions.sameLife(target.session)
      batch.addSeq(state === undefined ? 0 : appendEntry(batch, state, target, unit))
    }
  }

  async handOver(
    from: SessionRef,
    seqs: readonly Seq[],
    to: Target,
    stored: (entry: QueueEntry) => void,
  ): Promise<void> {
    const engine = this.#opened()
    const source = engine.sessions.sameLife(from)
    const target = engine.sessions.sameLife(to.session)
    if (source === undefined || target === undefined) return
    const moved: QueueEntry[] = []
    const batch = engine.gather()
    for (const seq of seqs) {
      const entry = readEntry(engine.database, source, seq, engine.onDamage)
      if (entry === undefined) continue
      const newSeq = appendEntry(batch, target, to, entry)
      moved.push(entryFor(to, newSeq, entry.expiresAt, entry.body))
      // In the same transaction: nobody ever sees a message twice, or not at all.
      engine.progress.discard(source, [seq])
    }
    engine.progress.flush(source, batch)
    await new Promise<void>((resolve, reject) => {
      this.#pressure.pendingUnits++
      const unit = { ...NOTHING, targets: moved.map(() => to) }
      batch.addUnit(unit, {
        stored: (_, i) => stored(moved[i]!),
        done: () => resolve(),
        failed: (_, error) => reject(error),
      })
      for (const { seq } of moved) batch.addSeq(seq)
    })
  }

  async readQueue(
    ref: SessionRef,
    after: Seq,
    max: number,
    maxBytes: number,
  ): Promise<QueueEntry[]> {
    const { database, sessions, onDamage } = this.#opened()
    const state = sessions.sameLife(ref)
    if (state === undefined) return []
    return readEntries(database, state, after, { max, maxBytes }, onDamage)
  }

  acknowledgeTo(ref: SessionRef, lowWaterMark: Seq): void {
    if (this.#closing !== undefined) return
    const { sessions, progress } = this.#opened()
    const state = sessions.sameLife(ref)
    if (state !== undefined) progress.acknowledgeTo(state, lowWaterMark)
  }

  discard(ref: SessionRef, seqs: readonly Seq[]): void {
    if (this.#closing !== undefined) return
    const { sessions, progress } = this.#opened()
    const state = sessions.sameLife(ref)
    if (state !== undefined) progress.discard(state, seqs)
  }

  discardRetained(topics: readonly string[]): void {
    if (this.#closing !== undefined || topics.length === 0) return
    const batch = this.#opened().gather()
    for (const topic of topics) batch.remove(retainedKey(topic))
  }

  async markReleased(ref: SessionRef, seqs: readonly Seq[]): Promise<void> {
    const engine = this.#opened()
    const state = engine.sessions.ownedBy(ref)
    if (state === undefined) return
    const batch = engine.gather()
    // QoS 2 alone comes here, and what it delivers is durable: the one look at the tree may be afforded.
    putReleased(
      batch,
      state,
      seqs.filter((seq) => hasEntry(engine.database, state, seq)),
    )
    await batch.settled()
  }

  async forgetInbound(ref: SessionRef, packetIdentifier: number): Promise<void> {
    const engine = this.#opened()
    const state = engine.sessions.ownedBy(ref)
    if (state?.inbound.delete(packetIdentifier) !== true) return
    const batch = engine.gather()
    batch.remove(numberedKey(Kind.Inbound, state.incarnation, packetIdentifier))
    await batch.settled()
  }

  pressure(): Pressure {
    return this.#pressure
  }

  async adopt(stored: StoredSession): Promise<SessionRef> {
    const engine = this.#opened()
    const { clientIdentifier } = stored.ref
    const batch = engine.gather()
    const before = engine.sessions.all.get(clientIdentifier)
    if (before !== undefined) engine.discardSession(before, batch)
    const state = engine.sessions.create(clientIdentifier, batch)
    adoptSession(batch, state, stored)
    await batch.settled()
    return state.ref
  }

  async adoptQueue(ref: SessionRef, entries: readonly QueueEntry[]): Promise<void> {
    const engine = this.#opened()
    const state = engine.sessions.sameLife(ref)
    if (state === undefined) return
    const batch = engine.gather()
    adoptEntries(batch, state, entries)
    await batch.settled()
  }

  async check({ repair }: { readonly repair: boolean }): Promise<StoreFinding[]> {
    const engine = this.#opened()
    await engine.flushed()
    const { findings, repairs } = checkStore(engine.database)
    if (!repair || repairs.length === 0) return findings
    const batch = engine.gather()
    for (const [key, value] of repairs) {
      if (value === undefined) batch.remove(key)
      else batch.put(key, value)
    }
    await batch.settled()
    return findings
  }

  /** How many records there are of each kind, when all that was done so far is durable. */
  async countRecords(): Promise<RecordCounts> {
    const engine = this.#opened()
    await engine.flushed()
    return countRecords(engine.database)
  }

  #opened(): Engine {
    if (this.#closing !== undefined || this.#engine === undefined) throw closedError()
    return this.#engine
  }
}
