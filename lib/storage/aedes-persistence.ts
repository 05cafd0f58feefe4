/**
 * A store as a persistence for Aedes: the interface of `aedes-persistence` 11 over any store of ours.
 *
 * Aedes asks for one thing at a time and waits for a promise each; what it asks for in one turn of the
 * event loop still is one batch of the store. Subscriptions, wills and retained messages are kept in
 * memory besides, as a store is read only at its start; queues are not.
 */

import { Buffer } from 'node:buffer'
import { Readable } from 'node:stream'
import { SESSION_NEVER_EXPIRES } from '../protocol/limits.ts'
import { hasWildcard, matchesTopic } from '../protocol/topics.ts'
import { systemClock } from '../util/clock.ts'
import { FilterTree } from './aedes/filter-tree.ts'
import type {
  AedesBroker,
  AedesClient,
  AedesMatch,
  AedesPacket,
  AedesPersistenceInterface,
  AedesReceiver,
  AedesSubscription,
} from './aedes/interface.ts'
import { type AedesPersistenceOptions, openStore } from './aedes/open-store.ts'
import { receiver } from './aedes/outgoing-queue.ts'
import { decodePacket, encodePacket } from './aedes/packet-body.ts'
import { type AedesSession, AedesSessions } from './aedes/sessions.ts'
import { fromOurs, toMatch, toOurs, toRecord } from './aedes/subscriptions.ts'
import { type Store, type StoredRetained, type StoredSession, StoreError } from './storage.ts'
import { writeUnit } from './write-unit.ts'

export type {
  AedesBroker,
  AedesClient,
  AedesMatch,
  AedesPacket,
  AedesPersistenceInterface,
  AedesProperties,
  AedesReceiver,
  AedesSubscription,
} from './aedes/interface.ts'
export type { AedesPersistenceOptions } from './aedes/open-store.ts'
export { type ForeignPersistenceOptions, foreignPersistence } from './foreign-persistence.ts'
export { StoreError } from './storage.ts'

/**
 * Makes a persistence for `Aedes.createBroker({ persistence })`, which opens the store; call `destroy`
 * when the broker is closed, since Aedes does not.
 *
 * ```ts
 * const persistence = aedesPersistence({ store: 'disk:./data' })
 * const aedes = await Aedes.createBroker({ persistence })
 * ```
 */
export function aedesPersistence(options: AedesPersistenceOptions): AedesPersistence {
  return new AedesPersistence(options)
}

const NOTHING = Buffer.alloc(0)

export class AedesPersistence implements AedesPersistenceInterface {
  readonly #options: AedesPersistenceOptions
  readonly #filters = new FilterTree()
  readonly #retained = new Map<string, StoredRetained>()
  #broker: AedesBroker | undefined
  #opened: { readonly store: Store; readonly sessions: AedesSessions } | undefined
  #isDestroyed = false

  constructor(options: AedesPersistenceOptions) {
    this.#options = options
  }

  get broker(): AedesBroker | undefined {
    return this.#broker
  }

