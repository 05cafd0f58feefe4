import test from 'ava'
import { startBroker } from '../support/broker.ts'
import { connectClient } from '../support/client.ts'
import { arrived, durable, payloads, publishes, versions } from '../support/messages.ts'
import { block, frame, property, text, twoBytes, type } from '../support/raw-packets.ts'

for (const version of versions) {
  const inVersion = `(version ${version})`

  test(`[MQTT-3.3.1-3] a DUP flag that came in does not go out ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const subscriber = await connectClient(t, broker, { version })
    const publisher = await connectClient(t, broker, { version })
    await subscriber.subscribe(t, 'a', { qos: 2 })

    for (const qos of [1, 2]) publisher.publish('a', `${qos}`, { qos, dup: true, messageId: qos })

    const got = publishes(await arrived(subscriber, publisher))
    t.deepEqual(
      got.map(({ qos, dup }) => [qos, dup]),
      [
        [1, false],
        [2, false],
      ],
    )
  })

  test(`[MQTT-3.3.1-2] a PUBLISH at QoS 0 with DUP ends the connection ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })

    client.sendBytes(frame(type.publish, 0x08, text('a'), version === 5 ? block() : []))

    const said = await client.closed()
    t.deepEqual(
      said.map(({ cmd, reasonCode }) => [cmd, reasonCode]),
      version === 5 ? [['disconnect', 0x81]] : [],
    )
  })

  test(`[MQTT-3.3.1-2] [MQTT-4.3.1-1] what goes out at QoS 0 has DUP 0 ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const subscriber = await connectClient(t, broker, { version })
    const publisher = await connectClient(t, broker, { version })
    await subscriber.subscribe(t, 'a', { qos: 0 })

    publisher.publish('a', 'x', { qos: 1, dup: true, messageId: 1 })

    t.like(publishes(await arrived(subscriber, publisher))[0], { qos: 0, dup: false })
  })

  test(`[MQTT-3.3.1-4] a PUBLISH with both QoS bits ends the connection ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })

    client.sendBytes(
      frame(type.publish, 0x06, text('a'), twoBytes(1), version === 5 ? block() : []),
    )

    const said = await client.closed()
    t.is(said[0]?.reasonCode, version === 5 ? 0x81 : undefined)
  })

  test(`[MQTT-3.3.2-1] a Topic Name that is not UTF-8, or none, ends it ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const bad = [text([0xc3, 0x28]), text([0xed, 0xa0, 0x80]), text('a').subarray(0, 1)]

    for (const topic of bad) {
      const client = await connectClient(t, broker, { version })
      client.sendBytes(frame(type.publish, 0, topic))
      const said = await client.closed()
      t.is(said[0]?.reasonCode, version === 5 ? 0x81 : undefined)
    }
  })

  test(`[MQTT-3.3.2-2] [MQTT-4.7.0-1] a wildcard in a Topic Name ends it ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)

    for (const topic of ['a/+', '#', 'a#b', 'ü/+']) {
      const client = await connectClient(t, broker, { version })
      client.sendBytes(frame(type.publish, 0, text(topic), version === 5 ? block() : []))
      const said = await client.closed()
      t.is(said[0]?.reasonCode, version === 5 ? 0x90 : undefined, topic)
    }
  })

  test(`[MQTT-3.3.2-3] subscribers get the Topic Name that was published ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const subscriber = await connectClient(t, broker, { version })
    const publisher = await connectClient(t, broker, { version })
    await subscriber.subscribe(t, 'a/+/c')

    for (const topic of ['a/b/c', 'a/b', 'a/b/d', 'a/ü/c']) publisher.publish(topic, '')

    const got = publishes(await arrived(subscriber, publisher))
    t.deepEqual(
      got.map(({ topic }) => topic),
      ['a/b/c', 'a/ü/c'],
    )
  })

  test(`[MQTT-3.3.4-1] [MQTT-4.5.0-2] PUBLISH is answered as its QoS asks ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })

    client.publish('a', '0')
    client.publish('a', '1', { qos: 1, messageId: 7 })
    client.publish('a', '2', { qos: 2, messageId: 8 })

    const answers = await client.settled()
    t.deepEqual(
      answers.map(({ cmd, messageId }) => [cmd, messageId]),
      [
        ['puback', 7],
        ['pubrec', 8],
      ],
    )
  })
}

const forwarded = {
  payloadFormatIndicator: true,
  responseTopic: 'answers/ü',
  correlationData: Buffer.from([0, 1, 0xff]),
  userProperties: { b: ['2', '1'], a: '' },
  contentType: 'text/ü',
}

