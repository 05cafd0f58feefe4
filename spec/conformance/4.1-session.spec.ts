import test from 'ava'
import type { ConnectionEnd } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import {
  type ConnectOptions,
  connectClient,
  type MemoryClient,
  openClient,
} from '../support/client.ts'
import { defer, microtasks, turns } from '../support/deferred.ts'
import { Observed } from '../support/observed.ts'

const versions = [3, 4, 5] as const
const expiring = (sessionExpiryInterval: number) => ({ properties: { sessionExpiryInterval } })

/** A CONNECT that keeps its session, in the words of its version. */
function keeping(version: 3 | 4 | 5, clientId = 'c'): ConnectOptions {
  return { version, clientId, clean: false, ...(version === 5 && expiring(1000)) }
}

async function leave(client: MemoryClient): Promise<void> {
  client.end.close()
  await client.closed()
}

for (const version of versions) {
  test(`[MQTT-3.1.2-5] [MQTT-3.1.2-23] [3.1.1: MQTT-3.1.2-4] [3.1.1: MQTT-3.1.2-5] a session is stored, with what comes meanwhile, and resumed (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const first = await connectClient(t, broker, keeping(version))
    await first.subscribe(t, 'a', { qos: 1 })
    await leave(first)

    await broker.publish({ topic: 'a', payload: 'waited', qos: 1 })
    const client = await connectClient(t, broker, keeping(version))

    const publish = await client.expect(t, 'publish', { qos: 1, dup: false })
    t.is(publish['payload'].toString(), 'waited')
    await broker.publish({ topic: 'a', payload: 'live', qos: 0 })
    const live = await client.expect(t, 'publish', { qos: 0 })
    t.is(live['payload'].toString(), 'live')
  })

  test(`[MQTT-3.1.2-4] [MQTT-3.1.4-4] [3.1.1: MQTT-3.1.2-6] [3.1.1: MQTT-3.1.4-3] Clean Start 1 discards the session (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const first = await connectClient(t, broker, keeping(version))
    await first.subscribe(t, 'a', { qos: 1 })
    await leave(first)
    await broker.publish({ topic: 'a', payload: 'lost', qos: 1 })

    const second = await connectClient(t, broker, { version, clientId: 'c', clean: true })
    await broker.publish({ topic: 'a', payload: 'unheard', qos: 1 })
    t.deepEqual(await second.settled(), [])
    await leave(second)

    const third = await connectClient(t, broker, keeping(version))
    t.deepEqual(await third.settled(), [])
  })

  test(`[MQTT-4.1.0-2] [3.1.1: MQTT-3.1.2-6] a clean session ends with its connection (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const first = await connectClient(t, broker, { version, clientId: 'c', clean: true })
    await first.subscribe(t, 'a', { qos: 1 })
    await leave(first)

    await broker.publish({ topic: 'a', payload: 'x', qos: 1 })
    const client = await connectClient(t, broker, keeping(version))

    t.deepEqual(await client.settled(), [])
  })

  test(`[3.1.1: MQTT-3.1.2-7] retained messages are no part of the session and stay (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const first = await connectClient(t, broker, { version, clientId: 'c', clean: true })
    first.publish('a', 'kept', { retain: true })
    await first.settled()
    await leave(first)

    const client = await connectClient(t, broker, { version, clientId: 'c', clean: true })
    await client.subscribe(t, 'a')

    const publish = await client.expect(t, 'publish', { retain: true })
    t.is(publish['payload'].toString(), 'kept')
  })

  for (const next of versions) {
    if (next === version) continue
    test(`[MQTT-3.1.3-2] a session of version ${version} is resumed by its client in version ${next}`, async (t) => {
      const { broker } = await startBroker(t)
      const first = await connectClient(t, broker, keeping(version))
      await first.subscribe(t, 'a', { qos: 2 })
      await leave(first)
      await broker.publish({ topic: 'a', payload: 'waited', qos: 2 })

      const client = openClient(broker, next)
      client.connect(keeping(next))

      await client.expect(t, 'connack', { sessionPresent: next > 3 })
      const { messageId, payload } = await client.expect(t, 'publish', { qos: 2 })
      t.is(payload.toString(), 'waited')
      client.send({ cmd: 'pubrec', messageId })
      await client.expect(t, 'pubrel', { messageId })
    })
  }

  test(`[MQTT-3.1.3-2] sessions of different Client Identifiers have nothing in common (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const one = await connectClient(t, broker, keeping(version, 'c'))
    await one.subscribe(t, 'a')
    const other = await connectClient(t, broker, keeping(version, 'C'))

    await broker.publish({ topic: 'a', payload: 'x' })

    await one.expect(t, 'publish')
    t.deepEqual(await other.settled(), [])
    t.is(broker.clientCount, 2)
  })
}

test('[MQTT-3.1.2-6] Clean Start 0 without a session begins one', async (t) => {
  const { broker } = await startBroker(t)
  const client = openClient(broker)

  client.connect({ clientId: 'c', clean: false })

  await client.expect(t, 'connack', { sessionPresent: false, reasonCode: 0 })
  await client.subscribe(t, 'a')
})

test('[MQTT-3.1.2-23] [MQTT-4.1.0-2] a session lives until its Session Expiry Interval has passed, and no longer', async (t) => {
  for (const [ms, sessionPresent] of [
    [9_999, true],
    [10_000, false],
  ] as const) {
    const { broker, clock } = await startBroker(t)
    const first = await connectClient(t, broker, { clientId: 'c', ...expiring(10) })
    await leave(first)

    await clock.advance(ms)

    const client = openClient(broker)
    client.connect({ clientId: 'c', clean: false })
    await client.expect(t, 'connack', { sessionPresent })
  }
})

test('[MQTT-4.1.0-1] a session does not expire while its client is connected', async (t) => {
  const { broker, clock } = await startBroker(t)
  const first = await connectClient(t, broker, { clientId: 'c', ...expiring(10) })
  await first.subscribe(t, 'a')
  await leave(first)
  await clock.advance(5_000)
  const client = await connectClient(t, broker, { clientId: 'c', clean: false, ...expiring(10) })

  await clock.advance(1_000_000)

  await broker.publish({ topic: 'a', payload: 'x' })
  await client.expect(t, 'publish')
  await leave(client)
  await clock.advance(9_999)
  const last = openClient(broker)
  last.connect({ clientId: 'c', clean: false })
  await last.expect(t, 'connack', { sessionPresent: true })
})

test('[MQTT-4.1.0-2] a session resumed without Session Expiry Interval ends with that connection', async (t) => {
  const { broker } = await startBroker(t)
  await leave(await connectClient(t, broker, { clientId: 'c', ...expiring(10) }))
  await leave(await connectClient(t, broker, { clientId: 'c', clean: false }))

  const client = openClient(broker)
  client.connect({ clientId: 'c', clean: false })

  await client.expect(t, 'connack', { sessionPresent: false })
})

test('a Session Expiry Interval of 0xFFFFFFFF never passes', async (t) => {
  const { broker, clock } = await startBroker(t, { monitor: { sysIntervalSeconds: 0 } })
  await leave(await connectClient(t, broker, { clientId: 'c', ...expiring(0xffff_ffff) }))

  await clock.advance(200 * 365 * 86_400_000)

  const client = openClient(broker)
  client.connect({ clientId: 'c', clean: false })
  await client.expect(t, 'connack', { sessionPresent: true })
})

test('[MQTT-4.1.0-2] session.expiryMaxSeconds bounds what a client asks for', async (t) => {
  const { broker, clock } = await startBroker(t, { session: { expiryMaxSeconds: 10 } })
  await leave(await connectClient(t, broker, { clientId: 'c', ...expiring(0xffff_ffff) }))

  await clock.advance(10_000)

  const client = openClient(broker)
  client.connect({ clientId: 'c', clean: false })
  await client.expect(t, 'connack', { sessionPresent: false })
})

for (const version of [3, 4] as const) {
  test(`session.v3SessionExpirySeconds ends the session of a 3.x client that stays away (version ${version})`, async (t) => {
    const { broker, clock } = await startBroker(t, { session: { v3SessionExpirySeconds: 10 } })
    for (const [ms, count] of [
      [9_999, 1],
      [10_000, 0],
    ] as const) {
      const first = await connectClient(t, broker, keeping(version))
      await first.subscribe(t, 'a', { qos: 1 })
      await leave(first)
      await clock.advance(ms)
      await broker.publish({ topic: 'a', payload: 'x', qos: 1 })

      const client = await connectClient(t, broker, keeping(version))

      const publications = await client.settled()
      t.is(publications.filter(({ cmd }) => cmd === 'publish').length, count)
      await leave(await connectClient(t, broker, { version, clientId: 'c', clean: true }))
    }
  })
}

test('[MQTT-3.1.2-23] DISCONNECT changes the Session Expiry Interval, up or down', async (t) => {
  for (const [interval, ms, sessionPresent] of [
    [20, 19_999, true],
    [20, 20_000, false],
    [5, 5_000, false],
    [0, 0, false],
  ] as const) {
    const { broker, clock } = await startBroker(t)
    const first = await connectClient(t, broker, { clientId: 'c', ...expiring(10) })
    first.send({ cmd: 'disconnect', reasonCode: 0, ...expiring(interval) })
    t.deepEqual(await first.closed(), [])

    await clock.advance(ms)

    const client = openClient(broker)
    client.connect({ clientId: 'c', clean: false })
    await client.expect(t, 'connack', { sessionPresent })
  }
})

test('a Session Expiry Interval of 0 cannot be raised by DISCONNECT', async (t) => {
  const { broker } = await startBroker(t)
  const first = await connectClient(t, broker, { clientId: 'c' })

  first.send({ cmd: 'disconnect', reasonCode: 0, ...expiring(10) })

  await first.expect(t, 'disconnect', { reasonCode: 0x82 })
  t.deepEqual(await first.closed(), [])
  const client = openClient(broker)
  client.connect({ clientId: 'c', clean: false })
  await client.expect(t, 'connack', { sessionPresent: false })
})

test('a Session Expiry Interval on DISCONNECT stays below session.expiryMaxSeconds', async (t) => {
  const { broker, clock } = await startBroker(t, { session: { expiryMaxSeconds: 10 } })
  const first = await connectClient(t, broker, { clientId: 'c', ...expiring(5) })
  first.send({ cmd: 'disconnect', reasonCode: 0, ...expiring(100) })
  await first.closed()

  await clock.advance(10_000)

  const client = openClient(broker)
  client.connect({ clientId: 'c', clean: false })
  await client.expect(t, 'connack', { sessionPresent: false })
})

test('[MQTT-3.1.2-8] [MQTT-3.14.4-3] a client whose sessions the broker does not keep may say on DISCONNECT how long it wants one kept', async (t) => {
  const { broker } = await startBroker(t, { session: { expiryMaxSeconds: 0 } })
  const observed = new Observed(broker)
  const options = { clientId: 'c', will: { topic: 'w' } }
  const client = await connectClient(t, broker, { ...options, ...expiring(10) })

  client.send({ cmd: 'disconnect', reasonCode: 0, ...expiring(20) })

  t.deepEqual(await client.closed(), [])
  t.deepEqual(observed.messages, [])
  const other = await connectClient(t, broker, options)
  other.send({ cmd: 'disconnect', reasonCode: 0, ...expiring(20) })
  await other.expect(t, 'disconnect', { reasonCode: 0x82 })
})

for (const version of versions) {
  for (const next of versions) {
    test(`[MQTT-3.1.4-3] [3.1.1: MQTT-3.1.4-2] a connected client of version ${version} is taken over by one of version ${next}`, async (t) => {
      const { broker } = await startBroker(t)
      const ends: ConnectionEnd[] = []
      broker.on('disconnected', (_, end) => ends.push(end))
      const first = await connectClient(t, broker, keeping(version))
      await first.subscribe(t, 'a', { qos: 1 })

      const client = openClient(broker, next)
      client.connect(keeping(next))

      await client.expect(t, 'connack', { sessionPresent: next > 3 })
      const farewell = await first.closed()
      t.deepEqual(
        farewell.map(({ cmd, reasonCode }) => [cmd, reasonCode]),
        version === 5 ? [['disconnect', 0x8e]] : [],
      )
      t.is(ends[0]?.reasonCode, 0x8e)
      t.is(broker.clientCount, 1)
      await broker.publish({ topic: 'a', payload: 'x', qos: 1 })
      await client.expect(t, 'publish', { qos: 1 })
    })
  }

  test(`[MQTT-3.1.4-3] Clean Start takes over without the session (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const first = await connectClient(t, broker, keeping(version))
    await first.subscribe(t, 'a')
    const client = openClient(broker, version)

    client.connect({ clientId: 'c', clean: true })

    await client.expect(t, 'connack', { sessionPresent: false })
    await first.closed()
    await broker.publish({ topic: 'a', payload: 'x' })
    t.deepEqual(await client.settled(), [])
  })

  test(`[MQTT-3.1.4-3] of two CONNECTs at once the one that is authenticated last stays (version ${version})`, async (t) => {
    const answers = [defer<boolean>(), defer<boolean>()]
    let asked = 0
    const hooks = { authenticate: () => answers[asked++]!.promise }
    const { broker } = await startBroker(t, { hooks })
    const clients = [openClient(broker, version), openClient(broker, version)] as const
    for (const client of clients) client.connect(keeping(version))
    await turns()

    answers[1]!.resolve(true)
    answers[0]!.resolve(true)

    await clients[1].expect(t, 'connack', { sessionPresent: false })
    await clients[0].expect(t, 'connack', { sessionPresent: version > 3 })
    const farewell = await clients[1].closed()
    t.is(farewell.length, version === 5 ? 1 : 0)
    t.deepEqual(await clients[0].settled(), [])
    t.is(broker.clientCount, 1)
  })
}

