/** UNSUBSCRIBE: filters are compared character by character; UNSUBACK waits for the store. */

import type { Unsubscribe } from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { ClientInfo } from '../security/access.ts'
import type { Session } from '../session/session.ts'
import type { Connection } from './connection.ts'

export async function handleUnsubscribe(
  connection: Connection,
  packet: Unsubscribe,
): Promise<void> {
  const session = connection.session as Session
  const { observers, registry, store } = connection.context
  const ended: string[] = []
  const reasonCodes = packet.topicFilters.map((topicFilter) => {
    if (!registry.unsubscribe(session, topicFilter)) return ReasonCode.NoSubscriptionExisted // [MQTT-3.10.4-1]
    ended.push(topicFilter)
    observers.unsubscribed(connection.client as ClientInfo, topicFilter)
    return ReasonCode.Success
  })
  if (session.durable !== undefined && ended.length > 0) {
    await store.update(session.durable, { unsubscribe: ended })
  }
  connection.outlet.send({
    type: 'unsuback', // [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.10.4-6] [MQTT-3.11.3-1] [MQTT-3.11.3-2]
    packetIdentifier: packet.packetIdentifier, // [MQTT-2.2.1-6]
    reasonCodes: connection.negotiated?.version === 5 ? reasonCodes : [],
    properties: {},
  })
}
