/** Handlers, listeners, hooks and loggers of the host program that use the broker while it calls them. */

import { Buffer } from 'node:buffer'
import test from 'ava'
import type { ApplicationMessage, Broker, CreateBrokerOptions } from '../../lib/index.ts'
import { MemoryStore } from '../../lib/storage/memory.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'
import { startBroker } from '../support/broker.ts'
import { type AnyPacket, connectClient } from '../support/client.ts'
import { ManualClock } from '../support/clock.ts'
import { turns } from '../support/deferred.ts'
import { HeldStore } from '../support/held-store.ts'
import { frame, join, twoBytes, type } from '../support/raw-packets.ts'
import { recordingLogger } from '../support/recording-logger.ts'
import { until } from '../support/turns.ts'

type Hooks = NonNullable<CreateBrokerOptions['hooks']>

/** A queue that does not take what comes behind the first. */
const full = { queueMessagesMax: 1, queuePolicy: 'drop-newest' } as const

/** More than fit on the stack one in the other. */
const MANY = 10_000

const kept = { clientId: 'kept', properties: { sessionExpiryInterval: 60 } }
const payloadsOf = (packets: readonly AnyPacket[]): string[] =>
  packets.map(({ payload }) => String(payload))

/** Everybody may have a part of what is subscribed to: what `authorizeReceive` says. */
function filteredBy(authorizeReceive: NonNullable<Hooks['authorizeReceive']>): Hooks {
  return {
    authenticate: () => true,
    authorizeSubscribe: ({ clientIdentifier }) =>
      clientIdentifier.startsWith('filtered') ? { isAllowed: true, isFiltered: true } : true,
    authorizeReceive,
  }
}

test('an answer that clears what it answers comes behind it, for clients and for what is retained', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)
  await client.subscribe(t, 'command/#')
  broker.subscribe('command/#', ({ topic, payload }) => {
    if (payload.length > 0) void broker.publish({ topic, retain: true })
  })
  const publisher = await connectClient(t, broker)

  publisher.publish('command/x', 'reboot', { retain: true })
  await publisher.settled()
  await turns()

  t.deepEqual(payloadsOf(await client.settled()), ['reboot', ''])
  const late = await connectClient(t, broker)
  await late.subscribe(t, 'command/#')
  t.deepEqual(await late.settled(), [])
})

test('what a listener of "published" publishes comes behind what it was told of', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)
  await client.subscribe(t, 'a')
  broker.on('published', () => void broker.publish({ topic: 'a', payload: 'second' }))
  const publisher = await connectClient(t, broker)

  publisher.publish('a', 'first')
  await publisher.settled()
  await turns()

  t.deepEqual(payloadsOf(await client.settled()), ['first', 'second'])
})

test('what is published by handlers is routed in its order, also what comes while it waits', async (t) => {
  const { broker } = await startBroker(t)
  const heard: string[] = []
  broker.subscribe('list/#', ({ payload }) => heard.push(String(payload)))
  const published: Promise<void>[] = []
  broker.subscribe('begin', () => {
    for (const payload of ['1', '2'])
      published.push(broker.publish({ topic: 'list/a', payload, qos: 1 }))
  })

  const begun = broker.publish({ topic: 'begin' })
  published.push(broker.publish({ topic: 'list/b', payload: '3' }))
  await begun
  await Promise.all(published)

  t.deepEqual(heard, ['1', '2', '3'])
})

test('a message that leads to another, and so on, fills no stack and lets others have their turn', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)
  let count = 0
  let last: Promise<void> = Promise.resolve()
  broker.subscribe('a', () => {
    if (++count < MANY) last = broker.publish({ topic: 'a' })
  })

  await broker.publish({ topic: 'a' })
  await client.settled()
  t.true(count < MANY)
  await until(() => count === MANY)

  await t.notThrowsAsync(last)
})

test('an alert of each message that was dropped may be dropped too', async (t) => {
  const { broker } = await startBroker(t, { session: full })
  const client = await connectClient(t, broker, { properties: { receiveMaximum: 1 } })
  await client.subscribe(t, '#', { qos: 1 })
  let alerts = 0
  broker.on('dropped', () => {
    if (++alerts < MANY) void broker.publish({ topic: 'alert', qos: 1 })
  })

  for (let i = 0; i < 3; i++) await broker.publish({ topic: 'a', qos: 1 })
  await until(() => alerts === MANY)

  t.is(broker.counters.publishDropped, MANY)
})

