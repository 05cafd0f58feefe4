/**
 * The words of Aedes, as far as its persistences hear them (aedes-persistence 11). They are written down
 * here so that nobody needs its packages to compile or run ours.
 */

import type { Buffer } from 'node:buffer'
import type { Readable } from 'node:stream'
import type { Qos } from '../../protocol/packets.ts'

/** The properties of a PUBLISH as mqtt-packet names and types them. */
export interface AedesProperties {
  payloadFormatIndicator?: boolean
  contentType?: string
  responseTopic?: string
  correlationData?: Buffer
  userProperties?: Record<string, string | string[]>
  [other: string]: unknown
}

/** A PUBLISH, or a PUBREL, which has its `cmd` and `messageId` alone. */
export interface AedesPacket {
  cmd?: string
  topic?: string
  payload?: string | Buffer
  qos?: Qos
  retain?: boolean
  dup?: boolean
  messageId?: number | undefined
  /** Which broker of Aedes took the message; with `brokerCounter`, which message it is. */
  brokerId?: string
  brokerCounter?: number
  /** When nobody wants it any more, in milliseconds since 1970. */
  messageExpiry?: number
  properties?: AedesProperties
  [other: string]: unknown
}

export interface AedesClient {
  readonly id: string
}

export interface AedesSubscription {
  readonly topic: string
  readonly qos: Qos
  /** Retain Handling, Retain As Published, No Local. */
  readonly rh?: number | undefined
  readonly rap?: boolean | undefined
  readonly nl?: boolean | undefined
  readonly subscriptionIdentifier?: number | undefined
}

/** Whom a message is enqueued for. */
export interface AedesReceiver {
  readonly clientId: string
}

/** What `subscriptionsByTopic` finds. */
export interface AedesMatch
  extends AedesReceiver,
    Omit<AedesSubscription, 'subscriptionIdentifier'> {}

/** What a persistence needs of the broker it is set up for. */
export interface AedesBroker {
  readonly id: string
  /** Of an event emitter: told when the store is lost. */
  emit?(event: 'error', error: Error): unknown
}

/** What Aedes 1.x calls. */
export interface AedesPersistenceInterface {
  setup(broker: AedesBroker): Promise<void>
  storeRetained(packet: AedesPacket): Promise<void>
  createRetainedStream(pattern: string): Readable
  createRetainedStreamCombi(patterns: readonly string[]): Readable
  addSubscriptions(client: AedesClient, subscriptions: readonly AedesSubscription[]): Promise<void>
  removeSubscriptions(client: AedesClient, topicFilters: readonly string[]): Promise<void>
  subscriptionsByClient(client: AedesClient): Promise<AedesSubscription[]>
  countOffline(): Promise<{ subsCount: number; clientsCount: number }>
  subscriptionsByTopic(topic: string): Promise<AedesMatch[]>
  cleanSubscriptions(client: AedesClient): Promise<void>
  outgoingEnqueue(receiver: AedesReceiver, packet: AedesPacket): Promise<void>
  outgoingEnqueueCombi(receivers: readonly AedesReceiver[], packet: AedesPacket): Promise<void>
  outgoingUpdate(client: AedesClient, packet: AedesPacket): Promise<void>
  outgoingClearMessageId(client: AedesClient, packet: AedesPacket): Promise<AedesPacket | undefined>
  outgoingStream(client: AedesClient): Readable
  incomingStorePacket(client: AedesClient, packet: AedesPacket): Promise<void>
  incomingGetPacket(client: AedesClient, packet: AedesPacket): Promise<AedesPacket>
  incomingDelPacket(client: AedesClient, packet: AedesPacket): Promise<void>
  cleanIncoming(client: AedesClient): Promise<void>
  putWill(client: AedesClient, packet: AedesPacket): Promise<void>
  getWill(client: AedesClient): Promise<AedesPacket | undefined>
  delWill(client: AedesClient): Promise<AedesPacket | undefined>
  streamWill(brokers?: Readonly<Record<string, unknown>>): Readable
  getClientList(topicFilter: string): Readable
  destroy(): Promise<void>
}
