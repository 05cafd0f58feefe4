/**
 * The sessions of a store that stand for clients of Aedes. Aedes has no sessions: one begins with the
 * first thing that has to be kept for a client, and ends with the last.
 */

import { SESSION_NEVER_EXPIRES } from '../../protocol/limits.ts'
import type { SessionRef, Store, StoredSession, StoredWill } from '../storage.ts'
import type { AedesPacket, AedesSubscription } from './interface.ts'
import { OutgoingQueue } from './outgoing-queue.ts'
import { toOurs } from './subscriptions.ts'

export class AedesSession {
  /** By Topic Filter. */
  readonly subscriptions: Map<string, AedesSubscription> = new Map()
  /** QoS 2 packets that PUBREL has not come for, by Packet Identifier. */
  readonly incoming: Map<number, AedesPacket> = new Map()
  will: StoredWill | undefined
  outgoing: OutgoingQueue
  /** What is at work with it. */
  uses = 0
  stored: StoredSession

  constructor(store: Store, stored: StoredSession) {
    this.stored = stored
    this.will = stored.will
    this.outgoing = new OutgoingQueue(store, stored)
  }

  get ref(): SessionRef {
    return this.stored.ref
  }

  get isEmpty(): boolean {
    return (
      this.subscriptions.size === 0 &&
      this.incoming.size === 0 &&
      this.will === undefined &&
      this.outgoing.isEmpty
    )
  }
}

export class AedesSessions {
  readonly #store: Store
  readonly #sessions = new Map<string, AedesSession>()
  /** Those on their way from the store. */
  readonly #claims = new Map<string, Promise<AedesSession>>()

  constructor(store: Store) {
    this.#store = store
  }

  get all(): Iterable<AedesSession> {
    return this.#sessions.values()
  }

  find(clientId: string): AedesSession | undefined {
    return this.#sessions.get(clientId)
  }

  /** Takes up a session that was there before; it is empty if it has ended meanwhile. */
  async restore(before: StoredSession): Promise<AedesSession> {
    const { will } = before
    const { clientIdentifier } = before.ref
    let stored = before
    if (before.left !== undefined) {
      // Our broker has left it to end by itself, which no session of Aedes does.
      const options = { cleanStart: false, expirySeconds: SESSION_NEVER_EXPIRES, will }
      const claimed = await this.#store.claim(clientIdentifier, options)
      stored = { ...claimed, will: claimed.present ? will : undefined }
    }
    const session = new AedesSession(this.#store, stored)
    for (const packetIdentifier of stored.inbound) {
      session.incoming.set(packetIdentifier, forgotten(packetIdentifier))
    }
    this.#sessions.set(clientIdentifier, session)
    return session
  }

  /** Lets `work` use the sessions of these clients, which begin if need be and end if nothing is left. */
  async use<T>(
    clientIds: readonly string[],
    work: (...sessions: AedesSession[]) => Promise<T>,
  ): Promise<T> {
    const sessions = await Promise.all(clientIds.map((clientId) => this.#take(clientId)))
    try {
      return await work(...sessions)
    } finally {
      await Promise.all(sessions.map((session) => this.#giveBack(session)))
    }
  }

  /** Lets `work` use the session of a client that may have none. */
  async useIfThere<T>(
    clientId: string,
    work: (session: AedesSession) => Promise<T>,
  ): Promise<T | undefined> {
    return this.#sessions.has(clientId) ? this.use([clientId], work) : undefined
  }

  /** Writes what is known of the sessions that the store has lost, but for the messages. */
  async adoptAll(isLost: (clientIdentifier: string) => boolean): Promise<void> {
    for (const [clientId, session] of this.#sessions) {
      if (!isLost(clientId)) continue
      const { stored, will } = session
      const queue = { lowWaterMark: stored.lastSeq, released: [], queued: 0, queuedBytes: 0 }
      const subscriptions = [...session.subscriptions.values()].map(toOurs)
      const inbound = [...session.incoming.keys()]
      const left = { left: undefined, sentTo: undefined }
      const known = { ...stored, ...queue, ...left, subscriptions, inbound, will }
      // oxlint-disable-next-line no-await-in-loop -- There may be very many.
      const ref = await this.#store.adopt(known)
      session.stored = { ...known, ref }
      session.outgoing = new OutgoingQueue(this.#store, session.stored)
    }
  }

  async #take(clientId: string): Promise<AedesSession> {
    const there = this.#sessions.get(clientId)
    if (there !== undefined) {
      there.uses++
      return there
    }
    let claim = this.#claims.get(clientId)
    if (claim === undefined) {
      claim = this.#claim(clientId)
      this.#claims.set(clientId, claim)
    }
    const session = await claim
    session.uses++
    return session
  }

  async #claim(clientId: string): Promise<AedesSession> {
    try {
      const options = { cleanStart: true, expirySeconds: 0, will: undefined }
      const session = new AedesSession(this.#store, await this.#store.claim(clientId, options))
      this.#sessions.set(clientId, session)
      return session
    } finally {
      this.#claims.delete(clientId)
    }
  }

  async #giveBack(session: AedesSession): Promise<void> {
    session.uses--
    const { clientIdentifier } = session.ref
    const isThere = this.#sessions.get(clientIdentifier) === session
    if (session.uses > 0 || !session.isEmpty || !isThere) return
    this.#sessions.delete(clientIdentifier)
    const now = { expiresAt: 0, willAt: undefined, sentTo: undefined }
    await this.#store.release(session.ref, now)
  }
}

/** Of a packet that an earlier process was sent only the identifier is kept: Aedes asks for no more. */
function forgotten(messageId: number): AedesPacket {
  return { cmd: 'publish', topic: '', qos: 2, retain: false, dup: false, messageId }
}
