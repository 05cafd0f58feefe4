import test, { type ExecutionContext } from 'ava'
import type { Broker, BrokerOptionsInput } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { connectClient, type MemoryClient, type Version } from '../support/client.ts'
import { arrived, durable, payloads, publishes, versions } from '../support/messages.ts'

type Strategy = NonNullable<NonNullable<BrokerOptionsInput['shared']>['strategy']>

async function startGroup(
  t: ExecutionContext,
  strategy: Strategy,
  version: Version = 5,
): Promise<{ broker: Broker; members: MemoryClient[]; publisher: MemoryClient }> {
  const { broker } = await startBroker(t, { shared: { strategy } })
  const members: MemoryClient[] = []
  for (let i = 0; i < 3; i++) {
    const member = await connectClient(t, broker, { version })
    await member.subscribe(t, '$share/g/#', { qos: 1 })
    members.push(member)
  }
  return { broker, members, publisher: await connectClient(t, broker) }
}

/** What each member gets. */
async function shares(
  members: readonly MemoryClient[],
  ...publishers: readonly MemoryClient[]
): Promise<string[][]> {
  const got: string[][] = []
  for (const member of members) got.push(payloads(await arrived(member, ...publishers)))
  return got
}

for (const version of versions) {
  const inVersion = `(version ${version})`

  test(`[MQTT-4.8.2-1] [MQTT-4.8.2-2] a Share Name or filter that is none is refused ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })

    for (const filter of [
      '$share/',
      '$share//a',
      '$share/g',
      '$share/g/',
      '$share/+/a',
      '$share/g#/a',
      '$share/g/a#',
    ]) {
      const { granted } = await client.subscribe(t, filter)
      t.deepEqual(granted, [{ 3: 0, 4: 0x80, 5: 0x8f }[version]], filter)
    }
  })

  test(`each message goes to one member of each group, and to each plain subscription ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const clients: MemoryClient[] = []
    for (const filter of ['$share/g/a', '$share/g/a', '$share/h/a', '$share/g/+', 'a']) {
      const client = await connectClient(t, broker, { version })
      await client.subscribe(t, filter, { qos: 1 })
      clients.push(client)
    }
    const publisher = await connectClient(t, broker, { version })

    for (let i = 1; i <= 4; i++) publisher.publish('a', `${i}`, { qos: i % 2, messageId: i })

    const [first, second, ...others] = await shares(clients, publisher)
    t.deepEqual([...(first ?? []), ...(second ?? [])].toSorted(), ['1', '2', '3', '4'])
    for (const got of others) t.deepEqual(got, ['1', '2', '3', '4'])
  })

  test(`[MQTT-4.8.2-3] each member gets messages at the QoS it was granted ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const members: MemoryClient[] = []
    for (const qos of [0, 1, 2]) {
      const member = await connectClient(t, broker, { version })
      await member.subscribe(t, '$share/g/a', { qos })
      members.push(member)
    }
    const publisher = await connectClient(t, broker)

    for (let i = 1; i <= 3; i++) publisher.publish('a', `${i}`, { qos: 2, messageId: i })

    for (const [qos, member] of members.entries()) {
      t.like(publishes(await arrived(member, publisher)), [{ qos }])
    }
  })

  test(`a shared subscription is ended by its whole filter ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })
    await client.subscribe(t, '$share/g/a')

    for (const [filter, count] of [
      ['a', 1],
      ['$share/h/a', 1],
      ['$share/g/a', 0],
    ] as const) {
      client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: [filter] })
      await client.expect(t, 'unsuback')
      client.publish('a', 'x')
      t.is(publishes(await arrived(client)).length, count)
    }
  })

  test(`round-robin gives each member its turn ${inVersion}`, async (t) => {
    const { members, publisher } = await startGroup(t, 'round-robin', version)

    for (let i = 1; i <= 6; i++) publisher.publish('a', `${i}`, { qos: i % 2, messageId: i })

    const got = await shares(members, publisher)
    t.deepEqual(got, [
      ['1', '4'],
      ['2', '5'],
      ['3', '6'],
    ])
  })
}

test('random gives every member something, and each message to one', async (t) => {
  const { members, publisher } = await startGroup(t, 'random')

  for (let i = 0; i < 200; i++) publisher.publish('a', `${i}`)

  const got = await shares(members, publisher)
  t.is(new Set(got.flat()).size, 200)
  t.is(got.flat().length, 200)
  t.true(got.every(({ length }) => length > 20))
})

test('sticky gives all to one member, and to another when that one leaves', async (t) => {
  const { members, publisher } = await startGroup(t, 'sticky')
  for (let i = 0; i < 5; i++) publisher.publish(`t/${i}`, `${i}`)
  const first = await shares(members, publisher)
  const chosen = first.findIndex(({ length }) => length === 5)
  t.is(first.flat().length, 5)

  members[chosen]?.destroy()
  await members[chosen]?.closed()
  const others = members.filter((_, i) => i !== chosen)
  for (let i = 0; i < 5; i++) publisher.publish(`t/${i}`, `${i}`)

  const second = await shares(others, publisher)
  t.deepEqual(
    second.map(({ length }) => length).toSorted((a, b) => a - b),
    [0, 5],
  )
})

