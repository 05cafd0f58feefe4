import test from 'ava'
import { startBroker } from '../support/broker.ts'
import { connectClient, type TestClient } from '../support/client.ts'
import { arrived, publishes } from '../support/messages.ts'
import { block, frame, property, text, type } from '../support/raw-packets.ts'

function publishByAlias(client: TestClient, topic: string, alias: number): void {
  client.sendBytes(frame(type.publish, 0, text(topic), block(property('topicAlias', alias))))
}

test('[MQTT-3.3.2-12] every alias up to the announced maximum is accepted, and may be set anew', async (t) => {
  const { broker } = await startBroker(t, { connection: { topicAliasMaximum: 3 } })
  const subscriber = await connectClient(t, broker)
  const publisher = await connectClient(t, broker)
  await subscriber.subscribe(t, '#')

  for (const alias of [1, 2, 3]) publishByAlias(publisher, `t${alias}`, alias)
  publishByAlias(publisher, 'other', 2)
  for (const alias of [1, 2, 3]) publishByAlias(publisher, '', alias)

  const got = publishes(await arrived(subscriber, publisher))
  t.deepEqual(
    got.map(({ topic }) => topic),
    ['t1', 't2', 't3', 'other', 't1', 'other', 't3'],
  )
  t.true(got.every(({ properties }) => properties?.topicAlias === undefined))
})

for (const [what, topic, alias, reasonCode] of [
  ['[MQTT-3.3.2-8] Topic Alias 0', 'a', 0, 0x94],
  ['[MQTT-3.3.2-9] a Topic Alias above the maximum', 'a', 4, 0x94],
  ['a Topic Alias that was never set', '', 2, 0x82],
] as const) {
  test(`${what} ends the connection`, async (t) => {
    const { broker } = await startBroker(t, { connection: { topicAliasMaximum: 3 } })
    const client = await connectClient(t, broker)

    publishByAlias(client, topic, alias)

    await client.expect(t, 'disconnect', { reasonCode })
  })
}

test('[MQTT-3.3.2-9] no Topic Alias is taken where none is announced', async (t) => {
  const { broker } = await startBroker(t, { connection: { topicAliasMaximum: 0 } })
  const client = await connectClient(t, broker)

  publishByAlias(client, 'a', 1)

  await client.expect(t, 'disconnect', { reasonCode: 0x94 })
})

test('a PUBLISH with neither Topic Name nor Topic Alias ends the connection', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)

  client.sendBytes(frame(type.publish, 0, text(''), block()))

  await client.expect(t, 'disconnect', { reasonCode: 0x82 })
})

test('[MQTT-3.3.2-7] an alias of the client ends with its connection', async (t) => {
  const { broker } = await startBroker(t)
  const first = await connectClient(t, broker, { clientId: 'c' })
  publishByAlias(first, 'a', 1)
  await first.settled()
  const second = await connectClient(t, broker, { clientId: 'c', clean: false })

  publishByAlias(second, '', 1)

  await second.expect(t, 'disconnect', { reasonCode: 0x82 })
})

test('[MQTT-3.3.2-10] [MQTT-3.3.2-11] [MQTT-3.1.2-26] the broker sets aliases up to what the client allows', async (t) => {
  const { broker } = await startBroker(t)
  const subscriber = await connectClient(t, broker, { properties: { topicAliasMaximum: 2 } })
  const publisher = await connectClient(t, broker)
  await subscriber.subscribe(t, '#')

  for (const topic of ['a', 'b', 'c', 'a', 'b', 'c']) publisher.publish(topic, '')

  const got = publishes(await arrived(subscriber, publisher))
  t.deepEqual(
    got.map(({ topic, properties }) => [topic, properties?.topicAlias]),
    [
      ['a', 1],
      ['b', 2],
      ['c', undefined],
      ['', 1],
      ['', 2],
      ['c', undefined],
    ],
  )
})

