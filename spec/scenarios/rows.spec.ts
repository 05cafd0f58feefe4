/** Messages at QoS 1 and 2, and what answers them, that come one behind the other in one chunk. */

import { Buffer } from 'node:buffer'
import test, { type ExecutionContext } from 'ava'
import type { Broker } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { type AnyPacket, connectClient, type MemoryClient } from '../support/client.ts'
import { turns } from '../support/deferred.ts'
import { HeldStore } from '../support/held-store.ts'
import { frame, join, twoBytes, type } from '../support/raw-packets.ts'
import { Restarts } from '../support/restarts.ts'

const TOPIC = join(twoBytes(1), Buffer.from('a'))

/** PUBLISH packets of MQTT 3.1.1 on the topic a. */
function publishes(qos: 1 | 2, identifiers: readonly number[], isDuplicate = false): Buffer {
  const flags = (isDuplicate ? 8 : 0) | (qos << 1)
  return join(
    ...identifiers.map((identifier) => frame(type.publish, flags, TOPIC, twoBytes(identifier), 7)),
  )
}

/** The same of MQTT 5.0, without properties. */
function publishesOf5(qos: 1 | 2, identifiers: readonly number[]): Buffer {
  return join(
    ...identifiers.map((identifier) =>
      frame(type.publish, qos << 1, TOPIC, twoBytes(identifier), 0, 7),
    ),
  )
}

function answers(packetType: number, identifiers: readonly number[]): Buffer {
  const flags = packetType === type.pubrel ? 2 : 0
  return join(...identifiers.map((identifier) => frame(packetType, flags, twoBytes(identifier))))
}

const range = (first: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => first + i)

/** What has come when the store has had its turns. */
async function stored(client: MemoryClient): Promise<AnyPacket[]> {
  await turns(8)
  return client.packets.splice(0)
}

const identifiersOf = (packets: readonly AnyPacket[]): number[] =>
  packets.map((packet) => packet['messageId'])

async function subscribeAt(
  t: ExecutionContext,
  broker: Broker,
  qos: 1 | 2,
  clientId = 'subscriber',
): Promise<MemoryClient> {
  const client = await connectClient(t, broker, { version: 4, clientId })
  await client.subscribe(t, 'a', { qos })
  return client
}

test('[MQTT-2.2.1-3] a row ends before the message whose Packet Identifier is 0', async (t) => {
  const { broker } = await startBroker(t)
  const subscriber = await subscribeAt(t, broker, 1)
  const publisher = await connectClient(t, broker, { version: 4 })

  publisher.sendBytes(publishes(1, [5, 6, 0, 7]))

  t.deepEqual(identifiersOf(await publisher.closed()), [5, 6])
  t.is((await subscriber.settled()).length, 2)
})

test('[MQTT-2.2.1-3] a row of acknowledgements ends before one for the Packet Identifier 0', async (t) => {
  const { broker } = await startBroker(t)
  const subscriber = await subscribeAt(t, broker, 1)
  const publisher = await connectClient(t, broker, { version: 4 })
  publisher.sendBytes(publishes(1, range(1, 3)))
  await publisher.settled()
  const [first, second] = identifiersOf(await subscriber.settled())

  subscriber.sendBytes(answers(type.puback, [first!, second!, 0]))

  await subscriber.closed()
  t.true(subscriber.isClosed)
})

for (const before of [4, 9]) {
  test(`[MQTT-3.3.4-7] ${before} messages at QoS 2, and of a chunk no more than Receive Maximum`, async (t) => {
    const { broker } = await startBroker(t, { connection: { receiveMaximum: 10 } })
    const publisher = await connectClient(t, broker, { version: 5 })

    publisher.sendBytes(publishesOf5(2, range(1, before)))
    t.is((await publisher.settled()).length, before)
    publisher.sendBytes(publishesOf5(2, range(before + 1, 8)))

    const answered = await publisher.closed()
    t.deepEqual(identifiersOf(answered.slice(0, -1)), range(before + 1, 10 - before))
    t.like(answered.at(-1), { cmd: 'disconnect', reasonCode: 0x93 })
  })
}

test('[MQTT-3.3.4-7] rows at QoS 1 are acknowledged at once and never fill Receive Maximum', async (t) => {
  const { broker } = await startBroker(t, { connection: { receiveMaximum: 10 } })
  const publisher = await connectClient(t, broker, { version: 5 })

  for (let round = 0; round < 20; round++) {
    publisher.sendBytes(publishesOf5(1, range(1, 10)))
    t.deepEqual(identifiersOf(await publisher.settled()), range(1, 10))
  }
})

