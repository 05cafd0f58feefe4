/** CONNECT: judges the request and authenticates; nothing else of the connection is worked on meanwhile. */

import { Buffer, isUtf8 } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import { ProtocolError } from '../protocol/errors.ts'
import type { Connect, ConnectWill } from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import { isSystemTopic, isTopicName, isWithinLimits } from '../protocol/topics.ts'
import {
  type Admission,
  type ClientInfo,
  denial,
  type Eventually,
  toDecision,
} from '../security/access.ts'
import { MemoryLevel } from '../util/memory-budget.ts'
import { findEarlyRefusal, noteLogin, refuseAdmission } from './admission.ts'
import { admit } from './admit.ts'
import { beginAuthentication } from './auth.ts'
import { refuse } from './connack.ts'
import type { Connection } from './connection.ts'
import { takeGrant } from './grant.ts'
import { negotiate } from './negotiated.ts'

/** Longest Client Identifier of MQTT 3.1, which newer versions do not limit. */
const CLIENT_IDENTIFIER_MAX_V31 = 23

export function handleConnect(connection: Connection, connect: Connect): Promise<void> {
  const { limits } = connection.context
  const negotiated = negotiate(connect, limits)
  connection.negotiated = negotiated
  connection.outlet.configure(
    negotiated.version,
    negotiated.clientMaximumPacketSize,
    negotiated.topicAliasMaximumOut,
  )
  connection.client = describeClient(connection, connect)
  return judgeConnect(connection, connect)
}

function describeClient(connection: Connection, connect: Connect): ClientInfo {
  const { peer } = connection.transport
  return {
    clientIdentifier:
      connect.clientIdentifier === '' ? `noctule-${randomUUID()}` : connect.clientIdentifier, // [MQTT-3.1.3-6] [MQTT-3.2.2-16]
    userName: peer.userName ?? connect.userName,
    protocolVersion: connect.protocolVersion,
    listener: peer.listener,
    address: peer.address,
    port: peer.port,
    certificateCommonName: peer.certificate?.commonName,
    certificate: peer.certificate,
  }
}

async function judgeConnect(connection: Connection, connect: Connect): Promise<void> {
  const fault = findFault(connection, connect)
  if (fault !== undefined) {
    const { reasonCode, message } = fault
    refuse(connection, { reasonCode, reason: message }, reasonCode, message)
    return
  }
  const refusal = findEarlyRefusal(connection)
  if (refusal !== undefined) {
    refuseAdmission(connection, refusal)
    return
  }
  if (connect.properties.authenticationMethod !== undefined) {
    await beginAuthentication(connection, connect) // [MQTT-4.12.0-6]
    return
  }
  const answer = authenticate(connection, connect)
  const admission = answer instanceof Promise ? await answer : answer
  const { isAllowed, reasonCode = ReasonCode.BadUserNameOrPassword } = admission
  // Who says neither a name nor a password guesses nothing.
  const isLogin = connect.userName !== undefined || connect.password !== undefined
  const denied = isAllowed ? takeGrant(connection, admission) : admission
  // What is forgiven is forgiven to whom it let in, not to whom it called itself.
  if (isLogin) noteLogin(connection, { isAllowed, reasonCode })
  if (denied === undefined) await admit(connection, connect, {})
  else {
    const rule = 'user name or password refused' // [MQTT-3.1.4-2]
    refuse(connection, denied, ReasonCode.BadUserNameOrPassword, rule)
  }
}

/** What makes a well-formed CONNECT unacceptable; undefined: nothing. */
function findFault(connection: Connection, connect: Connect): ProtocolError | undefined {
  const { limits, budget, connections, counters } = connection.context
  if (budget.level >= MemoryLevel.RefuseConnections) {
    counters.limitsReached.overload++
    return new ProtocolError(
      ReasonCode.QuotaExceeded,
      'memory is nearly used up (memory.budgetBytes, overload.refuseMemoryPercent)',
    )
  }
  if (limits.connectionsMax > 0 && connections.size > limits.connectionsMax) {
    counters.limitsReached.connections++
    const hasOther = limits.serverReference !== undefined
    const reasonCode = hasOther ? ReasonCode.UseAnotherServer : ReasonCode.QuotaExceeded
    return new ProtocolError(reasonCode, 'connection.connectionsMax is reached')
  }
  return findIdentifierFault(connect, limits) ?? findWillFault(connect.will, limits)
}

type Limits = Connection['context']['limits']

