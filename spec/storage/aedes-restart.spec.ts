import { Buffer } from 'node:buffer'
import type { ExecutionContext } from 'ava'
import test from 'ava'
import {
  type AedesPacket,
  type AedesPersistence,
  aedesPersistence,
} from '../../lib/storage/aedes-persistence.ts'
import { MemoryStore } from '../../lib/storage/memory.ts'
import type { Opened, StoredSession, StoreError, StoreEvents } from '../../lib/storage/storage.ts'
import { systemClock } from '../../lib/util/clock.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'
import { sessionsOf } from './contract-support.ts'
import { openEmbedded, storeDirectory } from './embedded-support.ts'

const client = { id: 'c' }
const to = { clientId: 'c' }

/** A store in memory that a test may look into, and let events happen to. */
class WatchedStore extends MemoryStore {
  events: StoreEvents | undefined

  constructor() {
    super(systemClock, new MemoryBudget(1e9))
  }

  override open(events?: StoreEvents): Promise<Opened> {
    this.events = events
    return super.open()
  }
}

async function watched(): Promise<{ store: WatchedStore; persistence: AedesPersistence }> {
  const store = new WatchedStore()
  const persistence = aedesPersistence({ store })
  await persistence.setup({ id: 'b' })
  return { store, persistence }
}

/** Opens a persistence on a directory; it is closed with the test, if it still is open. */
async function open(t: ExecutionContext, directory: string): Promise<AedesPersistence> {
  const persistence = aedesPersistence({ store: `disk:${directory}` })
  await persistence.setup({ id: 'b' })
  t.teardown(() => persistence.destroy().catch(() => {}))
  return persistence
}

function packetOf(brokerCounter: number, change: Partial<AedesPacket> = {}): AedesPacket {
  const rest = { cmd: 'publish', topic: 'a', qos: 2, retain: false, dup: false } as const
  return {
    ...rest,
    payload: Buffer.from(`${brokerCounter}`),
    brokerId: 'b',
    brokerCounter,
    ...change,
  }
}

/** What waits, as payload and Packet Identifier, or `pubrel`. */
async function outgoing(persistence: AedesPersistence): Promise<unknown[]> {
  const packets = await persistence.outgoingStream(client).toArray()
  return packets.map(({ cmd, payload, messageId }: AedesPacket) => [
    cmd === 'pubrel' ? cmd : String(payload),
    messageId,
  ])
}

test('Packet Identifiers and PUBREL outlive a restart, in the order of the messages', async (t) => {
  const directory = storeDirectory(t)
  const first = await open(t, directory)
  for (const i of [1, 2, 3, 4]) {
    // oxlint-disable-next-line no-await-in-loop -- In this order.
    await first.outgoingEnqueue(to, packetOf(i))
  }
  await first.outgoingUpdate(client, packetOf(3, { messageId: 9 }))
  await first.outgoingUpdate(client, packetOf(1, { messageId: 7 }))
  await first.outgoingUpdate(client, packetOf(1, { messageId: 8 }))
  await first.outgoingUpdate(client, { cmd: 'pubrel', messageId: 9 })
  await first.destroy()

  const second = await open(t, directory)

  t.deepEqual(await outgoing(second), [
    ['1', 8],
    ['2', undefined],
    ['pubrel', 9],
    ['4', undefined],
  ])
  t.is(await second.outgoingClearMessageId(client, { messageId: 7 }), undefined)
  t.like(await second.outgoingClearMessageId(client, { messageId: 8 }), {
    messageId: 8,
    topic: 'a',
  })
  t.deepEqual(await second.outgoingClearMessageId(client, { messageId: 9 }), {
    cmd: 'pubrel',
    messageId: 9,
  })
  await second.destroy()

  const third = await open(t, directory)
  t.deepEqual(await outgoing(third), [
    ['2', undefined],
    ['4', undefined],
  ])
})

test('a message of an earlier process is not taken for one of the present that has its name', async (t) => {
  const directory = storeDirectory(t)
  const first = await open(t, directory)
  await first.outgoingEnqueue(to, packetOf(1, { payload: 'old' }))
  await first.destroy()

  const second = await open(t, directory)
  await second.outgoingEnqueue(to, packetOf(1, { payload: 'new' }))
  const [old] = (await second.outgoingStream(client).toArray()) as AedesPacket[]
  await second.outgoingUpdate(client, packetOf(1, { messageId: 5 }))
  await second.outgoingUpdate(client, { ...old, messageId: 6 })

  t.deepEqual(await outgoing(second), [
    ['old', 6],
    ['new', 5],
  ])
})

