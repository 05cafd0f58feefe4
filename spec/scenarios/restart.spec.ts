/** What is there after the broker ended, by a crash or in order, and was started again. */

import test, { type ExecutionContext } from 'ava'
import type { Broker, CreateBrokerOptions } from '../../lib/index.ts'
import {
  type AnyPacket,
  type ConnectOptions,
  connectClient,
  type MemoryClient,
} from '../support/client.ts'
import { acknowledge, arrived, durable, payloads, publishes } from '../support/messages.ts'
import { Observed } from '../support/observed.ts'
import { Restarts } from '../support/restarts.ts'

async function begin(t: ExecutionContext, options: CreateBrokerOptions = {}): Promise<Restarts> {
  const restarts = new Restarts(t, options)
  await restarts.start()
  return restarts
}

async function publish(
  t: ExecutionContext,
  broker: Broker,
  ...messages: readonly (readonly [payload: string, qos: number, retain?: boolean])[]
): Promise<void> {
  const publisher = await connectClient(t, broker)
  for (const [i, [payload, qos, retain = false]] of messages.entries()) {
    publisher.publish('a', payload, { qos, retain, messageId: i + 1 })
  }
  await arrived(publisher)
  await leave(publisher)
}

/** A session of `c` that is subscribed to `a`, with its client gone. */
async function subscribeAndLeave(
  t: ExecutionContext,
  broker: Broker,
  properties: Record<string, unknown> = {},
): Promise<void> {
  const client = await connectClient(t, broker, durable(5, 'c', properties))
  await client.subscribe(t, 'a', { qos: 2 })
  await leave(client)
}

async function leave(client: MemoryClient): Promise<void> {
  client.end.close()
  await client.closed()
}

function described(packets: readonly AnyPacket[]): unknown[] {
  return packets.map(({ cmd, payload, qos, dup, messageId }) =>
    cmd === 'publish' ? [String(payload), qos, dup, messageId] : [cmd, messageId],
  )
}

/** Takes all that comes, acknowledging it, however many pages it is. */
async function drain(client: MemoryClient): Promise<string[]> {
  const got: string[] = []
  for (let packets = await arrived(client); packets.length > 0; packets = await arrived(client)) {
    got.push(...payloads(packets))
    acknowledge(client, packets)
  }
  return got
}

