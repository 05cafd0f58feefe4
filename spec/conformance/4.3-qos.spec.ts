import test, { type ExecutionContext } from 'ava'
import type { Broker } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { connectClient, type MemoryClient, type Version } from '../support/client.ts'
import { arrived, durable, payloads, publishes, versions } from '../support/messages.ts'

interface Pair {
  broker: Broker
  publisher: MemoryClient
  subscriber: MemoryClient
}

/** A subscriber of "a" at QoS 2 whose session is durable or not, and somebody who publishes. */
async function startPair(t: ExecutionContext, version: Version, isDurable: boolean): Promise<Pair> {
  const { broker } = await startBroker(t)
  const options = isDurable ? durable(version, 'subscriber') : { version }
  const subscriber = await connectClient(t, broker, options)
  await subscriber.subscribe(t, 'a', { qos: 2 })
  return { broker, subscriber, publisher: await connectClient(t, broker, { version }) }
}

for (const version of versions) {
  for (const isDurable of [false, true]) {
    const where = `(version ${version}, ${isDurable ? 'durable' : 'volatile'})`

    test(`[MQTT-4.3.1-1] QoS 0 is one PUBLISH without identifier ${where}`, async (t) => {
      const { publisher, subscriber } = await startPair(t, version, isDurable)

      publisher.publish('a', 'x')

      const [message] = publishes(await arrived(subscriber, publisher))
      t.like(message, { qos: 0, dup: false })
      t.is(message?.messageId, undefined)
    })

    test(`[MQTT-4.3.2-1] [MQTT-4.3.2-2] [MQTT-4.3.3-1] [MQTT-4.3.3-2] [MQTT-2.2.1-4] each new message gets an unused identifier ${where}`, async (t) => {
      const { publisher, subscriber } = await startPair(t, version, isDurable)

      for (let i = 1; i <= 20; i++) publisher.publish('a', '', { qos: 1 + (i % 2), messageId: i })

      const got = publishes(await arrived(subscriber, publisher))
      t.is(new Set(got.map(({ messageId }) => messageId)).size, 20)
      t.true(got.every(({ messageId, dup }) => messageId > 0 && !dup))
    })

    test(`[MQTT-4.3.2-3] [MQTT-4.3.3-3] no identifier is given anew before it is acknowledged ${where}`, async (t) => {
      const { publisher, subscriber } = await startPair(t, version, isDurable)
      publisher.publish('a', 'stuck', { qos: 1, messageId: 1 })
      const [stuck] = publishes(await arrived(subscriber, publisher))

      for (let round = 0; round < 30; round++) {
        publisher.publish('a', '', { qos: 1, messageId: 2 })
        const [message] = publishes(await arrived(subscriber, publisher))
        t.not(message?.messageId, stuck?.messageId)
        subscriber.send({ cmd: 'puback', messageId: message?.messageId })
      }
    })

    test(`[MQTT-4.3.2-4] QoS 1 is acknowledged by PUBACK, in both directions ${where}`, async (t) => {
      const { publisher, subscriber } = await startPair(t, version, isDurable)

      publisher.publish('a', 'x', { qos: 1, messageId: 77 })

      await publisher.expect(t, 'puback', { messageId: 77 })
      const { messageId } = await subscriber.expect(t, 'publish', { qos: 1, dup: false })
      subscriber.send({ cmd: 'puback', messageId })
      t.deepEqual(await subscriber.settled(), [])
    })

    test(`[MQTT-4.3.2-5] after PUBACK the same identifier is a new message, DUP or not ${where}`, async (t) => {
      const { publisher, subscriber } = await startPair(t, version, isDurable)

      for (const [payload, dup] of [
        ['1', false],
        ['2', false],
        ['3', true],
      ] as const) {
        publisher.publish('a', payload, { qos: 1, messageId: 7, dup })
        await publisher.expect(t, 'puback', { messageId: 7 })
      }

      t.deepEqual(payloads(await arrived(subscriber)), ['1', '2', '3'])
    })

    test(`[MQTT-4.3.3-8] [MQTT-4.3.3-11] a QoS 2 message is taken by PUBREC and PUBCOMP ${where}`, async (t) => {
      const { publisher, subscriber } = await startPair(t, version, isDurable)

      publisher.publish('a', 'x', { qos: 2, messageId: 7 })
      await publisher.expect(t, 'pubrec', { messageId: 7 })
      publisher.send({ cmd: 'pubrel', messageId: 7 })
      await publisher.expect(t, 'pubcomp', { messageId: 7 })

      t.deepEqual(payloads(await arrived(subscriber)), ['x'])
    })

    test(`[MQTT-4.3.3-4] [MQTT-4.3.3-5] PUBREC is answered by PUBREL until PUBCOMP comes ${where}`, async (t) => {
      const { publisher, subscriber } = await startPair(t, version, isDurable)
      publisher.publish('a', 'x', { qos: 2, messageId: 1 })
      const { messageId } = await subscriber.expect(t, 'publish', { qos: 2, dup: false })

      for (let i = 0; i < 2; i++) {
        subscriber.send({ cmd: 'pubrec', messageId })
        const { reasonCode } = await subscriber.expect(t, 'pubrel', { messageId })
        t.is(reasonCode, version === 5 ? 0 : undefined)
      }
      subscriber.send({ cmd: 'pubcomp', messageId })
      t.deepEqual(await subscriber.settled(), [])

      subscriber.send({ cmd: 'pubrec', messageId })
      const over = await subscriber.expect(t, 'pubrel', { messageId })
      t.is(over.reasonCode, version === 5 ? 0x92 : undefined)
    })

    test(`[MQTT-4.3.3-10] a duplicate at QoS 2 is acknowledged and not delivered again ${where}`, async (t) => {
      const { publisher, subscriber } = await startPair(t, version, isDurable)

      for (const dup of [false, true, false]) {
        publisher.publish('a', 'x', { qos: 2, messageId: 7, dup })
        await publisher.expect(t, 'pubrec', { messageId: 7 })
      }

      t.is(publishes(await arrived(subscriber)).length, 1)
    })

    test(`[MQTT-4.3.3-12] after PUBCOMP the same identifier is a new message ${where}`, async (t) => {
      const { publisher, subscriber } = await startPair(t, version, isDurable)

      for (const payload of ['1', '2']) {
        publisher.publish('a', payload, { qos: 2, messageId: 7, dup: payload === '2' })
        await publisher.expect(t, 'pubrec')
        publisher.send({ cmd: 'pubrel', messageId: 7 })
        await publisher.expect(t, 'pubcomp')
      }

      t.deepEqual(payloads(await arrived(subscriber)), ['1', '2'])
    })
  }

  test(`[MQTT-4.3.3-10] a duplicate at QoS 2 is known over a reconnection ${version}`, async (t) => {
    const { broker, subscriber } = await startPair(t, version, false)
    const before = await connectClient(t, broker, durable(version, 'publisher'))
    before.publish('a', 'x', { qos: 2, messageId: 7 })
    await before.expect(t, 'pubrec', { messageId: 7 })
    before.destroy()

    const after = await connectClient(t, broker, durable(version, 'publisher'))
    after.publish('a', 'x', { qos: 2, messageId: 7, dup: true })
    await after.expect(t, 'pubrec', { messageId: 7 })
    after.send({ cmd: 'pubrel', messageId: 7 })
    await after.expect(t, 'pubcomp', { messageId: 7 })

    t.is(publishes(await subscriber.settled()).length, 1)
  })

  test(`a clean session forgets what was received at QoS 2 ${version}`, async (t) => {
    const { broker, subscriber } = await startPair(t, version, false)

    for (let i = 0; i < 2; i++) {
      const publisher = await connectClient(t, broker, { version, clientId: 'publisher' })
      publisher.publish('a', 'x', { qos: 2, messageId: 7 })
      await publisher.expect(t, 'pubrec', { messageId: 7 })
    }

    t.is(publishes(await subscriber.settled()).length, 2)
  })

  test(`exchanges at QoS 2 may overlap and end in any order ${version}`, async (t) => {
    const { broker, publisher, subscriber } = await startPair(t, version, false)

    for (const messageId of [3, 1, 2]) publisher.publish('a', '', { qos: 2, messageId })
    const got = publishes(await arrived(subscriber, publisher))
    for (const { messageId } of got.toReversed()) subscriber.send({ cmd: 'pubrec', messageId })
    for (const messageId of [2, 3, 1]) publisher.send({ cmd: 'pubrel', messageId })

    const released = await subscriber.settled()
    t.deepEqual(
      released.map(({ cmd, messageId }) => [cmd, messageId]),
      got.toReversed().map(({ messageId }) => ['pubrel', messageId]),
    )
    t.deepEqual(
      (await publisher.settled()).map(({ cmd, messageId }) => [cmd, messageId]),
      [2, 3, 1].map((messageId) => ['pubcomp', messageId]),
    )
    for (const { messageId } of got) subscriber.send({ cmd: 'pubcomp', messageId })
    t.deepEqual(await subscriber.settled(), [])
    t.is(broker.counters.publishDropped, 0)
  })
}

