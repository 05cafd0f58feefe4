import { Buffer } from 'node:buffer'
import test from 'ava'
import { startBroker } from '../support/broker.ts'
import {
  type ConnectOptions,
  connectClient,
  type MemoryClient,
  openClient,
} from '../support/client.ts'
import { turns } from '../support/deferred.ts'
import { recordFrames } from '../support/frames.ts'
import { Observed } from '../support/observed.ts'
import { connectFrame } from '../support/raw-packets.ts'

const versions = [3, 4, 5] as const
const will = { topic: 'w', payload: 'gone' }

async function leave(client: MemoryClient): Promise<void> {
  client.end.close()
  await client.closed()
}

/** A session that outlives its connection, and a will that waits. */
function delayed(willDelayInterval: number, sessionExpiryInterval = 100): ConnectOptions {
  return {
    clientId: 'c',
    clean: false,
    properties: { sessionExpiryInterval },
    will: { ...will, properties: { willDelayInterval } },
  }
}

for (const version of versions) {
  test(`[MQTT-3.1.2-7] [MQTT-3.1.2-8] [3.1.1: MQTT-3.1.2-8] a connection that closes without DISCONNECT publishes its will (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const observed = new Observed(broker)
    const client = await connectClient(t, broker, { version, will })
    await client.settled()
    t.deepEqual(observed.messages, [])

    await leave(client)

    t.deepEqual(observed.payloads, ['gone'])
  })

  test(`[MQTT-3.1.2-8] a connection that breaks publishes its will (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const observed = new Observed(broker)
    const client = await connectClient(t, broker, { version, will })

    client.destroy()

    t.is((await observed.next()).topic, 'w')
  })

  test(`[MQTT-3.14.4-3] [MQTT-3.1.2-8] [3.1.1: MQTT-3.14.4-3] DISCONNECT discards the will (version ${version})`, async (t) => {
    const { broker, clock } = await startBroker(t)
    const observed = new Observed(broker)
    const client = await connectClient(t, broker, { version, clientId: 'c', clean: false, will })

    client.send({ cmd: 'disconnect' })
    await client.closed()
    await clock.advance(1_000_000)

    t.deepEqual(observed.messages, [])
  })

  test(`[MQTT-3.1.2-10] [3.1.1: MQTT-3.1.2-10] a will is published once, and belongs to one connection (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const observed = new Observed(broker)
    const keep = version === 5 ? { properties: { sessionExpiryInterval: 100 } } : {}
    const options = { version, clientId: 'c', clean: false, ...keep }

    await leave(await connectClient(t, broker, { ...options, will }))
    await leave(await connectClient(t, broker, options))
    await leave(await connectClient(t, broker, options))

    t.deepEqual(observed.payloads, ['gone'])
  })

  test(`[MQTT-3.1.2-8] a protocol error, a keep alive missed and a take-over publish the will (version ${version})`, async (t) => {
    const { broker, clock } = await startBroker(t)
    const observed = new Observed(broker)
    const options = { version, keepalive: 10 }

    const wrong = await connectClient(t, broker, {
      ...options,
      will: { ...will, payload: 'error' },
    })
    wrong.sendBytes([0xf0, 0])
    await wrong.closed()
    const silent = await connectClient(t, broker, {
      ...options,
      will: { ...will, payload: 'silent' },
    })
    await clock.advance(15_000)
    await silent.closed()
    const taken = { ...options, clientId: 'c', will: { ...will, payload: 'taken' } }
    const old = await connectClient(t, broker, taken)
    await connectClient(t, broker, { version, clientId: 'c' })
    await old.closed()

    t.deepEqual(observed.payloads, ['error', 'silent', 'taken'])
  })

  for (const qos of [0, 1, 2] as const) {
    test(`[MQTT-3.1.2-9] [MQTT-3.1.2-12] [MQTT-3.1.2-14] [3.1.1: MQTT-3.1.2-16] a will goes out at QoS ${qos}, and is not retained (version ${version})`, async (t) => {
      const { broker } = await startBroker(t)
      const subscriber = await connectClient(t, broker, { version })
      await subscriber.subscribe(t, 'w', { qos: 2 })

      await leave(await connectClient(t, broker, { version, will: { ...will, qos } }))

      await subscriber.expect(t, 'publish', { topic: 'w', qos, retain: false })
      const later = await connectClient(t, broker, { version })
      await later.subscribe(t, 'w', { qos: 2 })
      t.deepEqual(await later.settled(), [])
    })
  }

  test(`[MQTT-3.1.2-15] [3.1.1: MQTT-3.1.2-17] a will with Will Retain is retained (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    await leave(
      await connectClient(t, broker, { version, will: { ...will, qos: 1, retain: true } }),
    )

    const later = await connectClient(t, broker, { version })
    await later.subscribe(t, 'w', { qos: 1 })

    const publish = await later.expect(t, 'publish', { topic: 'w', qos: 1, retain: true })
    t.is(publish['payload'].toString(), 'gone')
  })

  test(`[MQTT-3.1.2-15] an empty will with Will Retain clears its topic (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    await broker.publish({ topic: 'w', payload: 'old', retain: true })
    const empty = { topic: 'w', payload: Buffer.alloc(0), retain: true }

    await leave(await connectClient(t, broker, { version, will: empty }))

    const later = await connectClient(t, broker, { version })
    await later.subscribe(t, 'w')
    t.deepEqual(await later.settled(), [])
  })

  test(`a will that the client may not publish refuses CONNECT (version ${version})`, async (t) => {
    const hooks = { authorizePublish: async () => ({ isAllowed: false, reason: 'not yours' }) }
    const { broker } = await startBroker(t, { hooks })
    const observed = new Observed(broker)
    const client = openClient(broker, version)

    client.connect({ will })

    await client.expect(t, 'connack', version === 5 ? { reasonCode: 0x87 } : { returnCode: 5 })
    await client.closed()
    t.deepEqual(observed.messages, [])
  })

  test(`a Will Topic of the broker's own refuses CONNECT (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const client = openClient(broker, version)

    client.connect({ will: { topic: '$SYS/broker/uptime' } })

    await client.expect(t, 'connack', version === 5 ? { reasonCode: 0x90 } : { returnCode: 3 })
    t.deepEqual(await client.closed(), [])
  })
}