for (const qos of [0, 1, 2]) {
  test(`[MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-20] properties are forwarded as they came (QoS ${qos})`, async (t) => {
    const { broker } = await startBroker(t)
    const subscriber = await connectClient(t, broker)
    const publisher = await connectClient(t, broker)
    await subscriber.subscribe(t, 'a', { qos })

    publisher.publish('a', 'x', { qos, messageId: 1, properties: forwarded })

    const [message] = publishes(await arrived(subscriber, publisher))
    t.deepEqual({ ...message?.properties }, forwarded)
  })
}

test('[MQTT-3.3.2-17] [MQTT-3.3.2-20] a session that was offline gets every property too', async (t) => {
  const { broker } = await startBroker(t)
  const before = await connectClient(t, broker, durable(5, 'sleeper'))
  await before.subscribe(t, 'a', { qos: 1 })
  before.destroy()
  const publisher = await connectClient(t, broker)

  publisher.publish('a', 'x', { qos: 1, messageId: 1, properties: forwarded })
  await publisher.settled()

  const after = await connectClient(t, broker, durable(5, 'sleeper'))
  const message = await after.expect(t, 'publish', { qos: 1 })
  t.deepEqual({ ...message.properties }, forwarded)
})

test('[MQTT-3.3.2-18] User Properties keep their order, repeated names included', async (t) => {
  const { broker } = await startBroker(t)
  const subscriber = await connectClient(t, broker)
  const publisher = await connectClient(t, broker)
  await subscriber.subscribe(t, 'a')
  const pairs = ['b', '1', 'a', '2', 'b', '3', 'a', ''] as const
  const list = [0, 2, 4, 6].map((i) => property('userProperties', [pairs[i]!, pairs[i + 1]!]))
  let bytes = Buffer.alloc(0)
  subscriber.end.onData = (chunk) => {
    bytes = Buffer.concat([bytes, chunk])
    subscriber.take(chunk)
  }

  publisher.sendBytes(frame(type.publish, 0, text('a'), block(...list), Buffer.from('x')))
  await arrived(subscriber, publisher)

  t.true(bytes.includes(block(...list)))
})

test('[MQTT-3.3.2-4] a Payload Format Indicator of 0 is forwarded, and none stays none', async (t) => {
  const { broker } = await startBroker(t)
  const subscriber = await connectClient(t, broker)
  const publisher = await connectClient(t, broker)
  await subscriber.subscribe(t, 'a')

  publisher.publish('a', '', { properties: { payloadFormatIndicator: false } })
  publisher.publish('a', '')

  const got = publishes(await arrived(subscriber, publisher))
  t.deepEqual(
    got.map(({ properties }) => properties?.payloadFormatIndicator),
    [false, undefined],
  )
})

test('a payload that is not the UTF-8 it says it is is refused with 0x99', async (t) => {
  const { broker } = await startBroker(t)
  const subscriber = await connectClient(t, broker)
  const publisher = await connectClient(t, broker)
  await subscriber.subscribe(t, 'a')
  const options = { properties: { payloadFormatIndicator: true } }
  const payload = Buffer.from([0xff])

  publisher.publish('a', payload, { ...options, qos: 1, messageId: 1 })
  await publisher.expect(t, 'puback', { messageId: 1, reasonCode: 0x99 })
  publisher.publish('a', payload, { ...options, qos: 2, messageId: 2 })
  await publisher.expect(t, 'pubrec', { messageId: 2, reasonCode: 0x99 })
  publisher.publish('a', payload, options)
  await publisher.expect(t, 'disconnect', { reasonCode: 0x99 })

  t.deepEqual(await subscriber.settled(), [])
})

test('a payload in UTF-8 that says so is taken', async (t) => {
  const { broker } = await startBroker(t)
  const publisher = await connectClient(t, broker)

  const properties = { payloadFormatIndicator: true }
  publisher.publish('a', 'süß', { qos: 1, messageId: 1, properties })

  await publisher.expect(t, 'puback', { reasonCode: 0x10 })
})

for (const [what, bad] of [
  ['[MQTT-3.3.2-13] a Response Topic', property('responseTopic', Buffer.from([0xff]))],
  ['[MQTT-3.3.2-19] a Content Type', property('contentType', Buffer.from([0xff]))],
] as const) {
  test(`${what} that is not UTF-8 is malformed`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker)

    client.sendBytes(frame(type.publish, 0, text('a'), block(bad)))

    await client.expect(t, 'disconnect', { reasonCode: 0x81 })
  })
}

