import { Buffer } from 'node:buffer'
import test from 'ava'
import fc from 'fast-check'
import { startBroker } from '../support/broker.ts'
import { connectClient, openClient } from '../support/client.ts'
import { recordingLogger } from '../support/recording-logger.ts'
import { nextTurn } from '../support/turns.ts'

test('half a packet for ever ends with the connect time-out', async (t) => {
  const { broker, clock } = await startBroker(t)
  const client = openClient(broker)
  client.sendBytes([0x10, 0x20, 0x00])
  await nextTurn()

  await clock.advance(10_000)

  t.deepEqual(await client.closed(), [])
})

test('half a packet for ever after CONNECT ends with the keep alive', async (t) => {
  const { broker, clock } = await startBroker(t)
  const client = await connectClient(t, broker, { keepalive: 10 })
  client.sendBytes([0x30, 0x20, 0x00])
  await nextTurn()

  await clock.advance(15_001)

  t.like((await client.closed())[0], { cmd: 'disconnect', reasonCode: 0x8d })
})

for (const version of [3, 4, 5] as const) {
  test(`one byte at a time is understood (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const client = openClient(broker, version)
    const whole = client.wire
    client.wire = {
      write: (bytes) => {
        for (const byte of bytes) whole.write(Buffer.of(byte))
      },
      destroy: () => whole.destroy(),
    }

    client.connect()
    await client.expect(t, 'connack')
    await client.subscribe(t, 'a/+', { qos: 1 })
    client.publish('a/b', 'hello', { qos: 1, messageId: 9 })
    const packets = await client.settled()

    t.deepEqual(packets.map(({ cmd }) => cmd).toSorted(), ['puback', 'publish'])
  })
}

test('an oversized packet is refused from its fixed header', async (t) => {
  const { broker } = await startBroker(t, { connection: { maximumPacketSizeBytes: 1000 } })
  const client = await connectClient(t, broker)

  client.sendBytes([0x30, 0xff, 0xff, 0xff, 0x7f])

  t.like((await client.closed())[0], { cmd: 'disconnect', reasonCode: 0x95 })
})

test('a Remaining Length of five bytes is malformed', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)

  client.sendBytes([0x30, 0xff, 0xff, 0xff, 0xff, 0x01])

  t.like((await client.closed())[0], { cmd: 'disconnect', reasonCode: 0x81 })
})

test('ten thousand connections of noise leave the broker serving everyone else', async (t) => {
  const logger = recordingLogger()
  const { broker } = await startBroker(t, { logger })
  const healthy = await connectClient(t, broker)
  await healthy.subscribe(t, 'a')
  const seed = 20_261_124
  const noises = fc.sample(fc.uint8Array({ minLength: 1, maxLength: 200 }), {
    numRuns: 10_000,
    seed,
  })

  for (const [i, noise] of noises.entries()) {
    const stranger = openClient(broker, 4)
    stranger.take = () => {} // What it is told does not matter.
    stranger.end.onData = () => {}
    stranger.sendBytes(Buffer.from(noise))
    if (i % 100 === 0) {
      await broker.publish({ topic: 'a', payload: String(i) })
      await nextTurn()
    }
    stranger.destroy()
  }
  const received = await healthy.settled()

  t.is(received.length, 100, `seed ${seed}`)
  t.is(broker.clientCount, 1)
})

test('strangers cause at most ten lines a second per cause, and a total', async (t) => {
  const logger = recordingLogger()
  const { broker, clock } = await startBroker(t, { logger })

  for (let i = 0; i < 50; i++) openClient(broker, 4).sendBytes([0x00, 0x00])
  await nextTurn()
  await nextTurn()
  const lines = logger.find('protocol error')
  await clock.advance(1000)

  t.is(lines.length, 10)
  t.like(lines[0]?.fields, { address: 'memory', listener: 'memory', rule: 'packet type 0' })
  t.is(logger.find('40 more like this were not logged').length, 2)
})

test('after CONNECT, random bytes never end anything but their own connection', async (t) => {
  const logger = recordingLogger()
  const { broker } = await startBroker(t, { logger })
  const healthy = await connectClient(t, broker)

  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), async (noise) => {
      const client = openClient(broker, 5)
      client.end.onData = () => {}
      client.connect({ clientId: 'noise' })
      client.sendBytes(Buffer.from(noise))
      await nextTurn()
      client.destroy()
      await nextTurn()
    }),
    { numRuns: 300 },
  )
  await healthy.settled()

  t.deepEqual(
    logger.lines.filter(({ level }) => level === 'error'),
    [],
  )
})
