/**
 * Subscriptions that the rules do not allow any more: asked about again when rules have changed, and when a
 * client comes back to a session that was made under other rules, or by another user.
 */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { ReasonCode } from '../protocol/reason-codes.ts'
import { type ClientInfo, isFailure } from '../security/access.ts'
import { whoJudgesSubscribe } from '../security/client-acl.ts'
import type { Session } from '../session/session.ts'
import type { Connection } from './connection.ts'
import { reportEnded } from './log.ts'
import { filterReceived, judgeSubscribe } from './receive-filter.ts'
import { recheckWill } from './will.ts'

/** After so many subscriptions the other connections have their turn. */
const SUBSCRIPTIONS_PER_TURN = 100

/**
 * Ends what may not go on, and leaves out what of it waits to be sent. MQTT has no packet that would tell
 * the client; the log does. When nobody could be asked, subscriptions stay, and the client has to come
 * again, unless it was the same one that had made them.
 */
export async function recheckSubscriptions(
  connection: Connection,
  session: Session,
  isSameClient = false,
): Promise<void> {
  const { hooks, registry, store, observers } = connection.context
  const client = connection.client as ClientInfo
  if (whoJudgesSubscribe(hooks, client).authorizeSubscribe === undefined) return
  const ended: string[] = []
  let count = 0
  for (const { topicFilter, qos } of session.subscriptions.values()) {
    if (++count % SUBSCRIPTIONS_PER_TURN === 0) await nextTurn()
    const decision = await judgeSubscribe(connection, topicFilter, qos)
    // The session may be on another connection by now.
    if (connection.state === 'closed') break
    if (isFailure(decision)) {
      if (isSameClient) continue
      connection.end(ReasonCode.ServerBusy, `nobody could be asked: ${decision.rule ?? ''}`)
      break
    }
    if (!decision.isAllowed || decision.isFiltered === true) filterReceived(connection, session)
    if (decision.isAllowed) continue
    if (!registry.unsubscribe(session, topicFilter)) continue
    ended.push(topicFilter)
    observers.unsubscribed(client, topicFilter)
    reportEnded(connection, topicFilter, decision)
  }
  if (session.durable !== undefined && ended.length > 0) {
    await store.update(session.durable, { unsubscribe: ended })
  }
}

/** Other rules hold for a client that is connected: its will and its subscriptions are judged by them. */
export async function recheckClient(connection: Connection, session: Session): Promise<void> {
  await recheckWill(connection, session)
  await recheckSubscriptions(connection, session, true)
}
