/**
 * Client Identifier → Session: opening and resuming, taking over, expiry, wills.
 *
 * Sessions of one Client Identifier are opened strictly one after the other, however long the store
 * takes; a session is online on at most one connection.
 */

import { ReasonCode } from '../protocol/reason-codes.ts'
import type { Claimed, SessionRef, StoredSession } from '../storage/storage.ts'
import { within } from '../util/within.ts'
import type { Holder } from './holder.ts'
import type { Outlet } from './outlet.ts'
import { Session } from './session.ts'
import { ENDED, type LifeParts, notInTime, SessionLife } from './session-life.ts'
import { SharedHandOver } from './shared-hand-over.ts'
import type { Will } from './will.ts'

export interface OpenRequest {
  readonly clientIdentifier: string
  readonly cleanStart: boolean
  readonly expirySeconds: number
  readonly will: Will | undefined
  readonly outlet: Outlet
  /** Who answers for the session. */
  readonly holder: Holder
}

export interface Opened {
  readonly session: Session
  readonly present: boolean
}

/** How many sessions are given back to a store at once. */
const GIVE_BACK_BATCH = 64

/** What became of a connection's session and will. */
export type CloseKind = 'normal' | 'with will'

export interface RegistryParts extends LifeParts {
  /** How long a client that connects waits for the store. */
  readonly storeTimeoutMs: number
  /** A session has ended for good, by expiry. */
  readonly expired: (session: Session) => void
}

export class SessionRegistry {
  readonly #parts: RegistryParts
  readonly #lives = new Map<string, SessionLife>() // [MQTT-3.1.3-2]
  readonly #handOver: SharedHandOver
  /** The last opening of each Client Identifier that is under way. */
  readonly #openings = new Map<string, Promise<unknown>>()
  /** Sessions that are ending: one of the same Client Identifier begins when they are through. */
  readonly #endings = new Map<string, Promise<void>>()
  /** Begin the lives of sessions that are being taken up. */
  #restoring: (() => void)[] = []
  #onlineCount = 0
  #isStopped = false

  constructor(parts: RegistryParts) {
    this.#parts = parts
    this.#handOver = new SharedHandOver(parts)
  }

  get size(): number {
    return this.#lives.size
  }

  get onlineCount(): number {
    return this.#onlineCount
  }

  get(clientIdentifier: string): Session | undefined {
    return this.#lives.get(clientIdentifier)?.session
  }