test('[MQTT-3.1.2-27] a client that names no Topic Alias Maximum gets no aliases', async (t) => {
  const { broker } = await startBroker(t)
  const subscriber = await connectClient(t, broker)
  const publisher = await connectClient(t, broker)
  await subscriber.subscribe(t, '#')

  for (const topic of ['a', 'a']) publisher.publish(topic, '')

  const got = publishes(await arrived(subscriber, publisher))
  t.deepEqual(
    got.map(({ topic, properties }) => [topic, properties?.topicAlias]),
    [
      ['a', undefined],
      ['a', undefined],
    ],
  )
})

test('connection.topicAliasMaximumOut bounds the aliases that the broker sets', async (t) => {
  const { broker } = await startBroker(t, { connection: { topicAliasMaximumOut: 1 } })
  const subscriber = await connectClient(t, broker, { properties: { topicAliasMaximum: 10 } })
  const publisher = await connectClient(t, broker)
  await subscriber.subscribe(t, '#')

  for (const topic of ['a', 'b', 'a', 'b']) publisher.publish(topic, '')

  const got = publishes(await arrived(subscriber, publisher))
  t.deepEqual(
    got.map(({ topic }) => topic),
    ['a', 'b', '', 'b'],
  )
})

test('[MQTT-3.3.2-7] an alias of the broker ends with the connection', async (t) => {
  const { broker } = await startBroker(t)
  const options = {
    clientId: 'c',
    clean: false,
    properties: { topicAliasMaximum: 5, sessionExpiryInterval: 60 },
  }
  const first = await connectClient(t, broker, options)
  const publisher = await connectClient(t, broker)
  await first.subscribe(t, 'a', { qos: 1 })
  publisher.publish('a', '')
  await arrived(first, publisher)

  const second = await connectClient(t, broker, options)
  publisher.publish('a', '')

  const [message] = publishes(await arrived(second, publisher))
  t.is(message?.topic, 'a')
})

test('an alias is not set where it would make the packet too large for the client', async (t) => {
  const { broker } = await startBroker(t)
  const properties = { topicAliasMaximum: 5, maximumPacketSize: 20 }
  const subscriber = await connectClient(t, broker, { properties })
  const publisher = await connectClient(t, broker)
  await subscriber.subscribe(t, 'a')

  publisher.publish('a', 'x'.repeat(14))

  t.is(publishes(await arrived(subscriber, publisher)).length, 1)
})

test('an alias that the client knows is left out where the packet fits without it alone', async (t) => {
  const { broker } = await startBroker(t)
  const properties = { topicAliasMaximum: 5, maximumPacketSize: 20 }
  const subscriber = await connectClient(t, broker, { properties })
  const publisher = await connectClient(t, broker)
  await subscriber.subscribe(t, 'a')

  publisher.publish('a', 'x')
  publisher.publish('a', 'x'.repeat(14))
  publisher.publish('a', 'y')

  const got = publishes(await arrived(subscriber, publisher))
  t.deepEqual(
    got.map(({ topic, payload }) => [topic, payload.length]),
    [
      ['a', 1],
      ['a', 14],
      ['', 1],
    ],
  )
})

for (const [why, options] of [
  [
    'not allowed',
    { hooks: { authorizePublish: (_: unknown, { topic }: { topic: string }) => topic === 'b' } },
  ],
  ['beyond a quota', { perClient: { retainedMessagesMax: 1 } }],
] as const) {
  test(`[MQTT-3.3.2-12] an alias is set by a PUBLISH that is ${why} too`, async (t) => {
    const { broker } = await startBroker(t, options)
    const publisher = await connectClient(t, broker)
    const publish = (topic: string, alias: number, messageId: number): void => {
      const properties = block(property('topicAlias', alias))
      publisher.sendBytes(frame(type.publish, 0b0011, text(topic), 0, messageId, properties, 0x78))
    }

    publish('b', 1, 1)
    publish('a', 2, 2)
    publish('a', 1, 3)
    publish('', 1, 4)

    const code = why === 'not allowed' ? 0x87 : 0x97
    t.deepEqual(
      (await arrived(publisher)).map(({ messageId, reasonCode }) => [messageId, reasonCode]),
      [
        [1, 0],
        [2, code],
        [3, code],
        [4, code],
      ],
    )
  })
}
