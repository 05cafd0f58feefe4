/** What is left in a store when every session has ended: nothing. */

import test, { type ExecutionContext } from 'ava'
import { type Broker, createBroker } from '../../lib/index.ts'
import type { Store } from '../../lib/storage/storage.ts'
import { noEvents, replay } from '../storage/contract-support.ts'
import { makeEmbedded, openEmbedded, storeDirectory } from '../storage/embedded-support.ts'
import { connectClient, type MemoryClient } from '../support/client.ts'
import { ManualClock } from '../support/clock.ts'
import { acknowledge, arrived, durable } from '../support/messages.ts'
import { RedisServer } from '../support/redis-server.ts'
import { freshPrefix, makeStore } from '../support/redis-store.ts'
import { redisTest } from '../support/redis-test.ts'
import { until } from '../support/turns.ts'

async function leave(client: MemoryClient): Promise<void> {
  client.end.close()
  await client.closed()
}

/** Sessions that hold all a session can hold: subscriptions, wills, messages in every state of both ways. */
async function useAll(t: ExecutionContext, broker: Broker): Promise<void> {
  for (const name of ['a', 'b', 'c']) {
    const will = { topic: 'w', payload: 'gone', qos: 1, properties: { willDelayInterval: 50 } }
    const client = await connectClient(t, broker, { ...durable(5, name), will })
    const subscriptions = ['t/#', '$share/g/t/#'].map((topic) => ({ topic, qos: 2 }))
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions })
    for (const messageId of [1, 2, 3]) {
      client.publish('t/x', name, { qos: 2, messageId, retain: messageId === 3 })
    }
    const packets = await arrived(client)
    acknowledge(client, packets.slice(0, 2))
    await arrived(client)
    await leave(client)
  }
  const publisher = await connectClient(t, broker)
  for (let messageId = 1; messageId <= 400; messageId++) {
    publisher.publish('t/y', 'x'.repeat(100), { qos: 1, messageId })
  }
  await arrived(publisher)
  publisher.publish('t/x', '', { qos: 1, messageId: 1, retain: true })
  await arrived(publisher)
  await leave(publisher)
}

/** Uses a store through a broker until every session has expired, then closes both. */
async function useUp(t: ExecutionContext, storage: Store, clock: ManualClock): Promise<void> {
  const broker = await createBroker({ listeners: [], storage, clock })
  await useAll(t, broker)
  t.is((await replay(storage)).length, 3)

  await clock.advance(3_600_000)
  await until(() => broker.counters.clientsExpired === 3)
  await broker.close()
}

test('when every session has expired nothing is left on the disk', async (t) => {
  const directory = storeDirectory(t)
  const clock = new ManualClock()
  const unused = await openEmbedded(t, directory, { clock })
  const empty = await unused.countRecords()
  await unused.close()
  await useUp(t, makeEmbedded(directory, { clock }), clock)

  const store = await openEmbedded(t, directory, { clock })
  t.deepEqual(await replay(store), [])
  t.deepEqual(await store.check({ repair: false }), [])
  let left = await store.countRecords()
  while (left.Discarded > 0 || left.Entry > 0) left = await store.countRecords()
  t.deepEqual({ ...left, Meta: 0 }, { ...empty, Meta: 0 })
})

redisTest('when every session has expired nothing is left in Redis', async (t) => {
  const server = await RedisServer.start()
  t.teardown(() => server.remove())
  const clock = new ManualClock()
  const keyPrefix = freshPrefix()

  await useUp(t, makeStore(server.url, { clock, keyPrefix }), clock)

  const store = makeStore(server.url, { clock, keyPrefix })
  await store.open(noEvents)
  t.deepEqual(await replay(store), [])
  t.deepEqual(await store.check({ repair: false }), [])
  await store.close()
  const keys = (await server.command('KEYS', '*'))
    .split('\r\n')
    .filter((line) => /^[^$*]/.test(line))
  t.deepEqual(
    keys.filter((key) => !/:(meta|lane)$/.test(key)),
    [],
  )
})
