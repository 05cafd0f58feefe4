/** CONNACK: opens the session and says what was agreed, or says why not. */

import { encodePropertyList } from '../codec/property-block.ts'
import { composeBody } from '../protocol/message.ts'
import type { Connect, ConnectWill, MqttVersion, Properties } from '../protocol/packets.ts'
import { isRedirect, ReasonCode, refusalFor } from '../protocol/reason-codes.ts'
import type { ClientInfo, Decision } from '../security/access.ts'
import type { Session } from '../session/session.ts'
import type { Will } from '../session/will.ts'
import type { Connection } from './connection.ts'
import type { ConnectionLimits } from './context.ts'
import { reportConnected } from './log.ts'
import type { Negotiated } from './negotiated.ts'
import { toReasonString } from './reason-string.ts'
import { recheckSubscriptions } from './recheck.ts'

const publicationProperties = [
  'payloadFormatIndicator',
  'contentType',
  'responseTopic',
  'correlationData',
  'userProperties',
] as const

/** Opens the session and sends CONNACK. `extra` is what an enhanced authentication adds to it. */
export async function accept(
  connection: Connection,
  connect: Connect,
  extra: Properties,
): Promise<void> {
  // The client may have gone while a hook was asked.
  if (connection.state === 'closed') return
  const { registry } = connection.context
  const negotiated = connection.negotiated as Negotiated
  const client = connection.client as ClientInfo
  const { session, present } = await registry.open({
    clientIdentifier: client.clientIdentifier,
    cleanStart: connect.cleanStart,
    expirySeconds: negotiated.sessionExpirySeconds,
    will: connect.will === undefined ? undefined : toWill(connect.will, connection.context.limits),
    outlet: connection.outlet,
    holder: connection.accounts,
  })
  if ((connection.state as string) === 'closed') {
    registry.close(session, connection.outlet, 'with will')
    return
  }
  const isSent = connection.outlet.send({
    type: 'connack',
    sessionPresent: present, // [MQTT-3.2.2-2] [MQTT-3.2.2-3]
    reasonCode: ReasonCode.Success, // [MQTT-3.1.4-5]
    properties: { ...describeLimits(connection, connect), ...extra },
  })
  if (!isSent) {
    // Nothing may be said before CONNACK [MQTT-3.2.0-1], and this client does not take ours.
    registry.close(session, connection.outlet, 'normal')
    connection.endRefused(ReasonCode.PacketTooLarge, 'CONNACK is beyond its Maximum Packet Size')
    return
  }
  connection.context.counters.connectionsOpened++
  establish(connection, session, present)
  // It may be another user who takes the session up. And of what comes now, not all may be for this client,
  // and all of it stands behind what is sent again.
  if (present) await recheckSubscriptions(connection, session)
  if ((connection.state as string) === 'closed') return
  // It said more and left: that counts, and nothing can be sent to it.
  if (connection.isGone) {
    connection.outlet.close()
    return
  }
  connection.outlet.open()
  registry.resume(session)
}

function establish(connection: Connection, session: Session, present: boolean): void {
  connection.establish(session)
  reportConnected(connection, present)
  connection.context.observers.connected(connection, present)
}

/** What CONNACK tells an MQTT 5.0 client: every limit that is not the standard's default. */
function describeLimits(connection: Connection, connect: Connect): Properties {
  const { limits } = connection.context
  const negotiated = connection.negotiated as Negotiated
  const properties: Properties = {
    maximumPacketSize: limits.maximumPacketSizeBytes,
    receiveMaximum: limits.receiveMaximum,
    topicAliasMaximum: limits.topicAliasMaximum,
  }
  if (limits.maximumQos < 2) properties.maximumQos = limits.maximumQos as 0 | 1 // [MQTT-3.2.2-9]
  if (!limits.retainAvailable) properties.retainAvailable = 0
  if (!limits.wildcardSubscriptions) properties.wildcardSubscriptionAvailable = 0
  if (!limits.subscriptionIdentifiers) properties.subscriptionIdentifiersAvailable = 0
  if (!limits.sharedSubscriptions) properties.sharedSubscriptionAvailable = 0
  if (connect.clientIdentifier === '') {
    properties.assignedClientIdentifier = (connection.client as ClientInfo).clientIdentifier // [MQTT-3.1.3-7]
  }
  if (negotiated.keepAliveSeconds !== connect.keepAliveSeconds) {
    properties.serverKeepAlive = negotiated.keepAliveSeconds
  }
  if (negotiated.sessionExpirySeconds !== negotiated.askedExpirySeconds) {
    properties.sessionExpiryInterval = negotiated.sessionExpirySeconds
  }
  if (negotiated.isResponseInformationRequested && limits.responseInformation !== undefined) {
    properties.responseInformation = limits.responseInformation // [MQTT-3.1.2-28]
  }
  return properties
}

