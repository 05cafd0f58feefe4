import { Buffer } from 'node:buffer'
import test from 'ava'
import { createBroker } from '../../lib/index.ts'
import { PacketType } from '../../lib/protocol/packets.ts'
import { OutsideMemory, youngCollector } from '../../lib/util/outside-memory.ts'
import { startBroker } from '../support/broker.ts'
import { connectClient } from '../support/client.ts'
import { frame, text } from '../support/raw-packets.ts'
import { nextTurn } from '../support/turns.ts'

const MIB = 1024 * 1024

test('the young are collected once for each 6 MiB', (t) => {
  let collections = 0
  const outside = new OutsideMemory(() => collections++)
  t.is(collections, 1)
  for (let i = 0; i < 5; i++) outside.note(MIB)
  t.is(collections, 1)
  outside.note(MIB)
  t.is(collections, 2)
  outside.note(100 * MIB)
  t.is(collections, 3)
  for (let i = 0; i < 12; i++) outside.note(MIB)
  t.is(collections, 5)
})

test('who brings what does not work is told at once', async (t) => {
  const collectYoung = () => {
    throw new TypeError('gc is not a function')
  }
  await t.throwsAsync(createBroker({ listeners: [], collectYoung }), { instanceOf: TypeError })
})

test('to collect the young frees the chunks that nobody has any more', async (t) => {
  const collect = youngCollector()
  if (collect === undefined) return t.fail('V8 does not let us')
  const bytesOfChunks = () => process.memoryUsage().arrayBuffers
  collect()
  await nextTurn()
  const before = bytesOfChunks()
  let read = 0
  for (let i = 0; i < 100; i++) read += Buffer.allocUnsafeSlow(64 * 1024).length
  collect()
  // V8 frees them beside the program.
  for (let i = 0; i < 10_000 && bytesOfChunks() > before + read / 2; i++) await nextTurn()
  t.true(bytesOfChunks() <= before + read / 2)
})

test('a broker has the young collected for what it reads, and for what it writes', async (t) => {
  let collections = 0
  const { broker } = await startBroker(t, { collectYoung: () => collections++ })
  const client = await connectClient(t, broker, { clientId: 'client' })
  const payload = Buffer.alloc(MIB / 2)
  for (let i = 0; i < 12; i++) client.send({ cmd: 'publish', topic: 'nobody', payload, qos: 0 })
  await client.settled()
  t.is(collections, 2)

  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'own', qos: 0 }] })
  await client.expect(t, 'suback')
  // Less than 6 MiB, but as much again is written: at another QoS it does not leave as it came.
  const packet = frame(PacketType.Publish, 2, text('own'), [0, 1], Buffer.alloc(1000))
  for (let i = 0; i < 4; i++) {
    client.sendBytes(Buffer.concat(Array.from({ length: 1000 }, () => packet)))
    await client.settled()
  }
  t.is(collections, 3)
})
