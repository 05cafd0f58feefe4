/**
 * The store in Redis: single, named by Sentinels, or a Cluster; for one broker at a time.
 *
 * Whatever changes something is an operation in a lane (lane.ts), which applies each exactly once and in
 * order, however often Redis goes away. Reading goes past the lanes.
 */

import {
  type Claimed,
  type ClaimOptions,
  closedError,
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
import { asRedisError, Backend } from './backend.ts'
import { checkAll } from './check.ts'
import { Code } from './codes.ts'
import { finishHandOver, handOver, type UnfinishedHandOver, unfinishedIn } from './hand-over.ts'
import { LazyRequest } from './operations.ts'
import { readEntries } from './queue-reader.ts'
import { replayAll } from './replay.ts'
import {
  adoptQueueRequest,
  adoptRequest,
  claimRequest,
  forgetInboundRequest,
  markReleasedRequest,
  releaseRequest,
  updateRequest,
} from './session-requests.ts'
import { laneOfUnit, SplitUnit } from './split-unit.ts'
import { type UnitParts, WholeUnit } from './units.ts'

/** Makes the store that `store.url` names. */
export const makeRedisStore: MakeStore = (parts) => new RedisStore(parts)

export class RedisStore implements Store {
  readonly #parts: StoreParts
  readonly #pressure = { pendingUnits: 0, pendingBytes: 0, isHealthy: true }
  #state: 'new' | 'open' | 'closed' = 'new'
  #opened: Backend | undefined
  #unitParts: UnitParts | undefined
  /** Resolves when everything that was written before has been reported. */
  #settled: Promise<void> = Promise.resolve()

  constructor(parts: StoreParts) {
    this.#parts = parts
  }

  async open(events: StoreEvents): Promise<Opened> {
    const { backend, opened } = await Backend.open(this.#parts, {
      ...events,
      healthChanged: (isHealthy, reason) => {
        this.#pressure.isHealthy = isHealthy
        events.healthChanged(isHealthy, reason)
      },
      lost: (error) => {
        this.#state = 'closed'
        this.#pressure.isHealthy = false
        events.lost(error)
      },
    })
    if (this.#state === 'closed') {
      await backend.close()
      throw closedError()
    }
    const { keys, sessions } = backend
    this.#opened = backend
    this.#unitParts = { keys, sessions, reported: (unit) => this.#reported(unit) }
    this.#state = 'open'
    return opened
  }

  async close(): Promise<void> {
    this.#state = 'closed'
    this.#settled = this.#opened?.close() ?? this.#settled
    await this.#settled
    this.#pressure.isHealthy = false
  }

  async replay(onItem: (item: ReplayItem) => void): Promise<void> {
    const { client, keys, sessions } = this.#backend
    await this.#backend.settle()
    const unfinished: UnfinishedHandOver[] = []
    await replayAll({
      client,
      keys,
      log: this.#parts.log,
      now: this.#parts.clock.now(),
      onItem,
      onSession: (described, tokens) => {
        const { ref } = described.session
        sessions.of(ref).learn(described, ref)
        unfinished.push(...unfinishedIn(tokens, ref.clientIdentifier))
      },
    })
    for (const { source, receiver } of unfinished) {
      // oxlint-disable-next-line no-await-in-loop -- There are few, if any.
      await finishHandOver(this.#backend, source, [source.seq], receiver)
    }
  }

  async claim(clientIdentifier: string, options: ClaimOptions): Promise<Claimed> {
    const { keys, meta, sessions } = this.#backend
    const incarnation = await this.#backend.ask(() => meta.incarnation())
    sessions.flushOf(clientIdentifier)
    const now = this.#parts.clock.now()
    const request = claimRequest(
      keys,
      clientIdentifier,
      options,
      incarnation,
      now,
      (described, ref) => sessions.of(ref).learn(described, ref),
    )
    return this.#backend.request(clientIdentifier, request, true)
  }

  async update(session: SessionRef, change: SessionChange): Promise<void> {
    const request = updateRequest(this.#backend.keys, session, change)
    await this.#backend.request(session.clientIdentifier, request, true)
  }

  async release(session: SessionRef, options: ReleaseOptions): Promise<void> {
    const { keys, sessions } = this.#backend
    sessions.flushOf(session.clientIdentifier)
    const request = releaseRequest(keys, session, options, () => sessions.forget(session))
    await this.#backend.request(session.clientIdentifier, request)
  }

  write(unit: Unit, sink: Sink): void {
    if (this.#state !== 'open') {
      const error = closedError()
      void this.#settled.then(() => sink.failed(unit, error))
      return
    }
    this.#pressure.pendingUnits++
    this.#pressure.pendingBytes += unit.body.length
    const { lanes, keys, sessions } = this.#backend
    const parts = this.#unitParts!
    const lane = laneOfUnit(unit, keys, lanes, sessions)
    if (lane === undefined) new SplitUnit(unit, sink, parts, lanes).start()
    else lanes.add(lane, new WholeUnit(unit, sink, parts))
  }

  handOver(
    from: SessionRef,
    seqs: readonly Seq[],
    to: Target,
    stored: (entry: QueueEntry) => void,
  ): Promise<void> {
    return handOver(this.#backend, from, seqs, to, stored)
  }

  async readQueue(
    session: SessionRef,
    after: Seq,
    max: number,
    maxBytes: number,
  ): Promise<QueueEntry[]> {
    const { client, sessions } = this.#backend
    const { incarnation, clientIdentifier } = session
    const known = sessions.of(session)
    if (max < 1 || known.incarnation !== incarnation) return []
    if (sessions.hasDiscards(known)) {
      sessions.flush(known)
      await this.#backend.barrier(clientIdentifier)
    }
    const first = Math.max(after, known.lowWaterMark) + 1
    const range = { first, last: Number.POSITIVE_INFINITY }
    return this.#backend.ask(() =>
      readEntries(client, known.queueKey, incarnation, range, max, maxBytes),
    )
  }

  acknowledgeTo(session: SessionRef, lowWaterMark: Seq): void {
    if (this.#state === 'open') this.#backend.sessions.acknowledgeTo(session, lowWaterMark)
  }

  discard(session: SessionRef, seqs: readonly Seq[]): void {
    if (this.#state === 'open') this.#backend.sessions.discard(session, seqs)
  }

  discardRetained(topics: readonly string[]): void {
    if (this.#state !== 'open') return
    const { keys, lanes } = this.#backend
    for (const topic of topics) {
      const group = keys.groupOf(topic)
      const request = new LazyRequest(
        (batch) => {
          batch.code(Code.ClearRetained)
          batch.key(keys.retained(group))
          batch.list([topic])
        },
        () => {},
      )
      lanes.add(lanes.of(group), request)
    }
  }

  async markReleased(session: SessionRef, seqs: readonly Seq[]): Promise<void> {
    const { keys, sessions } = this.#backend
    const request = markReleasedRequest(keys, session, sessions.of(session), seqs)
    await this.#backend.request(session.clientIdentifier, request)
  }

  async forgetInbound(session: SessionRef, packetIdentifier: number): Promise<void> {
    const request = forgetInboundRequest(this.#backend.keys, session, packetIdentifier)
    await this.#backend.request(session.clientIdentifier, request)
  }

  pressure(): Pressure {
    return this.#pressure
  }

  async adopt(stored: StoredSession): Promise<SessionRef> {
    const { keys, meta, sessions } = this.#backend
    const { clientIdentifier } = stored.ref
    let ref = stored.ref
    let lastSeq = stored.lastSeq
    if (this.#backend.isWritingBack) {
      // It is called what it was called, as much that waits is meant for it.
      const known = sessions.of(ref)
      if (known.incarnation === ref.incarnation) lastSeq = Math.max(lastSeq, known.lastSeq)
    } else {
      const incarnation = await this.#backend.ask(() => meta.incarnation())
      ref = { clientIdentifier, incarnation, epoch: 0 }
    }
    sessions.forget(sessions.of(ref))
    const known = sessions.of(ref)
    known.lastSeq = lastSeq
    known.lowWaterMark = stored.lowWaterMark
    known.sentMark = stored.lowWaterMark
    const request = adoptRequest(keys, { ...stored, lastSeq }, ref)
    return this.#backend.request(clientIdentifier, request)
  }

  async adoptQueue(session: SessionRef, entries: readonly QueueEntry[]): Promise<void> {
    const request = adoptQueueRequest(this.#backend.sessions.of(session), session, entries)
    await this.#backend.request(session.clientIdentifier, request)
  }

  async check({ repair }: { readonly repair: boolean }): Promise<StoreFinding[]> {
    const { client, keys } = this.#backend
    await this.#backend.settle()
    try {
      return await checkAll(client, keys, repair)
    } catch (error) {
      throw asRedisError(error)
    }
  }

  get #backend(): Backend {
    if (this.#state !== 'open' || this.#opened === undefined) {
      throw closedError()
    }
    return this.#opened
  }

  #reported(unit: Unit): void {
    this.#pressure.pendingUnits--
    this.#pressure.pendingBytes -= unit.body.length
  }
}