function toWill(will: ConnectWill, limits: ConnectionLimits): Will {
  const forwarded: Properties = {}
  for (const name of publicationProperties) {
    if (will.properties[name] !== undefined)
      Object.assign(forwarded, { [name]: will.properties[name] })
  }
  return {
    topic: will.topicName,
    body: composeBody(will.topicName, encodePropertyList(forwarded), will.payload), // [MQTT-3.1.3-10]
    qos: will.qos,
    retain: will.retain,
    delaySeconds: Math.min(will.properties.willDelayInterval ?? 0, limits.willDelayMaxSeconds),
    expirySeconds: will.properties.messageExpiryInterval,
  }
}

/**
 * Sends a CONNACK that refuses, and closes. The code and the rule are for a decision that has none, `extra`
 * is what an enhanced authentication adds.
 */
export function refuse(
  connection: Connection,
  decision: Omit<Decision, 'isAllowed'>,
  otherCode: number,
  otherRule: string,
  extra: Properties = {},
): void {
  if (connection.state === 'closed') return
  const { reasonCode = otherCode, rule = otherRule, reason, hint } = decision
  sendRefusal(connection, connection.negotiated?.version ?? 4, reasonCode, reason, extra)
  connection.endRefused(reasonCode, rule, hint)
}

/**
 * Answers a CONNECT that failed, before the error ends the connection: one that cannot be read in the
 * version it seems to be of.
 */
export function refuseFailed(connection: Connection, reasonCode: number, reason: string): void {
  if (connection.negotiated !== undefined) {
    sendRefusal(connection, connection.negotiated.version, reasonCode, reason)
    return
  }
  const version = versionToAnswer(connection)
  if (version === undefined) return
  connection.outlet.configure(version, Number.POSITIVE_INFINITY, 0)
  // 3.x has return codes for few faults: the others are answered by closing [3.1.1: MQTT-3.1.4-1].
  if (version < 5 && reasonCode !== ReasonCode.UnsupportedProtocolVersion) return
  sendRefusal(connection, version, reasonCode, reason)
}

function sendRefusal(
  connection: Connection,
  version: MqttVersion,
  reasonCode: number,
  reason: string | undefined,
  extra: Properties = {},
): void {
  const { serverReference } = connection.context.limits
  const properties: Properties = { ...extra }
  if (reason !== undefined) properties.reasonString = toReasonString(reason)
  if (isRedirect(reasonCode) && serverReference !== undefined) {
    properties.serverReference = serverReference
  }
  connection.outlet.send({
    type: 'connack',
    sessionPresent: false, // [MQTT-3.2.2-6]
    reasonCode: refusalFor('connack', reasonCode), // [MQTT-3.2.2-8]
    properties: version === 5 ? properties : {},
  })
}

/**
 * The version in which an unreadable CONNECT is answered: its own if we speak it; 3.1.1 for older
 * levels of "MQTT" and "MQIsdp", 5.0 for newer ones; none for another protocol name [MQTT-3.1.2-1].
 */
function versionToAnswer(connection: Connection): MqttVersion | undefined {
  const { bytes, bodyStart, end } = connection.decoder
  const body = bytes.subarray(bodyStart, end)
  for (const [name, levelAt] of [
    ['\0\u0004MQTT', 6],
    ['\0\u0006MQIsdp', 8],
  ] as const) {
    if (body.toString('latin1', 0, levelAt) !== name) continue
    const level = body[levelAt]
    if (level === undefined) return undefined
    return level >= 5 ? 5 : 4 // [MQTT-3.1.2-2] [3.1.1: MQTT-3.1.2-2]
  }
  return undefined
}
