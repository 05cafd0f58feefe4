/** What `sub` asks the broker for: the flags made into the arguments of MQTT.js's `subscribe`. */

import type { IClientSubscribeOptions } from 'mqtt'
import type { ISubackPacket } from 'mqtt-packet'
import { TWO_BYTE_INTEGER_MAX } from '../protocol/limits.ts'
import { describeReasonCode } from '../protocol/reason-codes.ts'
import { isShared, isTopicFilter, parseSharedFilter } from '../protocol/topics.ts'
import type { ConnectRequest } from './connect-request.ts'
import { quoteReason } from './connection-sentences.ts'
import { UsageError } from './failures.ts'
import type { SubscribeFlags } from './subscribe-options.ts'

export interface SubscriptionRequest {
  readonly topicFilters: readonly string[]
  readonly options: IClientSubscribeOptions
}

/** Throws a sentence when a Topic Filter is not valid or the flags contradict each other. */
export function readSubscriptionRequest(
  flags: SubscribeFlags,
  { topic, properties }: ConnectRequest,
): SubscriptionRequest {
  const topicFilters = [
    ...new Set([...(flags.topic ?? []), ...(topic === undefined ? [] : [topic])]),
  ]
  if (topicFilters.length === 0) throw new UsageError('To what? Give a Topic Filter with -t')
  for (const topicFilter of topicFilters) checkTopicFilter(topicFilter)
  for (const topicFilter of flags.filterOut ?? []) checkTopicFilter(topicFilter)
  if (flags.skipRetained && flags.retainedOnly) {
    throw new UsageError('-R hides what --retained-only shows; give one of them')
  }
  if (flags.noLocal && topicFilters.some(isShared)) {
    throw new UsageError('--no-local is not allowed for shared subscriptions ($share/…)')
  }
  const { qos = 0 } = flags
  if ((flags.protocolVersion ?? 5) === 5) {
    return { topicFilters, options: { qos, ...version5Options(flags, properties.subscribe) } }
  }
  refuseVersion5Flags(flags)
  return { topicFilters, options: { qos } }
}

/** Says which subscriptions a SUBACK refuses and why; undefined when it grants all. */
export function describeRefusal(
  topicFilters: readonly string[],
  { granted, properties }: ISubackPacket,
): string | undefined {
  const refused = topicFilters.flatMap((topicFilter, index) => {
    const code = granted[index]
    return typeof code === 'number' && code >= 0x80
      ? [`"${topicFilter}": ${describeReasonCode(code)}`]
      : []
  })
  if (refused.length === 0) return undefined
  const said = quoteReason(properties?.reasonString)
  return `The broker refused the subscription to ${refused.join(', ')}${said}`
}

function checkTopicFilter(topicFilter: string): void {
  const isValid = isShared(topicFilter)
    ? parseSharedFilter(topicFilter) !== undefined
    : isTopicFilter(topicFilter)
  if (!isValid) {
    throw new UsageError(
      `"${topicFilter}" is not a Topic Filter: + and # stand for whole levels, # for the last ones`,
    )
  }
  if (Buffer.byteLength(topicFilter) > TWO_BYTE_INTEGER_MAX) {
    throw new UsageError(`A Topic Filter is longer than ${TWO_BYTE_INTEGER_MAX} bytes`)
  }
}

function version5Options(
  flags: SubscribeFlags,
  given: Readonly<Record<string, unknown>> | undefined,
): Omit<IClientSubscribeOptions, 'qos'> {
  const { subscriptionIdentifier } = flags
  return {
    nl: flags.noLocal ?? false,
    rap: flags.retainAsPublished ?? false,
    rh: flags.retainHandling ?? 0,
    properties: {
      ...given,
      ...(subscriptionIdentifier === undefined ? {} : { subscriptionIdentifier }),
    },
  }
}

function refuseVersion5Flags(flags: SubscribeFlags): void {
  const given = {
    '--no-local': flags.noLocal,
    '--retain-as-published': flags.retainAsPublished,
    '--retain-handling': flags.retainHandling,
    '--subscription-identifier': flags.subscriptionIdentifier,
  }
  for (const [flag, value] of Object.entries(given)) {
    if (value !== undefined) throw new UsageError(`${flag} needs MQTT 5 (-V 5)`)
  }
}
