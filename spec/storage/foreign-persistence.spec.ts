import { Buffer } from 'node:buffer'
import test from 'ava'
import { createBroker } from '../../lib/index.ts'
import { composeBody, Message } from '../../lib/protocol/message.ts'
import type { AedesPacket, AedesPersistenceInterface } from '../../lib/storage/aedes-persistence.ts'
import { foreignPersistence } from '../../lib/storage/foreign-persistence.ts'
import type { QueueEntry, Store } from '../../lib/storage/storage.ts'
import { aedesMemory } from '../support/aedes-memory.ts'
import { connectMqttJs } from '../support/mqtt-js.ts'
import { recordingLogger } from '../support/recording-logger.ts'
import { storageContract } from './contract.ts'
import {
  claim,
  noEvents,
  queueOf,
  Recorder,
  release,
  retainedOf,
  sessionsOf,
  subscriptionTo,
  targetOf,
  unitOf,
  write,
} from './contract-support.ts'

storageContract('foreign', (_, clock) => openForeign(aedesMemory(), { clock }), {
  exceptions: {
    'a queue that lost very many messages is read and acknowledged in little time':
      'the persistence of Aedes looks through the whole queue for each message that is enqueued',
  },
})

test('the persistence of Aedes looks through the whole queue for a message: many take long', async (t) => {
  const persistence = aedesMemory()
  let looks = 0
  for (let brokerCounter = 1; brokerCounter <= 500; brokerCounter++) {
    const packet: AedesPacket = { topic: 'a', qos: 1, brokerId: 'b', brokerCounter, messageId: 1 }
    // oxlint-disable-next-line no-await-in-loop -- In this order.
    await persistence.outgoingEnqueue({ clientId: 'c' }, packet)
    Object.defineProperty(packet, 'brokerId', {
      get() {
        looks++
        return 'b'
      },
    })
    // oxlint-disable-next-line no-await-in-loop -- As above.
    await persistence.outgoingUpdate({ id: 'c' }, packet)
  }

  t.true(looks > (500 * 500) / 2)
})

async function openForeign(
  persistence: object,
  options?: Parameters<typeof foreignPersistence>[1],
): Promise<Store> {
  const store = foreignPersistence(persistence, options)
  await store.open(noEvents)
  return store
}

/** A persistence that is still there when it was destroyed, as one on a disk would be. */
function lasting(): AedesPersistenceInterface {
  return Object.assign(aedesMemory(), { destroy: async () => {} })
}

function bodyOf(topic: string, payload: string): Buffer {
  return composeBody(topic, Buffer.alloc(0), Buffer.from(payload))
}

function textOf({ seq, body }: QueueEntry): string {
  const { topic, payload } = Message.fromBody(body, 0, false, 0)
  return `${seq}:${topic}:${String(payload)}`
}

test('retained messages come back, and what named clients subscribed to and waits for them', async (t) => {
  const persistence = lasting()
  const first = await openForeign(persistence)
  const { ref } = await claim(first)
  await first.update(ref, { subscribe: [subscriptionTo('a/+', { qos: 2 })] })
  for (const payload of ['1', '2', '3', '4']) {
    const body = bodyOf('a/x', payload)
    // oxlint-disable-next-line no-await-in-loop -- In this order.
    await write(first, unitOf('a/x', [targetOf(ref, { qos: 2 })], { body, retain: 'set' }))
  }
  first.acknowledgeTo(ref, 1)
  first.discard(ref, [3])
  await first.close()

  const second = await openForeign(persistence, { clientIds: [ref.clientIdentifier, 'nobody'] })

  t.is((await sessionsOf(second)).length, 1)
  t.deepEqual(
    (await retainedOf(second)).map(({ body }) => body),
    [bodyOf('a/x', '4')],
  )
  const claimed = await claim(second)
  t.like(claimed, { present: true, lastSeq: 2 })
  t.deepEqual(claimed.subscriptions, [subscriptionTo('a/+', { qos: 2 })])
  t.deepEqual((await queueOf(second, claimed.ref)).map(textOf), ['1:a/x:2', '2:a/x:4'])
  await release(second, claimed.ref, 0)
  await second.close()

  const third = await openForeign(persistence, { clientIds: [ref.clientIdentifier] })
  t.false((await claim(third)).present)
})

test('a client that is not named begins anew, and nothing of it is left', async (t) => {
  const persistence = lasting()
  const first = await openForeign(persistence)
  const { ref } = await claim(first)
  await first.update(ref, { subscribe: [subscriptionTo('a')] })
  await write(first, unitOf('a', [targetOf(ref)]))
  await first.close()

  const second = await openForeign(persistence)
  t.false((await claim(second)).present)
  await second.close()

  const id = ref.clientIdentifier
  t.deepEqual(await persistence.subscriptionsByClient({ id }), [])
  t.deepEqual(await persistence.outgoingStream({ id }).toArray(), [])
})

