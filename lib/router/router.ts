/**
 * Who gets a message: matches it, merges overlapping subscriptions, lets shared groups choose, and hands
 * it to each `Subscriber`.
 *
 * Volatile receivers are called at once. Durable ones are gathered into one `Unit` for the store, which
 * reports each target when it is safe; only then does the message leave towards it, and only when all of
 * the unit is safe is the publisher acknowledged.
 */

import type { Message } from '../protocol/message.ts'
import type { MessageRun } from '../protocol/message-run.ts'
import type { Qos } from '../protocol/packets.ts'
import { lowerQos } from '../protocol/qos.ts'
import type { Subscription } from '../protocol/subscription.ts'
import { isShared, parseSharedFilter } from '../protocol/topics.ts'
import type { RetainedMessages } from '../retained/retained-messages.ts'
import type { Seq, SessionRef, Sink, Store, StoreError, Target, Unit } from '../storage/storage.ts'
import type { Clock } from '../util/clock.ts'
import type { MemoryBudget } from '../util/memory-budget.ts'
import type { Random } from '../util/random.ts'
import { deliverRun, takesRuns } from './deliver-run.ts'
import { MatchCache, type RememberedNames } from './match-cache.ts'
import { type DurableTarget, Publication, whenDurable } from './publication.ts'
import type { Receiver, Receivers } from './receivers.ts'
import { SharedGroup, type SharedMember, type SharedStrategy } from './shared-group.ts'
import type { Share, Subscriber } from './subscriber.ts'
import { TopicTrie } from './topic-trie.ts'

export interface RouterOptions {
  readonly sharedStrategy: SharedStrategy
  /** For retained messages without an expiry of their own; 0: they stay. */
  readonly retainedExpirySeconds: number
}

export interface RouterParts {
  readonly store: Store
  readonly retained: RetainedMessages
  readonly clock: Clock
  readonly random: Random
  readonly budget: MemoryBudget
}

export type KnownReceivers = Receivers<Subscriber, SharedGroup>

export class Router implements Sink {
  /** Receivers that the last message had that `route` was given. */
  lastMatchCount = 0
  readonly #options: RouterOptions
  readonly #parts: RouterParts
  readonly #trie = new TopicTrie<Subscriber, SharedGroup>()
  readonly #cache = new MatchCache<Subscriber, SharedGroup>(this.#trie)
  /** The topics of messages before, by their bytes. */
  readonly topicNames: RememberedNames = this.#cache
  readonly #groups = new Map<string, SharedGroup>()
  /** The publication that gathers the durable targets of the message being routed. */
  #gathering: Publication | undefined
  #depth = 0

  constructor(options: RouterOptions, parts: RouterParts) {
    this.#options = options
    this.#parts = parts
  }

  get subscriptionCount(): number {
    return this.#trie.subscriptionCount + this.sharedSubscriptionCount
  }