  async setup(broker: AedesBroker): Promise<void> {
    this.#broker = broker
    const store = await openStore(
      this.#options,
      (error) => this.#broker?.emit?.('error', error),
      (isLost) => this.#writeAgain(isLost),
    )
    const sessions = new AedesSessions(store)
    this.#opened = { store, sessions }
    const stored: StoredSession[] = []
    await store.replay((item) => {
      if (item.kind === 'session') stored.push(item.session)
      else this.#retained.set(item.message.topic, item.message)
    })
    await Promise.all(stored.map((session) => this.#restore(session)))
  }

  async destroy(): Promise<void> {
    if (this.#isDestroyed) throw new Error('The persistence is destroyed already.')
    this.#isDestroyed = true
    await this.#store.close()
  }

  async storeRetained(packet: AedesPacket): Promise<void> {
    const message = encodePacket(packet)
    const retain = (packet.payload ?? '').length === 0 ? 'clear' : 'set'
    await writeUnit(this.#store, { ...message, retain })
    if (retain === 'clear') this.#retained.delete(message.topic)
    else this.#retained.set(message.topic, message)
  }

  createRetainedStream(pattern: string): Readable {
    return this.createRetainedStreamCombi([pattern])
  }

  /** Each message comes once, however many of the patterns match. */
  createRetainedStreamCombi(patterns: readonly string[]): Readable {
    return Readable.from(this.#retainedOf(patterns))
  }

  async addSubscriptions(
    client: AedesClient,
    subscriptions: readonly AedesSubscription[],
  ): Promise<void> {
    // One filter may stand there twice: the last counts.
    const records = new Map(subscriptions.map((each) => [each.topic, toRecord(each)]))
    if (records.size === 0) return
    await this.#sessions.use([client.id], async (session) => {
      const subscribe = [...records.values()].map(toOurs)
      const change = { subscribe, expirySeconds: SESSION_NEVER_EXPIRES }
      await this.#store.update(session.ref, change)
      for (const record of records.values()) this.#subscribe(client.id, session, record)
    })
  }

  async removeSubscriptions(client: AedesClient, topicFilters: readonly string[]): Promise<void> {
    await this.#sessions.useIfThere(client.id, async (session) => {
      await this.#store.update(session.ref, { unsubscribe: topicFilters })
      for (const topicFilter of topicFilters) {
        session.subscriptions.delete(topicFilter)
        this.#filters.delete(topicFilter, client.id)
      }
    })
  }

  async subscriptionsByClient(client: AedesClient): Promise<AedesSubscription[]> {
    return [...(this.#sessions.find(client.id)?.subscriptions.values() ?? [])]
  }

  async countOffline(): Promise<{ subsCount: number; clientsCount: number }> {
    let clientsCount = 0
    for (const { subscriptions } of this.#sessions.all) if (subscriptions.size > 0) clientsCount++
    return { subsCount: this.#filters.size, clientsCount }
  }

  async subscriptionsByTopic(topic: string): Promise<AedesMatch[]> {
    return this.#filters.match(topic)
  }

  async cleanSubscriptions(client: AedesClient): Promise<void> {
    const topicFilters = this.#sessions.find(client.id)?.subscriptions.keys() ?? []
    await this.removeSubscriptions(client, [...topicFilters])
  }

  outgoingEnqueue(to: AedesReceiver, packet: AedesPacket): Promise<void> {
    return this.outgoingEnqueueCombi([to], packet)
  }

  /** Every client gets one copy, in one unit of the store: all or none. */
  async outgoingEnqueueCombi(
    receivers: readonly AedesReceiver[],
    packet: AedesPacket,
  ): Promise<void> {
    const copies = new Map<string, number>()
    for (const { clientId } of receivers) copies.set(clientId, (copies.get(clientId) ?? 0) + 1)
    if (copies.size === 0) return
    const queued = queuedForm(packet)
    await this.#sessions.use([...copies.keys()], async (...sessions) => {
      const targets = sessions.map((session) => receiver(session.stored, queued))
      await writeUnit(this.#store, { ...encodePacket(queued), targets }, (target, seq) => {
        const session = sessions[target]!
        const { clientIdentifier } = session.ref
        session.outgoing.added(queued, seq, copies.get(clientIdentifier)!)
      })
    })
  }

  async outgoingUpdate(client: AedesClient, packet: AedesPacket): Promise<void> {
    await this.#existing(client, async ({ outgoing }) => {
      if (packet.cmd === 'pubrel') await outgoing.release(packet.messageId!)
      else await outgoing.identify(packet)
    })
  }

  outgoingClearMessageId(
    client: AedesClient,
    packet: AedesPacket,
  ): Promise<AedesPacket | undefined> {
    return this.#sessions.useIfThere(client.id, ({ outgoing }) => outgoing.take(packet))
  }

  outgoingStream(client: AedesClient): Readable {
    return Readable.from(this.#sessions.find(client.id)?.outgoing.packets() ?? [])
  }

  async incomingStorePacket(client: AedesClient, packet: AedesPacket): Promise<void> {
    const packetIdentifier = packet.messageId!
    await this.#sessions.use([client.id], async (session) => {
      const publisher = { session: session.ref, packetIdentifier }
      await writeUnit(this.#store, { topic: packet.topic ?? '', body: NOTHING, publisher })
      session.incoming.set(packetIdentifier, { ...queuedForm(packet), messageId: packetIdentifier })
    })
  }

  async incomingGetPacket(client: AedesClient, packet: AedesPacket): Promise<AedesPacket> {
    const found = this.#sessions.find(client.id)?.incoming.get(packet.messageId!)
    if (found === undefined) throw new Error('no such packet')
    return found
  }

