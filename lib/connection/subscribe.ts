/** SUBSCRIBE: each Topic Filter is judged by itself; SUBACK waits until the store has them all. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { ProtocolError } from '../protocol/errors.ts'
import type { Subscribe, SubscriptionRequest } from '../protocol/packets.ts'
import { lowerQos } from '../protocol/qos.ts'
import { ReasonCode, refusalFor } from '../protocol/reason-codes.ts'
import type { Subscription } from '../protocol/subscription.ts'
import {
  hasWildcard,
  isShared,
  isTopicFilter,
  isWithinLimits,
  parseSharedFilter,
} from '../protocol/topics.ts'
import { type ClientInfo, type Decision, denial, type Eventually } from '../security/access.ts'
import type { Session } from '../session/session.ts'
import { hintFor } from './admission.ts'
import type { Connection } from './connection.ts'
import { reportDenied } from './log.ts'
import { filterReceived, judgeSubscribe } from './receive-filter.ts'

/** After so many filters of one packet the other connections have their turn. */
const FILTERS_PER_TURN = 100

/** How often a Topic Filter is judged when rules change while somebody thinks about it. */
const JUDGED_MAX = 5

const CHANGING = denial(
  ReasonCode.ImplementationSpecificError,
  `rules changed each of the ${JUDGED_MAX} times it was judged`,
  'the client may subscribe again when rules stay as they are',
)

export async function handleSubscribe(connection: Connection, packet: Subscribe): Promise<void> {
  const identifier = packet.properties.subscriptionIdentifiers?.[0] ?? 0
  const { limits } = connection.context
  if (identifier !== 0 && !limits.subscriptionIdentifiers) {
    throw new ProtocolError(
      ReasonCode.SubscriptionIdentifiersNotSupported,
      'Subscription Identifier where connection.subscriptionIdentifiers is off',
    )
  }
  const session = connection.session as Session
  const reasonCodes: number[] = []
  const made = new Set<string>()
  for (const [i, request] of packet.subscriptions.entries()) {
    if (i % FILTERS_PER_TURN === FILTERS_PER_TURN - 1) await nextTurn()
    const judged = judge(connection, session, request)
    const decision = judged instanceof Promise ? await judged : judged
    // What was made so far is the session's, and has to be in the store.
    if (connection.state !== 'connected') break
    if (decision.isAllowed) {
      if (decision.isFiltered === true) filterReceived(connection, session)
      const subscription = toSubscription(connection, request, identifier)
      subscribe(connection, session, subscription, request.retainHandling)
      made.add(subscription.topicFilter)
      reasonCodes.push(subscription.qos) // [MQTT-3.8.4-7]
    } else {
      const reasonCode = refusalFor('suback', decision.reasonCode) // [MQTT-3.9.3-2]
      reportDenied(connection, 'subscribe', request.topicFilter, reasonCode, decision)
      reasonCodes.push(reasonCode)
    }
  }
  if (session.durable !== undefined && made.size > 0) {
    const kept = [...made].flatMap((filter) => session.subscriptions.get(filter) ?? [])
    await connection.context.store.update(session.durable, { subscribe: kept })
  }
  acknowledge(connection, packet.packetIdentifier, reasonCodes)
  session.pump()
  if ([...made].some((topicFilter) => isShared(topicFilter))) {
    connection.context.registry.joined(session)
  }
}

/** Decides on one Topic Filter: its form, what this broker offers, and the host's hook. */
function judge(
  connection: Connection,
  session: Session,
  request: SubscriptionRequest,
): Eventually<Decision> {
  const { topicFilter, qos } = request
  const fault = findFault(connection, session, topicFilter)
  if (fault !== undefined) return fault
  const answer = judgeSubscribe(connection, topicFilter, qos)
  return answer instanceof Promise ? whileRulesStay(connection, request, answer) : answer
}

/** Takes an answer that comes late, and asks again if rules have changed meanwhile. */
async function whileRulesStay(
  connection: Connection,
  { topicFilter, qos }: SubscriptionRequest,
  answer: Eventually<Decision>,
): Promise<Decision> {
  const { rules } = connection.context
  let asked = answer
  for (let i = 1; ; i++) {
    const { changeCount } = rules
    const decision = await asked
    if (rules.changeCount === changeCount || connection.state !== 'connected') return decision
    if (i === JUDGED_MAX) return CHANGING
    asked = judgeSubscribe(connection, topicFilter, qos)
  }
}