  *sessions(): IterableIterator<Session> {
    for (const { session } of this.#lives.values()) yield session
  }

  /**
   * Opens the session of a client that has connected: ends whatever connection had it [MQTT-3.1.4-3],
   * then resumes or begins it. The outlet is attached; call `resume` once CONNACK is sent.
   */
  async open(request: OpenRequest): Promise<Opened> {
    const { clientIdentifier } = request
    if (!isStored(request) && !this.#isKnown(clientIdentifier))
      return this.#start(request, undefined)
    const before = this.#openings.get(clientIdentifier)
    const opening = this.#openAfter(before, request)
    this.#openings.set(clientIdentifier, opening)
    try {
      return await opening
    } finally {
      if (this.#openings.get(clientIdentifier) === opening) this.#openings.delete(clientIdentifier)
    }
  }

  /** Whether anything of this client is here: a session, or one that begins or ends. */
  #isKnown(clientIdentifier: string): boolean {
    return (
      this.#lives.has(clientIdentifier) ||
      this.#openings.has(clientIdentifier) ||
      this.#endings.has(clientIdentifier)
    )
  }

  async #openAfter(before: Promise<unknown> | undefined, request: OpenRequest): Promise<Opened> {
    if (before !== undefined) await before.catch(() => {})
    this.#takeOver(request.clientIdentifier)
    const ending = this.#endings.get(request.clientIdentifier)
    // What of it belongs to others is theirs only when the store has said so.
    if (ending !== undefined) await this.#inTime(ending)
    const existing = this.#lives.get(request.clientIdentifier)
    if (existing === undefined) return this.#begin(request) // [MQTT-3.1.2-6]
    // Of a volatile session that has no connection, a will may be left that waits after a restart.
    if (existing.session.durable === undefined) existing.forgetWill()
    else if (!request.cleanStart && !existing.isOver) return this.#resume(existing, request) // [MQTT-3.1.2-5]
    await this.#inTime(this.#end(existing)) // [MQTT-3.1.2-4] [MQTT-3.1.4-4]
    return this.#begin(request)
  }

  /** Closes the connection that has the session; its will goes out as the standard has it. */
  #takeOver(clientIdentifier: string): void {
    const life = this.#lives.get(clientIdentifier)
    if (life === undefined) return
    this.#disconnect(
      life,
      ReasonCode.SessionTakenOver,
      'another connection has this Client Identifier',
    )
  }

  /** Closes the connection of a session, if there is one; that may end the session as well. */
  #disconnect(life: SessionLife, reasonCode: number, rule: string): void {
    const { session, outlet } = life
    if (outlet === undefined) return
    outlet.endFor(reasonCode, rule)
    // A connection that had not sent its CONNACK yet does not call `close` by itself.
    this.close(session, outlet, 'with will')
  }

  async #resume(life: SessionLife, request: OpenRequest): Promise<Opened> {
    const { session, left } = life
    life.stopWaiting()
    const renew = ({ ref }: Claimed): void => life.renewClaim(ref)
    let claimed: Claimed
    try {
      claimed = await this.#claim(request, false, renew)
    } catch (error) {
      if (!this.#isStopped) life.waitFor(left)
      throw error
    }
    if (!claimed.present) {
      // Its time was up when the store looked: what was claimed is another life.
      life.ref = undefined
      await this.#end(life)
      return this.#start(request, claimed)
    }
    renew(claimed)
    this.#attach(life, request)
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
    const claimed = isStored(request)
      ? await this.#claim(request, true, ({ ref }) => this.#abandon(ref))
      : undefined
    return this.#start(request, claimed)
  }

  /** Begins a session; `claimed` is what the store has made for it. */
  #start(request: OpenRequest, claimed: Claimed | undefined): Opened {
    const stored = request.expirySeconds > 0 ? claimed : undefined
    const session = new Session(request.clientIdentifier, this.#parts, stored)
    this.#attach(this.#add(session, claimed?.ref), request)
    return { session, present: false }
  }

  /** The store has made a session that nobody waits for any more. */
  #abandon(ref: SessionRef): void {
    void this.#parts.store.release(ref, ENDED).catch(() => {})
  }

  /** Claims a session in the store, which may take `storeTimeoutMs`; `late` gets what comes after that. */
  async #claim(
    { clientIdentifier, expirySeconds, will }: OpenRequest,
    cleanStart: boolean,
    late: (claimed: Claimed) => void,
  ): Promise<Claimed> {
    const { store } = this.#parts
    let isLate = false
    const claiming = store.claim(clientIdentifier, { cleanStart, expirySeconds, will })
    claiming.then(
      (claimed) => {
        if (isLate) late(claimed)
      },
      () => {},
    )
    try {
      return await this.#inTime(claiming)
    } catch (error) {
      isLate = true
      throw error
    }
  }

  /** Waits for the store as long as a client may. */
  #inTime<T>(work: Promise<T>): Promise<T> {
    const { timers, storeTimeoutMs } = this.#parts
    return within(work, timers, storeTimeoutMs, notInTime)
  }

  #add(session: Session, ref: SessionRef | undefined): SessionLife {
    const life = new SessionLife(this.#parts, session, ref, (over) => this.#expire(over))
    this.#lives.set(session.clientIdentifier, life)
    return life
  }

  /** Takes up a session that the store has kept over a restart. Nothing happens to it before `restored`. */
  restore(stored: StoredSession): void {
    const { ref, will, left, sentTo, expirySeconds } = stored
    const kept = expirySeconds > 0 ? stored : undefined
    const session = new Session(ref.clientIdentifier, this.#parts, kept)
    session.will = will
    const life = this.#add(session, ref)
    this.#restoring.push(() => life.restore({ left, sentTo }))
  }

  /** All sessions are here: a will that is due reaches each of them. */
  restored(): void {
    for (const begin of this.#restoring) begin()
    this.#restoring = []
  }

  #attach(life: SessionLife, request: OpenRequest): void {
    const { session } = life
    life.outlet = request.outlet
    session.holder = request.holder
    session.expirySeconds = request.expirySeconds
    session.will = request.will // [MQTT-3.1.2-7]
    session.attach(request.outlet)
    this.#onlineCount++
    if (this.#onlineCount > this.#parts.counters.clientsMaximum) {
      this.#parts.counters.clientsMaximum = this.#onlineCount
    }
  }

  /** The will of a session is not to be published any more. */
  forgetWill({ clientIdentifier }: Session): void {
    this.#lives.get(clientIdentifier)?.forgetWill()
  }

  /** The connection on `outlet` is closed. Does nothing if the session is on another one. */
  close(session: Session, outlet: Outlet, kind: CloseKind): void {
    const life = this.#lives.get(session.clientIdentifier)
    if (life === undefined || life.outlet !== outlet) return
    life.outlet = undefined
    this.#onlineCount--
    session.detach()
    if (kind === 'normal') life.forgetWill() // [MQTT-3.1.2-8] [MQTT-3.14.4-3]
    if (kind === 'with will' && this.#isStopped) life.keepConnected()
    else if (session.expirySeconds === 0)
      this.#end(life).catch(() => {}) // [MQTT-4.1.0-2]
    else {
      life.leave()
      void this.#handOver.leave(session)
    }
  }

  /**
   * The broker stops: connections that it closes end no session and publish no will. Both are for the next
   * start, where the store keeps them.
   */
  stop(): void {
    this.#isStopped = true
    for (const life of this.#lives.values()) life.stopWaiting()
  }

  /** Resolves when the sessions that are ending have ended. */
  async whenEnded(): Promise<void> {
    await Promise.allSettled(this.#endings.values())
  }

  /** Gives the store every session that it has lost as it is known here. Resolves to how many there are. */
  async giveBack(isLost: (clientIdentifier: string) => boolean): Promise<number> {
    let count = 0
    let pending: Promise<void>[] = []
    for (const [clientIdentifier, life] of this.#lives) {
      if (!isLost(clientIdentifier)) continue
      count++
      pending.push(life.giveBack())
      if (pending.length < GIVE_BACK_BATCH) continue
      await Promise.all(pending)
      pending = []
    }
    await Promise.all(pending)
    return count
  }

  /** Ends a session that has no connection, or closes the one it has: for administrators. */
  async discard(clientIdentifier: string): Promise<boolean> {
    await this.#openings.get(clientIdentifier)?.catch(() => {})
    const life = this.#lives.get(clientIdentifier)
    if (life === undefined) return false
    this.#disconnect(life, ReasonCode.AdministrativeAction, 'the session was discarded')
    if (this.#lives.get(clientIdentifier) === life) await this.#end(life)
    return true
  }

  #expire(life: SessionLife): void {
    const { session } = life
    if (session.durable !== undefined) {
      this.#parts.counters.clientsExpired++
      this.#parts.expired(session)
    }
    this.#end(life).catch(() => {})
  }

  /** Ends a session: its will goes out, its subscriptions go, its shared messages go to others. */
  #end(life: SessionLife): Promise<void> {
    const { clientIdentifier } = life.session
    const ending = this.#endNow(life).finally(() => {
      if (this.#endings.get(clientIdentifier) === ending) this.#endings.delete(clientIdentifier)
    })
    this.#endings.set(clientIdentifier, ending)
    return ending
  }

  async #endNow(life: SessionLife): Promise<void> {
    const { session } = life
    if (this.#lives.get(session.clientIdentifier) === life) {
      this.#lives.delete(session.clientIdentifier)
    }
    life.stopWaiting()
    life.publishWill() // [MQTT-3.1.2-8]
    session.leaveRouter()
    await this.#handOver.end(session)
    session.dispose()
    if (life.ref !== undefined) await this.#parts.store.release(life.ref, ENDED)
  }
}

/** The will of a volatile session survives the broker too. */
function isStored({ expirySeconds, will }: OpenRequest): boolean {
  return expirySeconds > 0 || will !== undefined
}
