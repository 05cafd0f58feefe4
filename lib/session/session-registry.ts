/**
 * Client Identifier → Session: opening and resuming, taking over, expiry, wills.
 *
 * Sessions of one Client Identifier are opened strictly one after the other, however long the store
 * takes; a session is online on at most one connection.
 */

import { SESSION_NEVER_EXPIRES } from '../protocol/limits.ts'
import type { Message } from '../protocol/message.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
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
  outlet: Outlet | undefined
  expiry: Timer | undefined
  willDelay: Timer | undefined
}

/** What became of a connection's session and will. */
export type CloseKind = 'normal' | 'with will'

export interface RegistryParts extends SessionParts {
  readonly timers: Timers
  /** Publishes a Will Message of the session. */
  readonly publishWill: (message: Message, session: Session) => void
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
    if (existing !== undefined && !request.cleanStart) return this.#resume(existing, request) // [MQTT-3.1.2-5]
    if (existing !== undefined) await this.#end(existing) // [MQTT-3.1.2-4] [MQTT-3.1.4-4]
    return this.#begin(request) // [MQTT-3.1.2-6]
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
    entry.expiry?.cancel() // [MQTT-4.1.0-1]
    entry.expiry = undefined
    entry.willDelay?.cancel() // [MQTT-3.1.3-9]
    entry.willDelay = undefined
    const claimed = await this.#parts.store.claim(session.clientIdentifier, {
      cleanStart: false,
      expirySeconds: request.expirySeconds,
      will: request.will,
    })
    session.renewClaim(claimed.ref)
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
    const claimed =
      expirySeconds > 0
        ? await this.#parts.store.claim(clientIdentifier, { cleanStart: true, expirySeconds, will })
        : undefined
    const session = new Session(
      clientIdentifier,
      this.#parts,
      claimed?.ref,
      claimed?.lowWaterMark ?? 0,
      claimed?.lastSeq ?? 0,
    )
    const entry: Entry = { session, outlet: undefined, expiry: undefined, willDelay: undefined }
    this.#entries.set(clientIdentifier, entry)
    this.#attach(entry, request)
    return { session, present: false }
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
    if (this.#isStopped) return
    if (kind === 'normal') this.#forgetWill(session) // [MQTT-3.1.2-8] [MQTT-3.14.4-3]
    if (session.expirySeconds === 0) {
      this.#end(entry).catch(() => {}) // [MQTT-4.1.0-2]
      return
    }
    this.#startWillDelay(entry)
    this.#startExpiry(entry) // [MQTT-3.1.2-23]
    void this.#handOver.leave(session)
  }

  /** The broker stops: no session ends any more, and no will is published, by connections closing. */
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

  #startExpiry(entry: Entry): void {
    const { session } = entry
    const isEternal = session.expirySeconds === SESSION_NEVER_EXPIRES
    const expiresAt = isEternal
      ? Number.POSITIVE_INFINITY
      : this.#parts.clock.now() + session.expirySeconds * 1000
    this.#storeRelease(session, expiresAt)
    if (isEternal) return
    entry.expiry = this.#parts.timers.after(session.expirySeconds * 1000, () => {
      this.#parts.counters.clientsExpired++
      this.#parts.expired(session)
      this.#end(entry).catch(() => {})
    })
  }

  #startWillDelay(entry: Entry): void {
    const { session } = entry
    if (session.will === undefined) return
    const delaySeconds = Math.min(session.will.delaySeconds, session.expirySeconds)
    if (delaySeconds === 0) this.#publishWill(session)
    else
      entry.willDelay = this.#parts.timers.after(delaySeconds * 1000, () =>
        this.#publishWill(session),
      )
  }

  #publishWill(session: Session): void {
    const { will } = session
    if (will === undefined) return
    this.#forgetWill(session) // [MQTT-3.1.2-10]
    this.#parts.publishWill(willMessage(will, this.#parts.clock.now()), session)
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
    this.#publishWill(session) // [MQTT-3.1.2-8]
    session.leaveRouter()
    await this.#handOver.end(session)
    session.dispose()
    if (session.durable !== undefined)
      await this.#parts.store.release(session.durable, {
        expiresAt: 0,
        willAt: undefined,
        sentTo: 0,
      })
  }

  #storeRelease(session: Session, expiresAt: number): void {
    if (session.durable === undefined) return
    // A store that fails here keeps the session as connected, and finds it again at the next start.
    void this.#parts.store
      .release(session.durable, { expiresAt, willAt: undefined, sentTo: 0 })
      .catch(() => {})
  }
}
