import test from 'ava'
import type { AccessHooks } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { connectClient } from '../support/client.ts'
import { arrived, durable, payloads, publishes, versions } from '../support/messages.ts'
import { block, frame, property, text, twoBytes, type } from '../support/raw-packets.ts'

for (const version of versions) {
  const inVersion = `(version ${version})`
  const isV5 = version === 5
  const noProperties = isV5 ? block() : []

  test(`[MQTT-3.8.1-1] SUBSCRIBE with other flags ends the connection ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)

    for (const flags of [0, 3, 6]) {
      const client = await connectClient(t, broker, { version })
      client.sendBytes(frame(type.subscribe, flags, twoBytes(1), noProperties, text('a'), 0))
      t.is((await client.closed())[0]?.reasonCode, isV5 ? 0x81 : undefined)
    }
  })

  test(`[MQTT-3.8.3-1] a Topic Filter that is not UTF-8 ends the connection ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })

    client.sendBytes(frame(type.subscribe, 2, twoBytes(1), noProperties, text([0xff]), 0))

    t.is((await client.closed())[0]?.reasonCode, isV5 ? 0x81 : undefined)
  })

  test(`[MQTT-3.8.3-2] SUBSCRIBE without a Topic Filter ends the connection ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })

    client.sendBytes(frame(type.subscribe, 2, twoBytes(1), noProperties))

    t.is((await client.closed())[0]?.reasonCode, isV5 ? 0x82 : undefined)
  })

  test(`[MQTT-3.8.3-5] [3.1.1: MQTT-3.8.3-4] reserved bits or a QoS of 3 end the connection ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)

    for (const options of [0x03, 0x40, 0x80, ...(isV5 ? [0x30] : [0x04, 0x08, 0x10])]) {
      const client = await connectClient(t, broker, { version })
      client.sendBytes(frame(type.subscribe, 2, twoBytes(1), noProperties, text('a'), options))
      const [said] = await client.closed()
      t.is(said?.reasonCode, isV5 ? (options >= 0x40 ? 0x81 : 0x82) : undefined)
    }
  })

  test(`[MQTT-3.8.4-1] [MQTT-3.8.4-2] SUBACK has the identifier of its SUBSCRIBE ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })

    for (const messageId of [7, 0xffff]) {
      client.send({ cmd: 'subscribe', messageId, subscriptions: [{ topic: 'a', qos: 0 }] })
      await client.expect(t, 'suback', { messageId })
    }
  })

  test(`[MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.8.4-7] [MQTT-3.9.3-1] [MQTT-3.9.3-2] each filter is answered, in order ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })

    const subscriptions = [
      { topic: 'a', qos: 2 },
      { topic: 'b#', qos: 1 },
      { topic: 'c', qos: 0 },
      { topic: 'd', qos: 1 },
    ]
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions })

    const { granted } = await client.expect(t, 'suback')
    t.deepEqual(granted, [2, { 3: 0, 4: 0x80, 5: 0x8f }[version], 0, 1])
    for (const topic of ['a', 'b', 'c', 'd']) client.publish(topic, topic)
    t.deepEqual(payloads(await arrived(client)), ['a', 'c', 'd'])
  })

  test(`[MQTT-3.8.4-3] the same filter again replaces the subscription ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })
    const publisher = await connectClient(t, broker)

    for (const qos of [2, 0, 1]) {
      await client.subscribe(t, 'a', { qos })
      publisher.publish('a', 'x', { qos: 2, messageId: 1 + qos })
      const got = publishes(await arrived(client, publisher))
      t.deepEqual(
        got.map((packet) => packet.qos),
        [qos],
      )
    }
  })

  test(`[MQTT-3.8.4-4] messages that wait are not lost when a subscription is replaced ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t, { session: { inflightMax: 1 } })
    const client = await connectClient(t, broker, durable(version, 'c'))
    await client.subscribe(t, 'a', { qos: 1 })
    const publisher = await connectClient(t, broker)
    for (const messageId of [1, 2]) publisher.publish('a', `${messageId}`, { qos: 1, messageId })
    const { messageId } = await client.expect(t, 'publish')

    await client.subscribe(t, 'a', { qos: 0 })
    client.send({ cmd: 'puback', messageId })

    t.deepEqual(payloads(await arrived(client)), ['2'])
  })

  test(`[MQTT-3.8.4-8] messages come at the lower of published and granted QoS ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const publisher = await connectClient(t, broker)

    for (const granted of [0, 1, 2]) {
      const client = await connectClient(t, broker, { version })
      await client.subscribe(t, `t${granted}`, { qos: granted })
      for (const qos of [0, 1, 2]) {
        publisher.publish(`t${granted}`, '', { qos, messageId: 10 * granted + qos + 1 })
      }
      const got = publishes(await arrived(client, publisher))
      t.deepEqual(
        got.map(({ qos }) => Number(qos)).toSorted((a, b) => a - b),
        [0, 1, 2].map((qos) => Math.min(qos, granted)),
      )
    }
  })

  test(`[MQTT-3.3.4-2] overlapping subscriptions give one copy at the highest granted QoS ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })
    const publisher = await connectClient(t, broker)
    for (const [topic, qos] of [
      ['a/#', 1],
      ['a/+', 2],
      ['a/b', 0],
    ] as const) {
      await client.subscribe(t, topic, { qos })
    }

    publisher.publish('a/b', 'x', { qos: 2, messageId: 1 })

    t.like(publishes(await arrived(client, publisher)), [{ qos: 2 }])
  })

  test(`a subscription lives with a durable session ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const before = await connectClient(t, broker, durable(version, 'c'))
    await before.subscribe(t, 'a', { qos: 1 })
    before.destroy()
    await before.closed()

    const after = await connectClient(t, broker, durable(version, 'c'))
    after.publish('a', 'x', { qos: 1, messageId: 1 })

    t.like(publishes(await arrived(after)), [{ qos: 1 }])
  })

  test(`session.subscriptionsMax refuses new filters with 0x97 and lets known ones be replaced ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t, { session: { subscriptionsMax: 2 } })
    const client = await connectClient(t, broker, { version })

    const subscriptions = ['a', 'b', 'c', 'a'].map((topic) => ({ topic, qos: 1 }))
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions })

    const { granted } = await client.expect(t, 'suback')
    t.deepEqual(granted, [1, 1, { 3: 0, 4: 0x80, 5: 0x97 }[version], 1])
  })

  test(`authorizeSubscribe decides about each filter, late or at once ${inVersion}`, async (t) => {
    const hooks: AccessHooks = {
      authorizeSubscribe: (_, { topicFilter, qos }) =>
        topicFilter === 'late' ? Promise.resolve(false) : qos < 2,
    }
    const { broker } = await startBroker(t, { hooks })
    const client = await connectClient(t, broker, { version })

    const subscriptions = [
      { topic: 'a', qos: 1 },
      { topic: 'late', qos: 1 },
      { topic: 'b', qos: 2 },
    ]
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions })

    const { granted } = await client.expect(t, 'suback')
    const refused = { 3: 0, 4: 0x80, 5: 0x87 }[version]
    t.deepEqual(granted, [1, refused, refused])
    for (const topic of ['a', 'late', 'b']) client.publish(topic, topic)
    t.deepEqual(payloads(await arrived(client)), ['a'])
  })

  test(`[MQTT-3.2.2-10] connection.maximumQos bounds what is granted, and refuses nothing ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t, { connection: { maximumQos: 1 } })
    const client = await connectClient(t, broker, { version })

    const subscriptions = [0, 1, 2].map((qos) => ({ topic: `t${qos}`, qos }))
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions })

    const { granted } = await client.expect(t, 'suback')
    t.deepEqual(granted, [0, 1, 1])
  })

  for (const [topic, limits, reasonCode] of [
    ['a/+', { wildcardSubscriptions: false }, 0xa2],
    ['#', { wildcardSubscriptions: false }, 0xa2],
    ['$share/g/a/#', { wildcardSubscriptions: false }, 0xa2],
    ['a/b/c', { topicLevelsMax: 2 }, 0x8f],
    ['aaa', { topicBytesMax: 2 }, 0x8f],
  ] as const) {
    test(`[3.1.1: MQTT-3.8.3-2] ${topic} is refused with ${JSON.stringify(limits)} ${inVersion}`, async (t) => {
      const { broker } = await startBroker(t, { connection: limits })
      const client = await connectClient(t, broker, { version })

      const { granted } = await client.subscribe(t, topic)

      t.deepEqual(granted, [{ 3: 0, 4: 0x80, 5: reasonCode }[version]])
    })
  }
}

test('[MQTT-3.8.3-3] No Local keeps a message from the connection that published it', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)
  const other = await connectClient(t, broker)
  for (const subscriber of [client, other]) await subscriber.subscribe(t, 'a', { qos: 1, nl: true })

  for (const qos of [0, 1]) client.publish('a', `own ${qos}`, { qos, messageId: 1 })
  other.publish('a', 'foreign')

  t.deepEqual(payloads(await arrived(client, other)), ['foreign'])
})

test('[MQTT-3.8.3-3] No Local holds for a Client Identifier over its connections', async (t) => {
  const { broker } = await startBroker(t)
  const before = await connectClient(t, broker, durable(5, 'c'))
  await before.subscribe(t, 'a', { qos: 1, nl: true })
  before.destroy()
  await before.closed()

  const after = await connectClient(t, broker, durable(5, 'c'))
  after.publish('a', 'own', { qos: 1, messageId: 1 })

  t.deepEqual(payloads(await arrived(after)), [])
})

test('[MQTT-3.8.3-3] another subscription without No Local still gets the message', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)
  const identified = (subscriptionIdentifier: number) => ({
    properties: { subscriptionIdentifier },
  })
  await client.subscribe(t, 'a', { qos: 1, nl: true, ...identified(1) })
  await client.subscribe(t, '+', { qos: 0, ...identified(2) })

  client.publish('a', 'own', { qos: 1, messageId: 1 })

  const [message] = publishes(await arrived(client))
  t.like(message, { qos: 0, properties: { subscriptionIdentifier: 2 } })
})

test('[MQTT-3.8.3-4] No Local on a Shared Subscription ends the connection', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)

  client.sendBytes(frame(type.subscribe, 2, twoBytes(1), block(), text('$share/g/a'), 0x04))

  await client.expect(t, 'disconnect', { reasonCode: 0x82 })
})

for (const isDurable of [false, true]) {
  const kind = isDurable ? 'durable' : 'volatile'

  test(`[MQTT-3.3.4-3] [MQTT-3.3.4-4] one copy carries the identifiers of all matching subscriptions (${kind})`, async (t) => {
    const { broker } = await startBroker(t)
    const options = durable(5, 'c', { sessionExpiryInterval: isDurable ? 60 : 0 })
    const client = await connectClient(t, broker, options)
    for (const [topic, subscriptionIdentifier] of [
      ['a', 1],
      ['+', 268_435_455],
      ['b', 3],
    ] as const) {
      await client.subscribe(t, topic, { qos: 1, properties: { subscriptionIdentifier } })
    }
    await client.subscribe(t, '#', { qos: 1 })

    for (const qos of [0, 1]) client.publish('a', 'x', { qos, messageId: 1 })

    const got = publishes(await arrived(client))
    t.is(got.length, 2)
    for (const { properties } of got) {
      t.deepEqual(new Set(properties.subscriptionIdentifier), new Set([1, 268_435_455]))
    }
  })
}

test('[MQTT-3.3.4-5] a shared and a plain subscription give a copy each, each with its identifier', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)
  await client.subscribe(t, 'a', { qos: 1, properties: { subscriptionIdentifier: 1 } })
  await client.subscribe(t, '$share/g/a', { qos: 0, properties: { subscriptionIdentifier: 2 } })

  client.publish('a', 'x', { qos: 1, messageId: 1 })

  const got = publishes(await arrived(client))
  t.deepEqual(
    got.map(({ qos, properties }) => [qos, properties.subscriptionIdentifier]),
    [
      [1, 1],
      [0, 2],
    ],
  )
})

test('a Subscription Identifier is replaced, and taken away, with the subscription', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)

  for (const properties of [{ subscriptionIdentifier: 1 }, { subscriptionIdentifier: 2 }, {}]) {
    await client.subscribe(t, 'a', { properties })
    client.publish('a', '')
    const [message] = publishes(await arrived(client))
    t.deepEqual({ ...message?.properties }, properties)
  }
})

test('a Subscription Identifier of 0 ends the connection', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)

  const identifier = property('subscriptionIdentifiers', 0)
  client.sendBytes(frame(type.subscribe, 2, twoBytes(1), block(identifier), text('a'), 0))

  await client.expect(t, 'disconnect', { reasonCode: 0x82 })
})

test('a Subscription Identifier where these are off ends the connection with 0xA1', async (t) => {
  const { broker } = await startBroker(t, { connection: { subscriptionIdentifiers: false } })
  const client = await connectClient(t, broker)

  const properties = { subscriptionIdentifier: 1 }
  client.send({
    cmd: 'subscribe',
    messageId: 1,
    subscriptions: [{ topic: 'a', qos: 0 }],
    properties,
  })

  await client.expect(t, 'disconnect', { reasonCode: 0xa1 })
})

test('[MQTT-3.9.3-2] a reason code of a hook that no SUBACK may carry becomes 0x87', async (t) => {
  const reasonCodes = [0x8f, 0x97, 0x90, 0x00]
  const hooks: AccessHooks = {
    authorizeSubscribe: (_, { topicFilter }) => ({
      isAllowed: false,
      reasonCode: reasonCodes[Number(topicFilter)] as number,
    }),
  }
  const { broker } = await startBroker(t, { hooks })
  const client = await connectClient(t, broker)

  const subscriptions = reasonCodes.map((_, i) => ({ topic: `${i}`, qos: 0 }))
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions })

  const { granted } = await client.expect(t, 'suback')
  t.deepEqual(granted, [0x8f, 0x97, 0x87, 0x87])
})

test('[MQTT-3.9.2-1] [MQTT-3.9.2-2] SUBACK is as large as its reason codes, whatever was refused', async (t) => {
  const hooks: AccessHooks = {
    authorizeSubscribe: () => ({ isAllowed: false, reason: 'a reason that takes its bytes' }),
  }
  const { broker } = await startBroker(t, { hooks })
  const client = await connectClient(t, broker, { properties: { maximumPacketSize: 20 } })
  const before = client.receivedBytes

  await client.subscribe(t, 'a')

  t.is(client.receivedBytes - before, 6)
})