for (const how of ['crash', 'restart'] as const) {
  test(`a session, its subscriptions and its queue are there after a ${how}`, async (t) => {
    const restarts = await begin(t)
    await subscribeAndLeave(t, restarts.broker)
    await publish(t, restarts.broker, ['1', 1], ['2', 2], ['3', 1])

    const broker = await restarts[how]()
    await publish(t, broker, ['4', 1])
    const client = await connectClient(t, broker, durable(5, 'c'))

    const got = await arrived(client)
    t.deepEqual(described(got), [
      ['1', 1, false, 2],
      ['2', 2, false, 3],
      ['3', 1, false, 4],
      ['4', 1, false, 5],
    ])
  })

  test(`[MQTT-4.4.0-1] what was sent and not acknowledged is sent again after a ${how}, with DUP and its identifier`, async (t) => {
    const restarts = await begin(t)
    const before = await connectClient(t, restarts.broker, durable(5, 'c'))
    await before.subscribe(t, 'a', { qos: 2 })
    await publish(t, restarts.broker, ['1', 1], ['2', 2], ['3', 1])
    const sent = publishes(await arrived(before))

    const broker = await restarts[how]()
    const after = await connectClient(t, broker, durable(5, 'c'))

    const again = await arrived(after)
    t.deepEqual(described(again), described(sent.map((packet) => ({ ...packet, dup: true }))))
  })

  test(`[MQTT-4.3.3-6] PUBREL follows a PUBREC that came before a ${how}, never the PUBLISH`, async (t) => {
    const restarts = await begin(t)
    const before = await connectClient(t, restarts.broker, durable(5, 'c'))
    await before.subscribe(t, 'a', { qos: 2 })
    await publish(t, restarts.broker, ['1', 1], ['2', 2], ['3', 2])
    const sent = publishes(await arrived(before))
    acknowledge(before, sent.slice(1, 2))
    await before.expect(t, 'pubrel')

    const broker = await restarts[how]()
    const after = await connectClient(t, broker, durable(5, 'c'))

    t.deepEqual(described(await arrived(after)), [
      ['1', 1, true, 2],
      ['pubrel', 3],
      ['3', 2, true, 4],
    ])
    after.send({ cmd: 'pubcomp', messageId: 3 })
    await leave(after)
    const last = await connectClient(t, broker, durable(5, 'c'))
    t.deepEqual(described(await arrived(last)), [
      ['1', 1, true, 2],
      ['3', 2, true, 4],
    ])
  })

  test(`[MQTT-4.3.3-10] a QoS 2 message that was acknowledged before a ${how} is not taken twice`, async (t) => {
    const restarts = await begin(t)
    await subscribeAndLeave(t, restarts.broker)
    const before = await connectClient(t, restarts.broker, durable(5, 'p'))
    before.publish('a', 'once', { qos: 2, messageId: 7 })
    await before.expect(t, 'pubrec', { messageId: 7 })

    const broker = await restarts[how]()
    const after = await connectClient(t, broker, durable(5, 'p'))
    after.publish('a', 'once', { qos: 2, messageId: 7, dup: true })
    await after.expect(t, 'pubrec', { messageId: 7 })
    after.send({ cmd: 'pubrel', messageId: 7 })
    await after.expect(t, 'pubcomp', { messageId: 7 })

    t.deepEqual(await drain(await connectClient(t, broker, durable(5, 'c'))), ['once'])
  })

  test(`[MQTT-3.1.2-23] the time of a session counts on over a ${how}`, async (t) => {
    for (const [downMs, present] of [
      [9_000, true],
      [10_001, false],
    ] as const) {
      const restarts = await begin(t)
      await subscribeAndLeave(t, restarts.broker, { sessionExpiryInterval: 10 })

      const broker = await restarts[how](downMs)

      const client = await connectClient(t, broker, durable(5, 'c'))
      await leave(client)
      t.is(client.packets.length, 0)
      await publish(t, broker, ['1', 1])
      const got = await drain(await connectClient(t, broker, durable(5, 'c')))
      t.deepEqual(got, present ? ['1'] : [])
    }
  })

  test(`messages that expire while the broker is down are not sent after a ${how}`, async (t) => {
    const restarts = await begin(t)
    await subscribeAndLeave(t, restarts.broker)
    const publisher = await connectClient(t, restarts.broker)
    for (const [i, seconds] of [1, 60].entries()) {
      const properties = { messageExpiryInterval: seconds }
      publisher.publish('a', `${seconds}`, { qos: 1, messageId: i + 1, properties })
      publisher.publish(`r/${seconds}`, `${seconds}`, { retain: true, properties })
    }
    await arrived(publisher)

    const broker = await restarts[how](2_000)
    const client = await connectClient(t, broker, durable(5, 'c'))
    t.deepEqual(await drain(client), ['60'])
    await client.subscribe(t, 'r/#')
    t.deepEqual(payloads(await arrived(client)), ['60'])
  })

  test(`retained messages are there after a ${how}, as they were set and cleared last`, async (t) => {
    const restarts = await begin(t)
    await publish(t, restarts.broker, ['old', 1, true], ['new', 0, true])
    const publisher = await connectClient(t, restarts.broker)
    publisher.publish('b', 'x', { retain: true })
    publisher.publish('b', '', { retain: true })
    await arrived(publisher)

    const broker = await restarts[how]()
    const client = await connectClient(t, broker)
    await client.subscribe(t, '#')

    t.deepEqual(payloads(await arrived(client)), ['new'])
  })

  test(`what waits for an absent member of a shared subscription goes to one that comes after a ${how}`, async (t) => {
    const restarts = await begin(t)
    const before = await connectClient(t, restarts.broker, durable(5, 'c'))
    await before.subscribe(t, '$share/g/a', { qos: 1 })
    await leave(before)
    await publish(t, restarts.broker, ...Array.from('123456', (n) => [n, 1] as const))

    const broker = await restarts[how]()
    const other = await connectClient(t, broker, durable(5, 'd'))
    await other.subscribe(t, '$share/g/a', { qos: 1 })

    t.deepEqual(await drain(other), ['1', '2', '3', '4', '5', '6'])
    t.deepEqual(await drain(await connectClient(t, broker, durable(5, 'c'))), [])
  })

  for (const expiry of [0, 100]) {
    const willed = (delay = 0): ConnectOptions => ({
      ...durable(5, 'w', { sessionExpiryInterval: expiry }),
      will: { topic: 'a', payload: 'gone', qos: 1, properties: { willDelayInterval: delay } },
    })
    const session = `session expiry ${expiry}`

    test(`the will of a client that was connected waits for the grace after a ${how} (${session})`, async (t) => {
      const restarts = await begin(t)
      await subscribeAndLeave(t, restarts.broker)
      await connectClient(t, restarts.broker, willed())

      const observed = new Observed(await restarts[how](60_000))
      await restarts.clock.advance(29_999)
      t.deepEqual(observed.payloads, [])
      await restarts.clock.advance(1)
      t.deepEqual(observed.payloads, ['gone'])

      const broker = await restarts[how]()
      await restarts.clock.advance(60_000)
      const client = await connectClient(t, broker, durable(5, 'c'))
      t.deepEqual(await drain(client), ['gone'])
    })

    test(`the will of a client that comes back after a ${how} is not published (${session})`, async (t) => {
      const restarts = await begin(t)
      await connectClient(t, restarts.broker, willed())

      const broker = await restarts[how]()
      const observed = new Observed(broker)
      await restarts.clock.advance(29_000)
      await connectClient(t, broker, { ...willed(), will: undefined as never })
      await restarts.clock.advance(60_000)

      t.deepEqual(observed.payloads, [])
      const again = new Observed(await restarts[how]())
      await restarts.clock.advance(60_000)
      t.deepEqual(again.payloads, [])
    })
  }

  test(`a will that waits longer than the grace waits as long after a ${how}`, async (t) => {
    const restarts = await begin(t)
    const properties = { willDelayInterval: 50 }
    const will = { topic: 'a', payload: 'gone', properties }
    await connectClient(t, restarts.broker, { ...durable(5, 'w'), will })

    const observed = new Observed(await restarts[how]())
    await restarts.clock.advance(49_999)
    t.deepEqual(observed.payloads, [])
    await restarts.clock.advance(1)
    t.deepEqual(observed.payloads, ['gone'])
  })

  test(`[MQTT-3.1.3-9] the delay of a will whose client had gone counts on over a ${how}`, async (t) => {
    const restarts = await begin(t)
    const will = { topic: 'a', payload: 'gone', properties: { willDelayInterval: 50 } }
    await leave(await connectClient(t, restarts.broker, { ...durable(5, 'w'), will }))

    const observed = new Observed(await restarts[how](49_000))
    await restarts.clock.advance(999)
    t.deepEqual(observed.payloads, [])
    await restarts.clock.advance(1)
    t.deepEqual(observed.payloads, ['gone'])
  })

  test(`a client that said goodbye has no will after a ${how}`, async (t) => {
    const restarts = await begin(t)
    const will = { topic: 'a', payload: 'gone' }
    for (const options of [durable(5, 'c'), { clientId: 'd' }]) {
      const client = await connectClient(t, restarts.broker, { ...options, will })
      client.send({ cmd: 'disconnect' })
      await client.closed()
    }

    const observed = new Observed(await restarts[how]())
    await restarts.clock.advance(100_000)

    t.deepEqual(observed.payloads, [])
  })
}