test('a logger may publish its lines', async (t) => {
  const host: { broker?: Broker } = {}
  const log = recordingLogger()
  const publishLine = (fields: object, message: string): void => {
    log.warn(fields, message)
    void host.broker?.publish({ topic: 'log', payload: message, qos: 1 })
  }
  const logger = { ...log, warn: publishLine }
  const { broker } = await startBroker(t, { logger, session: full })
  host.broker = broker
  const client = await connectClient(t, broker, { properties: { receiveMaximum: 1 } })
  await client.subscribe(t, '#', { qos: 1 })

  for (let i = 0; i < 3; i++) await broker.publish({ topic: 'a', qos: 1 })
  await turns(20)

  t.is(log.find('message dropped').length, 1)
})

test('a line about the memory budget that is published breaks into no packet', async (t) => {
  const host: { broker?: Broker } = {}
  const log = recordingLogger()
  const publishLine = (fields: object, message: string): void => {
    log.warn(fields, message)
    void host.broker?.publish({ topic: 'log', payload: message })
  }
  const memory = { budgetBytes: 512 * 1024 }
  const { broker } = await startBroker(t, { logger: { ...log, warn: publishLine }, memory })
  host.broker = broker
  const slow = await connectClient(t, broker)
  await slow.subscribe(t, '#')
  slow.end.pauseReading()
  const publisher = await connectClient(t, broker, { version: 4 })

  const payloadOf = (i: number): Buffer => Buffer.alloc(3000 + (i % 7), `${i} `)
  const packets = Array.from({ length: 200 }, (_, i) =>
    frame(type.publish, 0, twoBytes(1), Buffer.from('a'), payloadOf(i)),
  )
  publisher.sendBytes(join(...packets))
  await publisher.settled()
  t.not(log.find('memory budget level changed').length, 0)
  slow.end.resumeReading()

  for (const { topic, payload } of await slow.settled()) {
    if (topic === 'log') continue
    t.deepEqual(payload, payloadOf(Number.parseInt(String(payload), 10)))
  }
})

test('[MQTT-2.2.1-4] who is asked about a message may publish: no Packet Identifier is given out twice', async (t) => {
  const host: { broker?: Broker } = {}
  const hooks = filteredBy((_, { topic }) => {
    if (topic !== 'audit') void host.broker?.publish({ topic: 'audit', payload: topic, qos: 2 })
    return true
  })
  const { broker } = await startBroker(t, { hooks })
  host.broker = broker
  const client = await connectClient(t, broker, { clientId: 'filtered', version: 4 })
  await client.subscribe(t, '#', { qos: 2 })

  for (let i = 0; i < 3; i++) await broker.publish({ topic: `data/${i}`, qos: 2 })
  await turns(8)

  const got = await client.settled()
  t.is(got.length, 6)
  t.is(new Set(got.map(({ messageId }) => messageId)).size, 6)
})

for (const [name, answer] of [
  ['throws', () => Promise.reject(new Error('never asked for'))],
  ['promises an answer', () => Promise.resolve(true)],
] as const) {
  for (const clientId of ['filtered', 'filtered and kept']) {
    test(`an authorizeReceive that ${name} denies "${clientId}" the message, and nothing else happens`, async (t) => {
      const log = recordingLogger()
      const hooks = filteredBy(((_: unknown, { topic }: { topic: string }) => {
        if (topic === 'open') return true
        if (name === 'throws') throw new Error('a defect of the host')
        return answer()
      }) as unknown as NonNullable<Hooks['authorizeReceive']>)
      const { broker } = await startBroker(t, { hooks, logger: log })
      const properties = { sessionExpiryInterval: clientId === 'filtered' ? 0 : 60 }
      const filtered = await connectClient(t, broker, { clientId, properties })
      await filtered.subscribe(t, '#', { qos: 1 })
      const other = await connectClient(t, broker)
      await other.subscribe(t, '#', { qos: 1 })
      const publisher = await connectClient(t, broker)

      publisher.publish('secret', 'x', { qos: 1, messageId: 1 })
      publisher.publish('open', 'x', { qos: 1, messageId: 2 })
      await publisher.expect(t, 'puback', { messageId: 1 })
      await publisher.expect(t, 'puback', { messageId: 2 })
      await turns()

      t.deepEqual(
        (await filtered.settled()).map(({ topic }) => topic),
        ['open'],
      )
      t.is((await other.settled()).length, 2)
      t.is(log.lines.filter(({ level }) => level === 'error').length, name === 'throws' ? 1 : 0)
    })
  }
}

