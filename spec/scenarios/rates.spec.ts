/** More per second than may be: in, and the client is read more slowly; out, and it is sent less. */

import { Buffer } from 'node:buffer'
import test from 'ava'
import { startBroker } from '../support/broker.ts'
import { connectClient, openClient } from '../support/client.ts'
import { CountingClock } from '../support/clock.ts'
import { recordingLogger } from '../support/recording-logger.ts'
import { nextTurn, until } from '../support/turns.ts'

const limits = { burstSeconds: 1 }

test('who publishes too fast is slowed to its rate, and nothing is lost', async (t) => {
  const logger = recordingLogger()
  const { broker, clock } = await startBroker(t, {
    limits,
    perClient: { messagesInPerSecond: 10 },
    logger,
  })
  const seen: string[] = []
  broker.subscribe('a', ({ payload }) => void seen.push(String(payload)))
  const client = await connectClient(t, broker, { clientId: 'fast' })

  for (let i = 1; i <= 30; i++) client.publish('a', String(i), { qos: 1, messageId: i })
  await until(() => client.end.isServerPaused)
  t.is(seen.length, 10)
  await clock.advance(1000)
  t.true(seen.length >= 19 && seen.length <= 21, `${seen.length} after a second more`)
  await clock.advance(2000)

  const numbers = Array.from({ length: 30 }, (_, i) => String(i + 1))
  t.deepEqual(seen, numbers)
  t.is((await client.settled()).filter(({ cmd }) => cmd === 'puback').length, 30)
  t.true(broker.counters.limitsReached.rateIn > 0)
  t.is(logger.find('limit reached').length, 1)
  t.like(logger.find('limit reached')[0]?.fields, {
    client: 'fast',
    reason: '0x96 message rate too high',
    rule: 'more than perClient.messagesInPerSecond: the client is read more slowly',
  })
})

test('who is slowed is not ended by its own Keep Alive, and gets its acknowledgements', async (t) => {
  const { broker, clock } = await startBroker(t, { limits, perClient: { bytesInPerSecond: 100 } })
  const client = await connectClient(t, broker, { keepalive: 1, version: 4 })

  client.publish('a', Buffer.alloc(1000), { qos: 1, messageId: 7 })
  await client.expect(t, 'puback', { messageId: 7 })
  t.true(client.end.isServerPaused)
  for (let second = 0; second < 8; second++) await clock.advance(1000)

  t.true(client.end.isServerPaused)
  t.is(broker.clientCount, 1)
  await clock.advance(2000)
  t.false(client.end.isServerPaused)
  await client.settled()
})

test('where it is configured so, who publishes too fast is disconnected with 0x96', async (t) => {
  const { broker } = await startBroker(t, {
    limits: { ...limits, onRateExceeded: 'disconnect' },
    perClient: { messagesInPerSecond: 3 },
  })
  const client = await connectClient(t, broker)

  for (let i = 0; i < 5; i++) client.publish('a', 'x')

  t.like((await client.closed()).at(-1), { cmd: 'disconnect', reasonCode: 0x96 })
})

test('all clients of an address share its rate, others do not', async (t) => {
  const { broker, clock } = await startBroker(t, { limits, perAddress: { messagesInPerSecond: 5 } })
  const enter = async (address: string) => {
    const client = openClient(broker, 5, { address })
    client.connect()
    await client.expect(t, 'connack')
    return client
  }
  const [a, b, other] = [
    await enter('192.0.2.1'),
    await enter('192.0.2.1'),
    await enter('192.0.2.2'),
  ]

  for (let i = 0; i < 5; i++) a.publish('a', 'x')
  await until(() => a.end.isServerPaused)
  b.publish('a', 'x')
  await until(() => b.end.isServerPaused)
  other.publish('a', 'x')
  await other.settled()

  t.false(other.end.isServerPaused)
  await clock.advance(1000)
  t.false(a.end.isServerPaused)
  t.false(b.end.isServerPaused)
})

test('what leaves too fast is dropped at QoS 0, and waits at QoS 1', async (t) => {
  const { broker, clock } = await startBroker(t, {
    limits,
    perClient: { messagesOutPerSecond: 10 },
  })
  const dropped: string[] = []
  broker.on('dropped', (_, topic, why) => dropped.push(`${topic} ${why}`))
  const client = await connectClient(t, broker)
  await client.subscribe(t, 'live')
  await client.subscribe(t, 'kept', { qos: 1, messageId: 2 })

  for (let i = 0; i < 15; i++) void broker.publish({ topic: 'live', payload: String(i) })
  for (let i = 0; i < 15; i++) void broker.publish({ topic: 'kept', payload: String(i), qos: 1 })
  await nextTurn()
  const first = await client.settled()
  t.is(first.length, 10)
  t.deepEqual(
    dropped,
    Array.from({ length: 5 }, () => 'live rate limit'),
  )

  await clock.advance(1000)
  const second = await client.settled()
  t.true(second.length >= 9 && second.length <= 11, `${second.length} in the next second`)
  await clock.advance(1000)
  const third = await client.settled()

  t.deepEqual(
    [...second, ...third].map(({ payload }) => String(payload)),
    Array.from({ length: 15 }, (_, i) => String(i)),
  )
  t.true(broker.counters.limitsReached.rateOut > 0)
})

test('retained messages come at the rate that may leave, all of them', async (t) => {
  const { broker, clock } = await startBroker(t, {
    limits,
    perClient: { messagesOutPerSecond: 10 },
  })
  for (let i = 0; i < 25; i++) {
    await broker.publish({ topic: `r/${i}`, payload: 'x', retain: true })
  }
  const client = await connectClient(t, broker)

  await client.subscribe(t, 'r/#')
  const first = await client.settled()
  await clock.advance(2000)
  const rest = await client.settled()

  t.is(first.length, 10)
  t.is(rest.length, 15)
})

test('a rate that is not used up reads no clock: it costs a subtraction', async (t) => {
  const chunk = Buffer.concat(
    Array.from({ length: 1000 }, (_, i) => Buffer.from([0x30, 4, 0, 1, 0x61 + (i % 2), 0])),
  )
  const readings: number[] = []
  for (const perClient of [
    {},
    { messagesInPerSecond: 1_000_000, bytesInPerSecond: 1_000_000_000 },
  ]) {
    const clock = new CountingClock()
    const { broker } = await startBroker(t, { clock, perClient })
    const client = await connectClient(t, broker)
    await client.settled()
    clock.readings = 0

    client.sendBytes(chunk)
    await client.settled()

    readings.push(clock.readings)
    t.is(broker.counters.packetsReceived[3], 1000)
  }

  t.is(readings[0], readings[1])
})
