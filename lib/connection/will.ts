/** Whether a client may leave its Will Message, when it connects and when other rules hold for it. */

import { ReasonCode, refusalFor } from '../protocol/reason-codes.ts'
import {
  type ClientInfo,
  type Decision,
  isFailure,
  type PublishRequest,
  toDecision,
} from '../security/access.ts'
import { whoJudgesPublish } from '../security/client-acl.ts'
import type { Session } from '../session/session.ts'
import { willMessage } from '../session/will.ts'
import type { Connection } from './connection.ts'
import { reportDenied } from './log.ts'

export async function authorizeWill(
  connection: Connection,
  will: PublishRequest,
): Promise<Decision> {
  const client = connection.client as ClientInfo
  const asked = whoJudgesPublish(connection.context.hooks, client)
  if (asked.authorizePublish === undefined) return { isAllowed: true }
  return toDecision(await asked.authorizePublish(client, will))
}

/** Forgets a will that the client could not leave now. When nobody could be asked, it stays. */
export async function recheckWill(connection: Connection, session: Session): Promise<void> {
  const { will } = session
  if (will === undefined) return
  const { topic, qos, retain, payload } = willMessage(will, connection.context.clock.now())
  const decision = await authorizeWill(connection, { topic, qos, retain, payload })
  if (decision.isAllowed || isFailure(decision)) return
  if (connection.state !== 'connected' || session.will !== will) return
  connection.context.registry.forgetWill(session)
  const { reasonCode = ReasonCode.NotAuthorized } = decision
  reportDenied(connection, 'publish', topic, refusalFor('puback', reasonCode), decision)
}
