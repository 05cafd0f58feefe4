/** What is refused, ended and dropped is counted, by the reason that the client was told. */

import test, { type ExecutionContext } from 'ava'
import { type Broker, ReasonCode } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { connectClient, openClient, type Version } from '../support/client.ts'

const NODE = '$SYS/brokers/noctule/'

/** What `$SYS` says below the node's root, where it is not 0: topic → number. */
async function countsOf(
  t: ExecutionContext,
  broker: Broker,
  ...groups: string[]
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  const client = await connectClient(t, broker, { username: 'reader' })
  for (const [i, group] of groups.entries()) {
    await client.subscribe(t, `${NODE}${group}/#`, { messageId: i + 1 })
    for (const { topic, payload } of await client.settled()) {
      if (String(payload) !== '0') counts[String(topic).slice(NODE.length)] = Number(payload)
    }
  }
  return counts
}

const hooks = {
  authenticate: ({ userName }: { userName: string | undefined }) => userName === 'reader',
  authorizePublish: () => false,
  authorizeSubscribe: (_: unknown, { topicFilter }: { topicFilter: string }) =>
    topicFilter.startsWith('$SYS'),
}

for (const version of [3, 4, 5] as const satisfies readonly Version[]) {
  test(`a wrong password, a PUBLISH and a Topic Filter are counted for MQTT ${version}`, async (t) => {
    const { broker } = await startBroker(t, { hooks })
    for (const username of ['mallory', 'eve']) {
      const stranger = openClient(broker, version)
      stranger.connect({ username, password: 'guess' })
      await stranger.closed()
    }
    const client = await connectClient(t, broker, { version, username: 'reader' })
    client.publish('a', 'x', { qos: 1, messageId: 1 })
    client.publish('a', 'x')
    client.send({
      cmd: 'subscribe',
      messageId: 2,
      subscriptions: ['a', 'b', '$SYS/broker/uptime'].map((topic) => ({ topic, qos: 0 })),
    })
    await client.settled()

    t.deepEqual(await countsOf(t, broker, 'refused'), {
      'refused/connect': 2,
      'refused/connect/bad-user-name-or-password': 2,
      'refused/publish': 2,
      'refused/publish/not-authorized': 2,
      'refused/subscribe': 2,
      'refused/subscribe/not-authorized': 2,
    })
  })
}

test('who says nothing, or anything but CONNECT, was refused nothing; a CONNECT that cannot be read was', async (t) => {
  const { broker, clock } = await startBroker(t)
  openClient(broker)
  const noise = openClient(broker)
  noise.send({ cmd: 'pingreq' })
  await noise.closed()
  const gone = openClient(broker)
  gone.destroy()
  await clock.advance(20_000)
  const broken = openClient(broker)
  broken.sendBytes([0x10, 0x07, 0, 4, 0x4d, 0x51, 0x54, 0x54, 5])
  await broken.closed()

  t.deepEqual(await countsOf(t, broker, 'refused', 'protocol-errors'), {
    'refused/connect': 1,
    'refused/connect/malformed-packet': 1,
    'protocol-errors/count': 2,
  })
})

test('limits that refuse and have no counter of their own are counted by their reason code', async (t) => {
  const { broker } = await startBroker(t, {
    connection: { topicLevelsMax: 6, maximumPacketSizeBytes: 64, maximumQos: 1 },
  })
  const client = await connectClient(t, broker, { clientId: 'c' })
  client.publish('a/b/c/d/e/f/g', 'x', { qos: 1, messageId: 1 })
  await client.expect(t, 'puback', { reasonCode: ReasonCode.TopicNameInvalid })
  await client.subscribe(t, 'a/b/c/d/e/f/+')
  client.publish('a', 'x'.repeat(100))
  await client.closed()
  const precise = await connectClient(t, broker)
  precise.publish('a', 'x', { qos: 2, messageId: 1 })
  await precise.closed()
  const old = await connectClient(t, broker, { clientId: 'twice' })
  await connectClient(t, broker, { clientId: 'twice' })
  await old.closed()

  t.deepEqual(await countsOf(t, broker, 'refused', 'disconnected'), {
    'refused/publish': 1,
    'refused/publish/topic-name-invalid': 1,
    'refused/subscribe': 1,
    'refused/subscribe/topic-filter-invalid': 1,
    'disconnected/packet-too-large': 1,
    'disconnected/qos-not-supported': 1,
    'disconnected/session-taken-over': 1,
  })
})