test('[MQTT-4.3.3-9] after PUBREC with 0x80 or more the same identifier is a new message', async (t) => {
  let isAllowed = false
  const { broker } = await startBroker(t, { hooks: { authorizePublish: () => isAllowed } })
  const subscriber = await connectClient(t, broker)
  const publisher = await connectClient(t, broker)
  await subscriber.subscribe(t, 'a')
  publisher.publish('a', 'refused', { qos: 2, messageId: 7 })
  await publisher.expect(t, 'pubrec', { reasonCode: 0x87 })

  isAllowed = true
  publisher.publish('a', 'taken', { qos: 2, messageId: 7 })

  await publisher.expect(t, 'pubrec', { reasonCode: 0 })
  t.deepEqual(payloads(await subscriber.settled()), ['taken'])
})

for (const isDurable of [false, true]) {
  const kind = isDurable ? 'durable' : 'volatile'

  test(`[MQTT-4.3.3-4] [MQTT-4.4.0-2] PUBREC with 0x80 or more ends the exchange without PUBREL (${kind})`, async (t) => {
    const { broker, publisher, subscriber } = await startPair(t, 5, isDurable)
    publisher.publish('a', 'x', { qos: 2, messageId: 1 })
    const { messageId } = await subscriber.expect(t, 'publish')

    subscriber.send({ cmd: 'pubrec', messageId, reasonCode: 0x97 })

    t.deepEqual(await arrived(subscriber), [])
    const again = await connectClient(t, broker, durable(5, 'subscriber'))
    t.deepEqual(await arrived(again), [])
  })
}

