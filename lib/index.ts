/** Noctule as a library: everything that a host program may use, and nothing else. */

import { Broker, type BrokerParts } from './broker/broker.ts'
import type { BrokerOptionsInput } from './config/input.ts'
import { parseConfiguration } from './config/load.ts'
import { checkHooks } from './security/check-hooks.ts'
import { loadStore } from './storage/load.ts'

export type {
  ApplicationMessage,
  PublishInput,
  PublishProperties,
} from './broker/application-message.ts'
export { Broker, type BrokerParts } from './broker/broker.ts'
export type { BrokerEvents } from './broker/events.ts'
export type { LocalSubscription, MessageHandler } from './broker/local-subscription.ts'
export type { BrokerOptionsInput, ListenerInput } from './config/input.ts'
export type { BrokerConfiguration, ListenerConfiguration } from './config/options.ts'
export { ConfigurationError, type ConfigurationProblem } from './config/problems.ts'
export type { ConnectionEnd } from './connection/context.ts'
export type { MqttVersion, Properties, Qos, UserProperty } from './protocol/packets.ts'
export { describeReasonCode, ReasonCode } from './protocol/reason-codes.ts'
export type {
  AccessHooks,
  Admission,
  Answer,
  AuthenticateRequest,
  AuthenticationExchange,
  AuthenticationStep,
  ClientAcl,
  ClientInfo,
  Decision,
  Grant,
  PublishRequest,
  SubscribeRequest,
} from './security/access.ts'
export { StoreError } from './storage/storage.ts'
export { connectInMemory, type InMemoryClientEnd } from './transport/in-memory.ts'
export { ListenError } from './transport/listen.ts'
export type { Peer, Transport, TransportEvents } from './transport/transport.ts'
export type { Clock } from './util/clock.ts'
export { createLogger, type Logger } from './util/logger.ts'
export type { SystemLoad } from './util/system-load.ts'

/** Everything `createBroker` takes: the configuration, and the host program's own parts. */
export type CreateBrokerOptions = BrokerOptionsInput & BrokerParts

/**
 * Makes a broker and starts it: when the promise resolves, it listens.
 *
 * Without options it listens on 127.0.0.1:1883 (TCP) and 127.0.0.1:8083/mqtt (WebSocket), lets everybody
 * in, and keeps sessions and retained messages in memory (`store.url`). Rejects with `ConfigurationError` for options and hooks it does not know, and for a listener or metrics that other machines reach while nothing says who may, with `ListenError` for a port that
 * is taken, with `StoreError` for a store that cannot be used.
 *
 * ```ts
 * await using broker = await createBroker({ listeners: [{ type: 'tcp', port: 0 }] })
 * ```
 */
export async function createBroker(options: CreateBrokerOptions = {}): Promise<Broker> {
  const { hooks, logger, clock, random, load, collectYoung, storage, ...configuration } = options
  if (hooks !== undefined) checkHooks(hooks)
  const parts = { hooks, logger, clock, random, load, collectYoung, storage }
  const checked = parseConfiguration(withoutFiles(configuration))
  const broker = new Broker(checked, parts, await loadStore(checked.store.url))
  await broker.start()
  return broker
}

/** A host program finds nothing written that it did not ask for. */
function withoutFiles(configuration: BrokerOptionsInput): BrokerOptionsInput {
  const { store } = configuration
  const isChosen = typeof store !== 'object' || store.url !== undefined
  return store !== undefined && isChosen
    ? configuration
    : { ...configuration, store: { ...store, url: 'memory' } }
}