test('[MQTT-3.1.4-3] of many CONNECTs at once exactly one stays, and the count is right', async (t) => {
  const { broker } = await startBroker(t, { hooks: { authenticate: async () => true } })
  const clients = Array.from({ length: 9 }, () => openClient(broker))

  for (const client of clients) client.connect({ clientId: 'c', clean: false, ...expiring(10) })
  await turns(20)

  const open = clients.filter(({ isClosed }) => !isClosed)
  t.is(open.length, 1)
  t.is(broker.clientCount, 1)
  await leave(open[0] as MemoryClient)
  t.is(broker.clientCount, 0)
})

test('a session that is discarded within its CONNECT leaves no trace', async (t) => {
  for (let ticks = 0; ticks < 12; ticks++) {
    const answer = defer<boolean>()
    const { broker } = await startBroker(t, { hooks: { authenticate: () => answer.promise } })
    const client = openClient(broker)
    client.connect({ clientId: 'c', clean: false, ...expiring(10) })
    await turns()

    answer.resolve(true)
    await microtasks(ticks)
    const existed = await broker.discardSession('c')
    await turns()

    t.is(client.isClosed, existed)
    t.is(broker.clientCount, existed ? 0 : 1)
  }
})

test('a client that goes away while a hook decides is not connected', async (t) => {
  const answer = defer<boolean>()
  const { broker } = await startBroker(t, { hooks: { authenticate: () => answer.promise } })
  const connected: string[] = []
  broker.on('connected', ({ clientIdentifier }) => connected.push(clientIdentifier))
  const client = openClient(broker)
  client.connect({ clientId: 'c', will: { topic: 'w' } })
  await turns()

  client.destroy()
  await client.closed()
  answer.resolve(true)
  await turns()

  t.deepEqual([connected, broker.clientCount], [[], 0])
})

test('an administrator ends a session with DISCONNECT 0x98', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker, { clientId: 'c', ...expiring(10) })

  t.true(await broker.discardSession('c'))

  await client.expect(t, 'disconnect', { reasonCode: 0x98 })
  t.deepEqual(await client.closed(), [])
  const next = openClient(broker)
  next.connect({ clientId: 'c', clean: false })
  await next.expect(t, 'connack', { sessionPresent: false })
  t.false(await broker.discardSession('nobody'))
})