  get sharedSubscriptionCount(): number {
    let count = 0
    for (const group of this.#groups.values()) count += group.size
    return count
  }

  /** Adds or replaces a subscription; says whether it existed [MQTT-3.8.4-3]. */
  subscribe(subscriber: Subscriber, subscription: Subscription): boolean {
    const { topicFilter } = subscription
    if (subscription.isPlain === true || !isShared(topicFilter))
      return this.#cache.subscribe(topicFilter, subscriber, subscription)
    let group = this.#groups.get(topicFilter)
    if (group === undefined) {
      const filter = parseSharedFilter(topicFilter)?.topicFilter as string
      group = new SharedGroup(topicFilter, filter, this.#options.sharedStrategy, this.#parts.random)
      this.#groups.set(topicFilter, group)
      this.#cache.addGroup(filter, group)
    }
    return group.join(subscriber, subscription)
  }

  /** Ends a subscription; says whether it existed. */
  unsubscribe(subscriber: Subscriber, topicFilter: string): boolean {
    const group = this.#groups.get(topicFilter)
    if (group === undefined || !group.leave(subscriber)) {
      return this.#cache.unsubscribe(topicFilter, subscriber)
    }
    if (group.size === 0) {
      this.#groups.delete(topicFilter)
      this.#cache.removeGroup(group.topicFilter, group)
    }
    return true
  }

  groupOf(share: string): SharedGroup | undefined {
    return this.#groups.get(share)
  }

  /** Whether anybody would get a message of this topic; it is not remembered. */
  hasReceivers(topicName: string): boolean {
    const { single, groups } = this.#trie.match(topicName)
    return single.length > 0 || groups.length > 0
  }

  /**
   * Delivers `message` to all it concerns. Returns the publication if the store has to confirm it
   * first, undefined if everything is done.
   *
   * `durable` says what else the store must note with it, in the same step.
   */
  route(
    message: Message,
    publisher: Subscriber | undefined,
    durable?: Partial<Pick<Unit, 'publisher' | 'willOf'>>,
  ): Publication | undefined {
    // Whose queue is full may be disconnected at once, which publishes its will.
    const outer = this.#gathering
    this.#gathering = undefined
    this.#depth++
    try {
      this.lastMatchCount = this.#deliverToAll(message, publisher)
      if (message.retain) this.#retain(message) // [MQTT-3.3.1-8]
      if (durable?.publisher !== undefined) this.#publication(message).publisher = durable.publisher
      if (durable?.willOf !== undefined) this.#publication(message).willOf = durable.willOf

      const publication = this.#gathering as Publication | undefined
      if (publication !== undefined) this.#write(publication)
      return publication
    } finally {
      this.#depth--
      this.#gathering = outer
    }
  }

  /** Whether somebody is being called who must not have another message routed before the call is over. */
  get isBusy(): boolean {
    return this.#depth > 0
  }

  /** Calls the host program with `isBusy`. */
  whileBusy<T>(call: () => T): T {
    this.#depth++
    try {
      return call()
    } finally {
      this.#depth--
    }
  }

  /**
   * Delivers a message that never enters a store or the retained messages: `$SYS`. Its topic is not remembered, as
   * each client has some of its own.
   */
  routeVolatile(message: Message): void {
    const { single } = this.#trie.match(message.topic)
    this.whileBusy(() => {
      for (const { subscriber, retainAsPublished, identifiers } of single) {
        subscriber.deliver(message, 0, message.retain && retainAsPublished, identifiers, undefined)
      }
    })
  }

  /** Hands a message to one receiver only; returns the publication if it goes through the store. */
  deliverTo(
    subscriber: Subscriber,
    message: Message,
    qos: Qos,
    retain: boolean,
    identifiers: readonly number[] | undefined,
    group: Share | undefined,
  ): Publication | undefined {
    if (qos === 0 || subscriber.durable === undefined) {
      subscriber.deliver(message, qos, retain, identifiers, group)
      return undefined
    }
    const publication = new Publication(message)
    this.#addTarget(publication, subscriber, qos, retain, identifiers, group)
    this.#write(publication)
    return publication
  }

  /** What is on its way into the store counts in the memory budget. */
  #write(publication: Publication): void {
    this.#parts.budget.hold(publication.body.length)
    this.#parts.store.write(publication, this)
  }

  stored(unit: Unit, index: number, seq: Seq): void {
    const publication = unit as Publication
    const target = publication.targets[index] as DurableTarget
    target.isStored = true
    const { message } = publication
    publication.awaitAlso(this.arrive(seq, message, target, target.subscriber, target.group))
  }

  /** A message stands in a receiver's queue at `seq`. Returns the publication if it has to go on to another. */
  arrive(
    seq: Seq,
    message: Message,
    { qos, retain, subscriptionIdentifiers }: Target,
    subscriber: Subscriber,
    group: Share | undefined,
  ): Publication | undefined {
    const other = group === undefined ? undefined : this.#inPlaceOf(subscriber, group, message)
    if (other === undefined) {
      subscriber.deliverStored(seq, message, qos, retain, subscriptionIdentifiers, group)
      return undefined
    }
    const arrived = subscriber.giveAway(seq)
    const elsewhere = this.#deliverToMember(message, other, group as Share)
    whenDurable(elsewhere, arrived)
    return elsewhere
  }

  done(unit: Unit): void {
    const publication = unit as Publication
    this.#parts.budget.release(publication.body.length)
    for (const { subscriber, group, isStored } of publication.targets) {
      if (group === undefined || isStored) continue
      const other = this.#inPlaceOf(subscriber, group, publication.message)
      if (other === undefined) continue
      publication.awaitAlso(this.#deliverToMember(publication.message, other, group))
    }
    publication.noteDurable()
  }

  failed(unit: Unit, error: StoreError): void {
    const publication = unit as Publication
    this.#parts.budget.release(publication.body.length)
    publication.noteFailed(error)
  }

  /**
   * Chooses another member for a message if the one that was chosen has left, or gone offline, while the
   * store was writing.
   */
  #inPlaceOf(chosen: Subscriber, { share }: Share, message: Message): SharedMember | undefined {
    const group = this.#groups.get(share)
    if (group === undefined) return undefined
    const isMember = group.has(chosen)
    if (isMember && chosen.isOnline) return undefined
    return isMember ? group.pickOnline(message, chosen) : group.pick(message, undefined)
  }

  #deliverToMember(message: Message, member: SharedMember, group: Share): Publication | undefined {
    const { subscriber, retainAsPublished, identifiers } = member
    const qos = lowerQos(message.qos, member.qos)
    const retain = message.retain && retainAsPublished
    return this.deliverTo(subscriber, message, qos, retain, identifiers, group)
  }