test('a retained message beyond what all together may have counts for that limit', async (t) => {
  const { broker } = await startBroker(t, { retained: { messagesMax: 1 } })
  const client = await connectClient(t, broker)
  for (const [i, topic] of ['a', 'b', 'c'].entries()) {
    client.publish(topic, 'x', { qos: 1, messageId: i + 1, retain: true })
  }
  await client.settled()

  t.deepEqual(await countsOf(t, broker, 'limits', 'refused'), {
    'limits/retained': 2,
    'refused/publish': 2,
    'refused/publish/quota-exceeded': 2,
  })
})

test('a retained message and a Topic Filter for which there is no memory count as overload', async (t) => {
  const { broker } = await startBroker(t, {
    memory: { budgetBytes: 1024 ** 2 },
    connection: { outBufferBytesMax: 16 * 1024 ** 2 },
  })
  const [subscriber, publisher] = [await connectClient(t, broker), await connectClient(t, broker)]
  const slow = await connectClient(t, broker)
  await slow.subscribe(t, 'fill', { qos: 1 })
  slow.end.pauseReading()
  for (let i = 0; i < 20; i++) {
    await broker.publish({ topic: 'fill', payload: Buffer.alloc(64 * 1024), qos: 1 })
  }

  t.is((await subscriber.subscribe(t, 'more')).granted[0], ReasonCode.QuotaExceeded)
  publisher.publish('kept', 'x', { qos: 1, messageId: 1, retain: true })
  await publisher.expect(t, 'puback', { reasonCode: ReasonCode.QuotaExceeded })

  t.is(broker.counters.limitsReached.overload, 2)
  t.is(broker.counters.limitsReached.retained, 0)
})

test('a reason that no CONNACK can carry counts among the others', async (t) => {
  const { broker } = await startBroker(t, {
    hooks: {
      authenticate: ({ userName }) =>
        userName === 'reader' || { isAllowed: false, reasonCode: 70_000 },
    },
  })
  const client = openClient(broker)
  client.connect({ username: 'mallory' })
  await client.closed()

  t.deepEqual(await countsOf(t, broker, 'refused'), {
    'refused/connect': 1,
    'refused/connect/other': 1,
  })
})

test('a subscription that ends by other rules counts as one that is refused', async (t) => {
  let isAllowed = true
  const { broker } = await startBroker(t, {
    hooks: { authorizeSubscribe: (_, { topicFilter }) => isAllowed || topicFilter !== 'a' },
  })
  const kept = { clientId: 'c', clean: false, properties: { sessionExpiryInterval: 1000 } }
  const before = await connectClient(t, broker, kept)
  await before.subscribe(t, 'a')
  before.destroy()
  await before.closed()
  isAllowed = false
  await connectClient(t, broker, kept)

  t.deepEqual(await countsOf(t, broker, 'refused'), {
    'refused/subscribe': 1,
    'refused/subscribe/not-authorized': 1,
  })
})

test('what a full queue drops is counted as that', async (t) => {
  const { broker } = await startBroker(t, { session: { queueMessagesMax: 2 } })
  const kept = { clientId: 'away', clean: false, properties: { sessionExpiryInterval: 1000 } }
  const away = await connectClient(t, broker, kept)
  await away.subscribe(t, 'a', { qos: 1 })
  away.destroy()
  await away.closed()
  for (const payload of '12345') await broker.publish({ topic: 'a', payload, qos: 1 })

  t.deepEqual(await countsOf(t, broker, 'dropped'), { 'dropped/queue-full': 3 })
  t.is(broker.counters.publishDropped, 3)
})
