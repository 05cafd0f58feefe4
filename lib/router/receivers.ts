/**
 * Who gets messages of one topic, as the router walks it: one `Receiver` per subscriber, whatever number
 * of its subscriptions match. Receivers are immutable, made once per subscription and shared by every
 * match; only overlapping subscriptions make new ones.
 */

import type { Qos } from '../protocol/packets.ts'
import type { Subscription } from '../protocol/subscription.ts'

/** A subscriber with what its matching subscriptions ask for. */
export interface Receiver<S> {
  readonly subscriber: S
  /** The highest of all. */
  readonly qos: Qos
  /** Whether any of them wants the RETAIN flag as it came. */
  readonly retainAsPublished: boolean
  /** One for each subscription that has one, so the same number may stand twice (section 3.3.2.3.8). */
  readonly identifiers: readonly number[] | undefined
  /**
   * The receiver of a message of this very client, thus without its No Local subscriptions: itself where
   * there are none of these, undefined where there is nothing else.
   */
  readonly own: Receiver<S> | undefined
}

/** All that match one Topic Name. */
export interface Receivers<S, G> {
  /** The Topic Name, where the answer is remembered, and as long as it holds. */
  readonly topic: string | undefined
  readonly single: readonly Receiver<S>[]
  /** Shared groups, each of which chooses one of its members. */
  readonly groups: readonly G[]
  /** The receiver, where there is one and no group: as most topics have it, it is the shortest way there. */
  readonly only: Receiver<S> | undefined
}

/** All that match one Topic Name, as far as nobody remembers them by it. */
export function receiversFrom<S, G>(
  single: readonly Receiver<S>[],
  groups: readonly G[],
): Receivers<S, G> {
  const only = single.length === 1 && groups.length === 0 ? single[0] : undefined
  return { topic: undefined, single, groups, only }
}

class MatchedReceiver<S> implements Receiver<S> {
  readonly subscriber: S
  readonly qos: Qos
  readonly retainAsPublished: boolean
  readonly identifiers: readonly number[] | undefined
  own: Receiver<S> | undefined

  constructor(
    subscriber: S,
    qos: Qos,
    retainAsPublished: boolean,
    identifiers: readonly number[] | undefined,
  ) {
    this.subscriber = subscriber
    this.qos = qos
    this.retainAsPublished = retainAsPublished
    this.identifiers = identifiers
    this.own = this
  }
}

/** Makes the receiver that a single subscription stands for. */
export function receiverOf<S>(subscriber: S, subscription: Subscription): Receiver<S> {
  const { qos, retainAsPublished, subscriptionIdentifier, noLocal } = subscription
  const identifiers = subscriptionIdentifier === 0 ? undefined : [subscriptionIdentifier]
  const receiver = new MatchedReceiver(subscriber, qos, retainAsPublished, identifiers)
  if (noLocal) receiver.own = undefined // ~[MQTT-3.8.3-3]
  return receiver
}

/** Merges the overlapping subscriptions of one subscriber: it gets each message once. */
export function mergeReceivers<S>(parts: readonly Receiver<S>[]): Receiver<S> {
  const merged = union(parts)
  const local = parts.filter((part) => part.own !== undefined)
  if (local.length === 0) merged.own = undefined
  else if (local.length < parts.length) merged.own = union(local)
  return merged
}

function union<S>(parts: readonly Receiver<S>[]): MatchedReceiver<S> {
  let qos: Qos = 0
  let retainAsPublished = false
  const identifiers: number[] = []
  for (const part of parts) {
    if (part.qos > qos) qos = part.qos // [MQTT-3.3.4-2]
    if (part.retainAsPublished) retainAsPublished = true
    for (const identifier of part.identifiers ?? []) identifiers.push(identifier) // [MQTT-3.3.4-3] [MQTT-3.3.4-4]
  }
  const { subscriber } = parts[0]!
  const given = identifiers.length === 0 ? undefined : identifiers
  return new MatchedReceiver(subscriber, qos, retainAsPublished, given)
}
