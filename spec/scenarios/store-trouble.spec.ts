/** What clients see when the store is slow, full, or gone. */

import { once } from 'node:events'
import test from 'ava'
import { type Broker, createBroker, StoreError } from '../../lib/index.ts'
import { RESIDENT_MAX } from '../../lib/session/page-reader.ts'
import { MemoryStore } from '../../lib/storage/memory.ts'
import {
  type Claimed,
  type ClaimOptions,
  type Opened,
  packetIdentifierOf,
  type Sink,
  type StoreEvents,
  type Unit,
} from '../../lib/storage/storage.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'
import { startBroker } from '../support/broker.ts'
import { connectClient, openClient } from '../support/client.ts'
import { ManualClock } from '../support/clock.ts'
import { HeldStore } from '../support/held-store.ts'
import { arrived, durable, payloads, versions } from '../support/messages.ts'
import { recordingLogger } from '../support/recording-logger.ts'

/** A store in memory that a test can make ill. */
class IllStore extends MemoryStore {
  events: StoreEvents | undefined
  isFull = false
  /** Claims that the test lets through, or never. */
  readonly heldClaims: (() => void)[] = []
  isHoldingClaims = false
  readonly claimed: string[] = []

  constructor(clock: ManualClock) {
    super(clock, new MemoryBudget(Number.POSITIVE_INFINITY))
  }

  override async open(events?: StoreEvents): Promise<Opened> {
    this.events = events
    return super.open()
  }

  override async claim(clientIdentifier: string, options: ClaimOptions): Promise<Claimed> {
    if (this.isHoldingClaims) {
      await new Promise<void>((resolve) => this.heldClaims.push(resolve))
    }
    this.claimed.push(clientIdentifier)
    return super.claim(clientIdentifier, options)
  }

  override write(unit: Unit, sink: Sink): void {
    if (!this.isFull) super.write(unit, sink)
    else queueMicrotask(() => sink.failed(unit, new StoreError('full', 'there is no room')))
  }
}

function makeStore(): { storage: IllStore; clock: ManualClock } {
  const clock = new ManualClock()
  return { storage: new IllStore(clock), clock }
}

async function addSubscriber(t: Parameters<typeof startBroker>[0], broker: Broker): Promise<void> {
  const subscriber = await connectClient(t, broker, durable(5, 'subscriber'))
  await subscriber.subscribe(t, 'a', { qos: 2 })
  subscriber.destroy()
}

for (const version of versions) {
  test(`a client that waits too long for the store is refused, and may come again (version ${version})`, async (t) => {
    const { storage, clock } = makeStore()
    const { broker } = await startBroker(t, { storage, clock })
    storage.isHoldingClaims = true
    const client = openClient(broker, version)

    client.connect(durable(version, 'c'))
    await clock.advance(0)
    await clock.advance(5_000)

    const refused = version === 5 ? { reasonCode: 0x88 } : { returnCode: 3 }
    await client.expect(t, 'connack', refused)
    await client.closed()
    storage.isHoldingClaims = false
    for (const goOn of storage.heldClaims) goOn()
    await connectClient(t, broker, durable(version, 'c'))
    t.is(storage.claimed.length, 2)
  })
}

test('a claim that comes too late for a client that resumes is still its own', async (t) => {
  const { storage, clock } = makeStore()
  const { broker } = await startBroker(t, { storage, clock })
  await addSubscriber(t, broker)
  storage.isHoldingClaims = true
  const late = openClient(broker)
  late.connect(durable(5, 'subscriber'))
  await clock.advance(0)
  await clock.advance(5_000)
  await late.expect(t, 'connack', { reasonCode: 0x88 })
  storage.isHoldingClaims = false
  for (const goOn of storage.heldClaims) goOn()

  const publisher = await connectClient(t, broker)
  publisher.publish('a', 'x', { qos: 1, messageId: 1 })
  await arrived(publisher)
  const client = openClient(broker)
  client.connect(durable(5, 'subscriber'))

  await client.expect(t, 'connack', { sessionPresent: true })
  await client.expect(t, 'publish', { dup: false })
})

for (const [qos, answer] of [
  [1, 'puback'],
  [2, 'pubrec'],
] as const) {
  test(`[MQTT-3.4.2-1] [MQTT-3.5.2-1] a store that is full is told in ${answer}, and taken again when there is room`, async (t) => {
    const { storage, clock } = makeStore()
    const { broker } = await startBroker(t, { storage, clock })
    await addSubscriber(t, broker)
    const publisher = await connectClient(t, broker)
    storage.isFull = true

    publisher.publish('a', 'x', { qos, messageId: 7 })
    await publisher.expect(t, answer, { messageId: 7, reasonCode: 0x97 })
    storage.isFull = false
    publisher.publish('a', 'y', { qos, messageId: 7 })

    await publisher.expect(t, answer, { messageId: 7, reasonCode: 0 })
  })
}