test('[MQTT-4.3.3-11] what a row of PUBREL gives back may be sent again', async (t) => {
  const { broker } = await startBroker(t, { connection: { receiveMaximum: 10 } })
  const publisher = await connectClient(t, broker, { version: 5 })

  for (let round = 0; round < 3; round++) {
    publisher.sendBytes(publishesOf5(2, range(1, 10)))
    t.deepEqual(identifiersOf(await publisher.settled()), range(1, 10))
    publisher.sendBytes(answers(type.pubrel, range(1, 10)))
    t.deepEqual(identifiersOf(await publisher.settled()), range(1, 10))
  }
  t.false(publisher.isClosed)
})

test('[MQTT-4.6.0-2] a row is not acknowledged before a message that is on its way into the store', async (t) => {
  const store = new HeldStore()
  const { broker } = await startBroker(t, { storage: store, clock: store.clock })
  const kept = await connectClient(t, broker, { version: 4, clean: false, clientId: 'kept' })
  await kept.subscribe(t, 'kept', { qos: 1 })
  await subscribeAt(t, broker, 1)
  const publisher = await connectClient(t, broker, { version: 4 })
  store.isHolding = true

  publisher.publish('kept', 'x', { qos: 1, messageId: 1 })
  publisher.sendBytes(publishes(1, range(2, 5)))
  t.deepEqual(await publisher.settled(), [])
  store.complete()

  t.deepEqual(identifiersOf(await publisher.settled()), range(1, 6))
})

test('[MQTT-4.3.2-4] a row for a session that is kept is acknowledged when it is in the store', async (t) => {
  const store = new HeldStore()
  const { broker } = await startBroker(t, { storage: store, clock: store.clock })
  await subscribeAt(t, broker, 1)
  const kept = await connectClient(t, broker, { version: 4, clean: false, clientId: 'kept' })
  await kept.subscribe(t, 'a', { qos: 1 })
  const publisher = await connectClient(t, broker, { version: 4 })
  store.isHolding = true

  publisher.sendBytes(publishes(1, range(1, 3)))
  t.deepEqual(await publisher.settled(), [])
  store.complete()

  t.deepEqual(identifiersOf(await publisher.settled()), [1])
})

test('[MQTT-4.3.3-10] a row at QoS 2 of a session that is kept is known after a crash', async (t) => {
  const restarts = new Restarts(t)
  const first = await restarts.start()
  const session = { version: 4, clean: false, clientId: 'publisher' } as const
  const publisher = await connectClient(t, first, session)
  publisher.sendBytes(publishes(2, range(1, 3)))
  t.is((await stored(publisher)).length, 3)

  const broker = await restarts.crash()
  const subscriber = await subscribeAt(t, broker, 2)
  const again = await connectClient(t, broker, session)
  again.sendBytes(publishes(2, range(1, 4), true))
  t.deepEqual(identifiersOf(await stored(again)), range(1, 4))
  t.is((await subscriber.settled()).length, 1)

  again.sendBytes(answers(type.pubrel, range(1, 4)))
  t.is((await stored(again)).length, 4)
  const last = await restarts.crash()
  const other = await subscribeAt(t, last, 2)
  const back = await connectClient(t, last, session)
  back.sendBytes(publishes(2, range(1, 4)))
  t.is((await stored(back)).length, 4)
  t.is((await other.settled()).length, 4)
})

test('[MQTT-4.3.3-6] a row of PUBREC of a session that is kept is known after a crash', async (t) => {
  const restarts = new Restarts(t)
  const first = await restarts.start()
  const session = { version: 4, clean: false, clientId: 'kept' } as const
  const kept = await connectClient(t, first, session)
  await kept.subscribe(t, 'a', { qos: 2 })
  const publisher = await connectClient(t, first, { version: 4 })
  publisher.sendBytes(publishes(2, range(1, 3)))
  await publisher.settled()
  const got = identifiersOf(await stored(kept))
  t.is(got.length, 3)
  kept.sendBytes(answers(type.pubrec, got))
  t.deepEqual(identifiersOf(await stored(kept)), got)

  const broker = await restarts.crash()
  const back = await connectClient(t, broker, session)

  t.deepEqual(
    (await stored(back)).map(({ cmd }) => cmd),
    ['pubrel', 'pubrel', 'pubrel'],
  )
})

