import test from 'ava'
import { startBroker } from '../support/broker.ts'
import { connectClient } from '../support/client.ts'
import { HeldStore } from '../support/held-store.ts'
import {
  acknowledge,
  arrived,
  durable,
  payloads,
  publishes,
  versions,
} from '../support/messages.ts'

for (const version of versions) {
  for (const isDurable of [false, true]) {
    const where = `(version ${version}, ${isDurable ? 'durable' : 'volatile'})`

    for (const qos of [0, 1, 2]) {
      test(`[MQTT-4.6.0-5] [MQTT-4.6.0-6] messages of a topic arrive in order, QoS ${qos} ${where}`, async (t) => {
        const { broker } = await startBroker(t, { session: { inflightMax: 3 } })
        const options = isDurable ? durable(version, 'subscriber') : { version }
        const subscriber = await connectClient(t, broker, options)
        await subscriber.subscribe(t, '#', { qos: 2 })
        const publishers = [await connectClient(t, broker), await connectClient(t, broker)]
        for (let i = 0; i < 10; i++) {
          publishers[0]?.publish('a', `a${i}`, { qos, messageId: i + 1 })
          publishers[1]?.publish('b', `b${i}`, { qos, messageId: i + 1 })
        }

        const got: string[] = []
        for (let packets = await arrived(subscriber, ...publishers); packets.length > 0; ) {
          got.push(...payloads(packets))
          acknowledge(subscriber, packets)
          for (const { cmd, messageId } of packets) {
            if (cmd === 'pubrel') subscriber.send({ cmd: 'pubcomp', messageId })
          }
          packets = await arrived(subscriber)
        }

        for (const topic of ['a', 'b']) {
          t.deepEqual(
            got.filter((payload) => payload.startsWith(topic)),
            Array.from({ length: 10 }, (_, i) => `${topic}${i}`),
          )
        }
      })
    }
  }

  test(`[MQTT-4.6.0-2] [MQTT-4.6.0-3] acknowledgements leave in the order of the PUBLISH packets, however the store completes (version ${version})`, async (t) => {
    const storage = new HeldStore()
    const { broker } = await startBroker(t, { storage })
    for (const topic of ['a', 'b', 'c']) {
      const subscriber = await connectClient(t, broker, durable(4, topic))
      await subscriber.subscribe(t, topic, { qos: 2 })
    }
    const publisher = await connectClient(t, broker, { version })
    storage.isHolding = true
    publisher.publish('a', '', { qos: 1, messageId: 1 })
    publisher.publish('b', '', { qos: 2, messageId: 2 })
    publisher.publish('nobody', '', { qos: 1, messageId: 3 })
    publisher.publish('c', '', { qos: 1, messageId: 4 })
    t.deepEqual(await publisher.settled(), [])

    storage.complete(2)
    t.deepEqual(await arrived(publisher), [])
    storage.complete(0)
    t.deepEqual(
      (await arrived(publisher)).map(({ messageId }) => messageId),
      [1],
    )
    storage.complete(0)
    t.deepEqual(
      (await arrived(publisher)).map(({ cmd, messageId }) => [cmd, messageId]),
      [
        ['pubrec', 2],
        ['puback', 3],
        ['puback', 4],
      ],
    )
  })

  test(`[MQTT-4.6.0-4] PUBREL packets leave in the order of the PUBREC packets (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const subscriber = await connectClient(t, broker, durable(version, 'c'))
    const publisher = await connectClient(t, broker)
    await subscriber.subscribe(t, 'a', { qos: 2 })
    for (const messageId of [1, 2, 3]) publisher.publish('a', '', { qos: 2, messageId })
    const sent = publishes(await arrived(subscriber, publisher))
    const order = [sent[1], sent[2], sent[0]].map((packet) => packet?.messageId)

    for (const messageId of order) subscriber.send({ cmd: 'pubrec', messageId })

    t.deepEqual(
      (await arrived(subscriber)).map(({ cmd, messageId }) => [cmd, messageId]),
      order.map((messageId) => ['pubrel', messageId]),
    )
  })

  test(`a message that the store does not take is not acknowledged, and ends the connection (version ${version})`, async (t) => {
    const storage = new HeldStore()
    const { broker } = await startBroker(t, { storage })
    const subscriber = await connectClient(t, broker, durable(4, 'c'))
    await subscriber.subscribe(t, 'a', { qos: 1 })
    const publisher = await connectClient(t, broker, { version })
    storage.isHolding = true
    publisher.publish('a', '', { qos: 1, messageId: 1 })
    await publisher.settled()

    storage.fail()

    const said = await publisher.closed()
    t.deepEqual(
      said.map(({ cmd, reasonCode }) => [cmd, reasonCode]),
      version === 5 ? [['disconnect', 0x80]] : [],
    )
  })
}

test('[MQTT-3.3.2-5] a message that expires while the store takes it is not sent', async (t) => {
  const storage = new HeldStore()
  const { broker, clock } = await startBroker(t, { storage })
  const subscriber = await connectClient(t, broker, durable(5, 'c'))
  await subscriber.subscribe(t, 'a', { qos: 1 })
  const publisher = await connectClient(t, broker)
  storage.isHolding = true
  publisher.publish('a', 'x', { qos: 1, messageId: 1, properties: { messageExpiryInterval: 5 } })
  await publisher.settled()

  await clock.advance(6_000)
  storage.complete()

  await publisher.expect(t, 'puback', { messageId: 1 })
  t.deepEqual(await arrived(subscriber), [])
  t.is(broker.counters.publishExpired, 1)
})
