/**
 * Client Identifier → Session: opening and resuming, taking over, expiry, wills.
 *
 * Sessions of one Client Identifier are opened strictly one after the other, however long the store
 * takes; a session is online on at most one connection.
 */

import { SESSION_NEVER_EXPIRES } from '../protocol/limits.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { Left, ReleaseOptions, SessionRef, StoredSession } from '../storage/storage.ts'
import type { Timer, Timers } from '../util/timers.ts'
import type { Outlet } from './outlet.ts'
import { Session } from './session.ts'
import type { SessionParts } from './session-parts.ts'
import { SharedHandOver } from './shared-hand-over.ts'
import { type Will, willMessage } from './will.ts'

export interface OpenRequest {
  readonly clientIdentifier: string
  readonly cleanStart: boolean
  readonly expirySeconds: number
  readonly receiveMaximum: number
  readonly will: Will | undefined
  readonly outlet: Outlet
}

export interface Opened {
  readonly session: Session
  readonly present: boolean
}

/** A session while it lives: with the connection it is on, or the timers that will end it. */
interface Entry {
  readonly session: Session
  /** Its name in the store: that of a durable session, or of a volatile one whose will is kept there. */
  ref: SessionRef | undefined
  outlet: Outlet | undefined
  expiry: Timer | undefined
  willDelay: Timer | undefined
}

/** What became of a connection's session and will. */
export type CloseKind = 'normal' | 'with will'

export interface RegistryParts extends SessionParts {
  readonly timers: Timers
  /** How long clients that were connected may take to come back after a restart, see `restore`. */
  readonly willRestartGraceSeconds: number
  /** A session has ended for good, by expiry. */
  readonly expired: (session: Session) => void
}

export class SessionRegistry {
  readonly #parts: RegistryParts
  readonly #entries = new Map<string, Entry>() // [MQTT-3.1.3-2]
  readonly #handOver: SharedHandOver
  /** The last opening of each Client Identifier that is under way. */
  readonly #openings = new Map<string, Promise<unknown>>()
  /** Sessions that are ending: one of the same Client Identifier begins when they are through. */
  readonly #endings = new Map<string, Promise<void>>()
  #onlineCount = 0
  #isStopped = false

  constructor(parts: RegistryParts) {
    this.#parts = parts
    this.#handOver = new SharedHandOver(parts)
  }

  get size(): number {
    return this.#entries.size
  }

  get onlineCount(): number {
    return this.#onlineCount
  }

  get(clientIdentifier: string): Session | undefined {
    return this.#entries.get(clientIdentifier)?.session
  }

