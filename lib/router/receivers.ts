/** What matching a topic gives: each subscriber once, however many of its subscriptions match. */

import type { Qos } from '../protocol/packets.ts'
import type { Subscription } from '../protocol/subscription.ts'

export interface Receiver<S> {
  readonly subscriber: S
  /** The highest QoS of the subscriptions that match [MQTT-3.3.4-2]. */
  readonly qos: Qos
  /** Whether any of them wants the RETAIN flag as it was published. */
  readonly retainAsPublished: boolean
  /** The Subscription Identifiers of all that have one [MQTT-3.3.4-3] [MQTT-3.3.4-4]. */
  readonly identifiers: readonly number[] | undefined
  /**
   * The same for a message that this subscriber itself has published: without its No Local
   * subscriptions; undefined if none is left.
   */
  readonly own: Receiver<S> | undefined
}

export interface Receivers<S, G> {
  readonly single: readonly Receiver<S>[]
  /** Shared groups: each chooses one of its members for each message. */
  readonly groups: readonly G[]
}

/** Gathers the subscriptions of one subscriber that match a topic. */
export class ReceiverBuilder<S> {
  readonly #subscriber: S
  readonly #subscriptions: Subscription[] = []

  constructor(subscriber: S) {
    this.#subscriber = subscriber
  }

  add(subscription: Subscription): void {
    this.#subscriptions.push(subscription)
  }

  build(): Receiver<S> {
    const foreign = this.#subscriptions.filter(({ noLocal }) => !noLocal)
    if (foreign.length === this.#subscriptions.length) return this.#merge(foreign, 'itself')
    const own = foreign.length === 0 ? undefined : this.#merge(foreign, 'itself')
    return this.#merge(this.#subscriptions, own)
  }

  #merge(
    subscriptions: readonly Subscription[],
    own: Receiver<S> | 'itself' | undefined,
  ): Receiver<S> {
    let qos: Qos = 0
    let retainAsPublished = false
    const identifiers: number[] = []
    for (const subscription of subscriptions) {
      if (subscription.qos > qos) qos = subscription.qos
      if (subscription.retainAsPublished) retainAsPublished = true
      const { subscriptionIdentifier } = subscription
      if (subscriptionIdentifier !== 0) identifiers.push(subscriptionIdentifier)
    }
    const receiver: { -readonly [Key in keyof Receiver<S>]: Receiver<S>[Key] } = {
      subscriber: this.#subscriber,
      qos,
      retainAsPublished,
      identifiers: identifiers.length === 0 ? undefined : identifiers,
      own: undefined,
    }
    receiver.own = own === 'itself' ? receiver : own
    return receiver
  }
}