test('the time of a session whose client was connected begins with the start after a crash', async (t) => {
  const restarts = await begin(t)
  const client = await connectClient(
    t,
    restarts.broker,
    durable(5, 'c', { sessionExpiryInterval: 10 }),
  )
  await client.subscribe(t, 'a', { qos: 1 })

  await restarts.crash(60_000)
  await restarts.clock.advance(6_000)
  const broker = await restarts.crash(3_000)
  await publish(t, broker, ['1', 1])
  t.is(broker.counters.clientsExpired, 0)

  await restarts.clock.advance(1_000)
  t.is(broker.counters.clientsExpired, 1)
})

test('a long queue is read from the store in order, whatever comes meanwhile', async (t) => {
  const restarts = await begin(t)
  await subscribeAndLeave(t, restarts.broker)
  const numbers = Array.from({ length: 1_500 }, (_, i) => `${i}`)
  await publish(t, restarts.broker, ...numbers.slice(0, 1_000).map((n) => [n, 1] as const))

  const broker = await restarts.crash()
  const client = await connectClient(t, broker, durable(5, 'c', { receiveMaximum: 100 }))
  const first = await arrived(client)
  await publish(t, broker, ...numbers.slice(1_000, 1_200).map((n) => [n, 1] as const))
  await leave(client)
  await publish(t, broker, ...numbers.slice(1_200).map((n) => [n, 1] as const))

  const again = await connectClient(t, broker, durable(5, 'c', { receiveMaximum: 100 }))
  t.deepEqual(payloads(first), numbers.slice(0, 100))
  t.deepEqual(await drain(again), numbers)
  t.deepEqual(await drain(await connectClient(t, broker, durable(5, 'c'))), [])
})

