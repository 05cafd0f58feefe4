/** The last steps of a CONNECT whose client is known: may it leave its will, and then in it goes. */

import type { Connect, ConnectWill, Properties } from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { Decision } from '../security/access.ts'
import { findFlapping, findLateRefusal, refuseAdmission } from './admission.ts'
import { accept, refuse } from './connack.ts'
import type { Connection } from './connection.ts'
import { authorizeWill, recheckWill } from './will.ts'

/** Refuses a Will Message that the client may not publish, else accepts. `extra` goes into CONNACK. */
export async function admit(
  connection: Connection,
  connect: Connect,
  extra: Properties,
): Promise<void> {
  const { rules } = connection.context
  const { changeCount } = rules
  const decision = connect.will && (await judgeWill(connection, connect.will))
  if (decision?.isAllowed === false) {
    refuse(connection, decision, ReasonCode.NotAuthorized, 'the will is not authorized')
    return
  }
  const refusal = findFlapping(connection) ?? findLateRefusal(connection)
  if (refusal !== undefined) {
    refuseAdmission(connection, refusal)
    return
  }
  await accept(connection, connect, extra)
  if (rules.changeCount !== changeCount && connection.session !== undefined) {
    await recheckWill(connection, connection.session)
  }
}

function judgeWill(connection: Connection, will: ConnectWill): Promise<Decision> {
  const { topicName: topic, qos, retain, payload } = will
  return authorizeWill(connection, { topic, qos, retain, payload })
}
