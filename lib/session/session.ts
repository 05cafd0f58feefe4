/**
 * The state of one Client Identifier: subscriptions, will, messages in flight and waiting.
 *
 * A session is volatile (it ends with its connection) or durable (the store keeps it, `durable` is set).
 * What is sent at QoS 1 and 2, and when, is the business of its `Sender`.
 */

import type { Message } from '../protocol/message.ts'
import type { MessageRun } from '../protocol/message-run.ts'
import type { Qos } from '../protocol/packets.ts'
import type { Subscription } from '../protocol/subscription.ts'
import type { Share, Subscriber } from '../router/subscriber.ts'
import type { Left, QueueEntry, Seq, SessionRef, StoredSession } from '../storage/storage.ts'
import type { DropReason } from '../util/counters.ts'
import { negated } from '../util/negated.ts'
import { SmallMap } from '../util/small-map.ts'
import type { Delivery } from './delivery.ts'
import type { Exchanges } from './exchanges.ts'
import type { Holder } from './holder.ts'
import { InboundIdentifiers } from './inbound-identifiers.ts'
import { sessionBytes, subscriptionBytes } from './kept-bytes.ts'
import type { Outlet } from './outlet.ts'
import { RetainedCursor } from './retained-cursor.ts'
import { Sender } from './sender.ts'
import type { MayReceive, SessionParts } from './session-parts.ts'
import type { SharedDeliveries } from './shared-deliveries.ts'
import type { Will } from './will.ts'

export class Session implements Subscriber {
  readonly clientIdentifier: string
  readonly subscriptions: SmallMap<Subscription> = new SmallMap()
  readonly inbound: InboundIdentifiers
  /** Session Expiry Interval in seconds. */
  expirySeconds: number
  droppedCount = 0
  lastReceivers: unknown = undefined

  readonly #parts: SessionParts
  #holder: Holder | undefined
  #will: Will | undefined
  /** What the session counts for in the memory budget, its queue aside. */
  #heldBytes = 0
  /** Of a volatile session made with its first message at QoS 1 or 2: many clients never get one. */
  #sender: Sender | undefined
  #outlet: Outlet | undefined
  #cursor: RetainedCursor | undefined
  /** Subscriptions whose retained messages a broker that ended has not sent; until the client is back. */
  #owing: readonly Subscription[]
  /** Retained messages on their way through the store. */
  #retainedPending = 0

  /**
   * `stored` is the session as the store has it, undefined for a volatile one. Its subscriptions are made
   * anew, its will is not taken over.
   */
  constructor(clientIdentifier: string, parts: SessionParts, stored: StoredSession | undefined) {
    this.clientIdentifier = clientIdentifier
    this.#parts = parts
    this.#hold(sessionBytes(clientIdentifier))
    if (stored !== undefined) this.#sender = this.#makeSender(stored)
    this.inbound = new InboundIdentifiers(stored?.inbound)
    this.expirySeconds = stored?.expirySeconds ?? 0
    const subscriptions = stored?.subscriptions ?? []
    for (const subscription of subscriptions) this.subscribe(subscription)
    this.#owing = subscriptions.filter(({ owesRetained }) => owesRetained)
  }