test('an authorizePublish that says nothing of isAllowed allows nothing', async (t) => {
  const hooks = { authenticate: () => true, authorizePublish: () => ({}) } as unknown as Hooks
  const { broker } = await startBroker(t, { hooks })
  const heard: ApplicationMessage[] = []
  broker.subscribe('#', (message) => heard.push(message))
  const publisher = await connectClient(t, broker)

  publisher.publish('a', 'x', { qos: 1, messageId: 1 })

  await publisher.expect(t, 'puback', { reasonCode: 0x87 })
  t.deepEqual(heard, [])
})

test('what a handler does to a message is seen by nobody else', async (t) => {
  const { broker } = await startBroker(t)
  const before = await connectClient(t, broker, kept)
  await before.subscribe(t, 'a', { qos: 1 })
  before.destroy()
  await turns()
  const client = await connectClient(t, broker)
  await client.subscribe(t, 'a')
  const heard: string[] = []
  for (let i = 0; i < 2; i++) {
    broker.subscribe('a', ({ payload }) => {
      heard.push(String(payload))
      payload.fill('x')
    })
  }

  await broker.publish({ topic: 'a', payload: 'secret', qos: 1, retain: true })

  t.deepEqual(heard, ['secret', 'secret'])
  t.deepEqual(payloadsOf(await client.settled()), ['secret'])
  const late = await connectClient(t, broker)
  await late.subscribe(t, 'a')
  t.deepEqual(payloadsOf(await late.settled()), ['secret'])
  const back = await connectClient(t, broker, { ...kept, clean: false })
  t.deepEqual(payloadsOf(await back.settled()), ['secret'])
})

test('a retained message that a listener of "subscribed" publishes comes once', async (t) => {
  const { broker } = await startBroker(t)
  broker.on('subscribed', () => void broker.publish({ topic: 'a', payload: 'now', retain: true }))
  const client = await connectClient(t, broker)

  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 0 }] })
  await turns(8)

  const got = await client.settled()
  t.deepEqual(payloadsOf(got.filter(({ cmd }) => cmd === 'publish')), ['now'])
})

class CountedStore extends MemoryStore {
  closed = 0

  override async close(): Promise<void> {
    this.closed++
  }
}

test('who hears that a client is gone may close the broker', async (t) => {
  const clock = new ManualClock()
  const storage = new CountedStore(clock, new MemoryBudget(1e9))
  const { broker } = await startBroker(t, { storage, clock })
  broker.on('disconnected', () => void broker.close())
  const clients = []
  for (let i = 0; i < 20; i++) clients.push(await connectClient(t, broker))

  clients[0]!.destroy()
  for (const client of clients.slice(1)) await client.closed()
  await broker.close()

  t.is(storage.closed, 1)
})

test('a message at QoS 2 may be sent again any number of times while the store writes it', async (t) => {
  const store = new HeldStore()
  const connection = { receiveMaximum: 65_535 }
  const { broker } = await startBroker(t, { storage: store, clock: store.clock, connection })
  const publisher = await connectClient(t, broker, { ...kept, version: 4, clean: false })
  store.isHolding = true
  const packet = (flags: number): Buffer =>
    frame(type.publish, flags, twoBytes(1), Buffer.from('a'), twoBytes(7))

  publisher.sendBytes(join(packet(4), ...Array.from({ length: 6 * MANY }, () => packet(12))))
  await publisher.settled()
  store.isHolding = false
  store.complete()
  await turns()

  t.is((await publisher.settled()).length, 6 * MANY + 1)
})