function findIdentifierFault(connect: Connect, limits: Limits): ProtocolError | undefined {
  const { clientIdentifier, protocolVersion, cleanStart } = connect
  if (clientIdentifier === '') {
    if (!limits.assignClientIdentifiers || protocolVersion === 3) {
      return invalid('empty Client Identifier')
    }
    if (protocolVersion === 4 && !cleanStart) {
      return invalid('empty Client Identifier without Clean Session') // [3.1.1: MQTT-3.1.3-8]
    }
  }
  if (protocolVersion === 3 && clientIdentifier.length > CLIENT_IDENTIFIER_MAX_V31) {
    return invalid(
      `Client Identifier of more than ${CLIENT_IDENTIFIER_MAX_V31} characters in MQTT 3.1`,
    )
  }
  if (Buffer.byteLength(clientIdentifier) > limits.clientIdentifierBytesMax) {
    return invalid('Client Identifier longer than connection.clientIdentifierBytesMax')
  }
  return undefined
}

function invalid(rule: string): ProtocolError {
  return new ProtocolError(ReasonCode.ClientIdentifierNotValid, rule) // [MQTT-3.1.3-8]
}

function findWillFault(will: ConnectWill | undefined, limits: Limits): ProtocolError | undefined {
  if (will === undefined) return undefined
  if (will.qos > limits.maximumQos) {
    return new ProtocolError(ReasonCode.QosNotSupported, 'Will QoS above connection.maximumQos') // [MQTT-3.2.2-12]
  }
  if (will.retain && !limits.retainAvailable) {
    return new ProtocolError(
      ReasonCode.RetainNotSupported,
      'Will Retain where retained messages are off',
    ) // [MQTT-3.2.2-13]
  }
  const isAcceptable =
    isTopicName(will.topicName) &&
    !isSystemTopic(will.topicName) &&
    isWithinLimits(will.topicName, limits)
  if (!isAcceptable)
    return new ProtocolError(ReasonCode.TopicNameInvalid, 'Will Topic not acceptable')
  if (will.properties.payloadFormatIndicator === 1 && !isUtf8(will.payload)) {
    return new ProtocolError(
      ReasonCode.PayloadFormatInvalid,
      'Will Payload is not the UTF-8 it says it is',
    )
  }
  return undefined
}

const FORBIDDEN_ANONYMOUS = denial(
  ReasonCode.NotAuthorized,
  'no user name, and security.allowAnonymous is off',
  'give the client a user name and a password (noctule user add), or set security.allowAnonymous: true',
)

const FORBIDDEN_ALL = denial(
  ReasonCode.NotAuthorized,
  'security.allowAnonymous is off and nothing authenticates clients',
  'set security.passwordFile and make users with noctule user add',
)

const NO_METHOD = denial(
  ReasonCode.NotAuthorized,
  'no Authentication Method in CONNECT, and nobody knows users without one',
  'the client has to name one of hooks.authenticationMethods',
)

const UNKNOWN_USER = denial(
  ReasonCode.BadUserNameOrPassword,
  'no user of that name',
  'noctule user add makes one',
)

const UNPROVED = denial(
  ReasonCode.NotAuthorized,
  'neither a certificate nor a pre-shared key says who it is, and nobody else knows it',
  'give the client a certificate (noctule certs device), or a user of security.passwordFile',
)

/**
 * Asks who knows the user, unless certificate or key have said it. Without anybody to ask, a user name
 * means nothing.
 */
function authenticate(connection: Connection, connect: Connect): Eventually<Admission> {
  const { hooks } = connection.context
  if (connection.transport.peer.userName !== undefined) return { isAllowed: true }
  const answer = hooks.authenticate?.({
    ...(connection.client as ClientInfo),
    password: connect.password,
    userProperties: connect.properties.userProperties ?? [],
  })
  return answer instanceof Promise
    ? answer.then((late) => admissionBy(late, connection, connect))
    : admissionBy(answer, connection, connect)
}

/** What follows from the answer of those who know users; undefined: none of them knows this one. */
function admissionBy(
  answer: boolean | Admission | undefined,
  { context: { hooks, limits } }: Connection,
  connect: Connect,
): Admission {
  if (answer !== undefined) return toDecision(answer)
  const knowsUsers =
    hooks.authenticate !== undefined ||
    hooks.authenticationMethods !== undefined ||
    limits.provesUserNames
  const isAnonymous = connect.userName === undefined || !knowsUsers
  if (isAnonymous && limits.allowAnonymous) return { isAllowed: true }
  if (limits.provesUserNames) return UNPROVED
  if (hooks.authenticate === undefined)
    return hooks.authenticationMethods === undefined ? FORBIDDEN_ALL : NO_METHOD
  return isAnonymous ? FORBIDDEN_ANONYMOUS : UNKNOWN_USER
}