  #needSender(): Sender {
    this.#sender ??= this.#makeSender(undefined)
    return this.#sender
  }

  #makeSender(stored: StoredSession | undefined): Sender {
    const sender = new Sender(this.#parts, stored, (message, why) => this.#drop(message, why))
    sender.holder = this.#holder
    if (this.#outlet !== undefined) sender.attach(this.#outlet)
    return sender
  }

  /** Who answers for it: the connection it was last on; undefined after a restart. */
  get holder(): Holder | undefined {
    return this.#holder
  }

  set holder(holder: Holder | undefined) {
    this.#holder?.holdSubscriptions(negated(this.subscriptions.size))
    this.#holder?.holdSession(-1)
    this.#holder = holder
    holder?.holdSession(1)
    holder?.holdSubscriptions(this.subscriptions.size)
    if (this.#sender !== undefined) this.#sender.holder = holder
  }

  /** The Will Message, as long as it may have to be published. */
  get will(): Will | undefined {
    return this.#will
  }

  set will(will: Will | undefined) {
    this.#hold((will?.body.length ?? 0) - (this.#will?.body.length ?? 0))
    this.#will = will
  }

  get durable(): SessionRef | undefined {
    return this.#sender?.durable
  }

  get isOnline(): boolean {
    return this.#outlet !== undefined
  }

  get inFlightCount(): number {
    return this.#sender?.inFlightCount ?? 0
  }

  /** Last message at QoS 1 or 2 that the client was sent. */
  get sentTo(): Seq {
    return this.#sender?.sentTo ?? 0
  }

  get queuedCount(): number {
    return this.#sender?.queuedCount ?? 0
  }

  get queuedBytes(): number {
    return this.#sender?.queuedBytes ?? 0
  }

  /** The store has given the session to a new connection. */
  renewClaim(ref: SessionRef): void {
    this.#needSender().durable = ref
  }

  /**
   * Describes the session to a store that has lost it, with those waiting messages that are in memory. The
   * others are lost, and forgotten here.
   */
  giveBack(
    ref: SessionRef,
    left: Left | undefined,
  ): { readonly stored: StoredSession; readonly entries: readonly QueueEntry[] } {
    const { will, expirySeconds } = this
    const { entries, ...progress } = this.#needSender().giveBack()
    const subscriptions = [...this.subscriptions.values()]
    // What is not in the store yet comes there with its message.
    const inbound = this.inbound.settled
    const kept = { ref, subscriptions, will, expirySeconds, left, inbound }
    return { stored: { ...kept, ...progress, queued: 0, queuedBytes: 0 }, entries }
  }

  /** Sits the session on a connection. Nothing is sent before `resume`. */
  attach(outlet: Outlet): void {
    this.#outlet = outlet
    this.#sender?.attach(outlet)
  }

  /** CONNACK is sent: what waits may follow. */
  resume(): void {
    this.#sender?.resume()
    for (const subscription of this.#owing) this.promiseRetained(subscription, undefined)
    this.#owing = []
    this.#pumpRetained()
  }

  /** The connection is gone. */
  detach(): void {
    this.#outlet = undefined
    this.#sender?.detach()
  }

  /** Frees what the session counts for in the memory budget. */
  dispose(): void {
    this.#sender?.dispose()
    this.#cursor?.dispose()
    this.#parts.budget.release(this.#heldBytes)
    this.#heldBytes = 0
  }

  /** Adds or replaces a subscription; says whether it existed. */
  subscribe(subscription: Subscription): boolean {
    const { topicFilter, isPlain } = subscription
    const replaced = this.subscriptions.get(topicFilter)
    if (replaced === undefined) {
      this.#hold(subscriptionBytes(topicFilter))
      this.#holder?.holdSubscriptions(1)
    }
    this.subscriptions.set(topicFilter, subscription)
    this.#cursor?.replace(subscription)
    if (replaced !== undefined && replaced.isPlain !== isPlain) {
      this.#parts.router.unsubscribe(this, topicFilter)
    }
    this.#parts.router.subscribe(this, subscription)
    return replaced !== undefined
  }

  unsubscribe(topicFilter: string): boolean {
    if (!this.subscriptions.delete(topicFilter)) return false // [MQTT-3.10.4-1]
    this.#hold(-subscriptionBytes(topicFilter))
    this.#holder?.holdSubscriptions(-1)
    this.#cursor?.drop(topicFilter)
    return this.#parts.router.unsubscribe(this, topicFilter)
  }

  /**
   * Promises the client the retained messages that match, and `more` that the broker makes; `pump` sends
   * them as the client's window allows.
   */
  promiseRetained(
    subscription: Subscription,
    more: Iterator<Message, undefined> | undefined,
  ): void {
    const { retained, clock, budget } = this.#parts
    this.#cursor?.drop(subscription.topicFilter)
    if (more === undefined && !retained.mayMatch(subscription.topicFilter)) {
      this.#sentAll(subscription.topicFilter)
      return
    }
    this.#cursor ??= new RetainedCursor(retained, clock, budget, (filter) => this.#sentAll(filter))
    if (this.durable !== undefined && retained.count > 0) {
      this.subscriptions.set(subscription.topicFilter, { ...subscription, owesRetained: true })
    }
    this.#cursor.addMatches(subscription)
    if (more !== undefined) this.#cursor.add(subscription, more)
  }

  /** The last retained message of a subscription is with the client, or in the store. */
  #sentAll(topicFilter: string): void {
    const subscription = this.subscriptions.get(topicFilter)
    if (subscription?.owesRetained !== true) return
    const { owesRetained: _, ...plain } = subscription
    this.subscriptions.set(topicFilter, plain)
    if (this.durable === undefined) return
    // Should it get lost, they are sent once more after a crash.
    void this.#parts.store.update(this.durable, { subscribe: [plain] }).catch(() => {})
  }

  /** Leaves the router. The session takes no message any more. */
  leaveRouter(): void {
    this.holder = undefined
    for (const topicFilter of this.subscriptions.keys()) {
      this.#parts.router.unsubscribe(this, topicFilter)
    }
  }

  /** Sends only what `mayReceive` allows, from now on and until the connection is gone. */
  filterBy(mayReceive: MayReceive): void {
    this.#needSender().mayReceive = mayReceive
  }

  deliver(
    message: Message,
    qos: Qos,
    retain: boolean,
    identifiers: readonly number[] | undefined,
    group: Share | undefined,
  ): void {
    if (qos > 0) {
      this.#cursor?.noteLive(message.topic)
      this.#needSender().offer(message, qos, retain, identifiers, group)
      return
    }
    if (this.#sender?.mayReceive?.(message, 0) === false) return
    const isSent = this.#outlet?.sendPublish(message, 0, retain, false, 0, identifiers)
    if (isSent === true) this.#cursor?.noteLive(message.topic)
    if (isSent === false)
      this.#drop(message, this.#outlet?.isSlowed === true ? 'rate limit' : 'socket blocked')
  }

  deliverRun(run: MessageRun, qos: Qos, identifiers: readonly number[] | undefined): boolean {
    if (this.#outlet === undefined) return qos === 0
    if (identifiers !== undefined || this.#sender?.mayReceive !== undefined) return false
    const isSent =
      qos === 0 ? this.#outlet.sendRun(run, 0, 0) : this.#needSender().offerRun(run, qos)
    if (isSent) this.#cursor?.noteLive(run.first.topic)
    return isSent
  }

  admits(message: Message): boolean {
    const { budget, limits } = this.#parts
    const isFull =
      !this.isOnline &&
      limits.queuePolicy !== 'drop-oldest' &&
      this.#needSender().isFullFor(message)
    if (isFull) this.#drop(message, 'queue full')
    else if (budget.isExhausted) this.#drop(message, 'memory budget')
    else return true
    return false
  }

  deliverStored(
    seq: Seq,
    message: Message,
    qos: Qos,
    retain: boolean,
    identifiers: readonly number[] | undefined,
    group: Share | undefined,
  ): void {
    if (this.#retainedPending === 0 || !retain) this.#cursor?.noteLive(message.topic)
    this.#needSender().offerStored(seq, message, qos, retain, identifiers, group)
  }

  giveAway(seq: Seq): () => void {
    this.#parts.store.discard(this.durable as SessionRef, [seq])
    this.#needSender().shared.hold(seq, 1)
    // If it never arrives, this copy stays the one there is: the next start finds it.
    return () => this.#needSender().shared.free(1)
  }

  /** Sends what window and socket allow: first what waits, then retained messages. */
  pump(): void {
    this.#sender?.pump()
    this.#pumpRetained()
  }

  get #hasRoomForRetained(): boolean {
    if (this.#sender === undefined) return this.#outlet?.isWritable === true
    return this.#sender.hasRoomBeyond(this.#retainedPending)
  }

  #pumpRetained(): void {
    while (this.#cursor !== undefined && this.#hasRoomForRetained) {
      const delivery = this.#cursor.next()
      if (delivery === undefined) this.#cursor = undefined
      else this.#sendRetained(delivery.message, delivery.qos, delivery.identifiers)
    }
  }

  #sendRetained(message: Message, qos: Qos, identifiers: readonly number[] | undefined): void {
    if (this.#sender?.mayReceive?.(message, qos) === false) return
    if (qos === 0) {
      const isSent = this.#outlet?.sendPublish(message, 0, true, false, 0, identifiers)
      if (isSent === false) this.#drop(message, 'too large')
    } else if (this.durable === undefined) {
      this.#needSender().offer(message, qos, true, identifiers, undefined)
    } else {
      this.#retainedPending++
      const settled = (): void => {
        this.#retainedPending--
        this.#pumpRetained()
      }
      this.#parts.router
        .deliverTo(this, message, qos, true, identifiers, undefined)
        ?.tell({ published: settled, publicationFailed: settled })
    }
  }

  #hold(bytes: number): void {
    this.#heldBytes += bytes
    this.#parts.budget.hold(bytes)
  }

  #drop(message: Message | undefined, why: DropReason): void {
    this.droppedCount++
    this.#parts.dropped(this, message, why)
  }

  /** What is under way to the client; undefined as long as it never had anything at QoS 1 or 2. */
  get exchanges(): Exchanges | undefined {
    return this.#sender?.exchanges
  }

  /** What of shared subscriptions it has; undefined as long as it never had anything at QoS 1 or 2. */
  get shared(): SharedDeliveries | undefined {
    return this.#sender?.shared
  }

  /** Takes back what no other member could have; returns what needs a new number. */
  putBackShared(deliveries: readonly Delivery[]): Delivery[] {
    const late = this.#needSender().shared.putBack(deliveries)
    this.#sender?.pump()
    return late
  }

  /** Learns what of shared subscriptions waits in the store alone. Rejects if the store does not tell. */
  async readBacklog(): Promise<void> {
    await this.#sender?.readBacklog()
  }

  /** Leaves to the store what was learned, while nobody is there to be sent it. */
  shrink(): void {
    this.#sender?.shrink()
  }
}
