/** What a client, a user, an address and a listener may have at most, and what is said when it is more. */

import { Buffer } from 'node:buffer'
import test, { type ExecutionContext } from 'ava'
import type { Broker } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import {
  type ConnectOptions,
  type MemoryClient,
  openClient,
  openTcpClient,
} from '../support/client.ts'
import { type Deferred, defer, turns } from '../support/deferred.ts'
import { HeldStore } from '../support/held-store.ts'
import { recordingLogger } from '../support/recording-logger.ts'
import { nextTurn, until } from '../support/turns.ts'

const QUOTA = 0x97
const RATE = 0x9f
const kept = { clean: false, properties: { sessionExpiryInterval: 1000 } }
const withUsers = { hooks: { authenticate: () => true } }

/** Connects from an address; returns the client and the reason code of CONNACK. */
async function connectFrom(
  t: ExecutionContext,
  broker: Broker,
  address: string,
  options: ConnectOptions = {},
): Promise<{ client: MemoryClient; code: number }> {
  const client = openClient(broker, options.version ?? 5, { address })
  client.connect(options)
  const { reasonCode, returnCode } = await client.expect(t, 'connack')
  return { client, code: reasonCode ?? returnCode }
}

test('an address has so many clients, and another address its own', async (t) => {
  const logger = recordingLogger()
  const { broker } = await startBroker(t, { perAddress: { connectionsMax: 2 }, logger })
  const [first] = [
    await connectFrom(t, broker, '192.0.2.1'),
    await connectFrom(t, broker, '192.0.2.1'),
  ]

  const refused = openClient(broker, 5, { address: '192.0.2.1' })
  refused.connect()
  t.like(await refused.expect(t, 'connack'), {
    reasonCode: QUOTA,
    properties: { reasonString: 'perAddress.connectionsMax is reached' },
  })
  t.is((await connectFrom(t, broker, '192.0.2.1', { version: 4 })).code, 3)
  t.is((await connectFrom(t, broker, '192.0.2.2')).code, 0)
  first.client.destroy()
  await until(() => broker.clientCount === 2)
  t.is((await connectFrom(t, broker, '192.0.2.1')).code, 0)

  t.is(broker.counters.limitsReached.connections, 2)
  t.like(logger.find('connection refused')[0]?.fields, {
    rule: 'perAddress.connectionsMax is reached',
    reason: '0x97 quota exceeded',
    hint: 'raise perAddress.connectionsMax if these clients are as they should be',
  })
})

test('the addresses of an IPv6 /64 are one', async (t) => {
  const { broker } = await startBroker(t, { perAddress: { connectionsMax: 1 } })
  await connectFrom(t, broker, '2001:db8::1')

  t.is((await connectFrom(t, broker, '2001:db8::2:3')).code, QUOTA)
  t.is((await connectFrom(t, broker, '2001:db8:0:1::1')).code, 0)
})

for (const [loopback, code] of [
  [false, 0],
  [true, QUOTA],
] as const) {
  test(`this machine has ${loopback ? 'the limits of an address if it is said' : 'none of the limits of an address'}`, async (t) => {
    const { broker } = await startBroker(t, {
      limits: { loopback },
      perAddress: { connectionsMax: 1 },
    })
    await connectFrom(t, broker, '127.0.0.1')

    t.is((await connectFrom(t, broker, '127.0.0.1')).code, code)
  })
}

test('a user has so many clients, wherever they are; a client that comes back needs no second place', async (t) => {
  const { broker } = await startBroker(t, { ...withUsers, perUser: { connectionsMax: 1 } })
  const alice = { username: 'alice', clientId: 'phone' }
  await connectFrom(t, broker, '192.0.2.1', alice)

  t.is((await connectFrom(t, broker, '192.0.2.2', { ...alice, clientId: 'tablet' })).code, QUOTA)
  t.is((await connectFrom(t, broker, '192.0.2.2', { username: 'bob' })).code, 0)
  t.is((await connectFrom(t, broker, '192.0.2.2', alice)).code, 0)
  t.is((await connectFrom(t, broker, '192.0.2.2', { ...alice, clientId: 'tablet' })).code, QUOTA)
})

