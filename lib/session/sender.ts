/**
 * Sends the messages of one session at QoS 1 and 2: at most a window of them at once, in the order they
 * came [MQTT-4.6.0-5] [MQTT-4.6.0-6], the others waiting in the queue.
 *
 * Of a durable session at most `RESIDENT_MAX` waiting messages are in memory; the others are read from the
 * store when their turn comes. What an earlier connection left unacknowledged stands in front of the queue.
 */

import { Message } from '../protocol/message.ts'
import type { Qos } from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { SharedGroup } from '../router/shared-group.ts'
import type { QueueEntry, Seq, SessionRef } from '../storage/storage.ts'
import type { Delivery } from './delivery.ts'
import { Flight, InFlight, packetIdentifierOf } from './in-flight.ts'
import { MessageQueue } from './message-queue.ts'
import type { Outlet } from './outlet.ts'
import { Releases } from './releases.ts'
import type { DropReason, SessionParts } from './session-parts.ts'
import { SharedInFlight } from './shared-in-flight.ts'
import { StoredProgress } from './stored-progress.ts'

/** Waiting messages of a durable session kept in memory, and how many are read from the store at once. */
export const RESIDENT_MAX = 256
const PAGE_BYTES_MAX = 1024 * 1024

export type ReportDrop = (message: Message | undefined, why: DropReason) => void

export class Sender {
  /** Set for a session that the store keeps. */
  durable: SessionRef | undefined
  readonly #parts: SessionParts
  readonly #reportDrop: ReportDrop
  readonly #inFlight: InFlight
  readonly #queue: MessageQueue
  readonly #progress: StoredProgress
  readonly #releases: Releases
  #outlet: Outlet | undefined
  readonly #sharedInFlight = new SharedInFlight()
  /** What may still be sent before an acknowledgement comes (section 4.9). */
  #sendQuota = 0
  #sendQuotaMax = 0
  #isReading = false

  constructor(
    parts: SessionParts,
    durable: SessionRef | undefined,
    lowWaterMark: Seq,
    last: Seq,
    reportDrop: ReportDrop,
  ) {
    this.#parts = parts
    this.durable = durable
    this.#reportDrop = reportDrop
    this.#inFlight = new InFlight(lowWaterMark, last)
    this.#queue = new MessageQueue(parts.limits, parts.budget)
    this.#progress = new StoredProgress(parts.store, lowWaterMark)
    this.#releases = new Releases(parts.store, () => this.#outlet)
  }

  get inFlightCount(): number {
    return this.#inFlight.count
  }

  get queuedCount(): number {
    return this.#queue.length
  }

  get queuedBytes(): number {
    return this.#queue.bytes
  }

  isFullFor(message: Message): boolean {
    return this.#queue.isFullFor(message.keptBytes)
  }

  /** Whether nothing waits, and the window takes more than `reserved` further messages. */
  hasRoomBeyond(reserved: number): boolean {
    return (
      this.#queue.length === 0 &&
      this.#sendQuota > reserved &&
      this.#canSend(this.#inFlight.last + 1)
    )
  }

  /** Nothing is sent before `resume`. */
  attach(outlet: Outlet, receiveMaximum: number): void {
    this.#outlet = outlet
    this.#sendQuotaMax = Math.min(receiveMaximum, this.#parts.limits.inflightMax) // [MQTT-4.9.0-1]
    this.#sendQuota = this.#sendQuotaMax
  }

