/**
 * What waits for one client of Aedes, and under which Packet Identifier it was sent.
 *
 * A store numbers messages; Aedes knows them by broker and counter until it sends them, and by the Packet
 * Identifier it chose from then on. What was chosen is a note in the same queue, behind its message: an
 * entry that has always expired, so that nobody takes it for a message. What PUBREC came for is marked
 * as the store marks it. The notes are read again when a client is first asked for after a restart.
 */

import { Buffer } from 'node:buffer'
import { composeBody, Message } from '../../protocol/message.ts'
import {
  packetIdentifierOf,
  type QueueEntry,
  type Seq,
  type Store,
  type StoredSession,
  type Target,
} from '../storage.ts'
import { writeUnit } from '../write-unit.ts'
import type { AedesPacket } from './interface.ts'
import { decodePacket } from './packet-body.ts'

/** A message that was sent, or is about to be. */
interface Sent {
  readonly seq: Seq
  readonly key: string
  readonly messageId: number
  noteSeq: Seq | undefined
  isReleased: boolean
}

/** A message that was not sent yet. */
interface Waiting {
  readonly seq: Seq
  /** How many deliveries Aedes makes of it: one for each subscription that matches. */
  copies: number
}

interface Note {
  readonly of: Seq
  readonly messageId: number
}

/**
 * What Aedes calls the broker of a message that an earlier process has kept; its counter is the number in
 * the queue. The names which that process gave may come again for other messages.
 */
const EARLIER_BROKER = 'noctule'

/** Expired since 1970: no message ever is. */
const NOTE_EXPIRES_AT = 0

/** Waiting messages that are found by name at once, and not by reading the queue. */
const NAMED_MAX = 1_024

const PAGE_ENTRIES = 64
const PAGE_BYTES = 1_048_576

export class OutgoingQueue {
  readonly #store: Store
  readonly #stored: StoredSession
  /** Entries, notes included; of what was there before only those that `load` has found. */
  #entries = 0
  #lastSeq: Seq
  readonly #waiting = new Map<string, Waiting>()
  readonly #sentBySeq = new Map<Seq, Sent>()
  /** The oldest first: Aedes may give out a Packet Identifier twice. */
  readonly #sentByMessageId = new Map<number, Sent[]>()
  #loading: Promise<void> | undefined
  #isLoaded: boolean

  constructor(store: Store, stored: StoredSession) {
    this.#store = store
    this.#stored = stored
    this.#lastSeq = stored.lastSeq
    this.#isLoaded = stored.queued === 0
  }

  get isEmpty(): boolean {
    return this.#isLoaded && this.#entries === 0
  }

  /** The store has put a message at `seq`, which Aedes is going to deliver `copies` times. */
  added(packet: AedesPacket, seq: Seq, copies: number): void {
    this.#count(seq)
    this.#name(keyOf(packet), seq, copies)
  }

