/**
 * Reads the queue of a durable session from the store, page by page: gives deliveries in front of the queue
 * their messages, and makes deliveries of what stands in the backlog.
 */

import { KEPT_OVERHEAD_BYTES, Message } from '../protocol/message.ts'
import type { QueueEntry, Seq, SessionRef } from '../storage/storage.ts'
import type { Backlog } from './backlog.ts'
import type { Delivery } from './delivery.ts'
import type { InFlight } from './in-flight.ts'
import type { MessageQueue } from './message-queue.ts'
import type { SessionParts } from './session-parts.ts'

/** Waiting messages of a durable session kept in memory, and how many are read from the store at once. */
export const RESIDENT_MAX = 256
const PAGE_BYTES_MAX = 1024 * 1024

export class PageReader {
  readonly #parts: SessionParts
  readonly #queue: MessageQueue
  readonly #backlog: Backlog
  readonly #inFlight: InFlight
  #reading: Promise<void> | undefined
  #isStopped = false

  constructor(parts: SessionParts, queue: MessageQueue, backlog: Backlog, inFlight: InFlight) {
    this.#parts = parts
    this.#queue = queue
    this.#backlog = backlog
    this.#inFlight = inFlight
  }

  get isReading(): boolean {
    return this.#reading !== undefined
  }

  /** The session has ended: what is still read is not wanted, and nothing more is to be read. */
  stop(): void {
    this.#isStopped = true
    this.#backlog.passTo(Number.POSITIVE_INFINITY)
  }

  /** Reads the next page of what is to be sent, or joins the reading under way. */
  readNext(session: SessionRef): Promise<void> {
    const head = this.#queue.peek()
    const isHeadMissing = head !== undefined && head.message === undefined
    return this.#begin(session, isHeadMissing ? head.seq - 1 : this.#backlog.after, true)
  }

  /** Reads the next page of the backlog, or joins the reading under way: it is known then, not in memory. */
  readBacklog(session: SessionRef): Promise<void> {
    return this.#begin(session, this.#backlog.after, false)
  }

  #begin(session: SessionRef, after: Seq, withMessages: boolean): Promise<void> {
    this.#reading ??= this.#read(session, after, withMessages).finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #read(session: SessionRef, after: Seq, withMessages: boolean): Promise<void> {
    // What comes meanwhile behind this is told by the store, and may not be counted yet.
    const { until } = this.#backlog
    const { store } = this.#parts
    const entries = await store.readQueue(session, after, RESIDENT_MAX, PAGE_BYTES_MAX)
    if (this.#isStopped) return
    const reach = entries.at(-1)?.seq ?? Number.POSITIVE_INFINITY
    if (withMessages) this.#fill(entries, after, reach)
    // Meanwhile something may have been put back in front of the page: it would be passed over.
    if (after > this.#backlog.after) return
    this.#take(entries, Math.min(reach, until), withMessages)
  }

  /** Gives waiting deliveries their messages; one that the store no longer has is passed over. */
  #fill(entries: readonly QueueEntry[], after: Seq, reach: Seq): void {
    let bySeq: ReadonlyMap<Seq, QueueEntry> | undefined
    const isCovered = ({ seq }: Delivery): boolean => seq > after && seq <= reach
    const { length } = this.#queue
    for (let i = 0; i < length; i++) {
      const delivery = this.#queue.at(i)
      if (delivery.message !== undefined || !isCovered(delivery)) continue
      bySeq ??= new Map(entries.map((entry) => [entry.seq, entry]))
      const entry = bySeq.get(delivery.seq)
      if (entry === undefined) continue
      this.#queue.setMessage(delivery, messageOf(entry))
      delivery.retain = entry.retain
      delivery.identifiers = entry.subscriptionIdentifiers
    }
    const gone = this.#queue.removeIf(
      (delivery) => delivery.message === undefined && isCovered(delivery),
    )
    for (const { seq } of gone) this.#inFlight.complete(seq)
  }

  /** Makes deliveries of what stands in the backlog, up to `reach`. */
  #take(entries: readonly QueueEntry[], reach: Seq, withMessages: boolean): void {
    for (const entry of entries) {
      const { seq, qos, retain, subscriptionIdentifiers, share, body } = entry
      if (seq <= this.#backlog.after || seq > reach) continue
      const size = body.length + KEPT_OVERHEAD_BYTES
      this.#backlog.take(size)
      this.#queue.push({
        seq,
        message: withMessages ? messageOf(entry) : undefined,
        qos,
        retain,
        identifiers: subscriptionIdentifiers,
        group: share === undefined ? undefined : { share },
        sent: this.#backlog.sentOf(seq),
        size,
      })
    }
    this.#backlog.passTo(reach)
  }
}

function messageOf({ body, qos, retain, expiresAt }: QueueEntry): Message {
  return Message.fromBody(body, qos, retain, expiresAt)
}
