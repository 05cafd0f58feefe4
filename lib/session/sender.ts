/**
 * The messages of one session at QoS 1 and 2: as many as the window allows are under way, in the order they
 * came [MQTT-4.6.0-5] [MQTT-4.6.0-6], the others wait in the queue.
 *
 * Of a durable session at most `RESIDENT_MAX` waiting messages are in memory; the others are its backlog, which is
 * read from the store when their turn comes. What an earlier connection left unacknowledged stands in front
 * of the queue.
 */

import { KEPT_OVERHEAD_BYTES, type Message } from '../protocol/message.ts'
import type { MessageRun } from '../protocol/message-run.ts'
import type { Qos } from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { Share } from '../router/subscriber.ts'
import type { QueueEntry, Seq, SessionRef, StoredSession, StoreError } from '../storage/storage.ts'
import type { DropReason } from '../util/counters.ts'
import { Backlog } from './backlog.ts'
import { isDroppable } from './delivery.ts'
import { Exchanges } from './exchanges.ts'
import type { Holder } from './holder.ts'
import { MessageQueue } from './message-queue.ts'
import type { Outlet } from './outlet.ts'
import { PageReader, RESIDENT_MAX } from './page-reader.ts'
import type { MayReceive, SessionParts } from './session-parts.ts'
import { SharedDeliveries } from './shared-deliveries.ts'

export type ReportDrop = (message: Message | undefined, why: DropReason) => void

export class Sender {
  /** Undefined where all may be sent that was subscribed to; until `detach`. */
  mayReceive: MayReceive | undefined
  readonly #parts: SessionParts
  readonly #reportDrop: ReportDrop
  readonly exchanges: Exchanges
  readonly #backlog: Backlog
  readonly #queue: MessageQueue
  readonly #pages: PageReader
  /** What of it belongs to shared subscriptions. */
  readonly shared: SharedDeliveries

  /** `stored`, the session in the store, is undefined for a volatile one. */
  constructor(parts: SessionParts, stored: StoredSession | undefined, reportDrop: ReportDrop) {
    this.#parts = parts
    this.#reportDrop = reportDrop
    this.exchanges = new Exchanges(parts, stored?.ref, stored?.lowWaterMark ?? 0)
    this.#backlog = new Backlog(stored, KEPT_OVERHEAD_BYTES)
    this.#queue = new MessageQueue(parts.limits, parts.budget, this.#backlog)
    this.shared = new SharedDeliveries(this.#queue, this.exchanges, parts.counters)
    this.#pages = new PageReader(parts, this.#queue, this.#backlog, this.exchanges.inFlight)
  }

  /** Set for a session that the store keeps. */
  get durable(): SessionRef | undefined {
    return this.exchanges.durable
  }

  set durable(ref: SessionRef | undefined) {
    this.exchanges.durable = ref
  }

  /** Who answers for what waits. */
  set holder(holder: Holder | undefined) {
    this.#queue.holder = holder
  }

  get inFlightCount(): number {
    return this.exchanges.inFlight.count
  }

  get queuedCount(): number {
    return this.#queue.length + this.#backlog.count
  }

  get queuedBytes(): number {
    return this.#queue.bytes
  }

  /** Last message that the client was, or may have been, sent. */
  get sentTo(): Seq {
    return Math.max(this.#last, this.#backlog.sentTo)
  }

  /** Last message that the store has told of. */
  get #lastTold(): Seq {
    const { length } = this.#queue
    const waiting = length === 0 ? 0 : this.#queue.at(length - 1).seq
    return Math.max(this.#last, this.#backlog.until, waiting)
  }

  /** Last message that was sent in this process. */
  get #last(): Seq {
    return this.exchanges.inFlight.last
  }

  isFullFor(message: Message): boolean {
    return this.#queue.isFullFor(message.keptBytes)
  }

  get #isWaiting(): boolean {
    return this.#queue.length > 0 || !this.#backlog.isEmpty
  }

  /** Whether nothing waits, and the window takes more than `reserved` further messages. */
  hasRoomBeyond(reserved: number): boolean {
    return !this.#isWaiting && this.exchanges.hasRoomFor(this.#last + 1, reserved + 1)
  }

  /** Nothing is sent before `resume`. */
  attach(outlet: Outlet): void {
    this.exchanges.attach(outlet)
  }