  /** Notes the Packet Identifier of a message; durable when the promise resolves. */
  async identify(packet: AedesPacket): Promise<void> {
    await this.#load()
    const key = keyOf(packet)
    const messageId = packet.messageId!
    if (this.#sentByMessageId.get(messageId)?.some((sent) => sent.key === key)) return
    const seq = this.#waiting.get(key)?.seq ?? this.#sentSeq(key) ?? (await this.#find(key))
    if (seq === undefined) throw new Error('no such packet')
    const before = this.#sentBySeq.get(seq)
    if (before !== undefined) this.#forget(before)
    const sent: Sent = { seq, key, messageId, noteSeq: undefined, isReleased: false }
    this.#remember(sent)
    const noted = this.#write({ of: seq, messageId }, sent)
    // In the same turn: both or neither.
    if (before?.noteSeq !== undefined) this.#discard([before.noteSeq])
    await noted
  }

  /** PUBREC came: from now on PUBREL stands in place of the message. */
  async release(messageId: number): Promise<void> {
    await this.#load()
    const sent = this.#sentByMessageId.get(messageId)
    const next = sent?.find(({ isReleased }) => !isReleased) ?? sent?.[0]
    if (next === undefined) throw new Error('no such packet')
    next.isReleased = true
    await this.#store.markReleased(this.#stored.ref, [next.seq])
  }

  /** Removes a message and gives it back: by its Packet Identifier, or by name if it was not sent. */
  async take(packet: AedesPacket): Promise<AedesPacket | undefined> {
    await this.#load()
    const { messageId } = packet
    if (messageId === undefined) return this.#takeCopy(keyOf(packet))
    const sent = this.#sentByMessageId.get(messageId)?.[0]
    if (sent === undefined) return undefined
    this.#forget(sent)
    const taken = sent.isReleased ? pubrel(messageId) : await this.#read(sent.seq, messageId)
    this.#discard(sent.noteSeq === undefined ? [sent.seq] : [sent.seq, sent.noteSeq])
    return taken
  }

  /** Reads all that is there now, in order. */
  async *packets(): AsyncGenerator<AedesPacket> {
    await this.#load()
    for await (const entry of this.#readEntries(0, this.#lastSeq)) {
      if (isNote(entry)) continue
      const sent = this.#sentBySeq.get(entry.seq)
      if (sent?.isReleased) yield pubrel(sent.messageId)
      else yield this.#packetOf(entry, sent?.messageId)
    }
  }

  /**
   * One of several deliveries of a message is not made. Without a name at hand it stays, to be looked at
   * again with the next connection: another delivery may be on its way.
   */
  async #takeCopy(key: string): Promise<AedesPacket | undefined> {
    const waiting = this.#waiting.get(key)
    if (waiting === undefined || --waiting.copies > 0) return undefined
    this.#waiting.delete(key)
    const packet = await this.#read(waiting.seq, undefined)
    this.#discard([waiting.seq])
    return packet
  }