test('subscriptions, wills, inbound identifiers and retained messages outlive a restart', async (t) => {
  const directory = storeDirectory(t)
  const first = await open(t, directory)
  const subscription = { topic: 'a/+', qos: 1, rh: 0, rap: true, nl: true } as const
  await first.addSubscriptions(client, [{ ...subscription, subscriptionIdentifier: 9 }])
  await first.putWill(client, { topic: 'gone', payload: Buffer.from('w'), qos: 1, retain: true })
  await first.incomingStorePacket(client, packetOf(1, { messageId: 77 }))
  const properties = {
    payloadFormatIndicator: true,
    correlationData: Buffer.from([0, 255]),
    userProperties: { a: ['1', '2'], 'aedes-packet': '{}' },
    messageExpiryInterval: 9,
  }
  const retained = packetOf(2, { topic: 'kept', qos: 1, retain: true, properties })
  await first.storeRetained(retained)
  await first.destroy()

  const second = await open(t, directory)

  t.deepEqual(await second.subscriptionsByClient(client), [
    { ...subscription, subscriptionIdentifier: 9 },
  ])
  t.deepEqual(await second.subscriptionsByTopic('a/x'), [{ clientId: 'c', ...subscription }])
  t.deepEqual(await second.streamWill({ other: 1 }).toArray(), [await second.getWill(client)])
  t.like(await second.getWill(client), {
    topic: 'gone',
    brokerId: 'b',
    clientId: 'c',
    retain: true,
  })
  t.is((await second.incomingGetPacket(client, { messageId: 77 })).messageId, 77)
  const [kept] = (await second.createRetainedStream('#').toArray()) as [AedesPacket]
  const { userProperties } = kept.properties!
  t.deepEqual(
    { ...kept, properties: { ...kept.properties, userProperties: { ...userProperties } } },
    retained,
  )
})

test('a session of the store ends with the last thing that is kept for its client', async (t) => {
  const { store, persistence } = await watched()
  await persistence.addSubscriptions(client, [{ topic: 'a', qos: 1 }])
  await persistence.putWill(client, { topic: 'gone', payload: 'w' })
  await persistence.incomingStorePacket(client, packetOf(1, { messageId: 3 }))
  await persistence.outgoingEnqueue(to, packetOf(2))
  await persistence.outgoingUpdate(client, packetOf(2, { messageId: 4 }))
  t.is((await sessionsOf(store)).length, 1)

  await persistence.cleanSubscriptions(client)
  await persistence.delWill(client)
  await persistence.cleanIncoming(client)
  t.is((await sessionsOf(store)).length, 1)

  await persistence.outgoingClearMessageId(client, { messageId: 4 })
  t.deepEqual(await sessionsOf(store), [])
})

test('a client with several matching subscriptions gets one copy, for which each delivery must fail', async (t) => {
  const { persistence } = await watched()
  await persistence.outgoingEnqueueCombi([to, to], packetOf(1))
  await persistence.outgoingEnqueueCombi([to, to], packetOf(2))
  t.is((await outgoing(persistence)).length, 2)

  await persistence.outgoingEnqueueCombi([to, to], packetOf(3))
  t.is(await persistence.outgoingClearMessageId(client, packetOf(3)), undefined)
  await persistence.outgoingUpdate(client, packetOf(3, { messageId: 1 }))
  await persistence.outgoingEnqueueCombi([to, to], packetOf(4))
  await persistence.outgoingClearMessageId(client, packetOf(4))
  t.is(String((await persistence.outgoingClearMessageId(client, packetOf(4)))?.payload), '4')

  t.deepEqual(await outgoing(persistence), [
    ['1', undefined],
    ['2', undefined],
    ['3', 1],
  ])
})

test('a message is found by its name, however many wait behind it', async (t) => {
  const { persistence } = await watched()
  for (let i = 1; i <= 1_500; i++) {
    // oxlint-disable-next-line no-await-in-loop -- In this order.
    await persistence.outgoingEnqueue(to, packetOf(i))
  }

  await persistence.outgoingUpdate(client, packetOf(2, { messageId: 5 }))

  t.like(await persistence.outgoingClearMessageId(client, { messageId: 5 }), { brokerCounter: 2 })
  await t.throwsAsync(persistence.outgoingUpdate(client, packetOf(9_999, { messageId: 6 })), {
    message: 'no such packet',
  })
})