  /** Sends again what an earlier connection left unacknowledged, then what waits [MQTT-4.4.0-1]. */
  resume(): void {
    const again: Delivery[] = []
    this.#inFlight.forEach((seq, state) => {
      if (state === Flight.AwaitsPubcomp || state === Flight.AwaitsPubcompAgain) {
        this.#outlet?.sendPubrel(packetIdentifierOf(seq), ReasonCode.Success) // [MQTT-4.3.3-6]
        this.#inFlight.restore(seq, Flight.AwaitsPubcompAgain)
      } else {
        again.push(this.#resendOf(seq, state === Flight.AwaitsPuback ? 1 : 2)) // [MQTT-4.8.2-4]
      }
    })
    for (const { seq } of again) this.#inFlight.restore(seq, Flight.AwaitsResend)
    if (again.length > 0) this.#queue.putInFront(again)
    this.pump()
  }

  #resendOf(seq: Seq, qos: Qos): Delivery {
    return {
      seq,
      message: undefined,
      qos,
      retain: false,
      identifiers: undefined,
      group: this.#sharedInFlight.groupOf(seq),
      isDuplicate: true,
      size: 0,
    }
  }

  /** The connection is gone. What waits in memory is forgotten where the store has it. */
  detach(): void {
    this.#outlet = undefined
    for (const { seq, qos } of this.#queue.removeIf((delivery) => delivery.isDuplicate)) {
      this.#inFlight.restore(seq, qos === 1 ? Flight.AwaitsPuback : Flight.AwaitsPubrec)
    }
    if (this.durable !== undefined) this.#queue.evict()
  }

  /** Frees what waits from the memory budget. */
  dispose(): void {
    this.#queue.removeIf(() => true)
  }

  /** Sends a message of a volatile session, or lets it wait. */
  offer(
    message: Message,
    qos: Qos,
    retain: boolean,
    identifiers: readonly number[] | undefined,
    group: SharedGroup | undefined,
  ): void {
    const seq = this.#inFlight.last + 1
    if (this.#queue.length === 0 && this.#canSend(seq)) {
      this.#transmit(seq, message, qos, retain, false, identifiers, group)
      return
    }
    message.body()
    const size = message.keptBytes
    const isDuplicate = false
    this.#enqueue({ seq: 0, message, qos, retain, identifiers, group, isDuplicate, size }, message)
  }

  /** Sends a message that the store has at `seq`, or lets it wait there. */
  offerStored(
    seq: Seq,
    message: Message,
    qos: Qos,
    retain: boolean,
    identifiers: readonly number[] | undefined,
    group: SharedGroup | undefined,
  ): void {
    if (this.#queue.length === 0 && this.#canSend(seq)) {
      // The store may have taken its time.
      if (this.#isExpired(message)) this.#expire(message, seq)
      else this.#transmit(seq, message, qos, retain, false, identifiers, group)
      return
    }
    const isResident = this.#outlet !== undefined && this.#queue.length < RESIDENT_MAX
    const kept = isResident ? message : undefined
    const size = message.keptBytes
    const isDuplicate = false
    this.#enqueue(
      { seq, message: kept, qos, retain, identifiers, group, isDuplicate, size },
      message,
    )
  }

  /** Sends what window and socket allow of what waits. */
  pump(): void {
    for (let head = this.#queue.peek(); head !== undefined; head = this.#queue.peek()) {
      const seq = head.seq === 0 ? this.#inFlight.last + 1 : head.seq
      if (!this.#canSend(seq)) return
      const { message, qos, retain, isDuplicate, identifiers, group } = head
      if (message === undefined) {
        this.#readPage(head.seq)
        return
      }
      this.#queue.shift()
      // What was sent once cannot expire any more [MQTT-4.3.3-7].
      if (!isDuplicate && this.#isExpired(message)) this.#expire(message, head.seq)
      else this.#transmit(seq, message, qos, retain, isDuplicate, identifiers, group)
    }
  }

  #canSend(seq: Seq): boolean {
    return (
      this.#sendQuota > 0 && // [MQTT-4.9.0-2] [MQTT-3.3.4-9]
      this.#outlet?.isWritable === true &&
      this.#inFlight.hasRoomFor(seq)
    )
  }

  #transmit(
    seq: Seq,
    message: Message,
    qos: Qos,
    retain: boolean,
    isDuplicate: boolean,
    identifiers: readonly number[] | undefined,
    group: SharedGroup | undefined,
  ): void {
    this.#inFlight.begin(seq, qos)
    this.#sendQuota--
    const identifier = packetIdentifierOf(seq)
    const outlet = this.#outlet as Outlet
    if (!outlet.sendPublish(message, qos, retain, isDuplicate, identifier, identifiers)) {
      this.#reportDrop(message, 'too large')
      this.#complete(seq) // [MQTT-3.1.2-25]
    } else if (group !== undefined) {
      if (this.durable === undefined) message.body()
      this.#sharedInFlight.note({
        seq,
        message: this.durable === undefined ? message : undefined,
        qos,
        retain,
        identifiers,
        group,
        isDuplicate: true,
        size: 0,
      })
    }
  }

  #enqueue(delivery: Delivery, message: Message): void {
    if (this.#parts.budget.isExhausted) {
      this.#forget(message, delivery.seq, 'memory budget')
      return
    }
    const { queuePolicy } = this.#parts.limits
    while (this.#queue.isFullFor(delivery.size)) {
      const victim = queuePolicy === 'drop-oldest' ? this.#queue.dropOldest() : delivery
      const isNew = victim === undefined || victim === delivery
      this.#forget(isNew ? message : victim.message, (victim ?? delivery).seq, 'queue full')
      if (queuePolicy === 'disconnect') {
        this.#outlet?.endFor(ReasonCode.QuotaExceeded, 'session.queuePolicy: disconnect')
      }
      if (isNew) return
    }
    this.#queue.insert(delivery)
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

  /** PUBACK came. Says whether it answered a message in flight. */
  handlePuback(packetIdentifier: number): boolean {
    const seq = this.#inFlight.seqOf(packetIdentifier)
    if (this.#inFlight.stateOf(seq) !== Flight.AwaitsPuback) return false
    this.#complete(seq) // [MQTT-4.4.0-2] [MQTT-4.8.2-6]
    this.pump()
    return true
  }

  /** PUBREC came. Says whether it answered a message in flight. */
  handlePubrec(packetIdentifier: number, reasonCode: number): boolean {
    const seq = this.#inFlight.seqOf(packetIdentifier)
    const state = this.#inFlight.stateOf(seq)
    if (state === Flight.AwaitsPubcomp || state === Flight.AwaitsPubcompAgain) {
      this.#outlet?.sendPubrel(packetIdentifier, ReasonCode.Success)
      return true
    }
    if (state !== Flight.AwaitsPubrec) return false
    if (reasonCode >= 0x80) {
      this.#complete(seq) // [MQTT-4.4.0-2] [MQTT-4.8.2-6]
      this.pump()
    } else {
      this.#inFlight.receive(seq)
      this.#sharedInFlight.settle(seq)
      if (this.durable !== undefined) this.#releases.add(this.durable, seq)
      else this.#outlet?.sendPubrel(packetIdentifier, ReasonCode.Success) // [MQTT-4.3.3-4]
    }
    return true
  }

  /** PUBCOMP came. Says whether it answered a PUBREL. */
  handlePubcomp(packetIdentifier: number): boolean {
    const seq = this.#inFlight.seqOf(packetIdentifier)
    const state = this.#inFlight.stateOf(seq)
    if (state !== Flight.AwaitsPubcomp && state !== Flight.AwaitsPubcompAgain) return false
    this.#complete(seq)
    this.pump()
    return true
  }

  #complete(seq: Seq): void {
    const wasCounted = this.#inFlight.stateOf(seq) !== Flight.AwaitsPubcompAgain
    this.#inFlight.complete(seq)
    this.#sharedInFlight.settle(seq)
    if (wasCounted && this.#sendQuota < this.#sendQuotaMax) this.#sendQuota++
    if (this.durable !== undefined) {
      this.#progress.note(this.durable, seq, this.#inFlight.lowWaterMark)
    }
  }

  #readPage(from: Seq): void {
    if (this.#isReading) return
    this.#isReading = true
    const ref = this.durable as SessionRef
    this.#parts.store.readQueue(ref, from - 1, RESIDENT_MAX, PAGE_BYTES_MAX).then(
      (entries) => {
        this.#isReading = false
        this.#takePage(entries)
        this.pump()
      },
      () => {
        this.#isReading = false
        this.#outlet?.endFor(ReasonCode.UnspecifiedError, 'the store did not give the queue')
      },
    )
  }

  /** Gives waiting deliveries their messages; one that the store no longer has is passed over. */
  #takePage(entries: readonly QueueEntry[]): void {
    const bySeq = new Map(entries.map((entry) => [entry.seq, entry]))
    const reach = entries.at(-1)?.seq ?? Number.POSITIVE_INFINITY
    const length = this.#queue.length
    for (let i = 0; i < length && this.#queue.at(i).seq <= reach; i++) {
      const delivery = this.#queue.at(i)
      const entry = bySeq.get(delivery.seq)
      if (entry !== undefined && delivery.message === undefined) {
        const message = Message.fromBody(entry.body, entry.qos, entry.retain, entry.expiresAt)
        this.#queue.setMessage(delivery, message)
        delivery.retain = entry.retain
        delivery.identifiers = entry.subscriptionIdentifiers
      }
    }
    const gone = this.#queue.removeIf(({ seq, message }) => message === undefined && seq <= reach)
    for (const { seq } of gone) this.#inFlight.complete(seq)
  }

  /** Whether a later message has been sent, so that `seq` cannot be any more. */
  isPast(seq: Seq): boolean {
    return seq <= this.#inFlight.last
  }

  get hasUnsentShared(): boolean {
    return this.#queue.hasUnsentShared
  }

  /**
   * Takes out what was never sent of shared subscriptions, so that another member can have it. It stays
   * in the store until `freeShared`.
   */
  takeUnsentShared(group?: SharedGroup): Delivery[] {
    const taken = this.#queue.removeIf(
      (delivery) =>
        !delivery.isDuplicate &&
        delivery.group !== undefined &&
        (group === undefined || delivery.group.share === group.share),
    )
    if (taken[0] !== undefined) this.#progress.hold(taken[0].seq, taken.length)
    return taken
  }

  /** Puts back what nobody else could have; returns what cannot be sent any more under its number. */
  putBackShared(deliveries: readonly Delivery[]): Delivery[] {
    const isLate = ({ seq }: Delivery): boolean => seq !== 0 && this.isPast(seq)
    this.#queue.putBack(deliveries.filter((delivery) => !isLate(delivery)))
    this.pump()
    return deliveries.filter(isLate)
  }

  /** `count` messages that were taken out are elsewhere, or back. */
  freeShared(count: number): void {
    this.#progress.free(count)
  }

  /** Takes out, as the session ends, what was sent of shared subscriptions and others may have. */
  takeUnacknowledgedShared(): Delivery[] {
    return this.#sharedInFlight.takeAll(this.#parts.counters)
  }
}
