import type { ExecutionContext } from 'ava'
import test from 'ava'
import { createBroker } from '../../lib/index.ts'
import { type AedesPersistence, aedesPersistence } from '../../lib/storage/aedes-persistence.ts'
import { storeDirectory } from '../storage/embedded-support.ts'
import { startAedes } from '../support/aedes.ts'
import { connectMqttJs, type MqttJsClient, receivedOf } from '../support/mqtt-js.ts'
import { RedisServer } from '../support/redis-server.ts'
import { freshPrefix } from '../support/redis-store.ts'

const server = await RedisServer.start()
test.after.always(() => server.remove())

/** For each kind of store the way to one that is new, which can be opened again and again. */
const stores: Record<string, (t: ExecutionContext) => () => AedesPersistence> = {
  disk: (t) => {
    const directory = storeDirectory(t)
    return () => aedesPersistence({ store: `disk:${directory}` })
  },
  redis: () => {
    const keyPrefix = freshPrefix()
    return () => aedesPersistence({ store: server.url, keyPrefix })
  },
}

async function connect(t: ExecutionContext, url: string, clientId: string): Promise<MqttJsClient> {
  return (await connectMqttJs(t, url, { clientId, clean: false })).client
}

for (const [kind, open] of Object.entries(stores)) {
  test(`a durable session of Aedes gets its QoS 1 and 2 messages after a restart, from ${kind}`, async (t) => {
    const persistence = open(t)
    const first = await startAedes(t, persistence())
    const gone = await connect(t, first.url, 'sensor')
    await gone.client.subscribeAsync('a/+', { qos: 2 })
    await gone.client.endAsync()
    const { client: publisher } = await connect(t, first.url, 'publisher')
    const numbers = Array.from({ length: 20 }, (_, i) => i)
    for (const i of numbers) {
      const qos = i % 2 === 0 ? 1 : 2
      // oxlint-disable-next-line no-await-in-loop -- In this order.
      await publisher.publishAsync(`a/${i}`, `message ${i}`, { qos })
    }
    // Aedes acknowledges QoS 1 before it stores anything, QoS 2 after.
    await publisher.publishAsync('a/kept', 'retained', { qos: 2, retain: true })
    await first.close()

    const second = await startAedes(t, persistence())
    const back = await connect(t, second.url, 'sensor')

    // MQTT.js hands out QoS 2 messages as PUBREL comes, so that others overtake them.
    const received = (await back.take(21)).map(receivedOf)
    const payloads = (wanted: number): string[] =>
      received.filter(({ qos }) => qos === wanted).map(({ payload }) => payload)
    t.deepEqual(
      payloads(1),
      numbers.filter((i) => i % 2 === 0).map((i) => `message ${i}`),
    )
    t.deepEqual(payloads(2), [
      ...numbers.filter((i) => i % 2 === 1).map((i) => `message ${i}`),
      'retained',
    ])
    t.deepEqual(await back.settled(), [])
    await second.close()
    const third = await startAedes(t, persistence())
    const again = await connect(t, third.url, 'sensor')
    await again.client.subscribeAsync('a/kept', { qos: 1 })
    t.is((await again.next()).payload, 'retained')
    t.deepEqual(await again.settled(), [])
  })
}

test('our broker serves what Aedes has kept, and Aedes what our broker has', async (t) => {
  const directory = storeDirectory(t)
  const url = `disk:${directory}`
  const aedes = await startAedes(t, aedesPersistence({ store: url }))
  const subscriber = await connect(t, aedes.url, 'sensor')
  await subscriber.client.subscribeAsync('a/#', { qos: 2 })
  await subscriber.client.endAsync()
  const { client: publisher } = await connect(t, aedes.url, 'publisher')
  await publisher.publishAsync('a/x', 'from Aedes', { qos: 2 })
  await publisher.publishAsync('kept', 'by Aedes', { qos: 1, retain: true })
  await aedes.close()

  const broker = await createBroker({
    listeners: [{ type: 'tcp', port: 0 }],
    store: { url },
  })
  t.teardown(() => broker.close())
  const ours = await connect(t, broker.urls[0]!, 'sensor')
  t.like(await ours.next(), { topic: 'a/x', payload: 'from Aedes', qos: 2 })
  await ours.client.subscribeAsync('kept', { qos: 1 })
  t.like(await ours.next(), { topic: 'kept', payload: 'by Aedes', retain: true })
  await ours.client.endAsync()
  await broker.publish({ topic: 'a/y', payload: 'from Noctule', qos: 1 })
  await broker.publish({ topic: 'kept', payload: 'by Noctule', qos: 1, retain: true })
  await broker.close()

  const after = await startAedes(t, aedesPersistence({ store: url }))
  const back = await connect(t, after.url, 'sensor')
  t.deepEqual(
    (await back.take(2)).map(({ topic, payload }) => `${topic} ${String(payload)}`),
    ['a/y from Noctule', 'kept by Noctule'],
  )
})