test('[MQTT-2.2.1-4] rows go on with Packet Identifier 1 behind 65,535', async (t) => {
  const { broker } = await startBroker(t)
  const subscriber = await subscribeAt(t, broker, 1)
  const publisher = await connectClient(t, broker, { version: 4 })
  const seen: number[] = []

  for (let sent = 0; sent < 65_600; sent += 32) {
    publisher.sendBytes(publishes(1, range(1, 32)))
    await publisher.settled()
    const got = identifiersOf(await subscriber.settled())
    seen.push(...got)
    subscriber.sendBytes(answers(type.puback, got))
  }

  const last = seen.indexOf(65_535)
  t.deepEqual(seen.slice(last - 2, last + 4), [65_533, 65_534, 65_535, 1, 2, 3])
  t.is(seen.length, 65_600)
  t.is(new Set(seen).size, 65_535)
})

test('a client whose bytes are counted has no more of a row of acknowledgements read', async (t) => {
  const perClient = { bytesInPerSecond: 100 }
  const { broker } = await startBroker(t, { perClient, limits: { burstSeconds: 1 } })
  const subscriber = await connectClient(t, broker, {
    version: 5,
    properties: { receiveMaximum: 30 },
  })
  await subscriber.subscribe(t, 'a', { qos: 1 })
  const message = { topic: 'a', payload: 'x', qos: 1 } as const
  await Promise.all(range(1, 90).map(() => broker.publish(message)))
  await turns()
  const got = identifiersOf(subscriber.packets.splice(0))
  t.is(got.length, 30)

  subscriber.sendBytes(answers(type.puback, got))
  await turns()

  t.true(subscriber.packets.length < 25, `${subscriber.packets.length} more came`)
})

test('[MQTT-4.8.2-4] a shared message that a row of PUBREC answered goes to nobody else', async (t) => {
  const { broker } = await startBroker(t)
  const members: MemoryClient[] = []
  for (const clientId of ['one', 'two']) {
    const member = await connectClient(t, broker, { version: 5, clientId })
    await member.subscribe(t, '$share/g/a', { qos: 2 })
    members.push(member)
  }
  const publisher = await connectClient(t, broker, { version: 4 })
  publisher.sendBytes(publishes(2, range(1, 6)))
  await publisher.settled()
  const [one, two] = members as [MemoryClient, MemoryClient]
  const got = identifiersOf(await one.settled())
  t.true(got.length > 1)
  t.is(got.length + (await two.settled()).length, 6)

  one.sendBytes(answers(type.pubrec, got))
  t.deepEqual(identifiersOf(await one.settled()), got)
  one.destroy()
  await turns()

  t.deepEqual(await two.settled(), [])
})

test('a retained message is not taken for one that a session got as live while it was offline', async (t) => {
  const { broker } = await startBroker(t)
  await broker.publish({ topic: 'a', payload: 'kept', retain: true, qos: 1 })
  await broker.publish({ topic: 'b', payload: 'kept', retain: true, qos: 1 })
  const session = { clientId: 'away', clean: false }
  const properties = { sessionExpiryInterval: 60, receiveMaximum: 1 }
  const before = await connectClient(t, broker, { ...session, properties })
  await before.subscribe(t, '#', { qos: 1 })
  const [first] = await stored(before)
  before.destroy()
  await turns()
  const topic = first!['topic'] === 'a' ? 'b' : 'a'
  const live = frame(type.publish, 0, join(twoBytes(1), Buffer.from(topic)), 7)

  const publisher = await connectClient(t, broker, { version: 4 })
  publisher.sendBytes(join(live, live))
  await publisher.settled()
  const back = await connectClient(t, broker, {
    ...session,
    properties: { sessionExpiryInterval: 60 },
  })

  const [again] = await stored(back)
  t.is(again!['topic'], first!['topic'])
  back.sendBytes(answers(type.puback, identifiersOf([again!])))

  t.is((await stored(back))[0]?.['topic'], topic)
})

test('[MQTT-3.3.5-1] a row is not said to have had no receiver since one of them left, and is no more to it', async (t) => {
  const { broker } = await startBroker(t, {
    session: { queuePolicy: 'disconnect', queueMessagesMax: 1 },
  })
  const will = { topic: 'gone', payload: 'x' }
  const properties = { receiveMaximum: 1 }
  const full = await connectClient(t, broker, { clientId: 'full', properties, will })
  await full.subscribe(t, 'a', { qos: 1 })
  await broker.publish({ topic: 'a', qos: 1 })
  await broker.publish({ topic: 'a', qos: 1 })
  const dropped: string[] = []
  broker.on('dropped', (_client, _topic, why) => dropped.push(why))
  const publisher = await connectClient(t, broker, { version: 5 })

  publisher.sendBytes(publishesOf5(1, range(1, 3)))

  t.is((await publisher.settled())[0]?.['reasonCode'], 0)
  t.deepEqual(dropped, ['queue full'])
})
