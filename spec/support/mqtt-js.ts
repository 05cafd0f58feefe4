/**
 * MQTT.js on real sockets, with an inbox that keeps what comes from the first packet on. It never
 * reconnects by itself: tests say when.
 */

import type { ExecutionContext } from 'ava'
import mqtt, {
  type IClientOptions,
  type IConnackPacket,
  type IPublishPacket,
  type MqttClient,
} from 'mqtt'
import { type Broker, type CreateBrokerOptions, createBroker } from '../../lib/index.ts'
import type { Version } from './client.ts'

export interface ListeningBroker {
  readonly broker: Broker
  /** `mqtt://…` and `ws://…`, ready for MQTT.js. */
  readonly urls: { readonly tcp: string; readonly ws: string }
}

/** A broker with a TCP and a WebSocket listener on free ports, with real time. */
export async function startListeningBroker(
  t: ExecutionContext,
  options: CreateBrokerOptions = {},
): Promise<ListeningBroker> {
  const broker = await createBroker({
    listeners: [
      { type: 'tcp', port: 0 },
      { type: 'ws', port: 0 },
    ],
    ...options,
  })
  t.teardown(() => broker.close())
  const [tcp = '', ws = ''] = broker.urls
  return { broker, urls: { tcp, ws } }
}

/** What MQTT.js tells of a message. */
export interface Received {
  readonly topic: string
  readonly payload: string
  readonly qos: number
  readonly retain: boolean
  readonly dup: boolean
}

export class MqttJsClient {
  readonly client: MqttClient
  /** What has come and was not taken yet. */
  readonly packets: IPublishPacket[] = []
  #wake: () => void = () => {}

  constructor(client: MqttClient) {
    this.client = client
    // A packet with a Topic Alias has an empty topic; the argument has what it stands for.
    client.on('message', (topic, _payload, packet) => {
      this.packets.push({ ...packet, topic })
      this.#wake()
    })
  }

  /** The next `count` packets, in the order they came. */
  async take(count: number): Promise<IPublishPacket[]> {
    while (this.packets.length < count) {
      // oxlint-disable-next-line no-await-in-loop -- Each message may be the one.
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.packets.splice(0, count)
  }

  async next(): Promise<Received> {
    const [packet] = await this.take(1)
    return receivedOf(packet as IPublishPacket)
  }

  /**
   * Everything that has come once the broker has handled all sent before: the client subscribes to a topic
   * of its own and publishes there last, at QoS 0, which the broker does not hold back.
   */
  async settled(): Promise<IPublishPacket[]> {
    const topic = `settled/${this.client.options.clientId}`
    await this.client.subscribeAsync(topic, { qos: 0 })
    await this.client.publishAsync(topic, '')
    const before: IPublishPacket[] = []
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- One after the other.
      const [packet] = await this.take(1)
      if (packet?.topic === topic) return before
      if (packet !== undefined) before.push(packet)
    }
  }

  /** Breaks the network connection without DISCONNECT. */
  async breakOff(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.client.once('close', resolve)
      this.client.stream.destroy()
    })
  }
}

export function receivedOf({ topic, payload, qos, retain, dup }: IPublishPacket): Received {
  return { topic, payload: payload.toString(), qos, retain, dup }
}

/** The options which make MQTT.js speak that version. */
export function speaking(version: Version): IClientOptions {
  return { protocolId: version === 3 ? 'MQIsdp' : 'MQTT', protocolVersion: version }
}

/** A client that is not connected yet: what it sends first may still be refused. */
export function openMqttJs(
  t: ExecutionContext,
  url: string,
  options: IClientOptions = {},
): MqttJsClient {
  const client = mqtt.connect(url, { reconnectPeriod: 0, resubscribe: false, ...options })
  t.teardown(() => client.endAsync(true))
  return new MqttJsClient(client)
}

export interface Connected {
  readonly client: MqttJsClient
  readonly connack: IConnackPacket
}

/** Connects a client; rejects with what MQTT.js says if it cannot. */
export async function connectMqttJs(
  t: ExecutionContext,
  url: string,
  options: IClientOptions = {},
): Promise<Connected> {
  const client = openMqttJs(t, url, options)
  const connack = await new Promise<IConnackPacket>((resolve, reject) => {
    client.client.once('connect', resolve)
    client.client.once('error', reject)
  })
  return { client, connack }
}