test('[MQTT-3.1.2-8] every DISCONNECT but 0x00 publishes the will', async (t) => {
  const { broker } = await startBroker(t)
  const observed = new Observed(broker)
  const codes = [0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99]
  for (const reasonCode of codes) {
    const client = await connectClient(t, broker, { will: { ...will, payload: `${reasonCode}` } })
    client.send({ cmd: 'disconnect', reasonCode })
    t.deepEqual(await client.closed(), [])
  }

  t.deepEqual(observed.payloads, codes.map(String))
})

test('[MQTT-3.1.2-8] a DISCONNECT 0x00 that is a Protocol Error does not discard the will', async (t) => {
  const { broker } = await startBroker(t)
  const observed = new Observed(broker)
  const client = await connectClient(t, broker, { will })

  client.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 1 } })

  await client.expect(t, 'disconnect', { reasonCode: 0x82 })
  t.deepEqual(observed.payloads, ['gone'])
})

test('[MQTT-3.1.2-8] a will waits for its Will Delay Interval', async (t) => {
  const { broker, clock } = await startBroker(t)
  const observed = new Observed(broker)
  await leave(await connectClient(t, broker, delayed(10)))

  await clock.advance(9_999)
  t.deepEqual(observed.messages, [])
  await clock.advance(1)

  t.deepEqual(observed.payloads, ['gone'])
  await clock.advance(1_000_000)
  t.deepEqual(observed.payloads, ['gone'])
})