  async incomingDelPacket(client: AedesClient, packet: AedesPacket): Promise<void> {
    await this.#existing(client, async (session) => {
      if (!session.incoming.delete(packet.messageId!)) throw new Error('no such packet')
      await this.#store.forgetInbound(session.ref, packet.messageId!)
    })
  }

  async cleanIncoming(client: AedesClient): Promise<void> {
    await this.#sessions.useIfThere(client.id, async (session) => {
      const identifiers = [...session.incoming.keys()]
      session.incoming.clear()
      await Promise.all(identifiers.map((each) => this.#store.forgetInbound(session.ref, each)))
    })
  }

  async putWill(client: AedesClient, packet: AedesPacket): Promise<void> {
    Object.assign(packet, { brokerId: this.#broker!.id, clientId: client.id })
    const { topic, body, qos } = encodePacket(packet)
    const { retain = false } = packet
    const will = { topic, body, qos, retain, delaySeconds: 0, expirySeconds: undefined }
    await this.#sessions.use([client.id], async (session) => {
      await this.#store.update(session.ref, { will })
      session.will = will
    })
  }

  async getWill(client: AedesClient): Promise<AedesPacket | undefined> {
    const session = this.#sessions.find(client.id)
    return session === undefined ? undefined : willOf(session)
  }

  delWill(client: AedesClient): Promise<AedesPacket | undefined> {
    return this.#sessions.useIfThere(client.id, async (session) => {
      const will = willOf(session)
      session.will = undefined
      if (will !== undefined) await this.#store.update(session.ref, { will: null })
      return will
    })
  }

  /** The wills of brokers that are not among `brokers`. */
  streamWill(brokers: Readonly<Record<string, unknown>> = {}): Readable {
    const wills: AedesPacket[] = []
    for (const session of this.#sessions.all) {
      const will = willOf(session)
      if (will !== undefined && !brokers[will.brokerId ?? '']) wills.push(will)
    }
    return Readable.from(wills)
  }

  getClientList(topicFilter: string): Readable {
    const sessions = [...this.#sessions.all].filter((each) => each.subscriptions.has(topicFilter))
    return Readable.from(sessions.map(({ ref }) => ref.clientIdentifier))
  }

  get #store(): Store {
    return this.#ready.store
  }

  get #sessions(): AedesSessions {
    return this.#ready.sessions
  }

  get #ready(): { readonly store: Store; readonly sessions: AedesSessions } {
    if (this.#opened !== undefined) return this.#opened
    throw new StoreError('closed', 'The persistence is not set up: Aedes does that in listen().')
  }

  /** Lets `work` use the session of a client in which Aedes expects to find something. */
  async #existing(
    { id }: AedesClient,
    work: (session: AedesSession) => Promise<void>,
  ): Promise<void> {
    if (this.#sessions.find(id) === undefined) throw new Error('no such packet')
    await this.#sessions.use([id], work)
  }

  async #restore(stored: StoredSession): Promise<void> {
    const session = await this.#sessions.restore(stored)
    for (const subscription of session.stored.subscriptions) {
      this.#subscribe(stored.ref.clientIdentifier, session, fromOurs(subscription))
    }
  }

  #subscribe(clientId: string, { subscriptions }: AedesSession, record: AedesSubscription): void {
    subscriptions.set(record.topic, record)
    if (record.qos > 0) this.#filters.set(toMatch(clientId, record))
    else this.#filters.delete(record.topic, clientId)
  }

  *#retainedOf(patterns: readonly string[]): Generator<AedesPacket> {
    const now = (this.#options.clock ?? systemClock).now()
    const exact = patterns.filter((pattern) => !hasWildcard(pattern))
    const wide = patterns.filter(hasWildcard)
    const topics = new Set(exact)
    if (wide.length > 0) {
      for (const topic of this.#retained.keys()) {
        if (wide.some((pattern) => matchesTopic(pattern, topic))) topics.add(topic)
      }
    }
    for (const topic of topics) {
      const message = this.#retained.get(topic)
      if (message !== undefined && message.expiresAt > now) {
        yield decodePacket(message.body, { qos: message.qos, retain: true })
      }
    }
  }

  async #writeAgain(isLost: (clientId: string) => boolean): Promise<void> {
    await this.#sessions.adoptAll(isLost)
    for (const message of this.#retained.values()) {
      // oxlint-disable-next-line no-await-in-loop -- There may be very many.
      await writeUnit(this.#store, { ...message, retain: 'set', isGivenBack: true })
    }
  }
}

/** What of a packet outlives its way through Aedes: the same as its own class for packets takes over. */
function queuedForm(packet: AedesPacket): AedesPacket {
  const { cmd = 'publish', brokerId, brokerCounter = 0, topic, payload = NOTHING } = packet
  const { qos = 0, retain = false, dup = false } = packet
  const queued: AedesPacket = { cmd, brokerCounter, payload, qos, retain, dup }
  if (topic !== undefined) queued.topic = topic
  if (brokerId !== undefined) queued.brokerId = brokerId
  for (const name of ['clientId', 'nl', 'properties', 'messageExpiry']) {
    if (name in packet) queued[name] = packet[name]
  }
  return queued
}

function willOf({ will }: AedesSession): AedesPacket | undefined {
  return will === undefined ? undefined : decodePacket(will.body, will)
}