  /**
   * Those who get a message and may get more like it with `routeRun`; undefined where each has to be routed, as somebody
   * may change who gets the next, or, at QoS 1 and 2, is chosen anew for each or the store has to confirm it.
   */
  runReceiversOf({ topic, qos }: Message, publisher: Subscriber): KnownReceivers | undefined {
    const receivers = this.#receiversOf(topic, publisher)
    const { single, groups } = receivers
    const mayRun = qos === 0 || groups.length === 0
    return mayRun && single.every((receiver) => takesRuns(receiver, qos)) ? receivers : undefined
  }

  /** As `route` with each of its messages, to receivers that were asked for now; returns how many those are. */
  routeRun(run: MessageRun, { single, groups }: KnownReceivers, publisher: Subscriber): number {
    return groups.length > 0 ? this.#routeEach(run, publisher) : deliverRun(run, single, publisher)
  }

  #routeEach(run: MessageRun, publisher: Subscriber): number {
    for (const message of run.messages) this.route(message, publisher)
    return this.lastMatchCount
  }

  #receiversOf(topicName: string, publisher: Subscriber | undefined): KnownReceivers {
    const last = publisher?.lastReceivers as KnownReceivers | undefined
    const receivers = this.#cache.receiversOf(topicName, last) // [MQTT-3.3.2-3]
    // What is not remembered would be kept as long as the publisher, whatever becomes of the receivers.
    const known = receivers.topic === undefined ? undefined : receivers
    if (known !== last && publisher !== undefined) publisher.lastReceivers = known
    return receivers
  }

  #deliverToAll(message: Message, publisher: Subscriber | undefined): number {
    const receivers = this.#receiversOf(message.topic, publisher)
    const { only, single, groups } = receivers
    if (only !== undefined) return this.#deliverToOne(only, message, publisher)
    let count = 0
    for (let i = 0; i < single.length; i++) {
      count += this.#deliverToOne(single[i]!, message, publisher)
    }
    for (let i = 0; i < groups.length; i++) {
      const group = groups[i] as SharedGroup
      const member = group.pick(message, publisher?.clientIdentifier)
      if (member === undefined) continue
      count++
      const qos = lowerQos(message.qos, member.qos) // [MQTT-4.8.2-3]
      const retain = message.retain && member.retainAsPublished
      this.#deliver(member.subscriber, message, qos, retain, member.identifiers, group) // [MQTT-3.3.4-5]
    }
    return count
  }

  /** Returns how many got it. */
  #deliverToOne(
    receiver: Receiver<Subscriber>,
    message: Message,
    publisher: Subscriber | undefined,
  ): 0 | 1 {
    const wanted = receiver.subscriber === publisher ? receiver.own : receiver // [MQTT-3.8.3-3]
    if (wanted === undefined) return 0
    const qos = lowerQos(message.qos, wanted.qos) // [MQTT-3.8.4-8] [MQTT-3.3.4-2]
    const retain = message.retain && wanted.retainAsPublished // [MQTT-3.3.1-12] [MQTT-3.3.1-13]
    this.#deliver(wanted.subscriber, message, qos, retain, wanted.identifiers, undefined)
    return 1
  }

  #deliver(
    subscriber: Subscriber,
    message: Message,
    qos: Qos,
    retain: boolean,
    identifiers: readonly number[] | undefined,
    group: Share | undefined,
  ): void {
    if (qos === 0 || subscriber.durable === undefined) {
      subscriber.deliver(message, qos, retain, identifiers, group)
    } else if (subscriber.admits(message)) {
      const publication = this.#publication(message)
      this.#addTarget(publication, subscriber, qos, retain, identifiers, group)
    }
  }

  #publication(message: Message): Publication {
    this.#gathering ??= new Publication(message)
    return this.#gathering
  }

  #addTarget(
    publication: Publication,
    subscriber: Subscriber,
    qos: Qos,
    retain: boolean,
    identifiers: readonly number[] | undefined,
    group: Share | undefined,
  ): void {
    publication.targets.push({
      session: subscriber.durable as SessionRef,
      qos,
      retain,
      subscriptionIdentifiers: identifiers,
      share: group?.share,
      subscriber,
      group,
      isStored: false,
    })
  }

  /** Replaces or removes the retained message of the topic, in memory at once and in the store. */
  #retain(message: Message): void {
    const { retained, clock } = this.#parts
    if (message.payloadLength === 0) {
      retained.clear(message.topic) // [MQTT-3.3.1-6] [MQTT-3.3.1-7]
      this.#publication(message).retain = 'clear'
      return
    }
    const now = clock.now()
    const expiresAt = this.#retainedUntil(message, now)
    const result = retained.set(message.topic, message.body(), message.qos, expiresAt, now) // [MQTT-3.3.1-5]
    if (result === 'stored') this.#publication(message).retain = 'set'
  }

  /** A message that names no interval is kept as long as configured. */
  #retainedUntil(message: Message, now: number): number {
    const { retainedExpirySeconds } = this.#options
    if (retainedExpirySeconds === 0 || message.expiresAt !== Number.POSITIVE_INFINITY) {
      return message.expiresAt
    }
    return now + retainedExpirySeconds * 1000
  }
}
