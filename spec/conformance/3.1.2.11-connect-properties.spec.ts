import test from 'ava'
import { startBroker } from '../support/broker.ts'
import { connectClient } from '../support/client.ts'
import { recordFrames } from '../support/frames.ts'

const longest = { properties: { maximumPacketSize: 100 } }
/** Fixed header, topic "a" and Property Length; Packet Identifier from QoS 1 on. */
const overhead = 2 + 3 + 1

for (const qos of [0, 1, 2] as const) {
  test(`[MQTT-3.1.2-24] [MQTT-3.1.2-25] a message too large for the client is dropped as if it had been delivered (QoS ${qos})`, async (t) => {
    const { broker } = await startBroker(t)
    const dropped: string[] = []
    broker.on('dropped', (_, topic, why) => dropped.push(`${topic}: ${why}`))
    const client = await connectClient(t, broker, longest)
    const other = await connectClient(t, broker)
    for (const subscriber of [client, other]) await subscriber.subscribe(t, 'a', { qos })
    const room = 100 - overhead - (qos > 0 ? 2 : 0)

    await broker.publish({ topic: 'a', payload: 'x'.repeat(room + 1), qos })
    await broker.publish({ topic: 'a', payload: 'x'.repeat(room), qos })

    const { payload } = await client.expect(t, 'publish', { qos })
    t.is(payload.length, room)
    t.is((await other.expect(t, 'publish', { qos }))['payload'].length, room + 1)
    t.is(dropped.length, 1)
  })
}

test('[MQTT-3.1.2-25] messages too large for the client use up none of its Receive Maximum', async (t) => {
  const { broker } = await startBroker(t)
  const properties = { ...longest.properties, receiveMaximum: 1 }
  const client = await connectClient(t, broker, { properties })
  await client.subscribe(t, 'a', { qos: 1 })

  for (let i = 0; i < 5; i++) await broker.publish({ topic: 'a', payload: 'x'.repeat(200), qos: 1 })
  await broker.publish({ topic: 'a', payload: 'small', qos: 1 })

  const { payload } = await client.expect(t, 'publish', { qos: 1 })
  t.is(payload.toString(), 'small')
})

test('[MQTT-3.1.2-24] [MQTT-3.1.2-25] what waits in a session and is too large for its next connection is dropped', async (t) => {
  const { broker } = await startBroker(t)
  const keep = { clientId: 'c', clean: false }
  const first = await connectClient(t, broker, {
    ...keep,
    properties: { sessionExpiryInterval: 100 },
  })
  await first.subscribe(t, 'a', { qos: 1 })
  first.end.close()
  await first.closed()
  await broker.publish({ topic: 'a', payload: 'x'.repeat(200), qos: 1 })
  await broker.publish({ topic: 'a', payload: 'small', qos: 1 })

  const client = await connectClient(t, broker, { ...keep, ...longest })

  const { payload } = await client.expect(t, 'publish', { qos: 1 })
  t.is(payload.toString(), 'small')
})

test('[MQTT-3.1.2-24] a retained message too large for the client is not sent', async (t) => {
  const { broker } = await startBroker(t)
  await broker.publish({ topic: 'a', payload: 'x'.repeat(200), retain: true })
  await broker.publish({ topic: 'b', payload: 'small', retain: true })
  const client = await connectClient(t, broker, longest)

  await client.subscribe(t, '#')

  const publications = await client.settled()
  t.deepEqual(
    publications.map(({ topic }) => topic),
    ['b'],
  )
})

test('[MQTT-3.1.2-24] a SUBACK too large for the client ends its connection, as it would wait for ever', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker, { properties: { maximumPacketSize: 20 } })
  const frames = recordFrames(client)
  const subscriptions = Array.from({ length: 30 }, (_, i) => ({ topic: `a${i}`, qos: 0 }))

  client.send({ cmd: 'subscribe', messageId: 1, subscriptions })

  const farewell = await client.closed()
  t.deepEqual(
    farewell.map(({ cmd, reasonCode }) => [cmd, reasonCode]),
    [['disconnect', 0x95]],
  )
  t.true(frames().every(({ length }) => length <= 20))
})

for (const [what, properties] of [
  ['absent', {}],
  ['0', { topicAliasMaximum: 0 }],
] as const) {
  test(`[MQTT-3.1.2-27] with a Topic Alias Maximum that is ${what} no alias is sent`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { properties })
    await client.subscribe(t, 'a')

    for (let i = 0; i < 3; i++) await broker.publish({ topic: 'a' })

    for (let i = 0; i < 3; i++) {
      const publish = await client.expect(t, 'publish', { topic: 'a' })
      t.is(publish['properties']?.topicAlias, undefined)
    }
  })
}

test('[MQTT-3.1.2-26] aliases stay below the Topic Alias Maximum of the client', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker, { properties: { topicAliasMaximum: 2 } })
  await client.subscribe(t, '+')

  for (const topic of ['a', 'b', 'c', 'a', 'b', 'c']) await broker.publish({ topic })

  const publications = await client.settled()
  t.deepEqual(
    publications.map(({ topic, properties }) => [topic, properties?.topicAlias]),
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

test('connection.topicAliasMaximumOut bounds the aliases of the broker', async (t) => {
  const { broker } = await startBroker(t, { connection: { topicAliasMaximumOut: 0 } })
  const client = await connectClient(t, broker, { properties: { topicAliasMaximum: 10 } })
  await client.subscribe(t, 'a')

  await broker.publish({ topic: 'a' })

  const publish = await client.expect(t, 'publish', { topic: 'a' })
  t.is(publish['properties']?.topicAlias, undefined)
})

test('the Receive Maximum of the client bounds what is sent to it unacknowledged', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker, { properties: { receiveMaximum: 2 } })
  await client.subscribe(t, 'a', { qos: 1 })

  for (let i = 0; i < 3; i++) await broker.publish({ topic: 'a', payload: `${i}`, qos: 1 })

  const publications = await client.settled()
  t.is(publications.length, 2)
  client.send({ cmd: 'puback', messageId: publications[0]?.['messageId'] })
  const { payload } = await client.expect(t, 'publish', { qos: 1 })
  t.is(payload.toString(), '2')
})
