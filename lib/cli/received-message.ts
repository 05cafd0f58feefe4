/** A message as `sub` prints it. */

import type { IPublishPacket } from 'mqtt'
import type { Qos } from '../protocol/packets.ts'

export interface ReceivedMessage {
  readonly topicName: string
  readonly payload: Buffer
  readonly qos: Qos
  readonly retain: boolean
  /** 0 at QoS 0. */
  readonly packetIdentifier: number
  /** With the names and types of MQTT.js. */
  readonly properties: NonNullable<IPublishPacket['properties']>
  /** Milliseconds since 1970, with fractions. */
  readonly receivedAtMs: number
}

export function receive(
  topicName: string,
  payload: Buffer,
  packet: IPublishPacket,
): ReceivedMessage {
  return {
    topicName,
    payload,
    qos: packet.qos,
    retain: packet.retain,
    packetIdentifier: packet.messageId ?? 0,
    properties: packet.properties ?? {},
    receivedAtMs: performance.timeOrigin + performance.now(),
  }
}

/** User Properties as pairs, repeated names included. */
export function userPropertiesOf({ properties }: ReceivedMessage): [name: string, value: string][] {
  return Object.entries(properties.userProperties ?? {}).flatMap(([name, values]) =>
    [values].flat().map((value): [string, string] => [name, value]),
  )
}