test('taking over a client of somebody else gives no place', async (t) => {
  const { broker } = await startBroker(t, { ...withUsers, perUser: { connectionsMax: 1 } })
  await connectFrom(t, broker, '192.0.2.1', { username: 'alice', clientId: 'a' })
  await connectFrom(t, broker, '192.0.2.1', { username: 'bob', clientId: 'b' })

  t.is((await connectFrom(t, broker, '192.0.2.1', { username: 'bob', clientId: 'a' })).code, QUOTA)
})

for (const [scope, options, same, other] of [
  ['perAddress', {}, {}, { address: '192.0.2.9' }],
  ['perUser', { username: 'alice' }, { username: 'alice' }, { username: 'bob' }],
  ['perClient', { clientId: 'a' }, { clientId: 'a' }, { clientId: 'b' }],
] as const) {
  test(`${scope}: who connects too often is told so, and may again in time`, async (t) => {
    const { broker, clock } = await startBroker(t, {
      ...withUsers,
      limits: { burstSeconds: 2 },
      [scope]: { connectionsPerSecond: 1 },
    })
    const code = async (more: { address?: string } & ConnectOptions) =>
      (await connectFrom(t, broker, more.address ?? '192.0.2.1', more)).code

    t.deepEqual([await code(options), await code(same), await code(same)], [0, 0, RATE])
    t.is(await code(other), 0)
    await clock.advance(1000)
    t.deepEqual([await code(same), await code(same)], [0, RATE])
    t.is(broker.counters.limitsReached.connectionRate, 2)
  })
}

test('connections that never say CONNECT count for the rate as well', async (t) => {
  const { broker } = await startBroker(t, {
    limits: { burstSeconds: 1 },
    perAddress: { connectionsPerSecond: 2 },
  })
  for (let i = 0; i < 2; i++) openClient(broker, 5, { address: '192.0.2.1' }).destroy()
  await nextTurn()
  await nextTurn()

  t.is((await connectFrom(t, broker, '192.0.2.1')).code, RATE)
})

test('all clients of a listener share what it may', async (t) => {
  const listeners = [
    { type: 'tcp', port: 0, name: 'slow', connectionsPerSecond: 1, subscriptionsMax: 1 },
    { type: 'tcp', port: 0, name: 'free' },
  ] as const
  const { broker } = await startBroker(t, {
    listeners: [...listeners],
    limits: { burstSeconds: 2 },
  })
  const [slow = 0, free = 0] = broker.urls.map((url) => Number(url.split(':').at(-1)))
  const enter = async (port: number) => {
    const client = await openTcpClient(t, port)
    client.connect()
    return { client, code: (await client.expect(t, 'connack'))['reasonCode'] as number }
  }

  const [one, two] = [await enter(slow), await enter(slow)]
  t.deepEqual([one.code, two.code, (await enter(slow)).code], [0, 0, RATE])
  t.is((await enter(free)).code, 0)
  t.deepEqual((await one.client.subscribe(t, 'a'))['granted'], [0])
  t.deepEqual((await two.client.subscribe(t, 'a'))['granted'], [QUOTA])
})

test('a listener may have bounds of its own for each client', async (t) => {
  const { broker } = await startBroker(t, {
    listeners: [
      {
        type: 'tcp',
        port: 0,
        topicLevelsMax: 2,
        keepAliveMaxSeconds: 20,
        receiveMaximum: 7,
        sessionExpiryMaxSeconds: 30,
      },
    ],
  })
  const client = await openTcpClient(t, Number(broker.urls[0]?.split(':').at(-1)))
  client.connect({ keepalive: 60, properties: { sessionExpiryInterval: 100 } })

  const { properties } = await client.expect(t, 'connack')
  t.like(properties, { serverKeepAlive: 20, receiveMaximum: 7, sessionExpiryInterval: 30 })
  t.deepEqual((await client.subscribe(t, 'a/b/c'))['granted'], [0x8f])
})