test('[MQTT-3.1.2-8] a will does not wait longer than its session lives', async (t) => {
  const { broker, clock } = await startBroker(t)
  const observed = new Observed(broker)
  await leave(await connectClient(t, broker, delayed(50, 10)))

  await clock.advance(9_999)
  t.deepEqual(observed.messages, [])
  await clock.advance(1)

  t.deepEqual(observed.payloads, ['gone'])
  await clock.advance(100_000)
  t.deepEqual(observed.payloads, ['gone'])
})

test('[MQTT-3.1.2-8] a will with a delay goes out at once with a session that ends at once', async (t) => {
  const { broker } = await startBroker(t)
  const observed = new Observed(broker)

  await leave(await connectClient(t, broker, delayed(50, 0)))

  t.deepEqual(observed.payloads, ['gone'])
})

test('[MQTT-3.1.3-9] a session resumed before the Will Delay Interval has passed does not send the will', async (t) => {
  const { broker, clock } = await startBroker(t)
  const observed = new Observed(broker)
  await leave(await connectClient(t, broker, delayed(10)))
  await clock.advance(9_999)

  const client = await connectClient(t, broker, {
    clientId: 'c',
    clean: false,
    properties: { sessionExpiryInterval: 100 },
  })
  await clock.advance(1_000_000)
  await leave(client)
  await clock.advance(1_000_000)

  t.deepEqual(observed.messages, [])
})

test('[MQTT-3.1.3-9] a session resumed with another will keeps that one to itself while it is connected', async (t) => {
  const { broker, clock } = await startBroker(t)
  const observed = new Observed(broker)
  await leave(await connectClient(t, broker, delayed(10)))
  const next = delayed(0)

  const client = await connectClient(t, broker, { ...next, will: { ...will, payload: 'new' } })
  await clock.advance(1_000_000)
  t.deepEqual(observed.messages, [])
  await leave(client)

  t.deepEqual(observed.payloads, ['new'])
})

test('[MQTT-3.1.3-9] a take-over that resumes the session does not send a will that waits', async (t) => {
  const { broker, clock } = await startBroker(t)
  const observed = new Observed(broker)
  const first = await connectClient(t, broker, delayed(10))

  await connectClient(t, broker, { clientId: 'c', clean: false })
  await first.closed()
  await clock.advance(1_000_000)

  t.deepEqual(observed.messages, [])
})

test('[MQTT-3.1.2-8] a take-over with Clean Start sends the will at once, as the session ends', async (t) => {
  const { broker } = await startBroker(t)
  const observed = new Observed(broker)
  const first = await connectClient(t, broker, delayed(10))

  await connectClient(t, broker, { clientId: 'c', clean: true })
  await first.closed()

  t.deepEqual(observed.payloads, ['gone'])
})

test('[MQTT-3.1.2-8] Clean Start sends a will that still waits, as the session ends', async (t) => {
  const { broker } = await startBroker(t)
  const observed = new Observed(broker)
  await leave(await connectClient(t, broker, delayed(10)))

  await connectClient(t, broker, { clientId: 'c', clean: true })

  t.deepEqual(observed.payloads, ['gone'])
})

test('[MQTT-3.1.3-9] the will of a client that does not hear its own is not sent to the connection that took over', async (t) => {
  const { broker } = await startBroker(t)
  const first = await connectClient(t, broker, { ...delayed(0), will })
  await first.subscribe(t, 'w', { nl: true })

  const client = await connectClient(t, broker, { clientId: 'c', clean: false })
  await first.closed()

  t.deepEqual(await client.settled(), [])
})

test('[MQTT-3.1.2-8] a session that an administrator ends sends a will that waits', async (t) => {
  const { broker } = await startBroker(t)
  const observed = new Observed(broker)
  await leave(await connectClient(t, broker, delayed(10)))

  await broker.discardSession('c')

  t.deepEqual(observed.payloads, ['gone'])
})

