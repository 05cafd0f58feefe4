/**
 * Any persistence of Aedes (version 11 of its interface) as a store for our broker, with what such a
 * persistence can promise: nothing that survives for sure. The broker works with a store in memory;
 * what changes there is written to the persistence as well, one thing after the other.
 */

import { randomUUID } from 'node:crypto'
import { SESSION_NEVER_EXPIRES } from '../protocol/limits.ts'
import { systemClock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { MemoryBudget } from '../util/memory-budget.ts'
import type {
  AedesPacket,
  AedesPersistenceInterface as AedesPersistence,
} from './aedes/interface.ts'
import { decodePacket, encodeMessage } from './aedes/packet-body.ts'
import { fromOurs, toOurs } from './aedes/subscriptions.ts'
import { MemoryStore } from './memory.ts'
import type * as port from './storage.ts'
import { packetIdentifierOf, type Seq, type SessionRef, StoreError } from './storage.ts'
import type { StoreParts } from './store-parts.ts'

export interface ForeignPersistenceOptions extends Partial<Pick<StoreParts, 'clock' | 'budget'>> {
  /** Hears of removals that failed, after which a message may come again. Default: silent. */
  readonly logger?: Logger | undefined
  /** Clients whose sessions are taken up: a persistence cannot say which there are. Default: none. */
  readonly clientIds?: readonly string[] | undefined
}

const DETAIL =
  'a persistence of Aedes keeps no session as a whole. Over a restart only the subscriptions and messages of the named clientIds come back, and retained messages; sessions do not expire then, wills are lost, Packet Identifiers begin anew, and QoS 2 messages under way may come twice or never. Expired retained messages stay in it. A message and the identifier it came with are not written together, and what is handed over to another session is not waited for. All that waits is in memory too, and outside its budget'

const NEVER = Number.POSITIVE_INFINITY

/** How a session is taken up: for its Session Expiry Interval nobody can be asked. */
const KNOWN_BY_NAME = { cleanStart: false, expirySeconds: SESSION_NEVER_EXPIRES, will: undefined }

/** Makes a store for `createBroker({ storage })` of a persistence of Aedes 1.x that nobody else uses. */
export function foreignPersistence(
  persistence: object,
  options: ForeignPersistenceOptions = {},
): port.Store {
  if ('setup' in persistence) return new ForeignStore(persistence as AedesPersistence, options)
  throw new TypeError(
    'This is no persistence for Aedes 1.x, since it has no setup. Give what a package such as aedes-persistence makes.',
  )
}

type Kept = Pick<port.QueueEntry, 'body' | 'qos' | 'retain' | 'expiresAt'>

class ForeignStore extends MemoryStore {
  readonly #persistence: AedesPersistence
  readonly #options: ForeignPersistenceOptions
  /** Names that an earlier process gave to its messages do not come again. */
  readonly #brokerId = `noctule-${randomUUID()}`
  #brokerCounter = 0
  #isLoaded = false
  readonly #ownPressure = { pendingUnits: 0, pendingBytes: 0, isHealthy: true }
  /** Resolves when all that was asked of the persistence is done. */
  #last: Promise<unknown> = Promise.resolve()
  /** What is written for the next unit that is reported; what was handed over before counts to it. */
  #writing: Promise<unknown>[] = []

  constructor(persistence: AedesPersistence, options: ForeignPersistenceOptions) {
    super(options.clock ?? systemClock, options.budget ?? new MemoryBudget(NEVER))
    this.#persistence = persistence
    this.#options = options
  }

  override async open(): Promise<port.Opened> {
    await this.#inTurn(() => this.#load())
    return { durability: 'volatile', detail: DETAIL }
  }

  override async close(): Promise<void> {
    await super.close()
    this.#ownPressure.isHealthy = false
    await this.#inTurn(() => this.#persistence.destroy())
  }

  override pressure(): port.Pressure {
    return this.#ownPressure
  }

  override async claim(id: string, options: port.ClaimOptions): Promise<port.Claimed> {
    const claimed = await super.claim(id, options)
    if (!claimed.present) await this.#inTurn(() => this.#wipe(id))
    return claimed
  }

  override async update(session: SessionRef, change: port.SessionChange): Promise<void> {
    await super.update(session, change)
    if (this.ownedBy(session) === undefined) return
    const client = { id: session.clientIdentifier }
    const { subscribe = [], unsubscribe = [] } = change
    await this.#inTurn(async () => {
      await this.#persistence.addSubscriptions(client, subscribe.map(fromOurs))
      await this.#persistence.removeSubscriptions(client, unsubscribe)
    })
  }

  override async release(session: SessionRef, options: port.ReleaseOptions): Promise<void> {
    const isEnd = options.expiresAt === 0 && this.ownedBy(session) !== undefined
    await super.release(session, options)
    if (isEnd) await this.#inTurn(() => this.#wipe(session.clientIdentifier))
  }

  override write(unit: port.Unit, sink: port.Sink): void {
    this.#ownPressure.pendingUnits++
    this.#ownPressure.pendingBytes += unit.body.length
    const stored: [target: number, seq: Seq][] = []
    const report = (error?: StoreError): void => {
      this.#ownPressure.pendingUnits--
      this.#ownPressure.pendingBytes -= unit.body.length
      if (error !== undefined) return sink.failed(unit, error)
      for (const [target, seq] of stored) sink.stored(unit, target, seq)
      sink.done(unit)
    }
    super.write(unit, {
      stored: (_, target, seq) => stored.push([target, seq]),
      done: () => {
        if (unit.retain !== undefined) this.#writing.push(this.#retain(unit))
        const writing = this.#writing.splice(0)
        this.#inTurn(() => Promise.all(writing)).then(() => report(), report)
      },
      failed: (_, error) => void this.#inTurn(async () => report(error)),
    })
  }

  #retain(unit: port.Unit): Promise<void> {
    const packet = this.#packetOf({ ...unit, retain: true })
    if (unit.retain === 'clear') packet.payload = ''
    return this.#inTurn(() => this.#persistence.storeRetained({ ...packet, topic: unit.topic }))
  }

  protected override added({ clientIdentifier: id }: SessionRef, entry: port.QueueEntry): void {
    if (!this.#isLoaded) return
    const packet = this.#packetOf(entry)
    const enqueue = async (): Promise<void> => {
      await this.#persistence.outgoingEnqueue({ clientId: id }, packet)
      await this.#identify(id, packet, entry.seq)
    }
    this.#writing.push(this.#inTurn(enqueue))
  }

  protected override removed({ clientIdentifier: id }: SessionRef, seq: Seq): void {
    this.#inTurn(() => this.#clear(id, seq)).catch((error: unknown) =>
      this.#options.logger?.warn(
        { error },
        'the persistence did not remove a message: it may come again',
      ),
    )
  }

  async #load(): Promise<void> {
    const ignored: port.Sink = { stored() {}, done() {}, failed() {} }
    const unknown = { subscriptionIdentifiers: undefined, share: undefined }
    const nothing = { targets: [], retain: undefined, publisher: undefined, willOf: undefined }
    await this.#persistence.setup({ id: this.#brokerId })
    for await (const packet of this.#persistence.createRetainedStreamCombi(['#']))
      super.write({ ...nothing, ...encodeMessage(packet), retain: 'set' }, ignored)
    for (const id of this.#options.clientIds ?? []) {
      const subscribe = (await this.#persistence.subscriptionsByClient({ id })).map(toOurs)
      const waiting = await this.#readQueue(id)
      if (subscribe.length + waiting.length === 0) continue
      const { ref: session } = await super.claim(id, KNOWN_BY_NAME)
      await super.update(session, { subscribe })
      for (const packet of waiting) {
        const { qos = 1, retain = false } = packet
        const targets = [{ session, qos, retain, ...unknown }]
        super.write({ ...nothing, ...encodeMessage(packet), targets }, ignored)
      }
    }
    // Memory takes what it was written as the turn ends.
    await Promise.resolve()
    this.#isLoaded = true
  }

  /** Reads what waits for a client, and numbers it anew from 1 on. */
  async #readQueue(id: string): Promise<AedesPacket[]> {
    const packets: AedesPacket[] = await this.#persistence.outgoingStream({ id }).toArray()
    const waiting = packets.filter(({ cmd }) => cmd !== 'pubrel')
    // First, since messages may be given the Packet Identifiers of these.
    for (const { cmd, messageId } of packets)
      if (cmd === 'pubrel') await this.#persistence.outgoingClearMessageId({ id }, { messageId })
    for (const [i, packet] of waiting.entries()) await this.#identify(id, packet, i + 1)
    return waiting
  }

  /** Removes all that there is of a client. */
  async #wipe(id: string): Promise<void> {
    await this.#persistence.cleanSubscriptions({ id })
    const waiting = await this.#readQueue(id)
    for (const i of waiting.keys()) await this.#clear(id, i + 1)
  }

  /** A persistence removes by Packet Identifier alone. */
  async #identify(id: string, packet: AedesPacket, seq: Seq): Promise<void> {
    await this.#persistence.outgoingUpdate(
      { id },
      { ...packet, messageId: packetIdentifierOf(seq) },
    )
  }

  async #clear(id: string, seq: Seq): Promise<void> {
    await this.#persistence.outgoingClearMessageId({ id }, { messageId: packetIdentifierOf(seq) })
  }

  /** What is no message in our form goes as it is: it is not ours to refuse. */
  #packetOf({ body, qos, retain, expiresAt }: Kept): AedesPacket {
    const packet = { brokerId: this.#brokerId, brokerCounter: ++this.#brokerCounter }
    if (expiresAt !== NEVER) Object.assign(packet, { messageExpiry: expiresAt })
    try {
      return Object.assign(decodePacket(body, { qos, retain }), packet)
    } catch {
      return { ...packet, cmd: 'publish', topic: '', payload: body, dup: false, qos, retain }
    }
  }

  /** What a persistence throws is anything: the broker gets errors of a store. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work).catch((cause: unknown) => {
      if (cause instanceof StoreError) throw cause
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new StoreError('unavailable', `The persistence failed: ${reason}`, { cause })
    })
    this.#last = result.catch(() => {})
    return result
  }
}
