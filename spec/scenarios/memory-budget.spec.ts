import { Buffer } from 'node:buffer'
import test, { type ExecutionContext } from 'ava'
import type { Broker } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { connectClient, openClient } from '../support/client.ts'
import { collectGarbage } from '../support/memory.ts'
import { join, frame as packetOf, twoBytes, type } from '../support/raw-packets.ts'
import { nextTurn, until } from '../support/turns.ts'

const MiB = 1024 * 1024
const durable = { clean: false, properties: { sessionExpiryInterval: 1000 } }

/** Leaves a session behind whose queue holds `bytes` of messages. */
async function fill(t: ExecutionContext, broker: Broker, bytes: number): Promise<void> {
  const client = await connectClient(t, broker, { ...durable, clientId: 'filled' })
  await client.subscribe(t, 'fill', { qos: 1 })
  client.send({ cmd: 'disconnect' })
  await client.closed()
  for (let sent = 0; sent < bytes; sent += MiB / 16) {
    await broker.publish({ topic: 'fill', payload: Buffer.alloc(MiB / 16), qos: 1 })
  }
}

const budget = { memory: { budgetBytes: 4 * MiB }, session: { queueBytesMax: 64 * MiB } }

test('at 80 % QoS 0 is shed towards a client that does not keep up, long before its out-buffer is full', async (t) => {
  const { broker } = await startBroker(t, budget)
  const slow = await connectClient(t, broker)
  await slow.subscribe(t, 'live')
  slow.end.pauseReading()
  const publishToSlow = async () => {
    await broker.publish({ topic: 'live', payload: Buffer.alloc(MiB / 16) })
    await nextTurn()
  }

  await publishToSlow()
  await publishToSlow()
  t.is(broker.counters.publishDropped, 0)
  await fill(t, broker, 3.2 * MiB)
  await publishToSlow()

  t.is(broker.counters.publishDropped, 1)
})

test('CONNECT is refused with 0x97 when 95 % of the memory budget is used', async (t) => {
  const { broker } = await startBroker(t, budget)
  await fill(t, broker, 3.9 * MiB)

  const client = openClient(broker, 5)
  client.connect()

  await client.expect(t, 'connack', { reasonCode: 0x97 })
  await client.closed()
})

test('who publishes is paused at 90 %, and goes on when there is room again', async (t) => {
  const { broker } = await startBroker(t, budget)
  const publisher = await connectClient(t, broker)
  await fill(t, broker, 3.65 * MiB)

  publisher.publish('x', 'y')
  await until(() => publisher.end.isServerPaused)
  const reader = openClient(broker, 5)
  reader.connect({ ...durable, clientId: 'filled' })
  await reader.expect(t, 'connack', { sessionPresent: true })
  while (publisher.end.isServerPaused) {
    const { messageId } = await reader.expect(t, 'publish')
    reader.send({ cmd: 'puback', messageId })
    await nextTurn()
  }

  await publisher.settled()
  t.false(publisher.isClosed)
})

test('when memory is short the first of a row of messages is taken, and the others wait', async (t) => {
  const { broker } = await startBroker(t, budget)
  const publisher = await connectClient(t, broker)
  const subscriber = await connectClient(t, broker)
  await subscriber.subscribe(t, 'x')
  await fill(t, broker, 3.65 * MiB)

  const message = packetOf(type.publish, 0, twoBytes(1), Buffer.from('x'), 0, 7)
  publisher.sendBytes(join(message, message, message))
  await until(() => publisher.end.isServerPaused)

  t.is((await subscriber.settled()).length, 1)
})

test('a client that owes acknowledgements is read even when memory is short', async (t) => {
  const { broker } = await startBroker(t, budget)
  const client = await connectClient(t, broker)
  await client.subscribe(t, 'to/it', { qos: 1 })
  await broker.publish({ topic: 'to/it', payload: 'hello', qos: 1 })
  const { messageId } = await client.expect(t, 'publish')
  await fill(t, broker, 3.65 * MiB)

  client.publish('x', 'y')
  client.send({ cmd: 'puback', messageId })
  await client.settled()

  t.false(client.end.isServerPaused)
})

test('nothing more is kept when all of the budget is used, and what is not is counted', async (t) => {
  const { broker } = await startBroker(t, budget)

  await fill(t, broker, 6 * MiB)

  t.true(broker.counters.publishDropped > 0)
  const kept = 96 - broker.counters.publishDropped
  t.true(kept >= 60 && kept <= 64, `${kept} messages of 64 KiB are kept within 4 MiB`)
})

test('everything kept is given back: a session that ends leaves the budget as it was', async (t) => {
  const { broker, clock } = await startBroker(t, budget)
  await fill(t, broker, 3.9 * MiB)

  await clock.advance(1_001_000)
  const client = await connectClient(t, broker, { clientId: 'after' })

  t.false(client.isClosed)
})

/** What is in use when all that nobody has is collected. */
async function used(): Promise<number> {
  // What is swept concurrently is gone after another round.
  for (let round = 0; round < 4; round++) {
    await nextTurn()
    collectGarbage()
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** A client that comes, publishes two messages of 16 MiB, and goes. */
async function publishLarge(t: ExecutionContext, broker: Broker): Promise<void> {
  const publisher = await connectClient(t, broker)
  for (const messageId of [1, 2]) {
    publisher.sendBytes(frame(`topic ${messageId}`, 16 * MiB, messageId))
    await publisher.expect(t, 'puback', { messageId })
  }
  publisher.send({ cmd: 'disconnect' })
  await publisher.closed()
}

test.serial('a chunk is let go when its turn is over, and its client gone', async (t) => {
  const { broker } = await startBroker(t, { connection: { maximumPacketSizeBytes: 32 * MiB } })
  const before = await used()
  await publishLarge(t, broker)

  const grown = (await used()) - before
  t.true(grown < 8 * MiB, `${grown} bytes`)
})

test.serial('a queued message does not pin the chunk it was read in', async (t) => {
  const { broker } = await startBroker(t)
  const absent = await connectClient(t, broker, { ...durable, clientId: 'absent' })
  await absent.subscribe(t, 'keep', { qos: 1 })
  absent.send({ cmd: 'disconnect' })
  await absent.closed()
  const publisher = await connectClient(t, broker)
  const before = await used()

  // Each read is 64 KiB, of which 80 bytes are queued and the rest goes to nobody.
  for (let i = 1; i <= 1000; i++) {
    const kept = frame('keep', 80, i)
    const chunk = Buffer.concat([kept, frame('drop', 65_536 - kept.length - 9, 0)])
    publisher.sendBytes(chunk)
    await publisher.expect(t, 'puback', { messageId: i })
  }
  const grown = (await used()) - before

  t.true(grown < 4 * MiB, `${grown} bytes for 1000 messages of 80 bytes`)
})

/** A PUBLISH of MQTT 5.0, at QoS 1 if it has an identifier. */
function frame(topic: string, payloadBytes: number, packetIdentifier: number): Buffer {
  const head = Buffer.from([0, topic.length, ...Buffer.from(topic)])
  const identifier = packetIdentifier === 0 ? [] : [packetIdentifier >> 8, packetIdentifier & 255]
  const body = Buffer.concat([head, Buffer.from([...identifier, 0]), Buffer.alloc(payloadBytes)])
  const length: number[] = []
  for (let rest = body.length; rest > 0; rest >>= 7)
    length.push((rest & 127) | (rest > 127 ? 128 : 0))
  return Buffer.concat([Buffer.from([packetIdentifier === 0 ? 0x30 : 0x32, ...length]), body])
}
