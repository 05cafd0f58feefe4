/** The last steps of a CONNECT whose client is known: may it leave its will, and then in it goes. */

import type { Connect, Properties } from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import { type ClientInfo, type Decision, toDecision } from '../security/access.ts'
import { whoIsAsked } from '../security/client-acl.ts'
import { findFlapping, findLateRefusal, refuseAdmission } from './admission.ts'
import { accept, refuse } from './connack.ts'
import type { Connection } from './connection.ts'

/** Refuses a Will Message that the client may not publish, else accepts. `extra` goes into CONNACK. */
export async function admit(
  connection: Connection,
  connect: Connect,
  extra: Properties,
): Promise<void> {
  const decision = await authorizeWill(connection, connect)
  if (!decision.isAllowed) {
    refuse(connection, decision, ReasonCode.NotAuthorized, 'the will is not authorized')
    return
  }
  const refusal = findFlapping(connection) ?? findLateRefusal(connection)
  if (refusal === undefined) await accept(connection, connect, extra)
  else refuseAdmission(connection, refusal)
}

async function authorizeWill(connection: Connection, { will }: Connect): Promise<Decision> {
  const client = connection.client as ClientInfo
  const asked = whoIsAsked('authorizePublish', connection.context.hooks, client)
  if (will === undefined || asked.authorizePublish === undefined) return { isAllowed: true }
  const { topicName: topic, qos, retain, payload } = will
  return toDecision(await asked.authorizePublish(client, { topic, qos, retain, payload }))
}
