import test, { type ExecutionContext } from 'ava'
import type { Broker } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { connectClient, type MemoryClient, type Version } from '../support/client.ts'
import {
  acknowledge,
  arrived,
  durable,
  payloads,
  publishes,
  versions,
} from '../support/messages.ts'

/** Publishes retained messages and waits until they are. */
async function retain(
  t: ExecutionContext,
  broker: Broker,
  messages: Readonly<Record<string, string>>,
  options: Record<string, unknown> = {},
  version: Version = 5,
): Promise<void> {
  const publisher = await connectClient(t, broker, { version })
  for (const [i, [topic, payload]] of Object.entries(messages).entries()) {
    publisher.publish(topic, payload, { retain: true, messageId: i + 1, ...options })
  }
  await publisher.settled()
  publisher.destroy()
}

/** What a new subscriber gets. */
async function retained(
  t: ExecutionContext,
  broker: Broker,
  topicFilter = '#',
  version: Version = 5,
): Promise<[string, string][]> {
  const client = await connectClient(t, broker, { version })
  await client.subscribe(t, topicFilter, { qos: 2 })
  const got = publishes(await client.settled())
  client.destroy()
  return got
    .map(({ topic, payload }) => [topic, String(payload)] as [string, string])
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
}

function many(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`t/${i}`, `${i}`]))
}

/** Acknowledges what comes until nothing comes any more; returns all of it. */
async function drain(client: MemoryClient): Promise<string[]> {
  const got: string[] = []
  for (;;) {
    const packets = await arrived(client)
    if (publishes(packets).length === 0) return got
    got.push(...payloads(packets))
    acknowledge(client, packets)
  }
}

