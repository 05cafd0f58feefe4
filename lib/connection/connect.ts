/** CONNECT: judges the request and authenticates; nothing else of the connection is read meanwhile. */

import { Buffer, isUtf8 } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import { ProtocolError } from '../protocol/errors.ts'
import type { Connect, ConnectWill } from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import { isSystemTopic, isTopicName, isWithinLimits } from '../protocol/topics.ts'
import { type ClientInfo, type Decision, toDecision } from '../security/access.ts'
import { MemoryLevel } from '../util/memory-budget.ts'
import { beginAuthentication } from './auth.ts'
import { accept, refuse } from './connack.ts'
import type { Connection } from './connection.ts'
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
  connection.inboundFlow.configure(negotiated.version)
  connection.client = describeClient(connection, connect)
  return judgeConnect(connection, connect)
}

function describeClient(connection: Connection, connect: Connect): ClientInfo {
  const { peer } = connection.transport
  return {
    clientIdentifier:
      connect.clientIdentifier === '' ? `noctule-${randomUUID()}` : connect.clientIdentifier, // [MQTT-3.1.3-6] [MQTT-3.2.2-16]
    userName: connect.userName,
    protocolVersion: connect.protocolVersion,
    listener: peer.listener,
    address: peer.address,
    port: peer.port,
    certificateCommonName: peer.certificate?.commonName,
  }
}

async function judgeConnect(connection: Connection, connect: Connect): Promise<void> {
  const fault = findFault(connection, connect)
  if (fault !== undefined) {
    refuse(connection, fault.reasonCode, fault.message, fault.message)
    return
  }
  const willDecision = await authorizeWill(connection, connect)
  if (!willDecision.isAllowed) {
    refuse(
      connection,
      willDecision.reasonCode ?? ReasonCode.NotAuthorized,
      willDecision.rule ?? 'the will is not authorized',
      willDecision.reason,
    )
    return
  }
  if (connect.properties.authenticationMethod !== undefined) {
    await beginAuthentication(connection, connect) // [MQTT-4.12.0-6]
    return
  }
  const decision = await authenticate(connection, connect)
  if (decision.isAllowed) await accept(connection, connect, {})
  else {
    refuse(
      connection,
      decision.reasonCode ?? ReasonCode.BadUserNameOrPassword,
      decision.rule ?? 'user name or password refused', // [MQTT-3.1.4-2]
      decision.reason,
    )
  }
}

/** What makes a well-formed CONNECT unacceptable; undefined: nothing. */
function findFault(connection: Connection, connect: Connect): ProtocolError | undefined {
  const { limits, budget, connections } = connection.context
  if (budget.level >= MemoryLevel.RefuseConnections) {
    return new ProtocolError(ReasonCode.QuotaExceeded, 'memory.budgetBytes is nearly used up')
  }
  if (limits.connectionsMax > 0 && connections.size > limits.connectionsMax) {
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

async function authorizeWill(connection: Connection, { will }: Connect): Promise<Decision> {
  const { hooks } = connection.context
  if (will === undefined || hooks.authorizePublish === undefined) return { isAllowed: true }
  const { topicName: topic, qos, retain, payload } = will
  const client = connection.client as ClientInfo
  return toDecision(await hooks.authorizePublish(client, { topic, qos, retain, payload }))
}

async function authenticate(connection: Connection, connect: Connect): Promise<Decision> {
  const { hooks, limits } = connection.context
  if (hooks.authenticate === undefined) {
    if (limits.allowAnonymous) return { isAllowed: true }
    return {
      isAllowed: false,
      reasonCode: ReasonCode.NotAuthorized,
      rule: 'security.allowAnonymous is off and nothing authenticates clients',
    }
  }
  return toDecision(
    await hooks.authenticate({
      ...(connection.client as ClientInfo),
      password: connect.password,
      userProperties: connect.properties.userProperties ?? [],
    }),
  )
}