test('a Keep Alive that is too short is made longer, and none stays none', async (t) => {
  const { broker, clock } = await startBroker(t, { connection: { keepAliveMinSeconds: 30 } })
  const { client } = await connectFrom(t, broker, '192.0.2.1', { keepalive: 1, version: 4 })
  const five = openClient(broker, 5)
  five.connect({ keepalive: 1 })
  t.like(await five.expect(t, 'connack'), { properties: { serverKeepAlive: 30 } })
  const none = openClient(broker, 5)
  none.connect({ keepalive: 0 })
  t.is((await none.expect(t, 'connack'))['properties'].serverKeepAlive, undefined)

  await clock.advance(44_000)
  t.false(client.isClosed)
  await clock.advance(2_000)
  await client.closed()
  t.false(none.isClosed)
})

test('the sessions of a user have so many subscriptions together, also while they are away', async (t) => {
  const { broker } = await startBroker(t, { ...withUsers, perUser: { subscriptionsMax: 3 } })
  const alice = { username: 'alice', ...kept }
  const { client: a } = await connectFrom(t, broker, '192.0.2.1', { ...alice, clientId: 'a' })
  await a.subscribe(t, '1')
  await a.subscribe(t, '2')
  a.send({ cmd: 'disconnect' })
  await a.closed()
  const { client: b } = await connectFrom(t, broker, '192.0.2.1', { ...alice, clientId: 'b' })

  t.deepEqual((await b.subscribe(t, '3'))['granted'], [0])
  t.deepEqual((await b.subscribe(t, '3', { qos: 1 }))['granted'], [1])
  t.deepEqual((await b.subscribe(t, '4'))['granted'], [QUOTA])
  t.is(broker.counters.limitsReached.subscriptions, 1)
  await broker.discardSession('a')
  t.deepEqual((await b.subscribe(t, '4'))['granted'], [0])
})

test('a client has so many retained messages, and so many bytes of them', async (t) => {
  const { broker } = await startBroker(t, {
    perClient: { retainedMessagesMax: 2, retainedBytesMax: 1000 },
  })
  const { client } = await connectFrom(t, broker, '192.0.2.1')
  let messageId = 0
  const retain = async (topic: string, payload: string | Buffer) => {
    client.publish(topic, payload, { qos: 1, retain: true, messageId: ++messageId })
    return (await client.expect(t, 'puback', { messageId }))['reasonCode'] as number
  }
  const isKept = (code: number) => code < 0x80

  t.true(isKept(await retain('a', 'x')))
  t.true(isKept(await retain('b', 'x')))
  t.is(await retain('c', 'x'), QUOTA)
  t.true(isKept(await retain('a', 'again')))
  t.is(await retain('a', Buffer.alloc(1000)), QUOTA)
  t.true(isKept(await retain('a', '')))
  t.true(isKept(await retain('c', 'x')))

  const { client: other } = await connectFrom(t, broker, '192.0.2.1')
  other.publish('d', 'x', { qos: 1, retain: true, messageId: 1 })
  t.true(isKept((await other.expect(t, 'puback'))['reasonCode']))
  t.is(broker.counters.limitsReached.retained, 2)
})

test('retained wills count as well: one too many is delivered, and not retained', async (t) => {
  const { broker } = await startBroker(t, {
    ...withUsers,
    perUser: { retainedMessagesMax: 2 },
  })
  const { client: reader } = await connectFrom(t, broker, '192.0.2.9')
  await reader.subscribe(t, 'will/#')
  for (const topic of ['will/1', 'will/2', 'will/3', 'will/2']) {
    const options = { username: 'alice', will: { topic, retain: true } }
    const { client } = await connectFrom(t, broker, '192.0.2.1', options)
    client.destroy()
    await reader.expect(t, 'publish', { topic })
  }

  const { client: late } = await connectFrom(t, broker, '192.0.2.9')
  await late.subscribe(t, 'will/#')
  const topics = (await late.settled()).map(({ topic }) => topic as string)
  t.deepEqual(topics.toSorted(), ['will/1', 'will/2'])
  t.is(broker.counters.limitsReached.retained, 1)

  const { client } = await connectFrom(t, broker, '192.0.2.1', { username: 'alice' })
  client.publish('more', 'x', { qos: 1, retain: true, messageId: 1 })
  await client.expect(t, 'puback', { reasonCode: QUOTA })
})