  /** Sends again what an earlier connection left unacknowledged, then what waits [MQTT-4.4.0-1]. */
  resume(): void {
    const again = this.exchanges.resume()
    if (again.length > 0) this.#queue.putInFront(again)
    this.pump()
  }

  /** The connection is gone. What waits in memory is forgotten where the store has it. */
  detach(): void {
    const { inFlight } = this.exchanges
    this.mayReceive = undefined
    this.exchanges.detach(this.#queue.removeIf(({ seq }) => inFlight.isAwaitingResend(seq)))
    this.shrink()
  }

  /** Leaves to the store what waits of a durable session that is offline. */
  shrink(): void {
    if (this.durable === undefined || this.#isOnline) return
    this.#backlog.putBack(this.#queue.removeIf(() => true))
  }

  get #isOnline(): boolean {
    return this.exchanges.outlet !== undefined
  }

  /** Frees what waits from the memory budget. */
  dispose(): void {
    this.#pages.stop()
    this.#queue.removeIf(() => true)
  }

  /** Sends a message of a volatile session, or lets it wait. */
  offer(
    message: Message,
    qos: Qos,
    retain: boolean,
    identifiers: readonly number[] | undefined,
    group: Share | undefined,
  ): void {
    const seq = this.#last + 1
    if (this.#queue.length === 0 && this.exchanges.hasRoomFor(seq)) {
      this.#transmit(seq, message, qos, retain, false, identifiers, group)
      return
    }
    message.body()
    const size = message.keptBytes
    if (!this.#makeRoom(size, message, 0)) return
    this.#queue.push({ seq: 0, message, qos, retain, identifiers, group, sent: 'never', size })
  }

  /**
   * Sends a run to a volatile session that may have all of it, if it may leave now; false: each message is to be
   * offered by itself.
   */
  offerRun(run: MessageRun, qos: Qos): boolean {
    const first = this.#last + 1
    const last = this.#last + run.count
    const isRoom = this.#queue.length === 0 && this.exchanges.hasRoomFor(last, run.count)
    return isRoom && this.exchanges.sendRun(first, run, qos)
  }

  /** Sends a message that the store has at `seq`, or lets it wait there. */
  offerStored(
    seq: Seq,
    message: Message,
    qos: Qos,
    retain: boolean,
    identifiers: readonly number[] | undefined,
    group: Share | undefined,
  ): void {
    if (!this.#isWaiting && this.exchanges.hasRoomFor(seq)) {
      // The store may have taken its time.
      if (this.#isExpired(message)) this.#expire(message, seq)
      else this.#transmit(seq, message, qos, retain, false, identifiers, group)
      return
    }
    const size = message.keptBytes
    if (!this.#makeRoom(size, message, seq)) return
    if (this.#belongsToBacklog) this.#backlog.add(seq, size, group !== undefined)
    else {
      this.#queue.push({ seq, message, qos, retain, identifiers, group, sent: 'never', size })
    }
  }

  /** Whether a message may be left to the store: the queue in memory is full, or nobody reads it. */
  get #belongsToBacklog(): boolean {
    return !this.#isOnline || !this.#backlog.isEmpty || this.#queue.length >= RESIDENT_MAX
  }

  /** Sends what window and socket allow of what waits. */
  pump(): void {
    for (let head = this.#queue.peek(); head !== undefined; head = this.#queue.peek()) {
      const seq = head.seq === 0 ? this.#last + 1 : head.seq
      if (!this.exchanges.hasRoomFor(seq)) return
      if (head.sent === 'received') {
        this.#queue.shift()
        this.exchanges.sendPubrelAgain(seq)
        continue
      }
      const { message, qos, retain, identifiers, group } = head
      if (message === undefined) {
        this.#readPage()
        return
      }
      this.#queue.shift()
      if (isDroppable(head) && this.#isExpired(message)) this.#expire(message, head.seq)
      else this.#transmit(seq, message, qos, retain, head.sent !== 'never', identifiers, group)
    }
    if (!this.#backlog.isEmpty && this.exchanges.hasRoomFor(this.#backlog.after + 1))
      this.#readPage()
  }

  #transmit(
    seq: Seq,
    message: Message,
    qos: Qos,
    retain: boolean,
    isDuplicate: boolean,
    identifiers: readonly number[] | undefined,
    group: Share | undefined,
  ): void {
    if (this.mayReceive?.(message, qos) === false) {
      // What was sent before was perhaps sent to another user.
      if (isDuplicate) this.exchanges.withhold(seq, qos)
      else if (this.durable !== undefined) this.#parts.store.discard(this.durable, [seq])
      return
    }
    if (!this.exchanges.send(seq, message, qos, retain, isDuplicate, identifiers, group)) {
      this.#reportDrop(message, 'too large')
    }
  }

  /** Makes room for a message as the policy has it; says whether there is any. */
  #makeRoom(size: number, message: Message, seq: Seq): boolean {
    if (this.#parts.budget.isExhausted) {
      this.#forget(message, seq, 'memory budget')
      return false
    }
    const { queuePolicy } = this.#parts.limits
    while (this.#queue.isFullFor(size)) {
      const victim = queuePolicy === 'drop-oldest' ? this.#queue.dropOldest() : undefined
      if (victim !== undefined) {
        this.#forget(victim.message, victim.seq, 'queue full')
      } else if (queuePolicy === 'drop-oldest' && !this.#backlog.isEmpty) {
        this.#readPage() // Then it is known what to drop.
        return true
      } else {
        this.#forget(message, seq, 'queue full')
        if (queuePolicy === 'disconnect') {
          this.exchanges.outlet?.endFor(ReasonCode.QuotaExceeded, 'session.queuePolicy: disconnect')
        }
        return false
      }
    }
    return true
  }

  #isExpired(message: Message): boolean {
    return (
      message.expiresAt !== Number.POSITIVE_INFINITY && message.isExpired(this.#parts.clock.now())
    )
  }

  #expire(message: Message, seq: Seq): void {
    this.#parts.counters.publishExpired++
    this.#forget(message, seq, 'expired') // [MQTT-3.3.2-5]
  }

  /** A message that was never sent will not be. */
  #forget(message: Message | undefined, seq: Seq, why: DropReason): void {
    this.#reportDrop(message, why)
    if (this.durable !== undefined) this.#parts.store.discard(this.durable, [seq])
  }

  #readPage(): void {
    if (this.#pages.isReading) return
    const session = this.durable as SessionRef
    // Nothing is kept in memory for a client that is away: its queue only has to become shorter.
    const reading = this.#isOnline
      ? this.#pages.readNext(session)
      : this.#pages.readBacklog(session)
    reading.then(
      () => {
        this.#dropOverfull()
        this.pump()
      },
      ({ message }: StoreError) =>
        this.exchanges.outlet?.endFor(
          ReasonCode.UnspecifiedError,
          `the store did not give the queue: ${message}`,
        ),
    )
  }

  /** Drops what `#makeRoom` would have dropped, had it been known. */
  #dropOverfull(): void {
    while (this.#queue.isOverfull) {
      const victim = this.#queue.dropOldest()
      if (victim === undefined) {
        if (!this.#backlog.isEmpty) this.#readPage()
        return
      }
      this.#forget(victim.message, victim.seq, 'queue full')
    }
  }

  /** Where the numbering stands, and what waits in memory; forgets the backlog, which the store has lost. */
  giveBack(): Pick<StoredSession, 'lastSeq' | 'lowWaterMark' | 'sentTo' | 'released'> & {
    readonly entries: readonly QueueEntry[]
  } {
    const { inFlight } = this.exchanges
    const { sentTo } = this
    const underWay = this.#isOnline ? 0 : this.exchanges.forgetUnreceived()
    const backlog = this.#backlog.count
    this.#backlog.passTo(Number.POSITIVE_INFINITY)
    const gone = this.#queue.removeIf(({ message }) => message === undefined)
    for (const { seq } of gone) inFlight.complete(seq)
    const entries = this.#queue.entries()
    const lastSeq = Math.max(sentTo, this.#lastTold)
    this.#parts.counters.storeLost += backlog + gone.length + underWay
    const { lowWaterMark } = inFlight
    const released = this.exchanges.released()
    // A client that is connected is sent more than the store will know of.
    return { lastSeq, lowWaterMark, sentTo: this.#isOnline ? undefined : sentTo, released, entries }
  }

  /** Reads the whole backlog, without its messages: what it holds of shared subscriptions is known then. */
  async readBacklog(): Promise<void> {
    while (!this.#backlog.isEmpty) await this.#pages.readBacklog(this.durable as SessionRef)
  }
}