for (const how of ['crash', 'restart'] as const) {
  test(`the bounds of a queue hold over a ${how}`, async (t) => {
    const restarts = await begin(t, { session: { queueMessagesMax: 400 } })
    await subscribeAndLeave(t, restarts.broker)
    const numbers = Array.from({ length: 1_000 }, (_, i) => `${i}`)
    await publish(t, restarts.broker, ...numbers.slice(0, 600).map((n) => [n, 1] as const))

    const broker = await restarts[how]()
    await publish(t, broker, ...numbers.slice(600).map((n) => [n, 1] as const))

    t.deepEqual(await drain(await connectClient(t, broker, durable(5, 'c'))), numbers.slice(600))
  })
}

for (const how of ['crash', 'restart'] as const) {
  test(`[MQTT-3.3.1-9] retained messages that a subscription was promised follow after a ${how}`, async (t) => {
    const restarts = await begin(t)
    const publisher = await connectClient(t, restarts.broker)
    for (const n of [1, 2, 3, 4])
      publisher.publish(`r/${n}`, `${n}`, { retain: true, qos: 1, messageId: n })
    await arrived(publisher)
    const options = durable(5, 'c', { receiveMaximum: 1 })
    const before = await connectClient(t, restarts.broker, options)
    await before.subscribe(t, 'r/#', { qos: 1 })
    const first = payloads(await arrived(before))

    const after = await connectClient(t, await restarts[how](), options)
    const rest = await drain(after)

    t.is(first.length, 1)
    t.deepEqual([...new Set([...first, ...rest])].toSorted(), ['1', '2', '3', '4'])
    const last = await connectClient(t, await restarts[how](), options)
    t.deepEqual(await drain(last), [])
  })
}

for (const how of ['crash', 'restart'] as const) {
  test(`retained messages that were promised and are gone after a ${how} are owed no more`, async (t) => {
    const restarts = await begin(t)
    const publisher = await connectClient(t, restarts.broker)
    for (const n of [1, 2]) publisher.publish(`r/${n}`, 'x', { retain: true, qos: 1, messageId: n })
    await arrived(publisher)
    const options = durable(5, 'c', { receiveMaximum: 1 })
    const before = await connectClient(t, restarts.broker, options)
    await before.subscribe(t, 'r/#', { qos: 1 })

    const broker = await restarts[how]()
    for (const n of [1, 2]) await broker.publish({ topic: `r/${n}`, payload: '', retain: true })
    const after = await connectClient(t, broker, options)
    await drain(after)
    await broker.publish({ topic: 'r/9', payload: 'live', retain: true, qos: 1 })
    t.deepEqual(await drain(after), ['live'])

    const last = await connectClient(t, await restarts[how](), options)
    t.deepEqual(await drain(last), [])
  })
}

test('a will that was due while the broker was down reaches sessions that are taken up after its own', async (t) => {
  const restarts = await begin(t)
  const will = { topic: 'a', payload: 'gone', qos: 1, properties: { willDelayInterval: 50 } }
  await leave(await connectClient(t, restarts.broker, { ...durable(5, 'w'), will }))
  await subscribeAndLeave(t, restarts.broker)

  const broker = await restarts.crash(60_000)
  await restarts.clock.advance(0)

  t.deepEqual(await drain(await connectClient(t, broker, durable(5, 'c'))), ['gone'])
})
