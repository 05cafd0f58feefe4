/** Subscriptions of Aedes, and their way to and from those of a store. */

import type { Subscription } from '../../protocol/subscription.ts'
import { isShared } from '../../protocol/topics.ts'
import type { AedesMatch, AedesSubscription } from './interface.ts'

/** Retain Handling is not kept: it matters only while a client subscribes. */
export function toOurs(subscription: AedesSubscription): Subscription {
  const { topic: topicFilter, qos, nl, rap, subscriptionIdentifier = 0 } = subscription
  const flags = { noLocal: nl === true, retainAsPublished: rap === true }
  // Aedes takes `$share` for a level like any other.
  const plain = isShared(topicFilter) ? { isPlain: true as const } : {}
  return { topicFilter, qos, ...flags, subscriptionIdentifier, ...plain }
}

export function fromOurs(subscription: Subscription): AedesSubscription {
  const { topicFilter: topic, qos, noLocal: nl, retainAsPublished: rap } = subscription
  const identifier = subscription.subscriptionIdentifier
  return identified({ topic, qos, rh: 0, rap, nl }, identifier === 0 ? undefined : identifier)
}

/** Returns what is told of a subscription to its own client. */
export function toRecord({
  topic,
  qos,
  rh,
  rap,
  nl,
  ...rest
}: AedesSubscription): AedesSubscription {
  return identified({ topic, qos, rh, rap, nl }, rest.subscriptionIdentifier)
}

/** Returns what is told of a subscription to whoever publishes. */
export function toMatch(
  clientId: string,
  { topic, qos, rh, rap, nl }: AedesSubscription,
): AedesMatch {
  return { clientId, topic, qos, rh, rap, nl }
}

function identified(
  subscription: AedesSubscription,
  subscriptionIdentifier: number | undefined,
): AedesSubscription {
  return subscriptionIdentifier === undefined
    ? subscription
    : { ...subscription, subscriptionIdentifier }
}