test('a will counts for a client that is gone when the store has its session', async (t) => {
  const storage = new HeldStore()
  const claim = storage.claim.bind(storage)
  const waiting: Deferred<void>[] = []
  storage.claim = async (...session) => {
    const gate = defer<void>()
    waiting.push(gate)
    await gate.promise
    return claim(...session)
  }
  const { broker } = await startBroker(t, {
    ...withUsers,
    storage,
    perUser: { retainedMessagesMax: 1 },
  })
  for (const topic of ['will/1', 'will/2']) {
    const client = openClient(broker, 5, { address: '192.0.2.1' })
    client.connect({ username: 'alice', will: { topic, retain: true } })
    await until(() => waiting.length === 1)
    client.destroy()
    await turns()
    waiting.pop()?.resolve()
    await turns()
  }

  const { client: late } = await connectFrom(t, broker, '192.0.2.9')
  await late.subscribe(t, 'will/#')
  const topics = (await late.settled()).map(({ topic }) => topic as string)
  t.deepEqual(topics, ['will/1'])
})

test('what each limit has refused is under $SYS', async (t) => {
  const { broker } = await startBroker(t, { perAddress: { connectionsMax: 1 } })
  const { client } = await connectFrom(t, broker, '192.0.2.1')
  await connectFrom(t, broker, '192.0.2.1')

  await client.subscribe(t, '$SYS/brokers/noctule/limits/connections')

  t.is(String((await client.expect(t, 'publish'))['payload']), '1')
})

for (const policy of ['drop-oldest', 'drop-newest'] as const) {
  for (const isKept of [true, false]) {
    test(`what waits for the clients of a user is bounded together: ${policy}, ${isKept ? 'offline' : 'slow'}`, async (t) => {
      const { broker } = await startBroker(t, {
        ...withUsers,
        session: { queuePolicy: policy },
        perUser: { queuedBytesMax: 20_000 },
      })
      const options = { username: 'alice', ...(isKept && kept) }
      const clients = []
      for (const clientId of ['a', 'b']) {
        const { client } = await connectFrom(t, broker, '192.0.2.1', {
          ...options,
          clientId,
          properties: { ...(isKept && kept.properties), receiveMaximum: 1 },
        })
        await client.subscribe(t, clientId, { qos: 1 })
        if (isKept) client.send({ cmd: 'disconnect' })
        if (isKept) await client.closed()
        clients.push(client)
      }
      const publish = async (topic: string, i: number) =>
        broker.publish({ topic, payload: Buffer.alloc(1000, i), qos: 1 })
      const dropped: string[] = []
      broker.on('dropped', (client, _, why) => dropped.push(`${client} ${why}`))

      for (let i = 0; i < 40; i++) await publish('a', i)
      await until(() => dropped.length > 15)
      await nextTurn()
      const fromA = dropped.length
      for (let i = 0; i < 10; i++) await publish('b', i)

      t.true(fromA > 15 && fromA < 30, `${fromA} dropped`)
      t.true(dropped.every((line, i) => line === `${i < fromA ? 'a' : 'b'} queue full`))
      t.true(dropped.length - fromA >= 8)
      const bob = await connectFrom(t, broker, '192.0.2.1', {
        username: 'bob',
        clientId: 'bob',
        properties: { receiveMaximum: 1 },
      })
      await bob.client.subscribe(t, 'c', { qos: 1 })
      for (let i = 0; i < 10; i++) await publish('c', i)
      t.false(dropped.some((line) => line.startsWith('bob')))

      await broker.discardSession('a')
      const before = dropped.length
      for (let i = 0; i < 5; i++) await publish('b', i)
      t.is(dropped.length, before)
    })
  }
}