test('hash-client gives all messages of a client to one member', async (t) => {
  const { broker, members } = await startGroup(t, 'hash-client')
  const used = new Set<number>()

  for (let i = 0; i < 20; i++) {
    const publisher = await connectClient(t, broker, { clientId: `publisher ${i}` })
    for (let j = 0; j < 4; j++) publisher.publish(`t/${j}`, 'x')
    const got = await shares(members, publisher)
    const chosen = got.findIndex(({ length }) => length === 4)
    t.not(chosen, -1)
    used.add(chosen)
  }
  t.is(used.size, 3)
})

test('hash-topic gives all messages of a topic to one member', async (t) => {
  const { broker, members, publisher } = await startGroup(t, 'hash-topic')
  const other = await connectClient(t, broker)
  const used = new Set<number>()

  for (let i = 0; i < 20; i++) {
    for (let j = 0; j < 2; j++) publisher.publish(`t/${i}`, 'x')
    other.publish(`t/${i}`, 'x')
    const got = await shares(members, publisher, other)
    const chosen = got.findIndex(({ length }) => length === 3)
    t.not(chosen, -1)
    used.add(chosen)
  }
  t.is(used.size, 3)
})

test('least-in-flight prefers the member that has acknowledged most', async (t) => {
  const { members, publisher } = await startGroup(t, 'least-in-flight')
  for (let i = 1; i <= 6; i++) publisher.publish('a', `${i}`, { qos: 1, messageId: i })
  await publisher.settled()
  const [fast] = members as [MemoryClient]
  for (const { messageId } of publishes(await fast.settled()))
    fast.send({ cmd: 'puback', messageId })
  await fast.settled()

  for (const payload of ['x', 'y']) publisher.publish('a', payload, { qos: 1, messageId: 1 })

  t.deepEqual(payloads(await arrived(fast, publisher)), ['x', 'y'])
})

for (const strategy of [
  'round-robin',
  'random',
  'sticky',
  'hash-client',
  'hash-topic',
  'least-in-flight',
] as const) {
  test(`${strategy} passes over members that are offline while another is online`, async (t) => {
    const { broker } = await startBroker(t, { shared: { strategy } })
    for (const name of ['a', 'b', 'c']) {
      const member = await connectClient(t, broker, durable(5, name))
      await member.subscribe(t, '$share/g/#', { qos: 1 })
      if (name !== 'b') {
        member.destroy()
        await member.closed()
      }
    }
    const publisher = await connectClient(t, broker)

    for (let i = 1; i <= 12; i++) publisher.publish(`t/${i}`, `${i}`, { qos: 1, messageId: i })
    await publisher.settled()

    const online = await connectClient(t, broker, durable(5, 'b'))
    t.is(publishes(await arrived(online)).length, 12)
  })
}

test('a member without Subscription Identifier gets none, one with gets its own', async (t) => {
  const { broker } = await startBroker(t)
  const members: MemoryClient[] = []
  for (const properties of [{ subscriptionIdentifier: 5 }, {}]) {
    const member = await connectClient(t, broker)
    await member.subscribe(t, '$share/g/a', { properties })
    members.push(member)
  }
  const publisher = await connectClient(t, broker)

  for (let i = 0; i < 2; i++) publisher.publish('a', '')

  const identifiers: unknown[] = []
  for (const member of members) {
    const [message] = publishes(await arrived(member, publisher))
    identifiers.push(message?.properties?.subscriptionIdentifier)
  }
  t.deepEqual(identifiers, [5, undefined])
})

test('connection.sharedSubscriptions off refuses with 0x9E, and leaves $share an ordinary level to 3.x', async (t) => {
  const { broker } = await startBroker(t, { connection: { sharedSubscriptions: false } })

  for (const version of versions) {
    const client = await connectClient(t, broker, { version })
    const { granted } = await client.subscribe(t, '$share/g/a', { qos: 1 })
    t.deepEqual(granted, [{ 3: 1, 4: 1, 5: 0x9e }[version]])
  }
})

for (const version of [3, 4] as const) {
  test(`connection.sharedSubscriptionsV3 off makes $share an ordinary level (version ${version})`, async (t) => {
    const { broker } = await startBroker(t, { connection: { sharedSubscriptionsV3: false } })
    const clients: MemoryClient[] = []
    for (let i = 0; i < 2; i++) {
      const client = await connectClient(t, broker, durable(version, `c${i}`))
      const { granted } = await client.subscribe(t, '$share/g/a', { qos: 1 })
      t.deepEqual(granted, [1])
      clients.push(client)
    }
    const modern = await connectClient(t, broker)
    await modern.subscribe(t, '$share/g/a')

    modern.publish('a', 'shared')
    modern.publish('$share/g/a', 'plain', { qos: 1, messageId: 1 })

    t.deepEqual(await shares(clients, modern), [['plain'], ['plain']])
    clients[0]?.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['$share/g/a'] })
    await clients[0]?.expect(t, 'unsuback')
    modern.publish('$share/g/a', 'again')
    t.deepEqual(await shares(clients, modern), [[], ['again']])
  })
}