for (const version of [3, 4] as const) {
  test(`a store that is full does not acknowledge, and ends the connection in a while (version ${version})`, async (t) => {
    const { storage, clock } = makeStore()
    const { broker } = await startBroker(t, { storage, clock })
    await addSubscriber(t, broker)
    const publisher = await connectClient(t, broker, { version })
    storage.isFull = true

    publisher.publish('a', 'x', { qos: 1, messageId: 7 })
    t.deepEqual(await publisher.settled(), [])
    await clock.advance(4_999)
    t.deepEqual(await publisher.settled(), [])
    await clock.advance(1)

    t.deepEqual(await publisher.closed(), [])
  })
}

test('publishers are paused while the store takes nothing, and QoS 0 of others goes on', async (t) => {
  const { storage, clock } = makeStore()
  const { broker } = await startBroker(t, { storage, clock })
  await addSubscriber(t, broker)
  const live = await connectClient(t, broker)
  await live.subscribe(t, 'a', { qos: 0 })
  const [publisher, other] = [await connectClient(t, broker), await connectClient(t, broker)]
  Object.assign(storage.pressure(), { isHealthy: false })
  storage.write = () => {}

  publisher.publish('a', '1', { qos: 1, messageId: 1 })
  publisher.publish('a', '2', { qos: 1, messageId: 2 })
  t.is(String((await live.next())?.payload), '1')
  await clock.advance(0)
  t.true(publisher.end.isServerPaused)

  other.publish('a', '3', { qos: 0 })
  t.is(String((await live.next())?.payload), '3')
})

test('a broker whose store is lost closes itself and says so', async (t) => {
  const { storage, clock } = makeStore()
  const logger = recordingLogger()
  const broker = await createBroker({ listeners: [], storage, clock, logger })
  const client = await connectClient(t, broker)
  const failed = once(broker, 'failed')

  const error = new StoreError('in use', 'another broker has it')
  storage.events?.lost(error)

  t.like(await client.next(), { cmd: 'disconnect', reasonCode: 0x8b })
  client.end.close()
  t.deepEqual(await failed, [error])
  t.is(logger.find('the store is lost: the broker stops').length, 1)
})

/** A store loses all it had; returns the one that has its place. */
async function emptied(storage: IllStore, clock: ManualClock): Promise<IllStore> {
  const empty = new IllStore(clock)
  const names = ['adopt', 'adoptQueue', 'write', 'claim', 'readQueue', 'acknowledgeTo'] as const
  for (const name of names) Object.assign(storage, { [name]: empty[name].bind(empty) })
  await storage.events?.emptied(() => true)
  return empty
}

test('a store that has lost all is given sessions, retained messages and what waits in memory', async (t) => {
  const { storage, clock } = makeStore()
  const { broker } = await startBroker(t, { storage, clock })
  const slow = await connectClient(t, broker, durable(5, 'slow', { receiveMaximum: 1 }))
  await slow.subscribe(t, 'a', { qos: 1 })
  const publisher = await connectClient(t, broker)
  for (const [i, payload] of ['1', '2', '3'].entries()) {
    publisher.publish('a', payload, { qos: 1, messageId: i + 1, retain: true })
  }
  await arrived(publisher)

  const empty = await emptied(storage, clock)

  const items: unknown[] = []
  await empty.replay((item) => items.push(item))
  t.like(items, [
    { kind: 'session', session: { lastSeq: 3, lowWaterMark: 0, queued: 2 } },
    { kind: 'retained', message: { topic: 'a' } },
  ])
  slow.destroy()
  await slow.closed()
  const after = await connectClient(t, broker, durable(5, 'slow'))
  t.deepEqual(
    (await arrived(after)).map(({ payload, dup }) => [String(payload), dup]),
    [
      ['2', false],
      ['3', false],
    ],
  )
})

test('of a store that has lost some sessions the others keep what waits for them', async (t) => {
  const { storage, clock } = makeStore()
  const logger = recordingLogger()
  const { broker } = await startBroker(t, { storage, clock, logger })
  const publisher = await connectClient(t, broker)
  for (const name of ['lost', 'kept']) {
    const subscriber = await connectClient(t, broker, durable(5, name))
    await subscriber.subscribe(t, 'a', { qos: 1 })
    publisher.publish('a', name, { qos: 1, messageId: 1 })
    t.deepEqual(payloads(await arrived(subscriber)), [name])
    subscriber.destroy()
    await subscriber.closed()
  }

  await storage.events?.emptied((clientIdentifier) => clientIdentifier === 'lost')

  const [lost, kept] = [
    await connectClient(t, broker, durable(5, 'lost')),
    await connectClient(t, broker, durable(5, 'kept')),
  ]
  t.deepEqual(await lost.settled(), [])
  t.deepEqual(payloads(await arrived(kept)), ['kept'])
  // The one that was under way to it, and the one that waited.
  const told = logger.lines.filter(({ message }) => message.startsWith('the store had lost'))
  t.like(told, [{ level: 'warn', fields: { sessions: 1, messages: 2 } }])
})

