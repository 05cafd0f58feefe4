/**
 * The state of one Client Identifier: subscriptions, messages in flight, messages waiting.
 *
 * A session is volatile (it ends with its connection) or durable (the store keeps it, `durable` is set).
 * Both send in the order messages came [MQTT-4.6.0-5] [MQTT-4.6.0-6], never more at once than the
 * client's Receive Maximum. A durable session holds at most `RESIDENT_MAX` waiting messages in memory
 * and reads the others from the store when their turn comes.
 */

import { Message } from '../protocol/message.ts'
import type { Qos } from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { Subscription } from '../protocol/subscription.ts'
import type { RetainedMessages } from '../retained/retained-messages.ts'
import type { Router } from '../router/router.ts'
import type { SharedGroup } from '../router/shared-group.ts'
import type { Subscriber } from '../router/subscriber.ts'
import type { QueueEntry, Seq, SessionRef, Store } from '../storage/storage.ts'
import type { Clock } from '../util/clock.ts'
import type { Counters } from '../util/counters.ts'
import type { MemoryBudget } from '../util/memory-budget.ts'
import type { Delivery } from './delivery.ts'
import { Flight, InFlight, packetIdentifierOf } from './in-flight.ts'
import { MessageQueue, type QueueLimits } from './message-queue.ts'
import type { Outlet } from './outlet.ts'
import { RetainedCursor } from './retained-cursor.ts'
import type { Will } from './will.ts'

export interface SessionLimits extends QueueLimits {
  /** Most messages at QoS 1 and 2 in flight, whatever the client's Receive Maximum. */
  readonly inflightMax: number
}

/** What every session of a broker shares. */
export interface SessionParts {
  readonly router: Router
  readonly retained: RetainedMessages
  readonly store: Store
  readonly clock: Clock
  readonly counters: Counters
  readonly budget: MemoryBudget
  readonly limits: SessionLimits
  /** Hears of each message a client's queue or socket did not take. */
  readonly dropped: (session: Session, message: Message | undefined, why: DropReason) => void
}

export type DropReason =
  | 'queue full'
  | 'expired'
  | 'too large'
  | 'socket blocked'
  | 'no member left'

/** Waiting messages of a durable session kept in memory, and how much is read from the store at once. */
export const RESIDENT_MAX = 256
const PAGE_BYTES_MAX = 1024 * 1024

/** Acknowledged messages behind a stuck one that are removed from the store together. */
const DISCARD_BATCH = 64

export class Session implements Subscriber {
  readonly clientIdentifier: string
  readonly subscriptions: Map<string, Subscription> = new Map()
  /** Packet Identifiers of QoS 2 messages received and not yet released by the client. */
  readonly inbound: Set<number> = new Set()
  /** Session Expiry Interval in seconds. */
  expirySeconds = 0
  will: Will | undefined
  droppedCount = 0

  readonly #parts: SessionParts
  #durable: SessionRef | undefined
  #outlet: Outlet | undefined
  readonly #inFlight: InFlight
  readonly #queue: MessageQueue
  /** Messages of shared subscriptions in flight: they may have to go to another member. */
  readonly #sharedInFlight = new Map<Seq, Delivery>()
  #cursor: RetainedCursor | undefined
  /** What may still be sent before an acknowledgement comes (section 4.9). */
  #sendQuota = 0
  #sendQuotaMax = 0
  /** Retained messages on their way through the store. */
  #retainedPending = 0
  #isReading = false
  #acknowledgedBehind: Seq[] = []
  #releasing: Seq[] = []

  constructor(
    clientIdentifier: string,
    parts: SessionParts,
    durable: SessionRef | undefined,
    lowWaterMark: Seq,
    last: Seq,
  ) {
    this.clientIdentifier = clientIdentifier
    this.#parts = parts
    this.#durable = durable
    this.#inFlight = new InFlight(lowWaterMark, last)
    this.#queue = new MessageQueue(parts.limits, parts.budget)
  }

  get durable(): SessionRef | undefined {
    return this.#durable
  }

  /** The store has given the session to a new connection. */
  renewClaim(ref: SessionRef): void {
    this.#durable = ref
  }

