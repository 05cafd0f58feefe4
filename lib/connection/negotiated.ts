/** What a client and the broker agreed on in CONNECT and CONNACK, for the life of a connection. */

import { RECEIVE_MAXIMUM_DEFAULT, VARIABLE_BYTE_INTEGER_MAX } from '../protocol/limits.ts'
import type { Connect, MqttVersion } from '../protocol/packets.ts'
import type { ConnectionLimits } from './context.ts'

export interface Negotiated {
  readonly version: MqttVersion
  /** Seconds; 0: none. */
  readonly keepAliveSeconds: number
  /** How many QoS 1 and 2 messages the client takes at once. */
  readonly clientReceiveMaximum: number
  /** Largest packet the client takes, in bytes. */
  readonly clientMaximumPacketSize: number
  /** Largest Topic Alias we send. */
  readonly topicAliasMaximumOut: number
  readonly isResponseInformationRequested: boolean
  /** Seconds, as CONNECT has it. */
  readonly askedExpirySeconds: number
  /** Seconds; already within the broker's cap. */
  readonly sessionExpirySeconds: number
  /** Enhanced authentication; undefined: none. */
  readonly authenticationMethod: string | undefined
}

export function negotiate(connect: Connect, limits: ConnectionLimits): Negotiated {
  const { properties } = connect
  return {
    version: connect.protocolVersion,
    keepAliveSeconds: keepAliveSeconds(connect.keepAliveSeconds, limits),
    clientReceiveMaximum: properties.receiveMaximum ?? RECEIVE_MAXIMUM_DEFAULT,
    clientMaximumPacketSize: properties.maximumPacketSize ?? VARIABLE_BYTE_INTEGER_MAX + 5,
    topicAliasMaximumOut: Math.min(properties.topicAliasMaximum ?? 0, limits.topicAliasMaximumOut), // [MQTT-3.3.2-11]
    isResponseInformationRequested: properties.requestResponseInformation === 1,
    askedExpirySeconds: properties.sessionExpiryInterval ?? 0,
    sessionExpirySeconds: sessionExpirySeconds(connect, limits),
    authenticationMethod: properties.authenticationMethod,
  }
}

/** None asked for stays none, unless there is a longest one. */
function keepAliveSeconds(asked: number, limits: ConnectionLimits): number {
  const { keepAliveMinSeconds: min, keepAliveMaxSeconds: max } = limits
  const raised = asked === 0 ? 0 : Math.max(asked, min)
  if (max === 0) return raised // [MQTT-3.1.2-21] [MQTT-3.2.2-22]
  return raised === 0 ? max : Math.min(raised, max)
}

/** 3.x: Clean Session 1 ends the session with the connection, 0 keeps it as long as configured. */
function sessionExpirySeconds(connect: Connect, limits: ConnectionLimits): number {
  const asked =
    connect.protocolVersion === 5
      ? (connect.properties.sessionExpiryInterval ?? 0)
      : connect.cleanStart
        ? 0
        : limits.sessionExpiryV3Seconds
  return Math.min(asked, limits.sessionExpiryMaxSeconds)
}
