/** The events of a broker, and how they hang on the observers of its connections. */

import type { EventEmitter } from 'node:events'
import type { ConnectionEnd, Observers } from '../connection/context.ts'
import type { SystemTopics } from '../monitor/system-topics.ts'
import type { Qos } from '../protocol/packets.ts'
import type { Router } from '../router/router.ts'
import type { ClientInfo } from '../security/access.ts'
import type { StoreError } from '../storage/storage.ts'
import type { Logger } from '../util/logger.ts'
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
  /** The store was lost while the broker ran. The broker has closed itself. */
  failed: [error: StoreError]
}

/** Emits on a broker. A listener that throws is logged: it must not break what it only watches. */
export type Tell = <Name extends keyof BrokerEvents>(
  name: Name,
  ...facts: BrokerEvents[Name]
) => void

export function tellOn(broker: EventEmitter<BrokerEvents>, log: Logger): Tell {
  return (name, ...facts) => {
    try {
      ;(broker as EventEmitter).emit(name, ...facts)
    } catch (error) {
      log.error({ err: error, event: name }, 'an event listener threw')
    }
  }
}

/**
 * Returns observers that tell of what they see. Those of single messages exist only while somebody listens
 * on `broker`: an event that nobody wants costs nothing.
 */
export function observersOf(
  broker: EventEmitter<BrokerEvents>,
  tell: Tell,
  systemTopics: () => SystemTopics,
  router: () => Router,
): Observers {
  const observers: Observers = {
    connected(connection, sessionPresent) {
      systemTopics().clientConnected(connection)
      tell('connected', connection.client as ClientInfo, sessionPresent)
    },
    disconnected(connection, end) {
      systemTopics().clientDisconnected(connection, end)
      tell('disconnected', connection.client as ClientInfo, end)
    },
    subscribed: (client, { topicFilter, qos }) => tell('subscribed', client, topicFilter, qos),
    unsubscribed: (client, topicFilter) => tell('unsubscribed', client, topicFilter),
  }
  const observeMessages = () => {
    observers.published =
      broker.listenerCount('published') === 0
        ? undefined
        : (message, client) =>
            // What is published now comes behind this message, which is not routed yet.
            router().whileBusy(() => tell('published', toApplicationMessage(message), client))
    observers.delivered =
      broker.listenerCount('delivered') === 0
        ? undefined
        : (message, qos, client) => tell('delivered', toApplicationMessage(message), client, qos)
  }
  const meta = broker as EventEmitter
  // 'newListener' comes before the listener counts.
  meta.on('newListener', () => queueMicrotask(observeMessages))
  meta.on('removeListener', observeMessages)
  return observers
}