  *sessions(): IterableIterator<Session> {
    for (const { session } of this.#entries.values()) yield session
  }

  /**
   * Opens the session of a client that has connected: ends whatever connection had it [MQTT-3.1.4-3],
   * then resumes or begins it. The outlet is attached; call `resume` once CONNACK is sent.
   */
  async open(request: OpenRequest): Promise<Opened> {
    const { clientIdentifier } = request
    const before = this.#openings.get(clientIdentifier)
    const opening = this.#openAfter(before, request)
    this.#openings.set(clientIdentifier, opening)
    try {
      return await opening
    } finally {
      if (this.#openings.get(clientIdentifier) === opening) this.#openings.delete(clientIdentifier)
    }
  }

  async #openAfter(before: Promise<unknown> | undefined, request: OpenRequest): Promise<Opened> {
    if (before !== undefined) await before.catch(() => {})
    this.#takeOver(request.clientIdentifier)
    const ending = this.#endings.get(request.clientIdentifier)
    if (ending !== undefined) await ending.catch(() => {})
    const existing = this.#entries.get(request.clientIdentifier)
    if (existing === undefined) return this.#begin(request) // [MQTT-3.1.2-6]
    if (existing.session.durable === undefined) existing.session.will = undefined
    else if (!request.cleanStart && !this.#isOver(existing)) return this.#resume(existing, request) // [MQTT-3.1.2-5]
    await this.#end(existing) // [MQTT-3.1.2-4] [MQTT-3.1.4-4]
    return this.#begin(request)
  }

  /** Whether a session's time is up, and only its timer has not been called yet. */
  #isOver({ expiry }: Entry): boolean {
    return expiry !== undefined && expiry.deadline <= this.#parts.clock.now()
  }

  /** Closes the connection that has the session; its will goes out as the standard has it. */
  #takeOver(clientIdentifier: string): void {
    const entry = this.#entries.get(clientIdentifier)
    if (entry === undefined) return
    this.#disconnect(
      entry,
      ReasonCode.SessionTakenOver,
      'another connection has this Client Identifier',
    )
  }

  /** Closes the connection of a session, if there is one; that may end the session as well. */
  #disconnect(entry: Entry, reasonCode: number, rule: string): void {
    const { session, outlet } = entry
    if (outlet === undefined) return
    outlet.endFor(reasonCode, rule)
    // A connection that had not sent its CONNACK yet does not call `close` by itself.
    this.close(session, outlet, 'with will')
  }

  async #resume(entry: Entry, request: OpenRequest): Promise<Opened> {
    const { session } = entry
    const [expiresAt, willAt] = [entry.expiry?.deadline, entry.willDelay?.deadline]
    entry.expiry?.cancel() // [MQTT-4.1.0-1]
    entry.expiry = undefined
    entry.willDelay?.cancel() // [MQTT-3.1.3-9]
    entry.willDelay = undefined
    try {
      const { clientIdentifier } = session
      const { expirySeconds, will } = request
      const options = { cleanStart: false, expirySeconds, will }
      const { ref } = await this.#parts.store.claim(clientIdentifier, options)
      entry.ref = ref
      session.renewClaim(ref)
    } catch (error) {
      this.#arm(entry, expiresAt, willAt)
      throw error
    }
    this.#attach(entry, request)
    return { session, present: true }
  }

  /** CONNACK is sent: the client gets what waits for it, and what waits for others of its groups. */
  resume(session: Session): void {
    session.resume()
    this.#handOver.gather(session)
  }

  /** A session has subscribed to a shared subscription. */
  joined(session: Session): void {
    this.#handOver.gather(session)
  }

  /** Ends a subscription; says whether it existed. */
  unsubscribe(session: Session, topicFilter: string): boolean {
    const group = this.#parts.router.groupOf(topicFilter)
    if (!session.unsubscribe(topicFilter)) return false
    if (group !== undefined) this.#handOver.unsubscribe(session, group)
    return true
  }

  async #begin(request: OpenRequest): Promise<Opened> {
    const { clientIdentifier, expirySeconds, will } = request
    const isDurable = expirySeconds > 0
    // The will of a volatile session survives the broker too.
    const isStored = isDurable || will !== undefined
    const options = { cleanStart: true, expirySeconds, will }
    const claimed = isStored ? await this.#parts.store.claim(clientIdentifier, options) : undefined
    const session = new Session(clientIdentifier, this.#parts, isDurable ? claimed : undefined)
    const entry = this.#add(session, claimed?.ref)
    this.#attach(entry, request)
    return { session, present: false }
  }

  #add(session: Session, ref: SessionRef | undefined): Entry {
    const entry = { session, ref, outlet: undefined, expiry: undefined, willDelay: undefined }
    this.#entries.set(session.clientIdentifier, entry)
    return entry
  }

  /**
   * Takes up a session that the store has kept over a restart. What counted down goes on counting. Where
   * the client was connected, expiry begins now, and the will waits for its delay or, if that is longer,
   * `willRestartGraceSeconds`.
   */
  restore(stored: StoredSession): void {
    const { ref, will, expirySeconds } = stored
    const isDurable = expirySeconds > 0
    const session = new Session(ref.clientIdentifier, this.#parts, isDurable ? stored : undefined)
    session.will = will
    const entry = this.#add(session, ref)
    const left = stored.left ?? this.#leftAtRestart(stored)
    if (stored.left === undefined) this.#release(entry, { ...left, sentTo: stored.sentTo })
    this.#arm(entry, left.expiresAt, left.willAt)
  }

  #leftAtRestart({ will, expirySeconds }: StoredSession): Left {
    const now = this.#parts.clock.now()
    if (will === undefined) return { expiresAt: expiryOf(expirySeconds, now), willAt: undefined }
    const graceSeconds = this.#parts.willRestartGraceSeconds
    const delaySeconds = Math.min(will.delaySeconds, expirySeconds)
    return {
      expiresAt: expiryOf(Math.max(expirySeconds, graceSeconds), now),
      willAt: now + Math.max(delaySeconds, graceSeconds) * 1000,
    }
  }

  #attach(entry: Entry, request: OpenRequest): void {
    const { session } = entry
    entry.outlet = request.outlet
    session.expirySeconds = request.expirySeconds
    session.will = request.will // [MQTT-3.1.2-7]
    session.attach(request.outlet, request.receiveMaximum)
    this.#onlineCount++
    if (this.#onlineCount > this.#parts.counters.clientsMaximum) {
      this.#parts.counters.clientsMaximum = this.#onlineCount
    }
  }

  /** The connection on `outlet` is closed. Does nothing if the session is on another one. */
  close(session: Session, outlet: Outlet, kind: CloseKind): void {
    const entry = this.#entries.get(session.clientIdentifier)
    if (entry === undefined || entry.outlet !== outlet) return
    entry.outlet = undefined
    this.#onlineCount--
    session.detach()
    if (kind === 'normal')
      this.#forgetWill(session) // [MQTT-3.1.2-8] [MQTT-3.14.4-3]
    else if (this.#isStopped) {
      this.#keepConnected(session)
      return
    }
    if (session.expirySeconds === 0) {
      this.#end(entry).catch(() => {}) // [MQTT-4.1.0-2]
      return
    }
    const now = this.#parts.clock.now()
    const expiresAt = expiryOf(session.expirySeconds, now) // [MQTT-3.1.2-23]
    const willAt = this.#publishOrDelayWill(entry, now)
    this.#release(entry, { expiresAt, willAt, sentTo: session.sentTo })
    this.#arm(entry, expiresAt, willAt)
    void this.#handOver.leave(session)
  }

  /** Publishes the will of a session that has lost its connection, or says when it is due. */
  #publishOrDelayWill(entry: Entry, now: number): number | undefined {
    const { will, expirySeconds } = entry.session
    const delaySeconds = Math.min(will?.delaySeconds ?? 0, expirySeconds)
    if (delaySeconds === 0) this.#publishWill(entry)
    return delaySeconds === 0 ? undefined : now + delaySeconds * 1000
  }

  /** The broker is stopping: at the next start the session is one whose client was connected. */
  #keepConnected({ durable, sentTo }: Session): void {
    if (durable !== undefined) void this.#parts.store.update(durable, { sentTo }).catch(() => {})
  }

  /**
   * The broker stops: connections that it closes end no session and publish no will. Both are for the next
   * start, where the store keeps them.
   */
  stop(): void {
    this.#isStopped = true
    for (const entry of this.#entries.values()) {
      entry.expiry?.cancel()
      entry.willDelay?.cancel()
    }
  }

  /** Ends a session that has no connection, or closes the one it has: for administrators. */
  async discard(clientIdentifier: string): Promise<boolean> {
    const entry = this.#entries.get(clientIdentifier)
    if (entry === undefined) return false
    this.#disconnect(entry, ReasonCode.AdministrativeAction, 'the session was discarded')
    if (this.#entries.get(clientIdentifier) === entry) await this.#end(entry)
    return true
  }

  /** Starts the timers of a session that has no connection. */
  #arm(entry: Entry, expiresAt: number | undefined, willAt: number | undefined): void {
    if (this.#isStopped) return
    const { clock, timers } = this.#parts
    const wait = (until: number, act: () => void): Timer =>
      timers.after(Math.max(0, until - clock.now()), act)
    if (willAt !== undefined) entry.willDelay = wait(willAt, () => this.#endWill(entry))
    if (expiresAt === undefined || expiresAt === Number.POSITIVE_INFINITY) return
    entry.expiry = wait(expiresAt, () => this.#expire(entry))
  }

  #endWill(entry: Entry): void {
    // Of a volatile session that the broker did not survive, the will is all there is.
    if (entry.session.durable === undefined) this.#end(entry).catch(() => {})
    else this.#publishWill(entry)
  }

  #expire(entry: Entry): void {
    if (entry.session.durable !== undefined) {
      this.#parts.counters.clientsExpired++
      this.#parts.expired(entry.session)
    }
    this.#end(entry).catch(() => {})
  }

  #publishWill({ session, ref }: Entry): void {
    const { will } = session
    if (will === undefined) return
    session.will = undefined // [MQTT-3.1.2-10]
    const message = willMessage(will, this.#parts.clock.now())
    this.#parts.router.route(message, session, { willOf: ref })
  }

  #forgetWill(session: Session): void {
    if (session.will === undefined) return
    session.will = undefined
    if (session.durable === undefined) return
    void this.#parts.store.update(session.durable, { will: null }).catch(() => {})
  }

  /** Ends a session: its will goes out, its subscriptions go, its shared messages go to others. */
  #end(entry: Entry): Promise<void> {
    const { clientIdentifier } = entry.session
    const ending = this.#endNow(entry).finally(() => {
      if (this.#endings.get(clientIdentifier) === ending) this.#endings.delete(clientIdentifier)
    })
    this.#endings.set(clientIdentifier, ending)
    return ending
  }

  async #endNow(entry: Entry): Promise<void> {
    const { session } = entry
    if (this.#entries.get(session.clientIdentifier) === entry) {
      this.#entries.delete(session.clientIdentifier)
    }
    entry.expiry?.cancel()
    entry.willDelay?.cancel()
    this.#publishWill(entry) // [MQTT-3.1.2-8]
    session.leaveRouter()
    await this.#handOver.end(session)
    session.dispose()
    if (entry.ref === undefined) return
    await this.#parts.store.release(entry.ref, {
      expiresAt: 0,
      willAt: undefined,
      sentTo: undefined,
    })
  }

  #release({ ref }: Entry, options: ReleaseOptions): void {
    // A store that fails here keeps the session as connected, and finds it again at the next start.
    if (ref !== undefined) void this.#parts.store.release(ref, options).catch(() => {})
  }
}

/** When a session ends that is given up now. */
function expiryOf(expirySeconds: number, now: number): number {
  const isEternal = expirySeconds === SESSION_NEVER_EXPIRES
  return isEternal ? Number.POSITIVE_INFINITY : now + expirySeconds * 1000
}