test('[MQTT-4.3.3-13] the exchange of a message that expired meanwhile is completed', async (t) => {
  const { broker, clock } = await startBroker(t)
  const subscriber = await connectClient(t, broker, durable(5, 'subscriber'))
  const publisher = await connectClient(t, broker)
  await subscriber.subscribe(t, 'a', { qos: 2 })
  const properties = { messageExpiryInterval: 5 }
  publisher.publish('a', 'x', { qos: 2, messageId: 1, properties })
  const { messageId } = await subscriber.expect(t, 'publish')

  await clock.advance(10_000)

  subscriber.send({ cmd: 'pubrec', messageId })
  await subscriber.expect(t, 'pubrel', { messageId, reasonCode: 0 })
  publisher.send({ cmd: 'pubrel', messageId: 1 })
  await publisher.expect(t, 'pubrec')
  await publisher.expect(t, 'pubcomp', { messageId: 1, reasonCode: 0 })
})

for (const qos of [1, 2]) {
  test(`[MQTT-4.3.3-7] a message that was sent does not expire any more (QoS ${qos})`, async (t) => {
    const { broker, clock } = await startBroker(t)
    const before = await connectClient(t, broker, durable(5, 'subscriber'))
    const publisher = await connectClient(t, broker)
    await before.subscribe(t, 'a', { qos: 2 })
    publisher.publish('a', 'x', { qos, messageId: 1, properties: { messageExpiryInterval: 5 } })
    const { messageId } = await before.expect(t, 'publish')
    before.destroy()

    await clock.advance(10_000)

    const after = await connectClient(t, broker, durable(5, 'subscriber'))
    await after.expect(t, 'publish', { messageId, qos, dup: true })
  })
}