  async #read(seq: Seq, messageId: number | undefined): Promise<AedesPacket | undefined> {
    const [entry] = await this.#store.readQueue(this.#stored.ref, seq - 1, 1, 1)
    return entry?.seq === seq ? this.#packetOf(entry, messageId) : undefined
  }

  #packetOf(entry: QueueEntry, messageId: number | undefined): AedesPacket {
    const { seq } = entry
    const packet = { ...decodePacket(entry.body, entry), messageId }
    if (this.#isEarlier(seq)) Object.assign(packet, nameOfEarlier(seq))
    if (messageId === undefined) this.#name(keyOf(packet), seq, 1)
    return packet
  }

  async #find(key: string): Promise<Seq | undefined> {
    for await (const entry of this.#readEntries(0, this.#lastSeq)) {
      if (isNote(entry) || this.#sentBySeq.has(entry.seq)) continue
      if (keyOf(this.#packetOf(entry, undefined)) === key) return entry.seq
    }
    return undefined
  }

  #sentSeq(key: string): Seq | undefined {
    for (const sent of this.#sentBySeq.values()) if (sent.key === key) return sent.seq
    return undefined
  }

  #name(key: string, seq: Seq, copies: number): void {
    this.#waiting.delete(key)
    this.#waiting.set(key, { seq, copies })
    if (this.#waiting.size <= NAMED_MAX) return
    for (const oldest of this.#waiting.keys()) {
      this.#waiting.delete(oldest)
      return
    }
  }

  #remember(sent: Sent): void {
    this.#waiting.delete(sent.key)
    this.#sentBySeq.set(sent.seq, sent)
    const same = this.#sentByMessageId.get(sent.messageId)
    if (same === undefined) this.#sentByMessageId.set(sent.messageId, [sent])
    else same.push(sent)
  }

  #forget(sent: Sent): void {
    this.#sentBySeq.delete(sent.seq)
    const others = this.#sentByMessageId.get(sent.messageId)!.filter((other) => other !== sent)
    if (others.length === 0) this.#sentByMessageId.delete(sent.messageId)
    else this.#sentByMessageId.set(sent.messageId, others)
  }

  #write(note: Note, sent: Sent): Promise<void> {
    const targets: Target[] = [receiver(this.#stored, { qos: 1, retain: false })]
    const unit = { topic: '', body: bodyOf(note), expiresAt: NOTE_EXPIRES_AT, targets }
    return writeUnit(this.#store, unit, (_, seq) => {
      this.#count(seq)
      sent.noteSeq = seq
      // The message may be gone by now.
      if (this.#sentBySeq.get(sent.seq) !== sent) this.#discard([seq])
    })
  }

  #count(seq: Seq): void {
    this.#entries++
    this.#lastSeq = seq
  }

  #discard(seqs: readonly Seq[]): void {
    this.#entries -= seqs.length
    if (this.isEmpty) this.#store.acknowledgeTo(this.#stored.ref, this.#lastSeq)
    else this.#store.discard(this.#stored.ref, seqs)
  }

  #isEarlier(seq: Seq): boolean {
    return seq <= this.#stored.lastSeq
  }

  #load(): Promise<void> {
    if (this.#isLoaded) return Promise.resolve()
    this.#loading ??= this.#readNotes()
    return this.#loading
  }

  async #readNotes(): Promise<void> {
    const messages = new Set<Seq>()
    const superfluous: Seq[] = []
    for await (const entry of this.#readEntries(0, this.#stored.lastSeq)) {
      this.#entries++
      if (isNote(entry)) this.#takeUp(entry, messages, superfluous)
      else messages.add(entry.seq)
    }
    for (const seq of this.#stored.released) this.#takeUpReleased(seq)
    this.#isLoaded = true
    if (superfluous.length > 0) this.#discard(superfluous)
  }

  /** A note without its message, or with a later note, outlived a removal that was lost. */
  #takeUp(entry: QueueEntry, messages: ReadonlySet<Seq>, superfluous: Seq[]): void {
    const { of: seq, messageId } = noteOf(entry.body)
    if (!messages.has(seq)) {
      superfluous.push(entry.seq)
      return
    }
    const before = this.#sentBySeq.get(seq)
    if (before !== undefined) {
      this.#forget(before)
      superfluous.push(before.noteSeq!)
    }
    const key = keyOf(nameOfEarlier(seq))
    this.#remember({ seq, key, messageId, noteSeq: entry.seq, isReleased: false })
  }

  /** Without a note it was our broker that sent the message, under the identifier that its number gives. */
  #takeUpReleased(seq: Seq): void {
    const sent = this.#sentBySeq.get(seq)
    if (sent !== undefined) sent.isReleased = true
    else {
      const key = keyOf(nameOfEarlier(seq))
      const messageId = packetIdentifierOf(seq)
      this.#remember({ seq, key, messageId, noteSeq: undefined, isReleased: true })
    }
  }

  async *#readEntries(after: Seq, last: Seq): AsyncGenerator<QueueEntry> {
    for (let at = after; at < last; ) {
      const page = await this.#store.readQueue(this.#stored.ref, at, PAGE_ENTRIES, PAGE_BYTES)
      if (page.length === 0) return
      for (const entry of page) {
        if (entry.seq > last) return
        yield entry
        at = entry.seq
      }
    }
  }
}

/** How a session receives a packet of Aedes. */
export function receiver(
  { ref }: Pick<StoredSession, 'ref'>,
  { qos = 0, retain = false }: AedesPacket,
): Target {
  return { session: ref, qos, retain, subscriptionIdentifiers: undefined, share: undefined }
}

function keyOf({ brokerId, brokerCounter }: AedesPacket): string {
  return `${brokerCounter}:${brokerId}`
}

function nameOfEarlier(seq: Seq): AedesPacket {
  return { brokerId: EARLIER_BROKER, brokerCounter: seq }
}

function pubrel(messageId: number): AedesPacket {
  return { cmd: 'pubrel', messageId }
}

function isNote({ expiresAt }: QueueEntry): boolean {
  return expiresAt === NOTE_EXPIRES_AT
}

function bodyOf(note: Note): Buffer {
  return composeBody('', Buffer.alloc(0), Buffer.from(JSON.stringify(note)))
}

function noteOf(body: Buffer): Note {
  const { payload } = Message.fromBody(body, 0, false, NOTE_EXPIRES_AT)
  return JSON.parse(payload.toString())
}
