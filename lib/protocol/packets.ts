/**
 * The control packets of MQTT 3.1, 3.1.1 and 5.0 as the broker sees them, whatever version the client
 * speaks: 3.1.1 is 5.0 without properties, and Clean Session arrives here as Clean Start.
 *
 * PUBLISH is absent on purpose: its fast path decodes into a `Message` (message.ts).
 */

/** Protocol levels: 3 is MQTT 3.1, 4 is MQTT 3.1.1, 5 is MQTT 5.0. */
export type MqttVersion = 3 | 4 | 5

/** Quality of Service: at most once, at least once, exactly once. */
export type Qos = 0 | 1 | 2

/** A User Property: name and value. Order and repetition mean something [MQTT-3.1.3-10]. */
export type UserProperty = readonly [name: string, value: string]

/** MQTT 5.0 properties under their camel-case names (section 2.2.2.2). */
export interface Properties {
  payloadFormatIndicator?: 0 | 1
  messageExpiryInterval?: number
  contentType?: string
  responseTopic?: string
  correlationData?: Buffer
  subscriptionIdentifiers?: number[]
  sessionExpiryInterval?: number
  assignedClientIdentifier?: string
  serverKeepAlive?: number
  authenticationMethod?: string
  authenticationData?: Buffer
  requestProblemInformation?: 0 | 1
  willDelayInterval?: number
  requestResponseInformation?: 0 | 1
  responseInformation?: string
  serverReference?: string
  reasonString?: string
  receiveMaximum?: number
  topicAliasMaximum?: number
  topicAlias?: number
  maximumQos?: 0 | 1
  retainAvailable?: 0 | 1
  userProperties?: UserProperty[]
  maximumPacketSize?: number
  wildcardSubscriptionAvailable?: 0 | 1
  subscriptionIdentifiersAvailable?: 0 | 1
  sharedSubscriptionAvailable?: 0 | 1
}

/** The Will Message of a CONNECT, before it becomes a `Message`. */
export interface ConnectWill {
  topicName: string
  payload: Buffer
  qos: Qos
  retain: boolean
  properties: Properties
}

export interface Connect {
  readonly type: 'connect'
  protocolVersion: MqttVersion
  clientIdentifier: string
  cleanStart: boolean
  keepAliveSeconds: number
  userName: string | undefined
  password: Buffer | undefined
  will: ConnectWill | undefined
  properties: Properties
}

export interface Connack {
  readonly type: 'connack'
  sessionPresent: boolean
  reasonCode: number
  properties: Properties
}

/** PUBACK, PUBREC, PUBREL and PUBCOMP. */
export interface PublishResponse {
  readonly type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp'
  packetIdentifier: number
  reasonCode: number
  properties: Properties
}

/** One Topic Filter of a SUBSCRIBE with its options; those of MQTT 5.0 are off for older clients. */
export interface SubscriptionRequest {
  topicFilter: string
  qos: Qos
  noLocal: boolean
  retainAsPublished: boolean
  retainHandling: 0 | 1 | 2
}

export interface Subscribe {
  readonly type: 'subscribe'
  packetIdentifier: number
  subscriptions: SubscriptionRequest[]
  properties: Properties
}

export interface Suback {
  readonly type: 'suback'
  packetIdentifier: number
  reasonCodes: number[]
  properties: Properties
}

export interface Unsubscribe {
  readonly type: 'unsubscribe'
  packetIdentifier: number
  topicFilters: string[]
  properties: Properties
}

export interface Unsuback {
  readonly type: 'unsuback'
  packetIdentifier: number
  /** Empty for MQTT 3.1 and 3.1.1, whose UNSUBACK has no payload. */
  reasonCodes: number[]
  properties: Properties
}

export interface Pingreq {
  readonly type: 'pingreq'
}

export interface Pingresp {
  readonly type: 'pingresp'
}

export interface Disconnect {
  readonly type: 'disconnect'
  reasonCode: number
  properties: Properties
}

export interface Auth {
  readonly type: 'auth'
  reasonCode: number
  properties: Properties
}

/** What a client may send, PUBLISH aside. */
export type InboundPacket =
  | Connect
  | PublishResponse
  | Subscribe
  | Unsubscribe
  | Pingreq
  | Disconnect
  | Auth

/** What the broker sends, PUBLISH aside. */
export type OutboundPacket =
  | Connack
  | PublishResponse
  | Suback
  | Unsuback
  | Pingresp
  | Disconnect
  | Auth

/** The four-bit type in the first byte of a packet (section 2.1.2). */
export const PacketType = {
  Connect: 1,
  Connack: 2,
  Publish: 3,
  Puback: 4,
  Pubrec: 5,
  Pubrel: 6,
  Pubcomp: 7,
  Subscribe: 8,
  Suback: 9,
  Unsubscribe: 10,
  Unsuback: 11,
  Pingreq: 12,
  Pingresp: 13,
  Disconnect: 14,
  Auth: 15,
} as const
export type PacketType = (typeof PacketType)[keyof typeof PacketType]
