/** The events of a broker, and how they hang on the observers of its connections. */

import type { EventEmitter } from 'node:events'
import type { ConnectionEnd, Observers } from '../connection/context.ts'
import type { SystemTopics } from '../monitor/system-topics.ts'
import type { Qos } from '../protocol/packets.ts'
import type { ClientInfo } from '../security/access.ts'
import { type ApplicationMessage, toApplicationMessage } from './application-message.ts'

/** Event name → what each listener is given. */
export interface BrokerEvents {
  /** A client is connected: CONNACK has been sent. */
  connected: [client: ClientInfo, sessionPresent: boolean]
  /** A connection that was `connected` has ended. */
  disconnected: [client: ClientInfo, end: ConnectionEnd]
  subscribed: [client: ClientInfo, topicFilter: string, qos: Qos]
  unsubscribed: [client: ClientInfo, topicFilter: string]
  /** A client's message has been accepted; it is being routed. */
  published: [message: ApplicationMessage, client: ClientInfo]
  /** A message has been handed to a client's connection, at `qos`. */
  delivered: [message: ApplicationMessage, client: ClientInfo, qos: Qos]
  /** A message was not delivered to a client: queue full, socket blocked, expired, too large. */
  dropped: [clientIdentifier: string, topic: string | undefined, why: string]
}

/**
 * Returns observers that emit on `broker`. Those of single messages exist only while somebody listens:
 * an event that nobody wants costs nothing.
 */
export function observersOf(
  broker: EventEmitter<BrokerEvents>,
  systemTopics: () => SystemTopics,
): Observers {
  const observers: Observers = {
    connected(connection, sessionPresent) {
      systemTopics().clientConnected(connection)
      broker.emit('connected', connection.client as ClientInfo, sessionPresent)
    },
    disconnected(connection, end) {
      systemTopics().clientDisconnected(connection, end)
      broker.emit('disconnected', connection.client as ClientInfo, end)
    },
    subscribed: (client, { topicFilter, qos }) =>
      broker.emit('subscribed', client, topicFilter, qos),
    unsubscribed: (client, topicFilter) => broker.emit('unsubscribed', client, topicFilter),
  }
  const observeMessages = () => {
    observers.published =
      broker.listenerCount('published') === 0
        ? undefined
        : (message, client) => broker.emit('published', toApplicationMessage(message), client)
    observers.delivered =
      broker.listenerCount('delivered') === 0
        ? undefined
        : (message, qos, client) =>
            broker.emit('delivered', toApplicationMessage(message), client, qos)
  }
  const meta = broker as EventEmitter
  // 'newListener' comes before the listener counts.
  meta.on('newListener', () => queueMicrotask(observeMessages))
  meta.on('removeListener', observeMessages)
  return observers
}
