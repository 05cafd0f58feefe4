/** What once let one client harm the others, tried again in small. */

import { Buffer } from 'node:buffer'
import test from 'ava'
import { startBroker } from '../support/broker.ts'
import { connectClient, openClient } from '../support/client.ts'
import { nextTurn, until } from '../support/turns.ts'

const KiB = 1024
const MiB = KiB * KiB
const kept = { clean: false, properties: { sessionExpiryInterval: 100 } }

test('expired retained messages give their memory back', async (t) => {
  const { broker, clock } = await startBroker(t, { memory: { budgetBytes: 4 * MiB } })
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 300; i++) {
      const topic = `${round}/${i}`
      const payload = Buffer.alloc(3 * KiB)
      await broker.publish({ topic, payload, retain: true, messageExpirySeconds: 1 })
    }
    await clock.advance(3_000)
  }

  const client = openClient(broker)
  client.connect()

  await client.expect(t, 'connack', { reasonCode: 0 })
})

test('a PUBREL for nothing does not widen the Receive Maximum', async (t) => {
  const { broker } = await startBroker(t, { connection: { receiveMaximum: 3 } })
  const client = await connectClient(t, broker)

  for (let i = 1; i <= 4; i++) {
    client.publish('a', '', { qos: 2, messageId: i })
    client.send({ cmd: 'pubrel', messageId: 1000 + i })
  }

  t.like((await client.closed()).at(-1), { cmd: 'disconnect', reasonCode: 0x93 })
})

test('many filters that match the same retained messages hold no list of them each', async (t) => {
  const { broker } = await startBroker(t, { memory: { budgetBytes: 8 * MiB } })
  for (let i = 0; i < 5000; i++) {
    await broker.publish({ topic: `a/b/c/d/e/${i}`, payload: 'x', qos: 1, retain: true })
  }
  const client = await connectClient(t, broker, { properties: { receiveMaximum: 1 } })

  for (let bits = 0; bits < 32; bits++) {
    const levels = ['a', 'b', 'c', 'd', 'e'].map((level, i) => ((bits >> i) & 1 ? '+' : level))
    await client
      .subscribe(t, `${levels.join('/')}/#`, { qos: 1, messageId: bits + 1 })
      .catch(() => {})
    client.packets.length = 0
  }
  const other = openClient(broker)
  other.connect()

  await other.expect(t, 'connack', { reasonCode: 0 })
})

for (const [what, connect] of [
  [
    'wills',
    (i: number) => ({
      ...kept,
      clientId: `w${i}`,
      will: { topic: 'a', payload: Buffer.alloc(60_000) },
    }),
  ],
  ['Client Identifiers', (i: number) => ({ ...kept, clientId: `${i}`.padStart(60_000, 'x') })],
] as const) {
  test(`${what} count in the memory budget`, async (t) => {
    const { broker } = await startBroker(t, { memory: { budgetBytes: 4 * MiB } })
    let accepted = 0
    for (let i = 0; i < 100; i++) {
      const client = openClient(broker)
      client.connect(connect(i))
      const connack = await client.next()
      if (connack?.reasonCode === 0) accepted++
    }

    t.true(accepted >= 3 && accepted < 80, `${accepted} were accepted`)
  })
}

test('subscriptions count in the memory budget, and are refused when it is used up', async (t) => {
  const { broker } = await startBroker(t, { memory: { budgetBytes: 2 * MiB } })
  const client = await connectClient(t, broker)
  const codes: number[] = []
  for (let i = 0; i < 60; i++) {
    const filter = `${i}/${'x'.repeat(60_000)}`
    codes.push((await client.subscribe(t, filter, { messageId: i + 1 })).granted[0])
  }

  t.is(codes[0], 0)
  t.is(codes.at(-1), 0x97)

  client.send({ cmd: 'disconnect' })
  await client.closed()
  const other = await connectClient(t, broker)
  t.deepEqual((await other.subscribe(t, 'a')).granted, [0])
})