for (const version of versions) {
  const inVersion = `(version ${version})`

  test(`[MQTT-3.3.1-5] a retained message is stored and replaces the one before ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)

    for (const qos of [0, 1]) {
      await retain(t, broker, { a: `first ${qos}`, b: 'other' }, { qos: 1 }, version)
      await retain(t, broker, { a: `second ${qos}` }, { qos }, version)

      t.deepEqual(await retained(t, broker, '#', version), [
        ['a', `second ${qos}`],
        ['b', 'other'],
      ])
    }
  })

  test(`[MQTT-3.3.1-6] [3.1.1: MQTT-3.3.1-10] an empty retained message clears the topic and is delivered ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    await retain(t, broker, { a: 'x' }, {}, version)
    const subscriber = await connectClient(t, broker, { version })
    await subscriber.subscribe(t, 'a')
    await subscriber.settled()

    await retain(t, broker, { a: '' }, {}, version)

    t.deepEqual(payloads(await subscriber.settled()), [''])
    t.deepEqual(await retained(t, broker, '#', version), [])
  })

  test(`[MQTT-3.3.1-7] [3.1.1: MQTT-3.3.1-11] an empty retained message is not stored ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)

    await retain(t, broker, { a: '' }, { qos: 1 }, version)

    t.deepEqual(await retained(t, broker, 'a', version), [])
  })

  test(`[MQTT-3.3.1-8] [3.1.1: MQTT-3.3.1-12] without RETAIN nothing is stored, removed or replaced ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    await retain(t, broker, { a: 'x' }, {}, version)

    await retain(t, broker, { a: 'y', b: 'z' }, { retain: false, qos: 1 }, version)
    await retain(t, broker, { a: '' }, { retain: false }, version)

    t.deepEqual(await retained(t, broker, '#', version), [['a', 'x']])
  })

  test(`[3.1.1: MQTT-3.3.1-8] [3.1.1: MQTT-3.3.1-9] RETAIN is 1 for a new subscription, 0 for an established one ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    await retain(t, broker, { a: 'old' }, {}, version)
    const subscriber = await connectClient(t, broker, { version })
    await subscriber.subscribe(t, 'a', { qos: 1 })

    await retain(t, broker, { a: 'new' }, { qos: 1 }, version)

    t.deepEqual(
      publishes(await subscriber.settled()).map((packet) => [`${packet.payload}`, packet.retain]),
      [
        ['old', true],
        ['new', false],
      ],
    )
  })

  test(`[MQTT-3.3.1-9] [3.1.1: MQTT-3.3.1-6] retained messages come with each SUBSCRIBE ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    await retain(t, broker, { a: 'x' }, {}, version)
    const subscriber = await connectClient(t, broker, { version })

    for (const messageId of [1, 2]) {
      await subscriber.subscribe(t, 'a', { messageId })

      t.deepEqual(payloads(await subscriber.settled()), ['x'])
    }
  })

  test(`[MQTT-3.8.4-8] [MQTT-3.9.3-1] retained messages come at the lower of both QoS ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    for (const qos of [0, 1, 2])
      await retain(t, broker, { [`t/${qos}`]: '' }, { payload: 'x', qos })

    for (const granted of [0, 1, 2]) {
      const subscriber = await connectClient(t, broker, { version })
      await subscriber.subscribe(t, '#', { qos: granted })
      const got = publishes(await subscriber.settled()).map(({ topic, qos }) => `${topic} ${qos}`)
      t.deepEqual(
        got.toSorted(),
        [0, 1, 2].map((qos) => `t/${qos} ${Math.min(qos, granted)}`),
      )
    }
  })
}

for (const [handling, statement, first, again] of [
  [0, '[MQTT-3.3.1-9]', ['x'], ['x']],
  [1, '[MQTT-3.3.1-10]', ['x'], []],
  [2, '[MQTT-3.3.1-11]', [], []],
] as const) {
  test(`${statement} Retain Handling ${handling} is kept to`, async (t) => {
    const { broker } = await startBroker(t)
    await retain(t, broker, { a: 'x' })
    const subscriber = await connectClient(t, broker)

    await subscriber.subscribe(t, 'a', { rh: handling })
    t.deepEqual(payloads(await subscriber.settled()), first)
    await subscriber.subscribe(t, 'a', { rh: handling, qos: 1 })
    t.deepEqual(payloads(await subscriber.settled()), again)
  })
}

test('[MQTT-3.3.1-10] Retain Handling 1 sends to a subscription that was ended and is made again', async (t) => {
  const { broker } = await startBroker(t)
  await retain(t, broker, { a: 'x' })
  const subscriber = await connectClient(t, broker)
  await subscriber.subscribe(t, 'a', { rh: 1 })
  subscriber.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['a'] })
  await subscriber.settled()

  await subscriber.subscribe(t, 'a', { rh: 1 })

  t.deepEqual(payloads(await subscriber.settled()), ['x'])
})

for (const [rap, statement] of [
  [false, '[MQTT-3.3.1-12]'],
  [true, '[MQTT-3.3.1-13]'],
] as const) {
  test(`${statement} Retain As Published ${rap} decides about RETAIN of live messages`, async (t) => {
    const { broker } = await startBroker(t)
    const subscriber = await connectClient(t, broker)
    const sleeper = await connectClient(t, broker, durable(5, 'sleeper'))
    for (const client of [subscriber, sleeper]) await client.subscribe(t, 'a', { qos: 1, rap })
    sleeper.destroy()

    for (const qos of [0, 1]) {
      await retain(t, broker, { a: `retained ${qos}` }, { qos })
      await retain(t, broker, { a: `plain ${qos}` }, { qos, retain: false })
    }

    const flags = [rap, false, rap, false]
    t.deepEqual(
      publishes(await subscriber.settled()).map((packet) => packet.retain),
      flags,
    )
    const awake = await connectClient(t, broker, durable(5, 'sleeper'))
    t.deepEqual(
      publishes(await awake.settled()).map((packet) => packet.retain),
      flags.slice(2),
    )
  })
}

test('retained messages are found by every kind of filter', async (t) => {
  const { broker } = await startBroker(t)
  await retain(t, broker, { a: '1', 'a/b': '2', 'a/b/c': '3', '/a': '4', $x: '5', '$x/b': '6' })
  const topicsOf = async (filter: string) =>
    (await retained(t, broker, filter)).map(([topic]) => topic)

  t.deepEqual(await topicsOf('#'), ['/a', 'a', 'a/b', 'a/b/c'])
  t.deepEqual(await topicsOf('+'), ['a'])
  t.deepEqual(await topicsOf('+/+'), ['/a', 'a/b'])
  t.deepEqual(await topicsOf('a/#'), ['a', 'a/b', 'a/b/c'])
  t.deepEqual(await topicsOf('a/+/c'), ['a/b/c'])
  t.deepEqual(await topicsOf('+/b/#'), ['a/b', 'a/b/c'])
  t.deepEqual(await topicsOf('$x/#'), ['$x', '$x/b'])
  t.deepEqual(await topicsOf('b'), [])
})

test('retained messages carry the identifier of the subscription that brings them, and their properties', async (t) => {
  const { broker } = await startBroker(t)
  const properties = { contentType: 'text/plain', messageExpiryInterval: 100 }
  await retain(t, broker, { a: 'x' }, { properties })
  const subscriber = await connectClient(t, broker)

  await subscriber.subscribe(t, 'a', { properties: { subscriptionIdentifier: 7 } })

  const message = await subscriber.expect(t, 'publish', { retain: true })
  t.deepEqual({ ...message.properties }, { ...properties, subscriptionIdentifier: 7 })
})

test('[MQTT-3.3.2-6] a retained message expires, and its interval counts down until then', async (t) => {
  const { broker, clock } = await startBroker(t)
  await retain(t, broker, { a: 'x' }, { properties: { messageExpiryInterval: 10 } })

  await clock.advance(4_000)
  const early = await connectClient(t, broker)
  await early.subscribe(t, 'a')
  const { properties } = await early.expect(t, 'publish')
  t.is(properties.messageExpiryInterval, 6)

  await clock.advance(6_000)
  t.deepEqual(await retained(t, broker), [])
})

test('retained.defaultExpirySeconds ends retained messages that name no interval', async (t) => {
  const { broker, clock } = await startBroker(t, { retained: { defaultExpirySeconds: 10 } })
  await retain(t, broker, { a: 'x' })
  await retain(t, broker, { b: 'y' }, { properties: { messageExpiryInterval: 100 } })

  await clock.advance(11_000)

  t.deepEqual(await retained(t, broker), [['b', 'y']])
})

test('retained.messagesMax refuses further topics with 0x97, and lets known ones be replaced', async (t) => {
  const { broker } = await startBroker(t, { retained: { messagesMax: 1 } })
  const publisher = await connectClient(t, broker)

  for (const [topic, payload, reasonCode] of [
    ['a', '1', 0],
    ['b', '2', 0x97],
    ['a', '3', 0],
    ['a', '', 0],
    ['b', '4', 0],
  ] as const) {
    publisher.publish(topic, payload, { retain: true, qos: 1, messageId: 1 })
    await publisher.expect(t, 'puback', { reasonCode })
  }

  t.deepEqual(await retained(t, broker), [['b', '4']])
})

test('retained.bytesMax bounds the bytes of all retained messages together', async (t) => {
  const { broker } = await startBroker(t, { retained: { bytesMax: 1_000 } })
  const publisher = await connectClient(t, broker)

  for (const [topic, size, reasonCode] of [
    ['a', 450, 0],
    ['b', 450, 0],
    ['c', 450, 0x97],
    ['b', 500, 0],
    ['b', 600, 0x97],
  ] as const) {
    publisher.publish(topic, 'x'.repeat(size), { retain: true, qos: 1, messageId: 1 })
    await publisher.expect(t, 'puback', { reasonCode })
  }
})

test('[MQTT-3.2.2-14] RETAIN where connection.retainAvailable is off ends the connection', async (t) => {
  const { broker } = await startBroker(t, { connection: { retainAvailable: false } })
  const publisher = await connectClient(t, broker)

  publisher.publish('a', 'x', { retain: true })

  await publisher.expect(t, 'disconnect', { reasonCode: 0x9a })
})

test('a shared subscription brings no retained messages', async (t) => {
  const { broker } = await startBroker(t)
  await retain(t, broker, { a: 'x' })

  t.deepEqual(await retained(t, broker, '$share/g/a'), [])
})

for (const isDurable of [false, true]) {
  const kind = isDurable ? 'durable' : 'volatile'

  test(`retained messages are paced by the window and fill no queue of a ${kind} session`, async (t) => {
    const { broker } = await startBroker(t, { session: { queueMessagesMax: 2 } })
    await retain(t, broker, many(50), { qos: 1 })
    const properties = { receiveMaximum: 5, sessionExpiryInterval: isDurable ? 60 : 0 }
    const subscriber = await connectClient(t, broker, { properties })
    const publisher = await connectClient(t, broker)

    await subscriber.subscribe(t, '#', { qos: 1 })
    const first = await arrived(subscriber)
    t.is(publishes(first).length, 5)
    for (const payload of ['live 1', 'live 2'])
      publisher.publish('live', payload, { qos: 1, messageId: 1 })
    await publisher.settled()
    acknowledge(subscriber, first)

    const rest = await drain(subscriber)
    const all = [...payloads(first), ...rest]
    t.deepEqual(all.toSorted(), ['live 1', 'live 2', ...Object.values(many(50))].toSorted())
    t.is(broker.counters.publishDropped, 0)
  })

  test(`a retained message is not sent after a newer live message of its topic (${kind})`, async (t) => {
    const { broker } = await startBroker(t)
    await retain(t, broker, many(10), { qos: 1 })
    const properties = { receiveMaximum: 1, sessionExpiryInterval: isDurable ? 60 : 0 }
    const subscriber = await connectClient(t, broker, { properties })
    await subscriber.subscribe(t, '#', { qos: 1 })
    const first = await arrived(subscriber)
    const others = Object.keys(many(10)).filter((topic) => topic !== first[0]?.topic)
    const [replaced, passed] = others as [string, string]

    await retain(t, broker, { [replaced]: 'newer' }, { qos: 1 })
    await retain(t, broker, { [passed]: 'live' }, { qos: 1, retain: false })
    acknowledge(subscriber, first)

    const rest = await drain(subscriber)
    t.is(rest.length, 9)
    t.false(rest.includes(replaced.slice(2)) || rest.includes(passed.slice(2)))
    t.true(rest.includes('newer') && rest.includes('live'))
  })
}

test('a durable session that leaves in the middle gets the rest of its retained messages later', async (t) => {
  const { broker } = await startBroker(t)
  await retain(t, broker, many(20), { qos: 1 })
  const options = durable(5, 'c', { receiveMaximum: 4 })
  const before = await connectClient(t, broker, options)
  await before.subscribe(t, '#', { qos: 1 })
  const first = publishes(await arrived(before))
  acknowledge(before, first.slice(0, 1))
  first.push(...publishes(await arrived(before)))
  before.destroy()
  await before.closed()

  const after = await connectClient(t, broker, options)
  const second = publishes(await arrived(after))
  acknowledge(after, second)
  const rest = await drain(after)

  t.deepEqual(
    second.map(({ payload, dup }) => [`${payload}`, dup]),
    first.slice(1).map(({ payload }) => [`${payload}`, true]),
  )
  t.deepEqual([...payloads(first), ...rest].toSorted(), Object.values(many(20)).toSorted())
})

test('[MQTT-3.8.4-4] a subscription that is replaced goes on getting its retained messages', async (t) => {
  const { broker } = await startBroker(t)
  await retain(t, broker, many(10), { qos: 2 })
  const subscriber = await connectClient(t, broker, { properties: { receiveMaximum: 3 } })
  await subscriber.subscribe(t, '#', { qos: 2 })
  const first = publishes(await subscriber.settled())

  await subscriber.subscribe(t, '#', { qos: 0, rh: 2 })

  for (const { messageId } of first) subscriber.send({ cmd: 'pubrec', messageId, reasonCode: 0x80 })
  const rest = publishes(await subscriber.settled())
  t.deepEqual([...payloads(first), ...payloads(rest)].toSorted(), Object.values(many(10)))
  t.true(rest.every(({ qos }) => qos === 0))
})

test('retained messages of a subscription that ends in the middle are not sent', async (t) => {
  const { broker } = await startBroker(t)
  await retain(t, broker, many(10), { qos: 1 })
  const subscriber = await connectClient(t, broker, { properties: { receiveMaximum: 3 } })
  await subscriber.subscribe(t, '#', { qos: 1 })
  const first = await subscriber.settled()

  subscriber.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['#'] })
  acknowledge(subscriber, first)

  t.deepEqual(payloads(await subscriber.settled()), [])
})

test('retained messages at QoS 0 wait for a client that does not read', async (t) => {
  const { broker } = await startBroker(t, { connection: { outBufferBytesMax: 4_096 } })
  const messages = Object.fromEntries(
    Object.keys(many(40)).map((topic) => [topic, 'x'.repeat(1_000)]),
  )
  await retain(t, broker, messages)
  const subscriber = await connectClient(t, broker)
  subscriber.end.pauseReading()

  subscriber.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 0 }] })
  await new Promise((resolve) => setImmediate(resolve))
  subscriber.end.resumeReading()

  await subscriber.expect(t, 'suback')
  for (const _ of Object.keys(messages)) await subscriber.expect(t, 'publish')
  t.is(broker.counters.publishDropped, 0)
})

test('[MQTT-3.3.1-9] a message at QoS 0 that an offline session misses takes no retained one with it', async (t) => {
  const { broker } = await startBroker(t)
  await retain(t, broker, many(3), { qos: 1 })
  const options = durable(5, 'c', { receiveMaximum: 1 })
  const before = await connectClient(t, broker, options)
  await before.subscribe(t, '#', { qos: 1 })
  await arrived(before)
  before.destroy()
  await before.closed()

  await retain(t, broker, many(3), { retain: false, payload: 'missed' })

  const after = await connectClient(t, broker, options)
  t.deepEqual((await drain(after)).toSorted(), Object.values(many(3)))
})
