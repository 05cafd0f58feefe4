/**
 * What a store in memory keeps, written to a persistence of Aedes as well, and read from there when a
 * client is seen for the first time. What concerns one client is done in order, one after the other.
 */

import { Buffer } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import { TWO_BYTE_INTEGER_MAX } from '../../protocol/limits.ts'
import type { Subscription } from '../../protocol/subscription.ts'
import type { QueueEntry, Seq, StoredRetained, StoredSession, StoredWill } from '../storage.ts'
import type { AedesPacket, AedesPersistenceInterface } from './interface.ts'
import { type BesideBody, decodePacket, encodeMessage } from './packet-body.ts'
import { fromOurs, toOurs } from './subscriptions.ts'

/** Where sessions are listed: no client publishes there, and none is sent it. */
const SESSIONS = '$noctule/sessions/'

/** A session that the persistence has, and what waits in it. */
export interface Found {
  readonly session: StoredSession
  readonly entries: readonly QueueEntry[]
}

const NEVER = Number.POSITIVE_INFINITY

export class Mirror {
  readonly #persistence: AedesPersistenceInterface
  /** Names that an earlier process gave to its messages do not come again. */
  readonly #brokerId = `noctule-${randomUUID()}`
  #brokerCounter = 0
  /** The end of what is to be done for each client; retained messages are done under no name. */
  readonly #lanes = new Map<string, Promise<void>>()
  readonly #queued = new Map<string, Set<Seq>>()

  constructor(persistence: AedesPersistenceInterface) {
    this.#persistence = persistence
  }

  setup(): Promise<void> {
    return this.#persistence.setup({ id: this.#brokerId })
  }

