/**
 * Subscriptions that are allowed in part: granted, and of each message it is asked whether the client may
 * have it. So it is with what waits when rules change.
 */

import type { Qos } from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import { isShared, matchesTopic, parseSharedFilter } from '../protocol/topics.ts'
import {
  type AccessHooks,
  type Answer,
  type ClientInfo,
  type Decision,
  denial,
  type Eventually,
  toDecision,
} from '../security/access.ts'
import { whoJudgesSubscribe } from '../security/client-acl.ts'
import type { Session } from '../session/session.ts'
import type { Connection } from './connection.ts'

const ALLOWED: Decision = { isAllowed: true }

const SHARED = denial(
  ReasonCode.NotAuthorized,
  'a Shared Subscription of which only a part may be read',
  'what one member may not read would be lost to the others: subscribe to what may be read',
)

const UNASKED = denial(
  ReasonCode.NotAuthorized,
  'only a part of it may be read, and not everybody who is asked can tell which',
  'hooks that answer authorizeSubscribe have to answer authorizeReceive too',
)

/** Asks whether a subscription is allowed, if there is somebody to ask. */
export function judgeSubscribe(
  connection: Connection,
  topicFilter: string,
  qos: Qos,
): Eventually<Decision> {
  const client = connection.client as ClientInfo
  const asked = whoJudgesSubscribe(connection.context.hooks, client)
  if (asked.authorizeSubscribe === undefined) return ALLOWED
  const answer = asked.authorizeSubscribe(client, { topicFilter, qos })
  return answer instanceof Promise
    ? answer.then((late) => decisionBy(late, asked, topicFilter))
    : decisionBy(answer, asked, topicFilter)
}

function decisionBy(answer: Answer | undefined, asked: AccessHooks, topicFilter: string): Decision {
  const decision = toDecision(answer)
  if (decision.isFiltered !== true) return decision
  if (isShared(topicFilter)) return SHARED
  return asked.authorizeReceive === undefined ? UNASKED : decision
}

/** From now on each message to the client of `connection` is asked about. */
export function filterReceived(connection: Connection, session: Session): void {
  session.filterBy(({ topic }, qos) => mayReceive(connection, session, topic, qos))
}

/** Where nobody can tell of a message, it may be received if a subscription that was allowed matches it. */
function mayReceive(connection: Connection, session: Session, topic: string, qos: Qos): boolean {
  const client = connection.client as ClientInfo
  const asked = whoJudgesSubscribe(connection.context.hooks, client)
  if (asked.authorizeSubscribe === undefined) return true
  if (asked.authorizeReceive === undefined) return isSubscribed(session, topic)
  return askReceive(connection, asked, topic, qos)
}

/** Asked in the middle of a delivery: what it throws, or promises, is a no. */
function askReceive(
  { client, context }: Connection,
  asked: AccessHooks,
  topic: string,
  qos: Qos,
): boolean {
  const { router, limitedLog } = context
  try {
    const answer = router.whileBusy(() =>
      asked.authorizeReceive?.(client as ClientInfo, { topic, qos }),
    )
    if (toDecision(answer).isAllowed) return true
  } catch (error) {
    const facts = { err: error, client: client?.clientIdentifier, topic }
    limitedLog.error('authorizeReceive', facts, 'authorizeReceive threw: the message is not sent')
  }
  return false
}

function isSubscribed({ subscriptions }: Session, topic: string): boolean {
  for (const { topicFilter, isPlain } of subscriptions.values()) {
    const shared = isPlain === true ? undefined : parseSharedFilter(topicFilter)
    if (matchesTopic(shared?.topicFilter ?? topicFilter, topic)) return true
  }
  return false
}
