/**
 * Any persistence of Aedes (version 11 of its interface) as a store for our broker, with what such a
 * persistence can promise: nothing that survives for sure. The broker works with a store in memory;
 * what changes there is written to the persistence as well, one thing after the other.
 */

import type { Buffer } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import { SESSION_NEVER_EXPIRES } from '../protocol/limits.ts'
import { systemClock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { MemoryBudget } from '../util/memory-budget.ts'
import type { AedesPacket, AedesPersistenceInterface } from './aedes/interface.ts'
import { receiver } from './aedes/outgoing-queue.ts'
import { type BesideBody, decodePacket, encodeMessage } from './aedes/packet-body.ts'
import { fromOurs, toOurs } from './aedes/subscriptions.ts'
import { MemoryStore } from './memory.ts'
import type * as port from './storage.ts'
import { asStoreError, packetIdentifierOf, type Seq, type StoreError } from './storage.ts'
import type { StoreParts } from './store-parts.ts'
import { writeUnit } from './write-unit.ts'

export interface ForeignPersistenceOptions extends Partial<Pick<StoreParts, 'clock' | 'budget'>> {
  /** Hears of removals that failed, after which a message may come again. Default: silent. */
  readonly logger?: Logger | undefined
  /** Clients whose sessions are taken up: a persistence cannot say which there are. Default: none. */
  readonly clientIds?: readonly string[] | undefined
}

const DETAIL =
  'a persistence of Aedes keeps no session as a whole. Over a restart only the subscriptions and messages of the named clientIds come back, and retained messages; sessions do not expire then, wills are lost, Packet Identifiers begin anew, and QoS 2 messages under way may come twice or never. Expired retained messages stay in it. A message and the identifier it came with are not written together. All that waits is in memory too, and outside its budget'

const NOT_REMOVED = 'the persistence did not remove a message: it may come again'

/** Makes a store for `createBroker({ storage })` of a persistence of Aedes 1.x that nobody else uses. */
export function foreignPersistence(
  persistence: object,
  options: ForeignPersistenceOptions = {},
): port.Store {
  if ('setup' in persistence)
    return new ForeignStore(persistence as AedesPersistenceInterface, options)
  throw new TypeError('This is no persistence for Aedes 1.x, such as aedes-persistence makes.')
}

class ForeignStore extends MemoryStore {
  readonly #persistence: AedesPersistenceInterface
  readonly #options: ForeignPersistenceOptions
  /** Both together name a message: no other has that name, whomever it is for, not even after a restart. */
  readonly #brokerId = `noctule-${randomUUID()}`
  #brokerCounter = 0
  /** Until then what comes into memory comes from the persistence, and is not written to it. */
  #isLoaded = false
  /** Resolves when all that was asked of the persistence is done. */
  #last: Promise<unknown> = Promise.resolve()
  /** What is written for the next unit that is reported; what was handed over before counts to it. */
  #writing: Promise<unknown>[] = []

  constructor(persistence: AedesPersistenceInterface, options: ForeignPersistenceOptions) {
    const { clock = systemClock, budget = new MemoryBudget(Number.POSITIVE_INFINITY) } = options
    super(clock, budget)
    this.#persistence = persistence
    this.#options = options
  }

  override async open(): Promise<port.Opened> {
    await this.#load().catch(fail)
    this.#isLoaded = true
    return { durability: 'volatile', detail: DETAIL }
  }

  override async close(): Promise<void> {
    await super.close()
    await this.#last
    await this.#persistence.destroy().catch(fail)
  }

  override write(unit: port.Unit, sink: port.Sink): void {
    const stored: [target: number, seq: Seq][] = []
    const report = (error?: StoreError): void => {
      this.currentPressure.pendingUnits--
      this.currentPressure.pendingBytes -= unit.body.length
      if (error !== undefined) return sink.failed(unit, error)
      for (const [target, seq] of stored) sink.stored(unit, target, seq)
      sink.done(unit)
    }
    super.write(unit, {
      stored: (_, target, seq) => stored.push([target, seq]),
      done: () => {
        // Memory counts it no more, but the persistence does not have it yet.
        this.currentPressure.pendingUnits++
        this.currentPressure.pendingBytes += unit.body.length
        if (unit.retain !== undefined) this.#writing.push(this.#inTurn(() => this.#retain(unit)))
        const writing = this.#writing.splice(0)
        this.#inTurn(() => Promise.all(writing)).then(() => report(), report)
      },
      failed: (_, error) => void this.#last.then(() => sink.failed(unit, error)),
    })
  }

  override async handOver(...[from, seqs, to, stored]: Parameters<port.Store['handOver']>) {
    const moved: port.QueueEntry[] = []
    void super.handOver(from, seqs, to, (entry) => moved.push(entry))
    // What was written before is told of first.
    await this.#last
    for (const entry of moved) stored(entry)
  }

  protected override cleared(id: string): Promise<void> {
    return this.#inTurn(async () => {
      await this.#persistence.cleanSubscriptions({ id })
      for (const packet of await this.#readQueue(id))
        await this.#persistence.outgoingClearMessageId({ id }, packet)
    })
  }

  protected override changed(id: string, change: port.SessionChange): Promise<void> {
    const { subscribe = [], unsubscribe = [] } = change
    return this.#inTurn(async () => {
      await this.#persistence.addSubscriptions({ id }, subscribe.map(fromOurs))
      await this.#persistence.removeSubscriptions({ id }, unsubscribe)
    })
  }

  protected override added(id: string, entry: port.QueueEntry): void {
    const enqueue = async (): Promise<void> => {
      const packet = this.#packetOf(entry.body, entry.expiresAt, entry)
      packet.messageId = packetIdentifierOf(entry.seq)
      await this.#persistence.outgoingEnqueue({ clientId: id }, packet)
      // It removes by Packet Identifier alone, and takes none with a message that is new.
      await this.#persistence.outgoingUpdate({ id }, packet)
    }
    this.#writing.push(this.#inTurn(enqueue))
  }

  protected override removed(id: string, seq: Seq): void {
    const packet = { messageId: packetIdentifierOf(seq) }
    const removal = this.#inTurn(() => this.#persistence.outgoingClearMessageId({ id }, packet))
    removal.catch((error: unknown) => this.#options.logger?.warn({ error }, NOT_REMOVED))
  }

  async #retain(unit: port.Unit): Promise<void> {
    const packet = this.#packetOf(unit.body, unit.expiresAt, { qos: unit.qos, retain: true })
    if (unit.retain === 'clear') packet.payload = ''
    await this.#persistence.storeRetained({ ...packet, topic: unit.topic })
  }

  /** Takes up what is there, as if it came now. */
  async #load(): Promise<void> {
    await this.#persistence.setup({ id: this.#brokerId })
    for await (const packet of this.#persistence.createRetainedStreamCombi(['#']))
      await writeUnit(this, { ...encodeMessage(packet), retain: 'set' })
    const options = { cleanStart: false, expirySeconds: SESSION_NEVER_EXPIRES, will: undefined }
    for (const id of new Set(this.#options.clientIds)) {
      const subscribe = (await this.#persistence.subscriptionsByClient({ id })).map(toOurs)
      const waiting = await this.#readQueue(id)
      if (subscribe.length + waiting.length === 0) continue
      const session = await this.claim(id, options)
      await this.update(session.ref, { subscribe })
      for (const packet of waiting)
        await writeUnit(this, { ...encodeMessage(packet), targets: [receiver(session, packet)] })
    }
  }

  /** Reads what waits for a client, and numbers it anew from 1 on. */
  async #readQueue(id: string): Promise<AedesPacket[]> {
    const packets: AedesPacket[] = await this.#persistence.outgoingStream({ id }).toArray()
    const waiting = packets
      .filter(({ cmd }) => cmd !== 'pubrel')
      .map((packet, i) => ({ ...packet, messageId: packetIdentifierOf(i + 1) }))
    // First, since messages may be given the Packet Identifiers of these.
    for (const packet of packets)
      if (packet.cmd === 'pubrel') await this.#persistence.outgoingClearMessageId({ id }, packet)
    for (const packet of waiting) await this.#persistence.outgoingUpdate({ id }, packet)
    return waiting
  }

  /** What is no message in our form goes as it is: it is not ours to refuse. */
  #packetOf(body: Buffer, expiresAt: number, { qos, retain }: BesideBody): AedesPacket {
    const packet = { brokerId: this.#brokerId, brokerCounter: ++this.#brokerCounter }
    if (expiresAt !== Number.POSITIVE_INFINITY) Object.assign(packet, { messageExpiry: expiresAt })
    try {
      return Object.assign(decodePacket(body, { qos, retain }), packet)
    } catch {
      return { ...packet, cmd: 'publish', topic: '', payload: body, dup: false, qos, retain }
    }
  }

  /** Asks the persistence for one thing after the other. */
  #inTurn(work: () => Promise<unknown>): Promise<void> {
    if (!this.#isLoaded) return Promise.resolve()
    const done = this.#last.then(work).then(() => {}, fail)
    this.#last = done.catch(() => {})
    return done
  }
}

/** What a persistence throws is anything: the broker gets errors of a store. */
function fail(cause: unknown): never {
  throw asStoreError('The persistence', cause)
}