test('packets that never come whole count in the memory budget', async (t) => {
  const { broker } = await startBroker(t, { memory: { budgetBytes: 4 * MiB } })
  const clients = []
  for (let i = 0; i < 5; i++) {
    const client = await connectClient(t, broker)
    clients.push(client)
    client.sendBytes(
      Buffer.concat([Buffer.from([0x30, 0xf0, 0xff, 0x7f]), Buffer.alloc(900 * KiB)]),
    )
    await nextTurn()
    await nextTurn()
  }
  const refused = openClient(broker)
  refused.connect()
  await refused.expect(t, 'connack', { reasonCode: 0x97 })

  for (const client of clients) client.destroy()
  for (const client of clients) await client.closed()
  await until(() => broker.clientCount === 0)
  const accepted = openClient(broker)
  accepted.connect()
  await accepted.expect(t, 'connack', { reasonCode: 0 })
})

test('a filter of presence that names a client, or matches none, looks at no other', async (t) => {
  const { broker } = await startBroker(t)
  for (const clientId of ['a/b', 'c d', 'e']) await connectClient(t, broker, { clientId })
  const watcher = await connectClient(t, broker)

  const topicsOf = async (filter: string, messageId: number): Promise<string[]> => {
    await watcher.subscribe(t, filter, { messageId })
    return (await watcher.settled()).map(({ topic }) => String(topic))
  }

  t.deepEqual(await topicsOf('$SYS/brokers/noctule/clients/a%2Fb/connected', 1), [
    '$SYS/brokers/noctule/clients/a%2Fb/connected',
  ])
  t.deepEqual(await topicsOf('$SYS/brokers/+/clients/c%20d/#', 2), [
    '$SYS/brokers/noctule/clients/c%20d/connected',
  ])
  t.deepEqual(await topicsOf('$SYS/brokers/other/clients/+/connected', 3), [])
  t.deepEqual(await topicsOf('$SYS/brokers/noctule/clients/%zz/connected', 4), [])
})

test('a chunk of very many packets leaves the others their turns', async (t) => {
  let now = 1_700_000_000_000
  const clock = { now: () => (now += 1), after: () => () => {} }
  const { broker } = await startBroker(t, { clock })
  const busy = await connectClient(t, broker, { clientId: 'busy' })
  const other = await connectClient(t, broker, { clientId: 'other' })
  const order: string[] = []
  broker.on('published', (_, { clientIdentifier }) => order.push(clientIdentifier))

  busy.sendBytes(
    Buffer.concat(Array.from({ length: 1000 }, () => Buffer.from([0x30, 4, 0, 1, 0x61, 0]))),
  )
  other.publish('a', '')
  await until(() => order.length === 1001)

  t.true(order.indexOf('other') < 900, `the other came ${order.indexOf('other') + 1}th`)
})

test('a message that waits in many queues counts once', async (t) => {
  const { broker } = await startBroker(t, { memory: { budgetBytes: 4 * MiB } })
  for (let i = 0; i < 50; i++) {
    const client = await connectClient(t, broker, { ...kept, clientId: `q${i}` })
    await client.subscribe(t, 'a', { qos: 1 })
    client.send({ cmd: 'disconnect' })
    await client.closed()
  }
  await broker.publish({ topic: 'a', payload: Buffer.alloc(MiB), qos: 1 })

  const client = openClient(broker)
  client.connect()

  await client.expect(t, 'connack', { reasonCode: 0 })
})

test('a client that takes nothing any more is given up, though its keep-alive clock stands', async (t) => {
  const { broker, clock } = await startBroker(t, { connection: { outBufferBytesMax: KiB } })
  const client = await connectClient(t, broker, { keepalive: 1 })
  client.end.pauseReading()
  while (!client.end.isServerPaused) {
    client.send({ cmd: 'pingreq' })
    await nextTurn()
  }

  await clock.advance(30_000)
  t.is(broker.clientCount, 1)
  await clock.advance(31_000)

  t.is(broker.clientCount, 0)
})
