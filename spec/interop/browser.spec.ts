/** A web page in Chromium with MQTT.js' browser bundle, over WebSocket. */

import { once } from 'node:events'
import type { ExecutionContext } from 'ava'
import test from 'ava'
import { type Broker, createBroker } from '../../lib/index.ts'
import { closeBrowser, type MqttPage, openPage } from '../support/page.ts'

test.after.always(closeBrowser)

interface Room {
  readonly broker: Broker
  readonly url: string
  readonly page: MqttPage
}

/** A page and a broker that serves pages of `allowedOrigins`; of all if undefined. */
async function enter(
  t: ExecutionContext,
  allowedOrigins?: (origin: string) => string[],
): Promise<Room | undefined> {
  const page = await openPage(t)
  if (page === undefined) return undefined
  const broker = await createBroker({
    listeners: [{ type: 'ws', port: 0, allowedOrigins: allowedOrigins?.(page.origin) }],
  })
  t.teardown(() => broker.close())
  return { broker, page, url: broker.urls[0] ?? '' }
}

for (const protocolVersion of [4, 5] as const) {
  test(`a page subscribes and publishes (version ${protocolVersion})`, async (t) => {
    const room = await enter(t)
    if (room === undefined) return
    const { broker, page, url } = room
    const heard = once(broker, 'published')

    await page.connect(url, { protocolVersion })
    const connected = await page.next()
    await page.run("client.subscribeAsync('to/page', { qos: 2 })")
    await broker.publish({ topic: 'to/page', payload: 'grüß dich', qos: 2 })
    const message = await page.next()
    await page.run("client.publishAsync('from/page', 'hello', { qos: 2 })")
    const [fromPage] = await heard

    t.deepEqual(connected, ['connect', false])
    const expected = { topic: 'to/page', payload: 'grüß dich', qos: 2, retain: false }
    t.deepEqual(message, ['message', expected])
    t.like(fromPage, { topic: 'from/page', qos: 2 })
  })
}

test('a page gets retained messages, also large ones', async (t) => {
  const room = await enter(t)
  if (room === undefined) return
  const { broker, page, url } = room
  const payload = 'x'.repeat(1024 * 1024)
  await broker.publish({ topic: 'kept', payload, qos: 1, retain: true })

  await page.connect(url)
  await page.next()
  await page.run("client.subscribe('kept', { qos: 1 })")
  const message = await page.next()

  t.deepEqual(message, ['message', { topic: 'kept', payload, qos: 1, retain: true }])
})

test('a page whose connection broke comes back to its session', async (t) => {
  const room = await enter(t)
  if (room === undefined) return
  const { broker, page, url } = room
  const properties = { sessionExpiryInterval: 3600 }
  await page.connect(url, { protocolVersion: 5, clientId: 'tab', clean: false, properties })
  const first = await page.next()
  await page.run("client.subscribeAsync('news', { qos: 1 })")
  const disconnected = once(broker, 'disconnected')

  await page.run('client.stream.destroy(); undefined')
  await disconnected
  const closed = await page.next()
  await broker.publish({ topic: 'news', payload: 'missed', qos: 1 })
  await page.run('client.reconnect(); undefined')
  const second = await page.next()
  const message = await page.next()

  t.deepEqual([first, closed, second], [['connect', false], ['close'], ['connect', true]])
  t.like(message, ['message', { topic: 'news', payload: 'missed' }])
})

test('a page whose Origin is allowed is let in', async (t) => {
  const room = await enter(t, (origin) => ['https://example.org', origin])
  if (room === undefined) return

  await room.page.connect(room.url)

  t.deepEqual(await room.page.next(), ['connect', false])
})

test('a page whose Origin is not allowed is kept out', async (t) => {
  const room = await enter(t, () => ['https://example.org'])
  if (room === undefined) return

  await room.page.connect(room.url)
  const [name] = await room.page.next()

  t.true(name === 'error' || name === 'close', name)
  t.is(room.broker.counters.connectionsOpened, 0)
})