function findFault(
  connection: Connection,
  session: Session,
  topicFilter: string,
): Decision | undefined {
  const { limits } = connection.context
  let filter = topicFilter
  if (isShared(topicFilter) && !isPlain(connection, topicFilter)) {
    if (!limits.sharedSubscriptions) {
      return denial(ReasonCode.SharedSubscriptionsNotSupported, 'shared subscriptions are off')
    }
    const shared = parseSharedFilter(topicFilter)
    if (shared === undefined) return denial(ReasonCode.TopicFilterInvalid, 'not $share/NAME/FILTER') // [MQTT-4.8.2-1] [MQTT-4.8.2-2]
    filter = shared.topicFilter
  }
  if (!isTopicFilter(filter)) return denial(ReasonCode.TopicFilterInvalid, 'not a Topic Filter')
  if (!limits.wildcardSubscriptions && hasWildcard(filter)) {
    return denial(ReasonCode.WildcardSubscriptionsNotSupported, 'wildcard subscriptions are off')
  }
  if (!isWithinLimits(filter, limits)) {
    return denial(
      ReasonCode.TopicFilterInvalid,
      'filter beyond connection.topicLevelsMax or topicBytesMax',
    )
  }
  const isNew = !session.subscriptions.has(topicFilter)
  if (isNew && connection.context.budget.isExhausted) {
    connection.context.counters.limitsReached.overload++
    return denial(ReasonCode.QuotaExceeded, 'memory.budgetBytes is used up')
  }
  if (isNew && session.subscriptions.size >= limits.subscriptionsMax) {
    connection.context.counters.limitsReached.subscriptions++
    return denial(ReasonCode.QuotaExceeded, 'session.subscriptionsMax is reached')
  }
  const option = isNew ? connection.accounts.findFull('subscriptions', 1) : undefined
  if (option !== undefined) {
    connection.context.counters.limitsReached.subscriptions++
    return denial(ReasonCode.QuotaExceeded, `${option} is reached`, hintFor(option))
  }
  return undefined
}

/** Whether `$share` means nothing to this client: it speaks MQTT 3.x, and these get no groups. */
function isPlain({ context, negotiated }: Connection, topicFilter: string): boolean {
  const { sharedSubscriptions, sharedSubscriptionsV3 } = context.limits
  const hasGroups = negotiated?.version === 5 || (sharedSubscriptions && sharedSubscriptionsV3)
  return !hasGroups && isShared(topicFilter)
}

function toSubscription(
  connection: Connection,
  { topicFilter, qos: asked, noLocal, retainAsPublished }: SubscriptionRequest,
  subscriptionIdentifier: number,
): Subscription {
  const { maximumQos } = connection.context.limits
  const qos = lowerQos(asked, maximumQos) // [MQTT-3.2.2-10]
  const subscription = { topicFilter, qos, noLocal, retainAsPublished, subscriptionIdentifier }
  return isPlain(connection, topicFilter) ? { ...subscription, isPlain: true } : subscription
}

/** Makes the subscription and notes which retained messages it brings (section 3.3.1.3). */
function subscribe(
  connection: Connection,
  session: Session,
  subscription: Subscription,
  retainHandling: 0 | 1 | 2,
): void {
  const { observers, systemTopics } = connection.context
  const existed = session.subscribe(subscription) // [MQTT-3.8.4-3] [MQTT-3.8.4-5]
  const { topicFilter } = subscription
  const isOfGroup = isShared(topicFilter) && subscription.isPlain !== true
  const wantsRetained = retainHandling === 0 || (retainHandling === 1 && !existed) // [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]
  if (wantsRetained && !isOfGroup)
    session.promiseRetained(subscription, systemTopics.retained(topicFilter)) // [MQTT-3.8.4-4]
  // What a listener publishes now comes as a live message, and not once more as a retained one.
  observers.subscribed(connection.client as ClientInfo, subscription)
}

function acknowledge(
  connection: Connection,
  packetIdentifier: number,
  reasonCodes: readonly number[],
): void {
  connection.outlet.send({
    type: 'suback', // [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-6] [MQTT-3.9.3-1] [MQTT-3.9.3-2]
    packetIdentifier, // [MQTT-2.2.1-6]
    reasonCodes: reasonCodes.map((code) => asVersion(connection, code)),
    properties: {},
  })
}

/**
 * 3.1.1 knows one failure, 0x80. 3.1 knows none: it is told that QoS 0 was granted, since a code it does
 * not know would break it and closing would bring it back with the same request.
 */
function asVersion(connection: Connection, reasonCode: number): number {
  if (reasonCode < 0x80 || connection.negotiated?.version === 5) return reasonCode
  return connection.negotiated?.version === 3 ? 0 : 0x80
}