  get isOnline(): boolean {
    return this.#outlet !== undefined
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

  // --- Connections come and go ---------------------------------------------------------------------

  /** Sits the session on a connection. Nothing is sent before `resume`. */
  attach(outlet: Outlet, receiveMaximum: number): void {
    this.#outlet = outlet
    this.#sendQuotaMax = Math.min(receiveMaximum, this.#parts.limits.inflightMax) // [MQTT-4.9.0-1]
    this.#sendQuota = this.#sendQuotaMax
  }

  /** Sends again what an earlier connection left unacknowledged, then goes on [MQTT-4.4.0-1]. */
  resume(): void {
    const again: Delivery[] = []
    this.#inFlight.forEach((seq, state) => {
      if (state === Flight.AwaitsPubcomp) {
        this.#outlet?.sendPubrel(packetIdentifierOf(seq), ReasonCode.Success) // [MQTT-4.3.3-6]
      } else {
        const qos = state === Flight.AwaitsPuback ? 1 : 2
        again.push(this.#resendOf(seq, qos))
      }
    })
    for (const { seq } of again) this.#inFlight.restore(seq, Flight.AwaitsResend)
    if (again.length > 0) this.#queue.putInFront(again)
    this.pump()
  }

  #resendOf(seq: Seq, qos: Qos): Delivery {
    const shared = this.#sharedInFlight.get(seq)
    return {
      seq,
      message: undefined,
      qos,
      retain: false,
      identifiers: undefined,
      group: shared?.group,
      isDuplicate: true,
      size: 0,
    }
  }

  /** The connection is gone. What waits in memory is forgotten where the store has it. */
  detach(): void {
    this.#outlet = undefined
    // Messages to be sent again go back where they came from.
    for (const { seq, qos } of this.#queue.removeIf((delivery) => delivery.isDuplicate)) {
      this.#inFlight.restore(seq, qos === 1 ? Flight.AwaitsPuback : Flight.AwaitsPubrec)
    }
    if (this.#durable !== undefined) this.#queue.evict()
  }

  // --- Subscriptions -------------------------------------------------------------------------------

  /** Adds or replaces a subscription; says whether it existed. */
  subscribe(subscription: Subscription): boolean {
    const existed = this.subscriptions.has(subscription.topicFilter)
    this.subscriptions.set(subscription.topicFilter, subscription)
    this.#cursor?.drop(subscription.topicFilter)
    this.#parts.router.subscribe(this, subscription)
    return existed
  }

  unsubscribe(topicFilter: string): boolean {
    if (!this.subscriptions.delete(topicFilter)) return false // [MQTT-3.10.4-1]
    this.#cursor?.drop(topicFilter)
    return this.#parts.router.unsubscribe(this, topicFilter)
  }

  /**
   * Promises the client the retained messages that match, and `more` that the broker makes; `pump` sends
   * them as the client's window allows.
   */
  promiseRetained(subscription: Subscription, more: Iterator<Message> | undefined): void {
    this.#cursor ??= new RetainedCursor(this.#parts.retained, this.#parts.clock)
    this.#cursor.addMatches(subscription)
    if (more !== undefined) this.#cursor.add(subscription, more)
  }

  /** Leaves the router. The session takes no message any more. */
  leaveRouter(): void {
    for (const topicFilter of this.subscriptions.keys()) {
      this.#parts.router.unsubscribe(this, topicFilter)
    }
  }

  // --- Messages out --------------------------------------------------------------------------------

  deliver(
    message: Message,
    qos: Qos,
    retain: boolean,
    identifiers: readonly number[] | undefined,
    group: SharedGroup | undefined,
  ): void {
    this.#noteLive(message)
    if (qos === 0) {
      const isSent = this.#outlet?.sendPublish(message, 0, retain, false, 0, identifiers)
      if (isSent === false) this.#drop(message, 'socket blocked')
    } else if (this.#queue.length === 0 && this.#canSend(this.#inFlight.last + 1)) {
      this.#transmit(this.#inFlight.last + 1, message, qos, retain, false, identifiers, group)
    } else {
      message.body()
      const size = message.keptBytes
      this.#enqueue({ seq: 0, message, qos, retain, identifiers, group, isDuplicate: false, size })
    }
  }

  admits(message: Message): boolean {
    const { queuePolicy } = this.#parts.limits
    const isRefused =
      queuePolicy !== 'drop-oldest' && !this.isOnline && this.#queue.isFullFor(message.keptBytes)
    if (isRefused) this.#drop(message, 'queue full')
    return !isRefused
  }

  deliverStored(
    seq: Seq,
    message: Message,
    qos: Qos,
    retain: boolean,
    identifiers: readonly number[] | undefined,
    group: SharedGroup | undefined,
  ): void {
    if (this.#retainedPending > 0 && retain) this.#retainedPending--
    else this.#noteLive(message)
    if (this.#queue.length === 0 && this.#canSend(seq)) {
      this.#transmit(seq, message, qos, retain, false, identifiers, group)
      return
    }
    const isResident = this.isOnline && this.#queue.length < RESIDENT_MAX
    this.#enqueue({
      seq,
      message: isResident ? message : undefined,
      qos,
      retain,
      identifiers,
      group,
      isDuplicate: false,
      size: message.keptBytes,
    })
  }

  /** Sends what window and socket allow: first what waits, then retained messages. */
  pump(): void {
    for (;;) {
      const head = this.#queue.peek()
      if (head === undefined) break
      const seq = head.seq === 0 ? this.#inFlight.last + 1 : head.seq
      if (!this.#canSend(seq)) return
      if (head.message === undefined) {
        this.#readPage(head.seq)
        return
      }
      this.#queue.shift()
      const { message, qos, retain, isDuplicate, identifiers, group } = head
      // What was sent once cannot expire any more [MQTT-4.3.3-7].
      if (!isDuplicate && message.isExpired(this.#parts.clock.now()))
        this.#expire(head) // [MQTT-3.3.2-5]
      else this.#transmit(seq, message, qos, retain, isDuplicate, identifiers, group)
    }
    this.#pumpRetained()
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
      this.#drop(message, 'too large')
      this.#complete(seq) // [MQTT-3.1.2-25]
    } else if (group !== undefined) {
      this.#keepShared(seq, message, qos, retain, identifiers, group)
    }
  }

  /** Remembers a message that goes to another member if this session ends before it is acknowledged. */
  #keepShared(
    seq: Seq,
    message: Message,
    qos: Qos,
    retain: boolean,
    identifiers: readonly number[] | undefined,
    group: SharedGroup,
  ): void {
    if (this.#durable === undefined) message.body()
    const kept = this.#durable === undefined ? message : undefined
    this.#sharedInFlight.set(seq, {
      seq,
      message: kept,
      qos,
      retain,
      identifiers,
      group,
      isDuplicate: true,
      size: 0,
    })
  }

  #enqueue(delivery: Delivery): void {
    const { queuePolicy } = this.#parts.limits
    while (this.#queue.isFullFor(delivery.size)) {
      const victim = queuePolicy === 'drop-oldest' ? this.#queue.dropOldest() : delivery
      this.#forget(victim ?? delivery, 'queue full')
      if (queuePolicy === 'disconnect') {
        this.#outlet?.endFor(ReasonCode.QuotaExceeded, 'session.queuePolicy: disconnect')
      }
      if (victim === undefined || victim === delivery) return
    }
    this.#queue.push(delivery)
  }

  #expire(delivery: Delivery): void {
    this.#parts.counters.publishExpired++
    this.#forget(delivery, 'expired')
  }

  /** A message that was never sent will not be. */
  #forget(delivery: Delivery, why: DropReason): void {
    this.#drop(delivery.message, why)
    if (this.#durable !== undefined) this.#parts.store.discard(this.#durable, [delivery.seq])
  }

  #drop(message: Message | undefined, why: DropReason): void {
    this.droppedCount++
    this.#parts.dropped(this, message, why)
  }

  // --- Retained messages ---------------------------------------------------------------------------

  #noteLive(message: Message): void {
    this.#cursor?.noteLive(message.topic)
  }

  #pumpRetained(): void {
    const cursor = this.#cursor
    if (cursor === undefined) return
    while (this.#outlet?.isWritable === true && this.#sendQuota > this.#retainedPending) {
      if (this.#queue.length > 0) return
      const delivery = cursor.next()
      if (delivery === undefined) {
        this.#cursor = undefined
        return
      }
      this.#sendRetained(delivery.message, delivery.qos, delivery.identifiers)
    }
  }

  #sendRetained(message: Message, qos: Qos, identifiers: readonly number[] | undefined): void {
    if (qos === 0) {
      const isSent = this.#outlet?.sendPublish(message, 0, true, false, 0, identifiers)
      if (isSent === false) this.#drop(message, 'too large')
    } else if (this.#durable === undefined) {
      const seq = this.#inFlight.last + 1
      this.#transmit(seq, message, qos, true, false, identifiers, undefined)
    } else {
      this.#retainedPending++
      this.#parts.router.deliverTo(this, message, qos, true, identifiers, undefined)
    }
  }

  // --- Acknowledgements ----------------------------------------------------------------------------

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
    if (state === Flight.AwaitsPubcomp) {
      this.#outlet?.sendPubrel(packetIdentifier, ReasonCode.Success)
      return true
    }
    if (state !== Flight.AwaitsPubrec) return false
    if (reasonCode >= 0x80) {
      this.#complete(seq) // [MQTT-4.4.0-2] [MQTT-4.8.2-6]
      this.pump()
    } else {
      this.#inFlight.receive(seq)
      this.#release(seq)
    }
    return true
  }

  /** PUBCOMP came. Says whether it answered a PUBREL. */
  handlePubcomp(packetIdentifier: number): boolean {
    const seq = this.#inFlight.seqOf(packetIdentifier)
    if (this.#inFlight.stateOf(seq) !== Flight.AwaitsPubcomp) return false
    this.#complete(seq)
    this.pump()
    return true
  }

  /** Sends PUBREL once the store knows that PUBREC came; one request for all of a turn. */
  #release(seq: Seq): void {
    const ref = this.#durable
    if (ref === undefined) {
      this.#outlet?.sendPubrel(packetIdentifierOf(seq), ReasonCode.Success) // [MQTT-4.3.3-4]
      return
    }
    this.#releasing.push(seq)
    if (this.#releasing.length > 1) return
    queueMicrotask(() => {
      const seqs = this.#releasing
      this.#releasing = []
      const outlet = this.#outlet
      this.#parts.store.markReleased(ref, seqs).then(
        () => {
          // A connection made in the meantime has sent them in `resume`.
          if (this.#outlet !== outlet) return
          for (const released of seqs) {
            outlet?.sendPubrel(packetIdentifierOf(released), ReasonCode.Success)
          }
        },
        () => outlet?.endFor(ReasonCode.UnspecifiedError, 'the store did not take a PUBREC'),
      )
    })
  }

  #complete(seq: Seq): void {
    const before = this.#inFlight.lowWaterMark
    this.#inFlight.complete(seq)
    this.#sharedInFlight.delete(seq)
    if (this.#sendQuota < this.#sendQuotaMax) this.#sendQuota++
    if (this.#durable === undefined) return
    if (this.#inFlight.lowWaterMark > before) {
      this.#parts.store.acknowledgeTo(this.#durable, this.#inFlight.lowWaterMark)
    } else {
      this.#discardLater(seq)
    }
  }

  #discardLater(seq: Seq): void {
    this.#acknowledgedBehind.push(seq)
    if (this.#acknowledgedBehind.length < DISCARD_BATCH) return
    this.#parts.store.discard(this.#durable as SessionRef, this.#acknowledgedBehind)
    this.#acknowledgedBehind = []
  }

  // --- The store behind the queue ------------------------------------------------------------------

  #readPage(from: Seq): void {
    if (this.#isReading) return
    this.#isReading = true
    const ref = this.#durable as SessionRef
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

  // --- Shared subscriptions ------------------------------------------------------------------------

  /** Takes out what was never sent of shared subscriptions, so that another member can have it. */
  takeUnsentShared(group?: SharedGroup): Delivery[] {
    return this.#queue.removeIf(
      (delivery) =>
        !delivery.isDuplicate &&
        delivery.group !== undefined &&
        (group === undefined || delivery.group === group),
    )
  }

  /**
   * Takes out, as the session ends, what was sent of shared subscriptions at QoS 1 and never
   * acknowledged. QoS 2 belongs to this session and dies with it [MQTT-4.8.2-5].
   */
  takeUnacknowledgedShared(): Delivery[] {
    const taken: Delivery[] = []
    for (const delivery of this.#sharedInFlight.values()) {
      if (delivery.qos === 1) taken.push(delivery)
      else this.#parts.counters.sharedLost++
    }
    this.#sharedInFlight.clear()
    return taken
  }

  /** Frees what the session counts for in the memory budget. */
  dispose(): void {
    this.#queue.removeIf(() => true)
  }
}
