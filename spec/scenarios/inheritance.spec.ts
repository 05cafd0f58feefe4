/** Nobody inherits, by the Client Identifier of somebody else, what only that one may read. */

import test, { type ExecutionContext } from 'ava'
import type { Broker, CreateBrokerOptions } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import {
  type AnyPacket,
  type ConnectOptions,
  connectClient,
  type MemoryClient,
} from '../support/client.ts'
import { defer, turns } from '../support/deferred.ts'

type Hooks = NonNullable<CreateBrokerOptions['hooks']>

const kept = { clean: false, properties: { sessionExpiryInterval: 600, receiveMaximum: 2 } }

/** Alice may have all, everybody what is below open/; told filter by filter, not message by message. */
const byFilter: Hooks = {
  authenticate: () => true,
  authorizeSubscribe: async ({ userName }, { topicFilter }) =>
    userName === 'alice' || topicFilter.startsWith('open/'),
}

const byMessage: Hooks = {
  ...byFilter,
  authorizeReceive: ({ userName }, { topic }) => userName === 'alice' || topic.startsWith('open/'),
}

function enter(
  t: ExecutionContext,
  broker: Broker,
  username: string,
  options: ConnectOptions = {},
): Promise<MemoryClient> {
  return connectClient(t, broker, { clientId: 'device', username, ...kept, ...options })
}

const topicsOf = (packets: readonly AnyPacket[]) =>
  packets.filter(({ cmd }) => cmd === 'publish').map(({ topic }) => topic)

for (const [who, hooks] of Object.entries({ byFilter, byMessage })) {
  test(`what waits for a user is not sent to another who takes its session up: ${who}`, async (t) => {
    const { broker } = await startBroker(t, { hooks })
    const alice = await enter(t, broker, 'alice')
    await alice.subscribe(t, 'secret/#', { qos: 1 })
    await alice.subscribe(t, 'open/#', { qos: 1 })
    alice.destroy()
    await turns()
    await broker.publish({ topic: 'secret/x', payload: '', qos: 1 })
    await broker.publish({ topic: 'open/x', payload: '', qos: 1 })

    const mallory = await enter(t, broker, 'mallory')
    await turns()

    t.deepEqual(topicsOf(await mallory.settled()), ['open/x'])
  })

  test(`what a user has not acknowledged is not sent again to another: ${who}`, async (t) => {
    const { broker } = await startBroker(t, { hooks })
    const alice = await enter(t, broker, 'alice')
    await alice.subscribe(t, 'secret/#', { qos: 2 })
    await alice.subscribe(t, 'open/#', { qos: 1 })
    await broker.publish({ topic: 'secret/1', payload: '', qos: 1 })
    await broker.publish({ topic: 'secret/2', payload: '', qos: 2 })
    t.deepEqual(topicsOf(await alice.settled()), ['secret/1', 'secret/2'])

    const mallory = await enter(t, broker, 'mallory')
    await turns()
    const pubrel = await mallory.expect(t, 'pubrel')
    t.deepEqual(topicsOf(await mallory.settled()), [])
    mallory.send({ cmd: 'pubcomp', messageId: pubrel['messageId'], reasonCode: 0x92 })

    for (let i = 1; i <= 3; i++) {
      await broker.publish({ topic: `open/${i}`, payload: '', qos: 1 })
      const { messageId } = await mallory.expect(t, 'publish', { topic: `open/${i}` })
      mallory.send({ cmd: 'puback', messageId })
    }
  })
}

test('a message that may be read is sent again to the same user, and one that may not be completes', async (t) => {
  let isRevoked = false
  const mayRead = (topic: string) => !isRevoked || topic.startsWith('open/')
  const { broker } = await startBroker(t, {
    hooks: {
      authenticate: () => true,
      authorizeSubscribe: (_, { topicFilter }) => mayRead(topicFilter),
      authorizeReceive: (_, { topic }) => mayRead(topic),
    },
  })
  const alice = await enter(t, broker, 'alice')
  await alice.subscribe(t, 'secret/#', { qos: 1 })
  await alice.subscribe(t, 'open/#', { qos: 1 })
  await broker.publish({ topic: 'secret/x', payload: '', qos: 1 })
  await broker.publish({ topic: 'open/x', payload: '', qos: 1 })
  await alice.settled()
  isRevoked = true

  const again = await enter(t, broker, 'alice')

  await again.expect(t, 'publish', { topic: 'open/x', dup: true })
  t.deepEqual(await again.settled(), [])
})

for (const qos of [0, 1] as const) {
  test(`while it is asked what the next user of a session may, nothing is sent to it: QoS ${qos}`, async (t) => {
    const answer = defer<boolean>()
    let asked = 0
    const { broker } = await startBroker(t, {
      hooks: {
        authenticate: () => true,
        authorizeSubscribe({ userName }) {
          asked++
          return userName === 'alice' ? true : answer.promise
        },
      },
    })
    const alice = await enter(t, broker, 'alice')
    await alice.subscribe(t, 'secret', { qos })
    alice.destroy()
    await turns()
    asked = 0

    const mallory = await enter(t, broker, 'mallory')
    await turns()
    t.is(asked, 1)
    const published = broker.publish({ topic: 'secret', payload: '', qos })
    await turns()
    answer.resolve(false)
    await published

    t.deepEqual(topicsOf(await mallory.settled()), [])
  })
}