test('properties that the standard forbids do not make a queue unreadable', async (t) => {
  const { persistence } = await watched()
  const properties = { contentType: 'a\0b', responseTopic: 'x' }
  await persistence.outgoingEnqueue(to, packetOf(1, { properties, clientId: 'x'.repeat(65_535) }))

  const [packet] = (await persistence.outgoingStream(client).toArray()) as [AedesPacket]
  t.like(packet, { topic: 'a', brokerCounter: 1, properties: {} })
})

test('a store that comes back empty is given what is known, but for the messages', async (t) => {
  const { store, persistence } = await watched()
  await persistence.addSubscriptions(client, [{ topic: 'a', qos: 1 }])
  await persistence.incomingStorePacket(client, packetOf(1, { messageId: 3 }))
  await persistence.storeRetained(packetOf(1, { topic: 'kept', retain: true }))
  await persistence.outgoingEnqueue(to, packetOf(2))

  await store.events!.emptied(() => true)

  const [session] = (await sessionsOf(store)) as [StoredSession]
  t.like(session, { inbound: [3], queued: 0 })
  t.deepEqual(
    session.subscriptions.map(({ topicFilter }) => topicFilter),
    ['a'],
  )
  await persistence.outgoingEnqueue(to, packetOf(3))
  t.deepEqual(await outgoing(persistence), [['3', undefined]])
})

test('of a store that has lost some sessions the others keep their messages', async (t) => {
  const { store, persistence } = await watched()
  await persistence.addSubscriptions(client, [{ topic: 'a', qos: 1 }])
  await persistence.outgoingEnqueue(to, packetOf(2))

  await store.events!.emptied(() => false)

  t.deepEqual(await outgoing(persistence), [['2', undefined]])
})

test('Aedes hears of a store that is lost, and whoever asks too early or too late is told', async (t) => {
  const store = new WatchedStore()
  const persistence = aedesPersistence({ store })
  await t.throwsAsync(persistence.storeRetained(packetOf(1)), { code: 'closed' })
  const errors: Error[] = []
  await persistence.setup({ id: 'b', emit: (_, error) => errors.push(error) })

  store.events!.lost(new Error('gone') as StoreError)

  t.deepEqual(
    errors.map(({ message }) => message),
    ['gone'],
  )
  await persistence.destroy()
  await t.throwsAsync(persistence.storeRetained(packetOf(1)), { code: 'closed' })
  await t.throwsAsync(persistence.destroy(), { message: /destroyed already/ })
})

test('options are checked, and a store that gives less than was asked for is refused', async (t) => {
  const broker = { id: 'b' }
  const wrong = aedesPersistence({ store: 'mongodb://x' })
  await t.throwsAsync(wrong.setup(broker), { name: 'ConfigurationError' })
  const weak = aedesPersistence({ store: 'memory', durability: 'disk' })
  await t.throwsAsync(weak.setup(broker), {
    code: 'unusable',
    message: /asks for disk.*gives volatile/,
  })
  const allowed = aedesPersistence({ store: 'memory', durability: 'disk', allowWeaker: true })
  await t.notThrowsAsync(allowed.setup(broker))
})

test('what a store of the broker left to end goes on with Aedes', async (t) => {
  const directory = storeDirectory(t)
  const store = await openEmbedded(t, directory)
  const options = { cleanStart: false, expirySeconds: 100, will: undefined }
  const subscription = { topicFilter: 'a', qos: 1, noLocal: false } as const
  for (const [name, expiresAt] of [
    ['c', Date.now() + 100_000],
    ['over', 1],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop -- One after the other.
    const { ref } = await store.claim(name, options)
    const subscribe = [{ ...subscription, retainAsPublished: false, subscriptionIdentifier: 0 }]
    // oxlint-disable-next-line no-await-in-loop -- As above.
    await store.update(ref, { subscribe })
    // oxlint-disable-next-line no-await-in-loop -- As above.
    await store.release(ref, { expiresAt, willAt: undefined, sentTo: 0 })
  }
  await store.close()

  const persistence = await open(t, directory)

  t.deepEqual(await persistence.getClientList('a').toArray(), ['c'])
})
