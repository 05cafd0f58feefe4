import { Buffer } from 'node:buffer'
import test from 'ava'
import { startBroker } from '../support/broker.ts'
import { connectClient } from '../support/client.ts'
import { recordingLogger } from '../support/recording-logger.ts'
import { nextTurn, until } from '../support/turns.ts'

const KiB = 1024
const small = { connection: { outBufferBytesMax: 64 * KiB } }
const kilobyte = Buffer.alloc(KiB, 'x')

test('what a client gets in one turn leaves in one write', async (t) => {
  const { broker } = await startBroker(t)
  const subscriber = await connectClient(t, broker)
  await subscriber.subscribe(t, 'a')
  let writes = 0
  subscriber.end.onData = (chunk) => {
    writes++
    subscriber.take(chunk)
  }

  for (let i = 0; i < 10; i++) void broker.publish({ topic: 'a', payload: String(i) })
  await until(() => subscriber.packets.length === 10)

  t.is(writes, 1)
})

test('QoS 0 is shed towards a client that does not read, within its out-buffer', async (t) => {
  const logger = recordingLogger()
  const { broker } = await startBroker(t, { ...small, logger })
  const blocked = await connectClient(t, broker, { clientId: 'blocked' })
  await blocked.subscribe(t, 'a')
  blocked.end.pauseReading()
  const dropped: string[] = []
  broker.on('dropped', (client) => dropped.push(client))

  for (let i = 0; i < 500; i++) {
    await broker.publish({ topic: 'a', payload: kilobyte })
    await nextTurn()
  }
  blocked.end.resumeReading()
  const received = await blocked.settled()

  t.true(received.length < 200, `${received.length} messages were kept for it`)
  t.is(received.length + dropped.length, 500)
  t.true(dropped.every((client) => client === 'blocked'))
  t.is(logger.find('message dropped').length, 1)
})

test('the sum of what was dropped is logged after a while, once per interval', async (t) => {
  const logger = recordingLogger()
  const { broker, clock } = await startBroker(t, { ...small, logger })
  const blocked = await connectClient(t, broker)
  await blocked.subscribe(t, 'a')
  blocked.end.pauseReading()

  for (let i = 0; i < 300; i++) {
    await broker.publish({ topic: 'a', payload: kilobyte })
    await nextTurn()
  }
  const before = broker.counters.publishDropped
  await clock.advance(10_000)

  t.is(logger.find(`${before - 1} more messages dropped`).length, 1)
})

test('a blocked client costs its healthy neighbours nothing: they get everything', async (t) => {
  const { broker } = await startBroker(t, small)
  const healthy = await connectClient(t, broker)
  const blocked = await connectClient(t, broker)
  for (const client of [healthy, blocked]) await client.subscribe(t, 'a')
  blocked.end.pauseReading()

  for (let i = 0; i < 300; i++) {
    await broker.publish({ topic: 'a', payload: kilobyte })
    await nextTurn()
  }
  const received = await healthy.settled()

  t.is(received.length, 300)
})

test('QoS 1 waits in the queue of a client that does not read, and comes in order when it does', async (t) => {
  const { broker } = await startBroker(t, small)
  const slow = await connectClient(t, broker, { version: 4 })
  await slow.subscribe(t, 'a', { qos: 1 })
  slow.end.pauseReading()

  for (let i = 0; i < 300; i++) {
    await broker.publish({
      topic: 'a',
      payload: Buffer.concat([kilobyte, Buffer.from(`#${i}`)]),
      qos: 1,
    })
    await nextTurn()
  }
  slow.end.resumeReading()
  const numbers: number[] = []
  while (numbers.length < 300) {
    const packet = await slow.expect(t, 'publish')
    numbers.push(Number(String(packet.payload).split('#')[1]))
    slow.send({ cmd: 'puback', messageId: packet.messageId })
  }

  t.deepEqual(
    numbers,
    Array.from({ length: 300 }, (_, i) => i),
  )
})

for (const [policy, kept] of [
  ['drop-oldest', ['7', '8', '9']],
  ['drop-newest', ['0', '1', '2']],
] as const) {
  test(`a full queue of an offline session follows its policy: ${policy}`, async (t) => {
    const { broker } = await startBroker(t, {
      session: { queueMessagesMax: 3, queuePolicy: policy },
    })
    const options = { clientId: 'c', clean: false, properties: { sessionExpiryInterval: 100 } }
    const first = await connectClient(t, broker, options)
    await first.subscribe(t, 'a', { qos: 1 })
    first.send({ cmd: 'disconnect' })
    await first.closed()

    for (let i = 0; i < 10; i++) await broker.publish({ topic: 'a', payload: String(i), qos: 1 })
    const second = await connectClient(t, broker, options)
    const received = await second.settled()

    t.deepEqual(
      received.map(({ payload }) => String(payload)),
      kept,
    )
    t.is(broker.counters.publishDropped, 7)
  })
}

test('a client whose queue is full is disconnected where the policy says so', async (t) => {
  const { broker } = await startBroker(t, {
    session: { queueMessagesMax: 3, queuePolicy: 'disconnect' },
  })
  const slow = await connectClient(t, broker, { properties: { receiveMaximum: 1 } })
  await slow.subscribe(t, 'a', { qos: 1 })

  for (let i = 0; i < 10; i++) await broker.publish({ topic: 'a', payload: String(i), qos: 1 })
  const packets = await slow.closed()

  t.like(packets.at(-1), { cmd: 'disconnect', reasonCode: 0x97 })
})

test('a client that sends and never reads is paused, not buffered without end', async (t) => {
  const { broker } = await startBroker(t, { connection: { outBufferBytesMax: KiB } })
  const client = await connectClient(t, broker, { version: 4 })
  client.end.pauseReading()

  for (let i = 1; i <= 2000 && !client.end.isServerPaused; i++) {
    client.publish('nobody/listens', 'x', { qos: 1, messageId: i })
    await nextTurn()
  }

  t.true(client.end.isServerPaused)
  client.end.resumeReading()
  await until(() => !client.end.isServerPaused)
  await client.settled()
  t.false(client.isClosed)
})
