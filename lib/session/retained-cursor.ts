/**
 * The retained messages that a session still has to get for its latest SUBSCRIBE packets.
 *
 * They are not queued: the session takes the next one whenever its window and socket have room, so that
 * they neither fill the queue nor push out live messages. A topic that the session has got a live message
 * of in the meantime is skipped, as its retained message is older.
 */

import { Message } from '../protocol/message.ts'
import type { Qos } from '../protocol/packets.ts'
import { lowerQos } from '../protocol/qos.ts'
import type { Subscription } from '../protocol/subscription.ts'
import type { RetainedMatch, RetainedMessages } from '../retained/retained-messages.ts'
import type { Clock } from '../util/clock.ts'
import type { MemoryBudget } from '../util/memory-budget.ts'
import { RingQueue } from '../util/ring-queue.ts'

interface Batch {
  subscription: Subscription
  /** Makes each message when its turn comes. */
  readonly messages: Iterator<Message, undefined>
}

/** What a match costs in the list of those still to be sent. */
const MATCH_BYTES = 8

/** A retained message as one subscription wants it. */
export interface RetainedDelivery {
  readonly message: Message
  readonly qos: Qos
  readonly identifiers: readonly number[] | undefined
}

export class RetainedCursor {
  readonly #retained: RetainedMessages
  readonly #clock: Clock
  readonly #budget: MemoryBudget
  readonly #batches = new RingQueue<Batch>()
  readonly #superseded = new Set<RetainedMatch>()

  readonly #sentAll: (topicFilter: string) => void

  /** `sentAll` hears when the last message of a subscription has been taken. */
  constructor(
    retained: RetainedMessages,
    clock: Clock,
    budget: MemoryBudget,
    sentAll: (topicFilter: string) => void,
  ) {
    this.#sentAll = sentAll
    this.#retained = retained
    this.#clock = clock
    this.#budget = budget
  }

  /**
   * Adds the retained messages that the subscription's filter matches now. They are looked up when their
   * turn comes: thousands of filters that match the same messages hold no list of them each.
   */
  addMatches(subscription: Subscription): void {
    this.add(subscription, this.#dueOf(subscription.topicFilter, this.#retained.version))
  }

  /** Adds messages that are made one by one. */
  add(subscription: Subscription, messages: Iterator<Message, undefined>): void {
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
    this.#batches.removeIf((batch) => {
      if (batch.subscription.topicFilter !== topicFilter) return false
      batch.messages.return?.()
      return true
    })
  }

  /** Frees what the lists count for in the memory budget. */
  dispose(): void {
    for (const { messages } of this.#batches) messages.return?.()
    this.#batches.clear()
  }

  /** The session is getting a live message of `topicName`. */
  noteLive(topicName: string): void {
    const match = this.#retained.get(topicName)
    if (match !== undefined) this.#superseded.add(match)
  }

  /** Takes the next retained message; undefined when there is none left. */
  next(): RetainedDelivery | undefined {
    for (let batch = this.#batches.peek(); batch !== undefined; batch = this.#batches.peek()) {
      const { value, done } = batch.messages.next()
      if (!done) return deliveryOf(value, batch.subscription)
      this.#batches.shift()
      this.#sentAll(batch.subscription.topicFilter)
    }
    return undefined
  }

  /** What has not changed, expired or been superseded when its turn comes. */
  *#dueOf(topicFilter: string, version: number): Generator<Message, undefined> {
    const matches = this.#retained.lookup(topicFilter, this.#clock.now())
    this.#budget.hold(matches.length * MATCH_BYTES)
    try {
      for (const match of matches) {
        // What was retained after the subscription has come as a live message.
        const isDue =
          match.isCurrent && match.version <= version && this.#clock.now() < match.expiresAt
        if (!isDue || this.#superseded.has(match)) continue
        yield Message.fromBody(this.#retained.bodyOf(match), match.qos, true, match.expiresAt)
      }
    } finally {
      this.#budget.release(matches.length * MATCH_BYTES)
    }
    return undefined
  }
}

function deliveryOf(message: Message, subscription: Subscription): RetainedDelivery {
  const identifier = subscription.subscriptionIdentifier
  return {
    message,
    qos: lowerQos(message.qos, subscription.qos), // [MQTT-3.8.4-8]
    identifiers: identifier === 0 ? undefined : [identifier],
  }
}