test('what Aedes has kept is served, in its order, but for what PUBREC came for', async (t) => {
  const persistence = lasting()
  await persistence.setup({ id: 'aedes' })
  const packet: AedesPacket = { cmd: 'publish', topic: 'a', qos: 2, brokerId: 'aedes' }
  for (const brokerCounter of [1, 2, 3, 4]) {
    const payload = Buffer.from(`${brokerCounter}`)
    // oxlint-disable-next-line no-await-in-loop -- In this order.
    await persistence.outgoingEnqueue({ clientId: 'c' }, { ...packet, payload, brokerCounter })
  }
  await persistence.outgoingUpdate({ id: 'c' }, { ...packet, brokerCounter: 2, messageId: 2 })
  await persistence.outgoingUpdate({ id: 'c' }, { cmd: 'pubrel', messageId: 2 })

  const store = await openForeign(persistence, { clientIds: ['c'] })
  const { ref, present } = await claim(store)

  t.true(present)
  t.deepEqual((await queueOf(store, ref)).map(textOf), ['1:a:1', '2:a:3', '3:a:4'])
  store.acknowledgeTo(ref, 2)
  await store.close()
  const left = (await persistence.outgoingStream({ id: 'c' }).toArray()) as AedesPacket[]
  t.deepEqual(
    left.map(({ payload }) => String(payload)),
    ['4'],
  )
})

test('a persistence that fails fails what was written, and is told of', async (t) => {
  const logger = recordingLogger()
  const persistence = aedesMemory()
  const store = await openForeign(persistence, { logger })
  const { ref } = await claim(store)
  await write(store, unitOf('x', [targetOf(ref)]))
  const fail = (): Promise<never> => Promise.reject(new Error('no connection'))
  Object.assign(persistence, {
    outgoingEnqueue: fail,
    outgoingClearMessageId: fail,
    addSubscriptions: fail,
  })

  const sink = new Recorder()
  const unit = unitOf('y', [targetOf(ref)])
  const settled = sink.settled(unit)
  store.write(unit, sink)

  t.like(await settled, {
    code: 'unavailable',
    message: 'The persistence cannot be used: no connection',
  })
  t.deepEqual(sink.events, ['y failed: unavailable'])
  await t.throwsAsync(store.update(ref, { subscribe: [subscriptionTo('a')] }), {
    code: 'unavailable',
  })
  store.discard(ref, [1])
  await store.close()
  t.regex(logger.lines.map(({ message }) => message).join(), /did not remove a message/)
})

test('a session that is adopted is written as well, in place of what was there', async (t) => {
  const persistence = aedesMemory()
  const store = await openForeign(persistence)
  const { ref, ...before } = await claim(store)
  await store.update(ref, { subscribe: [subscriptionTo('a')] })
  await store.adopt({ ...before, ref, subscriptions: [subscriptionTo('b')] })

  const kept = await persistence.subscriptionsByClient({ id: ref.clientIdentifier })
  t.deepEqual(
    kept.map(({ topic }) => topic),
    ['b'],
  )
})

test('no session begins or ends that the persistence cannot forget', async (t) => {
  const persistence = aedesMemory()
  const store = await openForeign(persistence)
  const { ref } = await claim(store)
  const cleanSubscriptions = () => Promise.reject(new Error('no connection'))
  Object.assign(persistence, { cleanSubscriptions })

  await t.throwsAsync(claim(store, 'another'), { code: 'unavailable' })
  await t.throwsAsync(release(store, ref, 0), { code: 'unavailable' })
})

test('no two messages have one name, since some persistences find them by it for all clients', async (t) => {
  const persistence = aedesMemory()
  const store = await openForeign(persistence)
  const names = new Set<string>()
  for (const id of ['a', 'b']) {
    // oxlint-disable-next-line no-await-in-loop -- One client after the other.
    const { ref } = await claim(store, id)
    // oxlint-disable-next-line no-await-in-loop -- As above.
    await write(store, unitOf('x', [targetOf(ref), targetOf(ref)]))
    // oxlint-disable-next-line no-await-in-loop -- As above.
    const packets = (await persistence.outgoingStream({ id }).toArray()) as AedesPacket[]
    for (const { brokerId, brokerCounter } of packets) names.add(`${brokerId} ${brokerCounter}`)
  }

  t.is(names.size, 4)
})

test('what is no persistence is refused', (t) => {
  t.throws(() => foreignPersistence({}), {
    instanceOf: TypeError,
    message: /no persistence for Aedes 1\.x/,
  })
})

test('a broker with a persistence of Aedes keeps a durable session over a restart, and says what it does not keep', async (t) => {
  const persistence = lasting()
  const logger = recordingLogger()
  const start = () =>
    createBroker({
      listeners: [{ type: 'tcp', port: 0 }],
      storage: foreignPersistence(persistence, { clientIds: ['sensor'] }),
      logger,
    })
  const first = await start()
  const sensor = { clientId: 'sensor', clean: false }
  const gone = (await connectMqttJs(t, first.urls[0]!, sensor)).client
  await gone.client.subscribeAsync('a/+', { qos: 1 })
  await gone.client.endAsync()
  await first.publish({ topic: 'a/x', payload: 'kept', qos: 1 })
  await first.close()
  t.regex(JSON.stringify(logger.lines), /"durability":"volatile".*sessions do not expire/)

  const second = await start()
  t.teardown(() => second.close())
  const back = await connectMqttJs(t, second.urls[0]!, sensor)

  t.true(back.connack.sessionPresent)
  t.like(await back.client.next(), { topic: 'a/x', payload: 'kept', qos: 1 })
})