  async destroy(): Promise<void> {
    await Promise.all(this.#lanes.values())
    await this.#persistence.destroy()
  }

  async *retained(): AsyncGenerator<StoredRetained> {
    for await (const packet of this.#persistence.createRetainedStreamCombi(['#'])) {
      const { topic = '', qos = 0, messageExpiry: expiresAt = NEVER } = packet as AedesPacket
      if (!topic.startsWith(SESSIONS))
        yield { topic, body: encodeMessage(packet as AedesPacket), qos, expiresAt }
    }
  }

  /**
   * The clients that have anything. A persistence tells only of those with a will, so that for sessions
   * there is a retained message each, with its Session Expiry Interval.
   */
  async clients(): Promise<Map<string, number>> {
    const clients = new Map<string, number>()
    for await (const will of this.#persistence.streamWill()) {
      clients.set(String((will as AedesPacket)['clientId']), 0)
    }
    for await (const read of this.#persistence.createRetainedStreamCombi([`${SESSIONS}+`])) {
      const { topic = '', payload = '' } = read as AedesPacket
      clients.set(decodeURIComponent(topic.slice(SESSIONS.length)), Number(payload))
    }
    return clients
  }

  /** Notes a session, to be among the `clients` after a restart; without an interval it is noted no more. */
  list(id: string, expirySeconds: number | undefined): Promise<void> {
    const topic = SESSIONS + encodeURIComponent(id)
    const packet = this.#named({ cmd: 'publish', qos: 0, retain: true, topic }, NEVER)
    const payload = Buffer.from(expirySeconds === undefined ? '' : String(expirySeconds))
    return this.do(id, () => this.#persistence.storeRetained({ ...packet, payload }))
  }

  /** Reads all of a client. */
  find(id: string, expirySeconds: number): Promise<Found> {
    return this.do(id, async () => {
      const subscriptions = (await this.#persistence.subscriptionsByClient({ id })).map(toOurs)
      const will = toStoredWill(await this.#persistence.getWill({ id }))
      const { entries, released } = await this.#readQueue(id)
      const lastSeq = entries.at(-1)?.seq ?? 0
      const session: StoredSession = {
        ref: { clientIdentifier: id, incarnation: 0, epoch: 0 },
        expirySeconds,
        left: undefined,
        sentTo: undefined,
        lowWaterMark: 0,
        inbound: [],
        queued: entries.length,
        queuedBytes: 0,
        subscriptions,
        will,
        lastSeq,
        released,
      }
      return { session, entries }
    })
  }

  /** Removes all that there is of a client. */
  async wipe(id: string): Promise<void> {
    await this.list(id, undefined)
    await this.do(id, async () => {
      await this.#persistence.cleanSubscriptions({ id })
      await this.#persistence.delWill({ id })
      await this.#readQueue(id)
      await this.#clear(id, this.#queued.get(id) ?? [])
      this.#queued.delete(id)
    })
  }

  changeSubscriptions(
    id: string,
    added: readonly Subscription[],
    removed: readonly string[],
  ): Promise<void> {
    return this.do(id, async () => {
      if (added.length > 0) await this.#persistence.addSubscriptions({ id }, added.map(fromOurs))
      if (removed.length > 0) await this.#persistence.removeSubscriptions({ id }, removed)
    })
  }

  changeWill(id: string, will: StoredWill | undefined): Promise<void> {
    return this.do(id, async () => {
      if (will === undefined) await this.#persistence.delWill({ id })
      else
        await this.#persistence.putWill({ id }, { ...packetOf(will.body, will), topic: will.topic })
    })
  }

  retain(
    topic: string,
    body: Buffer | undefined,
    qos: 0 | 1 | 2,
    expiresAt: number,
  ): Promise<void> {
    const packet = body === undefined ? { payload: '' } : packetOf(body, { qos, retain: true })
    return this.do('', () =>
      this.#persistence.storeRetained({ ...this.#named(packet, expiresAt), topic, retain: true }),
    )
  }

  enqueue(id: string, entry: QueueEntry): Promise<void> {
    return this.do(id, async () => {
      const packet = this.#named(packetOf(entry.body, entry), entry.expiresAt)
      await this.#persistence.outgoingEnqueue({ clientId: id }, packet)
      await this.#identify(id, packet, entry.seq)
    })
  }

  release(id: string, seqs: readonly Seq[]): Promise<void> {
    return this.do(id, async () => {
      for (const seq of seqs) {
        if (!this.#queued.get(id)?.has(seq)) continue
        const pubrel = { cmd: 'pubrel', messageId: messageIdOf(seq) }
        // oxlint-disable-next-line no-await-in-loop -- One after the other, as everywhere here.
        await this.#persistence.outgoingUpdate({ id }, pubrel)
      }
    })
  }

  remove(id: string, seqs: readonly Seq[]): Promise<void> {
    return this.do(id, () => this.#clear(id, seqs))
  }

  removeUpTo(id: string, lowWaterMark: Seq): Promise<void> {
    return this.do(id, async () => {
      const gone: Seq[] = []
      for (const seq of this.#queued.get(id) ?? []) {
        if (seq > lowWaterMark) break
        gone.push(seq)
      }
      await this.#clear(id, gone)
    })
  }

  /** Does something when all that was asked for before, for the same client, is done. */
  do<T>(id: string, work: () => Promise<T>): Promise<T> {
    const result = (this.#lanes.get(id) ?? Promise.resolve()).then(work)
    const end: Promise<void> = result.then(
      () => this.#ended(id, end),
      () => this.#ended(id, end),
    )
    this.#lanes.set(id, end)
    return result
  }

  #ended(id: string, end: Promise<void>): void {
    if (this.#lanes.get(id) === end) this.#lanes.delete(id)
  }

  /** Numbers what waits so that its Packet Identifiers stay what they were. */
  async #readQueue(id: string): Promise<{ entries: QueueEntry[]; released: Seq[] }> {
    const entries: QueueEntry[] = []
    const released: Seq[] = []
    let seq = 0
    for await (const read of this.#persistence.outgoingStream({ id })) {
      const packet = read as AedesPacket
      const { cmd, messageId, qos = 2, retain = false, messageExpiry: expiresAt = NEVER } = packet
      seq = seqBehind(seq, messageId)
      if (cmd === 'pubrel') released.push(seq)
      const beside = { subscriptionIdentifiers: undefined, share: undefined }
      entries.push({ seq, qos, retain, expiresAt, body: encodeMessage(packet), ...beside })
      if (messageId === messageIdOf(seq)) this.#note(id, seq)
      else await this.#identify(id, packet, seq)
    }
    return { entries, released }
  }

  /** A persistence removes by Packet Identifier alone. */
  async #identify(id: string, packet: AedesPacket, seq: Seq): Promise<void> {
    await this.#persistence.outgoingUpdate({ id }, { ...packet, messageId: messageIdOf(seq) })
    this.#note(id, seq)
  }

  #note(id: string, seq: Seq): void {
    const queued = this.#queued.get(id)
    if (queued === undefined) this.#queued.set(id, new Set([seq]))
    else queued.add(seq)
  }

  async #clear(id: string, seqs: Iterable<Seq>): Promise<void> {
    for (const seq of seqs) {
      if (!this.#queued.get(id)?.delete(seq)) continue
      // oxlint-disable-next-line no-await-in-loop -- One after the other, as everywhere here.
      await this.#persistence.outgoingClearMessageId({ id }, { messageId: messageIdOf(seq) })
    }
  }

  #named(packet: AedesPacket, expiresAt: number): AedesPacket {
    const name = { brokerId: this.#brokerId, brokerCounter: ++this.#brokerCounter }
    return { ...packet, ...name, ...(expiresAt === NEVER ? {} : { messageExpiry: expiresAt }) }
  }
}

/** The Packet Identifier under which the broker sends what stands at `seq`. */
function messageIdOf(seq: Seq): number {
  return 1 + (seq % TWO_BYTE_INTEGER_MAX)
}

/** The next number behind `seq` with that Packet Identifier; without one, the very next. */
function seqBehind(seq: Seq, messageId: number | undefined): Seq {
  const next = seq + 1
  if (!messageId) return next
  const missing = messageId - messageIdOf(next)
  return next + (missing < 0 ? missing + TWO_BYTE_INTEGER_MAX : missing)
}

/** What is no message in our form goes as it is, under no topic: it is not ours to refuse. */
function packetOf(body: Buffer, beside: BesideBody): AedesPacket {
  try {
    return decodePacket(body, beside)
  } catch {
    return { cmd: 'publish', topic: '', payload: body, dup: false, ...beside }
  }
}

function toStoredWill(packet: AedesPacket | undefined): StoredWill | undefined {
  if (packet === undefined) return undefined
  const { topic = '', qos = 0, retain = false } = packet
  const body = encodeMessage(packet)
  return { topic, body, qos, retain, delaySeconds: 0, expirySeconds: undefined }
}
