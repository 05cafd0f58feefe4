/**
 * What the log says about connections: one line per event of a client's life, always with client, user,
 * address, listener, reason code and the rule that decided. Lines that a peer can cause at will are limited.
 */

import type { ProtocolError } from '../protocol/errors.ts'
import { describeReasonCode, ReasonCode } from '../protocol/reason-codes.ts'
import type { Decision } from '../security/access.ts'
import type { Connection } from './connection.ts'
import type { ConnectionEnd } from './context.ts'

const versionNames = { 3: '3.1', 4: '3.1.1', 5: '5.0' } as const

/** Who it is about, as far as it is known. */
function who(connection: Connection): Record<string, unknown> {
  const { client } = connection
  const { peer } = connection.transport
  return {
    client: client?.clientIdentifier,
    user: shownUser(client?.userName),
    address: peer.port === 0 ? peer.address : `${peer.address}:${peer.port}`,
    listener: peer.listener,
  }
}

/** A token is as good as a password wherever it stands, by mistake or by `security.jwt.allowInUserName`. */
const TOKEN = /^ey[\w-]*\.[\w-]*\.[\w-]*$/

function shownUser(userName: string | undefined): string | undefined {
  return userName !== undefined && TOKEN.test(userName) ? '(a token)' : userName
}

export function reportConnected(connection: Connection, sessionPresent: boolean): void {
  const { negotiated, context } = connection
  if (context.log.isLevelEnabled?.('info') === false) return
  context.log.info(
    {
      ...who(connection),
      version: versionNames[negotiated?.version ?? 4],
      keepAliveSeconds: negotiated?.keepAliveSeconds,
      sessionExpirySeconds: negotiated?.sessionExpirySeconds,
      sessionPresent,
    },
    'client connected',
  )
}

/** `state` is what it was in when it ended. */
export function reportEnd(
  connection: Connection,
  end: ConnectionEnd,
  state: Connection['state'],
): void {
  const { log, limitedLog } = connection.context
  const wasConnected = state === 'connected'
  countEnd(connection, end, state)
  if (wasConnected && log.isLevelEnabled?.('info') === false) return
  const fields = {
    ...who(connection),
    by: end.by,
    reason: describeReasonCode(end.reasonCode),
    rule: end.rule,
    hint: end.hint,
  }
  if (wasConnected) log.info(fields, 'client disconnected')
  else limitedLog.warn('refused', { ...fields, packet: 'CONNECT' }, 'connection refused')
}

/** Who has not said CONNECT has asked for nothing that could be refused. */
function countEnd(
  { context }: Connection,
  { by, reasonCode }: ConnectionEnd,
  state: Connection['state'],
): void {
  if (by !== 'broker' || state === 'awaiting connect') return
  const { disconnected, refused } = context.counters
  const counts = state === 'connected' ? disconnected : refused.connect
  counts[reasonCode & 0xff]!++
}

/** A limit is reached, and the connection goes on, or its end is told by a line of its own. */
export function reportLimit(
  connection: Connection,
  reasonCode: number,
  rule: string,
  hint: string,
): void {
  const reason = describeReasonCode(reasonCode)
  const fields = { ...who(connection), reason, rule, hint }
  connection.context.limitedLog.warn(`limit ${reasonCode}`, fields, 'limit reached')
}

export function reportProtocolError(connection: Connection, error: ProtocolError): void {
  connection.context.counters.protocolErrors++
  const fields = {
    ...who(connection),
    reason: describeReasonCode(error.reasonCode),
    rule: error.message,
  }
  connection.context.limitedLog.warn('protocol error', fields, 'protocol error')
}

/** A subscription that rules do not allow any more has ended. */
export function reportEnded(
  connection: Connection,
  topic: string,
  { rule = 'not authorized', hint }: Decision,
): void {
  const { counters, limitedLog } = connection.context
  counters.refused.subscribe[ReasonCode.NotAuthorized]!++
  const fields = { ...who(connection), topic, rule, hint }
  limitedLog.warn('subscription ended', fields, 'subscription ended by the rules')
}

export function reportDenied(
  connection: Connection,
  action: 'publish' | 'subscribe',
  topic: string,
  reasonCode: number,
  { rule = 'not authorized', hint }: Decision,
): void {
  connection.context.counters.refused[action][reasonCode & 0xff]!++
  const reason = describeReasonCode(reasonCode)
  const packet = action.toUpperCase()
  const fields = { ...who(connection), packet, topic, reason, rule, hint }
  connection.context.limitedLog.warn(`denied ${action}`, fields, `${action} denied`)
}