test('what a member was sent since its store has lost all goes to no other after a crash', async (t) => {
  const { storage, clock } = makeStore()
  const { broker } = await startBroker(t, { storage, clock })
  const member = await connectClient(t, broker, durable(5, 'member'))
  await member.subscribe(t, '$share/g/a', { qos: 2 })
  const other = await connectClient(t, broker, durable(5, 'other'))
  await other.subscribe(t, '$share/g/a', { qos: 2 })
  other.destroy()
  await other.closed()
  const empty = await emptied(storage, clock)
  const publisher = await connectClient(t, broker)
  publisher.publish('a', 'x', { qos: 2, messageId: 1 })
  await member.expect(t, 'publish', { qos: 2 })

  const { broker: next } = await startBroker(t, { storage: empty, clock })
  const after = await connectClient(t, next, durable(5, 'other'))

  t.deepEqual(await after.settled(), [])
})

test('messages under way that the store has lost hold up nothing that comes behind them', async (t) => {
  const { storage, clock } = makeStore()
  const { broker } = await startBroker(t, { storage, clock })
  const before = await connectClient(t, broker, durable(5, 'c'))
  await before.subscribe(t, 'a', { qos: 1 })
  const publisher = await connectClient(t, broker)
  // One more than is in memory when they are to be sent again.
  for (let i = 1; i <= RESIDENT_MAX + 1; i++) {
    publisher.publish('a', String(i), { qos: 1, messageId: i })
  }
  t.is((await arrived(before)).length, RESIDENT_MAX + 1)
  before.destroy()
  await before.closed()
  const client = await connectClient(t, broker, durable(5, 'c', { receiveMaximum: 1 }))
  await client.expect(t, 'publish', { dup: true })

  const empty = await emptied(storage, clock)
  for (let i = 1; i <= RESIDENT_MAX; i++) {
    client.send({ cmd: 'puback', messageId: packetIdentifierOf(i) })
  }
  publisher.publish('a', 'after', { qos: 1, messageId: 1 })
  const last = (await arrived(client)).at(-1)
  t.is(String(last?.payload), 'after')
  client.send({ cmd: 'puback', messageId: last?.messageId })
  await client.settled()

  const marks: number[] = []
  await empty.replay((item) => {
    if (item.kind === 'session') marks.push(item.session.lowWaterMark)
  })
  t.deepEqual(marks, [RESIDENT_MAX + 2])
})

test('a message that is on its way is not known as received to a store that has lost all', async (t) => {
  const { storage, clock } = makeStore()
  const { broker } = await startBroker(t, { storage, clock })
  await addSubscriber(t, broker)
  const publisher = await connectClient(t, broker, durable(5, 'publisher'))
  publisher.publish('a', 'x', { qos: 2, messageId: 7 })
  await publisher.expect(t, 'pubrec', { messageId: 7 })
  storage.write = () => {}
  publisher.publish('a', 'y', { qos: 2, messageId: 8 })
  t.deepEqual(await publisher.settled(), [])

  const empty = await emptied(storage, clock)

  const inbound: unknown[] = []
  await empty.replay((item) => {
    if (item.kind === 'session') inbound.push(item.session.inbound)
  })
  t.deepEqual(inbound, [[], [7]])
})

for (const [asked, allowWeaker, isRefused] of [
  ['volatile', false, false],
  ['process', false, true],
  ['replicated', false, true],
  ['disk', true, false],
] as const) {
  test(`a store in memory where ${asked} is asked for is ${isRefused ? 'refused' : 'taken'} (allowWeaker: ${allowWeaker})`, async (t) => {
    const logger = recordingLogger()
    const store = { url: 'memory', durability: asked, allowWeaker }
    const starting = createBroker({ listeners: [], store, logger })

    if (isRefused) {
      const error = await t.throwsAsync(starting, { instanceOf: StoreError, code: 'unusable' })
      t.regex(error.message, new RegExp(`asks for ${asked}, and the store memory gives volatile`))
    } else {
      const broker = await starting
      await broker.close()
      t.is(logger.lines.filter(({ level }) => level === 'warn').length, allowWeaker ? 1 : 0)
    }
  })
}

test('[MQTT-4.3.3-10] a QoS 2 message that is sent again while the store writes it is acknowledged when it is written', async (t) => {
  const storage = new HeldStore()
  const { broker } = await startBroker(t, { storage, clock: storage.clock })
  await addSubscriber(t, broker)
  const before = await connectClient(t, broker, durable(5, 'publisher'))
  storage.isHolding = true
  before.publish('a', 'x', { qos: 2, messageId: 7 })
  t.deepEqual(await before.settled(), [])
  before.destroy()
  await before.closed()

  const after = await connectClient(t, broker, durable(5, 'publisher'))
  after.publish('a', 'x', { qos: 2, messageId: 7, dup: true })
  t.deepEqual(await after.settled(), [])
  storage.complete()

  await after.expect(t, 'pubrec', { messageId: 7, reasonCode: 0 })
  t.is(storage.heldCount, 0)
})