test('[MQTT-3.3.2-14] a Response Topic with a wildcard ends the connection', async (t) => {
  const { broker } = await startBroker(t)

  for (const topic of ['a/+', '#']) {
    const client = await connectClient(t, broker)
    client.sendBytes(frame(type.publish, 0, text('a'), block(property('responseTopic', topic))))
    const { reasonCode } = await client.expect(t, 'disconnect')
    t.true([0x81, 0x82, 0x90].includes(reasonCode))
  }
})

test('[MQTT-3.3.4-6] a Subscription Identifier in a PUBLISH of a client ends the connection', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)

  const identifier = property('subscriptionIdentifiers', 1)
  client.sendBytes(frame(type.publish, 0, text('a'), block(identifier)))

  await client.expect(t, 'disconnect', { reasonCode: 0x82 })
})

test('[MQTT-3.3.2-5] a message that expires in the queue of an offline session is not sent', async (t) => {
  const { broker, clock } = await startBroker(t)
  const before = await connectClient(t, broker, durable(5, 'sleeper'))
  await before.subscribe(t, 'a', { qos: 1 })
  before.destroy()
  const publisher = await connectClient(t, broker)
  for (const [payload, seconds] of [
    ['short', 5],
    ['long', 60],
  ] as const) {
    const properties = { messageExpiryInterval: seconds }
    publisher.publish('a', payload, { qos: 1, messageId: seconds, properties })
  }
  await publisher.settled()

  await clock.advance(5_000)

  const after = await connectClient(t, broker, durable(5, 'sleeper'))
  t.deepEqual(payloads(await after.settled()), ['long'])
  t.is(broker.counters.publishExpired, 1)
})

test('[MQTT-3.3.2-5] a message that expires behind a full window is not sent', async (t) => {
  const { broker, clock } = await startBroker(t)
  const subscriber = await connectClient(t, broker, { properties: { receiveMaximum: 1 } })
  await subscriber.subscribe(t, 'a', { qos: 1 })
  const publisher = await connectClient(t, broker)
  for (const messageId of [1, 2, 3]) {
    const properties = messageId === 2 ? { messageExpiryInterval: 5 } : {}
    publisher.publish('a', `${messageId}`, { qos: 1, messageId, properties })
  }
  const [first] = publishes(await arrived(subscriber, publisher))

  await clock.advance(6_000)
  subscriber.send({ cmd: 'puback', messageId: first?.messageId })

  t.deepEqual(payloads(await subscriber.settled()), ['3'])
})

test('[MQTT-3.3.2-6] the Message Expiry Interval counts down while a message waits', async (t) => {
  const { broker, clock } = await startBroker(t)
  const before = await connectClient(t, broker, durable(5, 'sleeper'))
  await before.subscribe(t, 'a', { qos: 1 })
  before.destroy()
  const publisher = await connectClient(t, broker)
  publisher.publish('a', '', { qos: 1, messageId: 1, properties: { messageExpiryInterval: 100 } })
  await publisher.settled()

  await clock.advance(40_000)

  const after = await connectClient(t, broker, durable(5, 'sleeper'))
  const { properties } = await after.expect(t, 'publish')
  t.is(properties.messageExpiryInterval, 60)
})

test('[MQTT-3.3.2-6] a message that does not wait keeps its Message Expiry Interval', async (t) => {
  const { broker } = await startBroker(t)
  const subscriber = await connectClient(t, broker)
  const publisher = await connectClient(t, broker)
  await subscriber.subscribe(t, 'a', { qos: 2 })

  for (const qos of [0, 1, 2]) {
    const properties = { messageExpiryInterval: 0xffffffff }
    publisher.publish('a', '', { qos, messageId: 1 + qos, properties })
  }

  const got = publishes(await arrived(subscriber, publisher))
  t.deepEqual(
    got.map(({ properties }) => properties.messageExpiryInterval),
    [0xffffffff, 0xffffffff, 0xffffffff],
  )
})

test('a client of MQTT 3 gets messages of MQTT 5.0 without their properties', async (t) => {
  const { broker } = await startBroker(t)
  const subscriber = await connectClient(t, broker, { version: 4 })
  const publisher = await connectClient(t, broker)
  await subscriber.subscribe(t, 'a', { qos: 1 })

  for (const qos of [0, 1]) {
    publisher.publish('a', 'x', { qos, messageId: 1, properties: forwarded })
  }

  t.deepEqual(payloads(await arrived(subscriber, publisher)), ['x', 'x'])
})
