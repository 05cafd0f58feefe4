/**
 * The retained messages that a session still has to get for its latest SUBSCRIBE packets.
 *
 * They are not queued: the session takes the next one whenever its window and socket have room, so that
 * they neither fill the queue nor push out live messages. A topic that the session has got a live message
 * of in the meantime is skipped, as its retained message is older.
 */

import { Message } from '../protocol/message.ts'
import type { Qos } from '../protocol/packets.ts'
import type { Subscription } from '../protocol/subscription.ts'
import type { RetainedMatch, RetainedMessages } from '../retained/retained-messages.ts'
import type { Clock } from '../util/clock.ts'
import { RingQueue } from '../util/ring-queue.ts'

interface Batch {
  subscription: Subscription
  /** Makes each message when its turn comes. */
  readonly messages: Iterator<Message>
}

/** A retained message as one subscription wants it. */
export interface RetainedDelivery {
  readonly message: Message
  readonly qos: Qos
  readonly identifiers: readonly number[] | undefined
}

export class RetainedCursor {
  readonly #retained: RetainedMessages
  readonly #clock: Clock
  readonly #batches = new RingQueue<Batch>()
  readonly #superseded = new Set<RetainedMatch>()

  constructor(retained: RetainedMessages, clock: Clock) {
    this.#retained = retained
    this.#clock = clock
  }

  /** Adds the retained messages that the subscription's filter matches now. */
  addMatches(subscription: Subscription): void {
    const matches = this.#retained.lookup(subscription.topicFilter, this.#clock.now())
    if (matches.length > 0) this.add(subscription, this.#dueOf(matches))
  }

  /** Adds messages that are made one by one. */
  add(subscription: Subscription, messages: Iterator<Message>): void {
    this.#batches.push({ subscription, messages })
  }

  /** The options of a subscription have changed: what is left is sent by the new ones [MQTT-3.8.4-4]. */
  replace(subscription: Subscription): void {
    for (const batch of this.#batches) {
      if (batch.subscription.topicFilter === subscription.topicFilter) {
        batch.subscription = subscription
      }
    }
  }

  /** A subscription ended, or gets all of its messages once more: what is left is not sent. */
  drop(topicFilter: string): void {
    this.#batches.removeIf((batch) => batch.subscription.topicFilter === topicFilter)
  }

  /** The session is getting a live message of `topicName`. */
  noteLive(topicName: string): void {
    const match = this.#retained.get(topicName)
    if (match !== undefined) this.#superseded.add(match)
  }

  /** Takes the next retained message; undefined when there is none left. */
  next(): RetainedDelivery | undefined {
    for (let batch = this.#batches.peek(); batch !== undefined; batch = this.#batches.peek()) {
      const { value, done } = batch.messages.next() as IteratorResult<Message, undefined>
      if (!done) return deliveryOf(value, batch.subscription)
      this.#batches.shift()
    }
    return undefined
  }

  /** What has not changed, expired or been superseded when its turn comes. */
  *#dueOf(matches: readonly RetainedMatch[]): Generator<Message, undefined> {
    for (const match of matches) {
      const isDue = match.isCurrent && this.#clock.now() < match.expiresAt
      if (!isDue || this.#superseded.has(match)) continue
      yield Message.fromBody(this.#retained.bodyOf(match), match.qos, true, match.expiresAt)
    }
    return undefined
  }
}

function deliveryOf(message: Message, subscription: Subscription): RetainedDelivery {
  const identifier = subscription.subscriptionIdentifier
  return {
    message,
    qos: message.qos < subscription.qos ? message.qos : subscription.qos, // [MQTT-3.8.4-8]
    identifiers: identifier === 0 ? undefined : [identifier],
  }
}
