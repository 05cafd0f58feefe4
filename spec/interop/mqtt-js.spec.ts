/** MQTT.js, the client most of the Node world uses: all versions, over TCP and over WebSocket. */

import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import type { ExecutionContext } from 'ava'
import test from 'ava'
import type { IClientOptions } from 'mqtt'
import type { Version } from '../support/client.ts'
import {
  connectMqttJs,
  type ListeningBroker,
  type MqttJsClient,
  receivedOf,
  speaking,
  startListeningBroker,
} from '../support/mqtt-js.ts'

const MEBIBYTE = 1024 * 1024

interface Room {
  readonly broker: ListeningBroker['broker']
  readonly connect: (options?: IClientOptions) => Promise<MqttJsClient>
}

for (const transport of ['tcp', 'ws'] as const) {
  for (const version of [3, 4, 5] as const) testOver(transport, version)
}

function willOn(topic: string): NonNullable<IClientOptions['will']> {
  return { topic, payload: Buffer.from('gone'), qos: 1, retain: false }
}

function testOver(transport: 'tcp' | 'ws', version: Version): void {
  const where = `(version ${version} over ${transport})`

  async function enter(t: ExecutionContext): Promise<Room> {
    const { broker, urls } = await startListeningBroker(t)
    const connect = async (options: IClientOptions = {}) => {
      const all = { ...speaking(version), ...options }
      return (await connectMqttJs(t, urls[transport], all)).client
    }
    return { broker, connect }
  }

  for (const qos of [0, 1, 2] as const) {
    test(`a message at QoS ${qos} reaches a subscriber ${where}`, async (t) => {
      const { connect } = await enter(t)
      const [publisher, subscriber] = await Promise.all([connect(), connect()])
      const [grant] = await subscriber.client.subscribeAsync('rooms/+/light', { qos })

      await publisher.client.publishAsync('rooms/7/light', 'on ☀', { qos })
      const message = await subscriber.next()

      const topic = 'rooms/7/light'
      t.like(grant, { topic: 'rooms/+/light', qos })
      t.deepEqual(message, { topic, payload: 'on ☀', qos, retain: false, dup: false })
    })
  }

  test(`after unsubscribing nothing comes any more ${where}`, async (t) => {
    const { connect } = await enter(t)
    const client = await connect()
    await client.client.subscribeAsync(['a', 'b'], { qos: 1 })

    await client.client.unsubscribeAsync('a')
    await client.client.publishAsync('a', 'not heard', { qos: 1 })
    await client.client.publishAsync('b', 'heard', { qos: 1 })

    t.like(await client.next(), { topic: 'b', payload: 'heard' })
    t.deepEqual(client.packets, [])
  })

  test(`a retained message waits for those who subscribe later, until it is cleared ${where}`, async (t) => {
    const { connect } = await enter(t)
    const [publisher, early, late] = await Promise.all([connect(), connect(), connect()])
    await publisher.client.publishAsync('state', 'open', { qos: 1, retain: true })

    await early.client.subscribeAsync('state', { qos: 1 })
    const retained = await early.next()
    await publisher.client.publishAsync('state', '', { qos: 1, retain: true })
    const clearing = await early.next()
    await late.client.subscribeAsync('state', { qos: 1 })

    t.like(retained, { payload: 'open', qos: 1, retain: true })
    t.like(clearing, { payload: '', retain: false })
    t.deepEqual(await late.settled(), [])
  })

  test(`the will of a client that breaks off is published, that of one which says goodbye is not ${where}`, async (t) => {
    const { connect } = await enter(t)
    const witness = await connect()
    await witness.client.subscribeAsync('wills/#', { qos: 1 })
    const polite = await connect({ will: willOn('wills/polite') })
    const rude = await connect({ will: willOn('wills/rude') })

    await polite.client.endAsync()
    await rude.breakOff()

    t.like(await witness.next(), { topic: 'wills/rude', payload: 'gone', qos: 1 })
    t.deepEqual(await witness.settled(), [])
  })

  test(`a session that is kept gets what was published in the meantime ${where}`, async (t) => {
    const { broker, connect } = await enter(t)
    const kept: IClientOptions = {
      clientId: 'sleeper',
      clean: false,
      ...(version === 5 && { properties: { sessionExpiryInterval: 3600 } }),
    }
    const before = await connect(kept)
    await before.client.subscribeAsync({ one: { qos: 1 }, two: { qos: 2 }, zero: { qos: 0 } })
    const disconnected = once(broker, 'disconnected')
    await before.breakOff()
    await disconnected

    const publisher = await connect()
    await publisher.client.publishAsync('one', 'first', { qos: 1 })
    await publisher.client.publishAsync('two', 'second', { qos: 2 })
    await publisher.client.publishAsync('one', 'third', { qos: 2 })
    const connected = once(broker, 'connected')
    const after = await connect(kept)
    const [, sessionPresent] = await connected
    const packets = await after.take(3)

    t.true(sessionPresent)
    // MQTT.js hands out a message of QoS 2 at its PUBREL: order holds within a topic.
    const arrivedAt = (topic: string) => packets.filter((packet) => packet.topic === topic)
    t.like(arrivedAt('one').map(receivedOf), [
      { payload: 'first', qos: 1 },
      { payload: 'third', qos: 1 },
    ])
    t.like(arrivedAt('two').map(receivedOf), [{ payload: 'second', qos: 2 }])
    t.deepEqual(await after.settled(), [])
  })

  test(`a payload of one mebibyte arrives as it was ${where}`, async (t) => {
    const { connect } = await enter(t)
    const [publisher, subscriber] = await Promise.all([connect(), connect()])
    const payload = Buffer.from(Array.from({ length: MEBIBYTE }, (_, i) => (i * 7919) >> 5))
    await subscriber.client.subscribeAsync('large', { qos: 1 })

    await publisher.client.publishAsync('large', payload, { qos: 1 })
    const [packet] = await subscriber.take(1)

    t.true(payload.equals(packet?.payload as Buffer))
  })

  for (const qos of [1, 2] as const) {
    test(`1000 messages at QoS ${qos} arrive in order, each once ${where}`, async (t) => {
      const { connect } = await enter(t)
      const [publisher, subscriber] = await Promise.all([connect(), connect()])
      const expected = Array.from({ length: 1000 }, (_, i) => String(i))
      await subscriber.client.subscribeAsync('counted', { qos })

      const acknowledged = Promise.all(
        expected.map((payload) => publisher.client.publishAsync('counted', payload, { qos })),
      )
      const packets = await subscriber.take(1000)
      await acknowledged

      t.deepEqual(
        packets.map(({ payload }) => payload.toString()),
        expected,
      )
      t.true(packets.every((packet) => packet.qos === qos && !receivedOf(packet).dup))
      t.deepEqual(await subscriber.settled(), [])
    })
  }
}