test('session.willDelayMaxSeconds bounds the Will Delay Interval', async (t) => {
  const { broker, clock } = await startBroker(t, { session: { willDelayMaxSeconds: 5 } })
  const observed = new Observed(broker)
  await leave(await connectClient(t, broker, delayed(50)))

  await clock.advance(4_999)
  t.deepEqual(observed.messages, [])
  await clock.advance(1)

  t.deepEqual(observed.payloads, ['gone'])
})

test('[MQTT-3.1.3-10] [MQTT-3.1.2-9] the properties of a will reach its receivers, User Properties in their order', async (t) => {
  const { broker } = await startBroker(t)
  const observed = new Observed(broker, 'w')
  const userProperties: [string, string][] = [
    ['b', '1'],
    ['a', '2'],
    ['b', '3'],
    ['1', '4'],
  ]
  const properties = {
    payloadFormatIndicator: 1 as const,
    contentType: 'text/plain',
    responseTopic: 'answer',
    correlationData: Buffer.from([0, 1, 2]),
    userProperties,
  }
  const client = openClient(broker)

  client.sendBytes(
    connectFrame({
      type: 'connect',
      protocolVersion: 5,
      clientIdentifier: 'c',
      cleanStart: true,
      keepAliveSeconds: 0,
      userName: undefined,
      password: undefined,
      will: {
        topicName: 'w',
        payload: Buffer.from('gone'),
        qos: 0,
        retain: false,
        properties: { ...properties, willDelayInterval: 0, messageExpiryInterval: 60 },
      },
      properties: {},
    }),
  )
  await client.expect(t, 'connack', { reasonCode: 0 })
  await leave(client)

  t.deepEqual((await observed.next()).properties, properties)
})

test('[MQTT-3.1.3-10] a subscriber gets the User Properties of a will in their order, byte for byte', async (t) => {
  const { broker } = await startBroker(t)
  const subscriber = await connectClient(t, broker)
  await subscriber.subscribe(t, 'w')
  const frames = recordFrames(subscriber)
  const properties = { userProperties: { b: ['1', '3'], a: '2' }, willDelayInterval: 0 }

  await leave(await connectClient(t, broker, { will: { ...will, properties } }))

  await subscriber.expect(t, 'publish')
  const bytes = frames()[0]?.toString('latin1')
  t.true(bytes?.includes('&\0\u0001b\0\u00011&\0\u0001b\0\u00013&\0\u0001a\0\u00012'))
})

test('the Message Expiry Interval of a will counts from its publication', async (t) => {
  const { broker, clock } = await startBroker(t)
  const options = delayed(50)
  const properties = { willDelayInterval: 50, messageExpiryInterval: 20 }
  await leave(
    await connectClient(t, broker, { ...options, will: { ...will, retain: true, properties } }),
  )
  await clock.advance(50_000)
  await clock.advance(5_000)

  const client = await connectClient(t, broker)
  await client.subscribe(t, 'w')

  const publish = await client.expect(t, 'publish', { retain: true })
  t.is(publish['properties'].messageExpiryInterval, 15)
})

test('a Will Payload that is not the UTF-8 it says it is refuses CONNECT', async (t) => {
  const { broker } = await startBroker(t)
  const client = openClient(broker)
  const properties = { payloadFormatIndicator: true }

  client.connect({ will: { topic: 'w', payload: Buffer.from([0xff]), properties } })

  await client.expect(t, 'connack', { reasonCode: 0x99 })
  t.deepEqual(await client.closed(), [])
})

test('a broker that stops publishes no wills: the clients did not go', async (t) => {
  const { broker } = await startBroker(t)
  const observed = new Observed(broker)
  const client = await connectClient(t, broker, { will })

  await broker.close()
  await client.closed()
  await turns()

  t.deepEqual(observed.messages, [])
})
