import { Buffer } from 'node:buffer'
import test from 'ava'
import { startBroker } from '../support/broker.ts'
import { connectClient, openClient } from '../support/client.ts'
import { defer, microtasks, turns } from '../support/deferred.ts'
import { recordFrames } from '../support/frames.ts'
import { Observed } from '../support/observed.ts'
import { block, connectOf, property, text } from '../support/raw-packets.ts'

const versions = [3, 4, 5] as const

test('[MQTT-3.2.2-1] [MQTT-3.2.2-2] CONNACK has the bits and properties of the standard, byte for byte', async (t) => {
  const { broker } = await startBroker(t)
  const client = openClient(broker)
  const frames = recordFrames(client)

  client.connect()

  await client.expect(t, 'connack')
  const limits = [0x21, 4, 0, 0x22, 0, 32, 0x27, 0, 0x20, 0, 0]
  t.deepEqual(frames(), [Buffer.from([0x20, 14, 0, 0, 11, ...limits])])
})

for (const version of [3, 4] as const) {
  test(`[MQTT-3.2.2-1] CONNACK of 3.x has two bytes (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const client = openClient(broker, version)
    const frames = recordFrames(client)

    client.connect()

    await client.expect(t, 'connack')
    t.deepEqual(frames(), [Buffer.from([0x20, 2, 0, 0])])
  })
}

test('MQTT 3.1 has no Session Present: its byte stays 0 for a session that is resumed', async (t) => {
  const { broker } = await startBroker(t)
  const first = await connectClient(t, broker, { version: 3, clientId: 'c', clean: false })
  first.end.close()
  await first.closed()
  const client = openClient(broker, 3)
  const frames = recordFrames(client)

  client.connect({ clientId: 'c', clean: false })

  await client.expect(t, 'connack')
  t.deepEqual(frames(), [Buffer.from([0x20, 2, 0, 0])])
})

for (const version of [4, 5] as const) {
  const keep = version === 5 ? { properties: { sessionExpiryInterval: 100 } } : {}

  test(`[MQTT-3.2.2-3] [3.1.1: MQTT-3.2.2-2] [3.1.1: MQTT-3.2.2-3] Session Present tells whether there was a session (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)

    for (const sessionPresent of [false, true, true]) {
      const client = openClient(broker, version)
      client.connect({ clientId: 'c', clean: false, ...keep })
      await client.expect(t, 'connack', { sessionPresent })
      client.end.close()
      await client.closed()
    }
  })

  test(`[MQTT-3.2.2-2] [3.1.1: MQTT-3.2.2-1] Session Present is 0 after Clean Start (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const first = await connectClient(t, broker, { version, clientId: 'c', clean: false, ...keep })
    first.end.close()
    await first.closed()
    const client = openClient(broker, version)

    client.connect({ clientId: 'c', clean: true, ...keep })

    await client.expect(t, 'connack', { sessionPresent: false })
  })

  test(`[MQTT-3.2.2-6] [3.1.1: MQTT-3.2.2-4] Session Present is 0 in a CONNACK that refuses (version ${version})`, async (t) => {
    let isAllowed = true
    const { broker } = await startBroker(t, { hooks: { authenticate: () => isAllowed } })
    await connectClient(t, broker, { version, clientId: 'c', clean: false, ...keep })
    isAllowed = false
    const client = openClient(broker, version)

    client.connect({ clientId: 'c', clean: false, ...keep })

    await client.expect(t, 'connack', { sessionPresent: false })
    t.deepEqual(await client.closed(), [])
    t.is(broker.clientCount, 1)
  })
}

for (let ticks = 0; ticks < 16; ticks++) {
  test(`[MQTT-3.2.0-1] [MQTT-3.2.0-2] a message ${ticks} microtasks after the hook's answer stays behind the one CONNACK`, async (t) => {
    const answer = defer<boolean>()
    const hooks = { authenticate: () => (isSecond ? answer.promise : true) }
    let isSecond = false
    const { broker } = await startBroker(t, { hooks })
    const keep = { clientId: 'c', clean: false, properties: { sessionExpiryInterval: 100 } }
    const first = await connectClient(t, broker, keep)
    await first.subscribe(t, 'a', { qos: 1 })
    isSecond = true
    const client = openClient(broker)
    client.connect(keep)
    await turns()

    answer.resolve(true)
    await microtasks(ticks)
    void broker.publish({ topic: 'a', payload: 'zero' })
    void broker.publish({ topic: 'a', payload: 'one', qos: 1 })

    await client.expect(t, 'connack', { sessionPresent: true })
    const rest = await client.settled()
    t.false(rest.some(({ cmd }) => cmd === 'connack'))
    t.true(rest.some(({ payload }) => String(payload) === 'one'))
  })
}

test('every limit is announced in CONNACK', async (t) => {
  const { broker } = await startBroker(t, {
    connection: {
      receiveMaximum: 7,
      maximumQos: 1,
      retainAvailable: false,
      maximumPacketSizeBytes: 2000,
      topicAliasMaximum: 3,
      wildcardSubscriptions: false,
      subscriptionIdentifiers: false,
      sharedSubscriptions: false,
      keepAliveMaxSeconds: 60,
      responseInformation: 'replies/',
    },
    session: { expiryMaxSeconds: 3600 },
  })
  const client = openClient(broker)

  client.connect({
    clientId: '',
    keepalive: 90,
    properties: { sessionExpiryInterval: 7200, requestResponseInformation: true },
  })

  const { properties } = await client.expect(t, 'connack')
  const { assignedClientIdentifier, ...limits } = properties
  t.regex(assignedClientIdentifier, /^noctule-/)
  t.deepEqual(limits, {
    receiveMaximum: 7,
    maximumQoS: 1,
    retainAvailable: false,
    maximumPacketSize: 2000,
    topicAliasMaximum: 3,
    wildcardSubscriptionAvailable: false,
    subscriptionIdentifiersAvailable: false,
    sharedSubscriptionAvailable: false,
    serverKeepAlive: 60,
    responseInformation: 'replies/',
    sessionExpiryInterval: 3600,
  })
})

test('[MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16] a client without Client Identifier is told the one it got, and can come back with it', async (t) => {
  const { broker } = await startBroker(t)
  const identifiers = new Set<string>()
  for (const flags of [0x02, 0]) {
    const client = openClient(broker)
    const keep = block(property('sessionExpiryInterval', 100))
    client.sendBytes(connectOf({ flags, properties: keep, payload: [text('')] }))
    const connack = await client.expect(t, 'connack', { sessionPresent: false })
    identifiers.add(connack['properties'].assignedClientIdentifier)
  }
  t.is(identifiers.size, 2)

  const client = openClient(broker)
  client.connect({ clientId: [...identifiers][0] as string, clean: false })

  const connack = await client.expect(t, 'connack', { sessionPresent: true })
  t.is(connack['properties'].assignedClientIdentifier, undefined)
})

for (const [what, properties, expected] of [
  ['1', { requestResponseInformation: true }, 'replies/'],
  ['0', { requestResponseInformation: false }, undefined],
  ['absent', {}, undefined],
] as const) {
  test(`[MQTT-3.1.2-28] Response Information where Request Response Information is ${what}`, async (t) => {
    const { broker } = await startBroker(t, { connection: { responseInformation: 'replies/' } })
    const client = openClient(broker)

    client.connect({ properties })

    const connack = await client.expect(t, 'connack')
    t.is(connack['properties'].responseInformation, expected)
  })
}

for (const maximumQos of [0, 1] as const) {
  test(`[MQTT-3.2.2-9] [MQTT-3.2.2-11] a Maximum QoS of ${maximumQos} is announced and enforced`, async (t) => {
    const { broker } = await startBroker(t, { connection: { maximumQos } })
    const client = openClient(broker)
    client.connect()
    const { properties } = await client.expect(t, 'connack')
    t.is(properties.maximumQoS, maximumQos)

    client.publish('a', 'x', { qos: maximumQos + 1, messageId: 1 })

    await client.expect(t, 'disconnect', { reasonCode: 0x9b })
    t.deepEqual(await client.closed(), [])
  })

  for (const version of versions) {
    test(`[MQTT-3.2.2-10] with a Maximum QoS of ${maximumQos} SUBSCRIBE of each QoS is accepted and granted less (version ${version})`, async (t) => {
      const { broker } = await startBroker(t, { connection: { maximumQos } })
      const client = await connectClient(t, broker, { version })

      const suback = await client.subscribe(t, 'a', { qos: 2 })
      await broker.publish({ topic: 'a', payload: 'x', qos: 2 })

      t.deepEqual(suback['granted'], [maximumQos])
      await client.expect(t, 'publish', { qos: maximumQos })
    })

    test(`[MQTT-3.2.2-12] a Will QoS above a Maximum QoS of ${maximumQos} refuses CONNECT (version ${version})`, async (t) => {
      const { broker } = await startBroker(t, { connection: { maximumQos } })
      const observed = new Observed(broker)
      const client = openClient(broker, version)

      client.connect({ will: { topic: 'w', qos: maximumQos + 1 } })

      await client.expect(t, 'connack', version === 5 ? { reasonCode: 0x9b } : { returnCode: 3 })
      t.deepEqual(await client.closed(), [])
      t.deepEqual(observed.messages, [])
    })
  }
}

for (const version of versions) {
  test(`[MQTT-3.2.2-13] Will Retain where retained messages are off refuses CONNECT (version ${version})`, async (t) => {
    const { broker } = await startBroker(t, { connection: { retainAvailable: false } })
    const client = openClient(broker, version)

    client.connect({ will: { topic: 'w', retain: true } })

    await client.expect(t, 'connack', version === 5 ? { reasonCode: 0x9a } : { returnCode: 3 })
    t.deepEqual(await client.closed(), [])
  })

  test(`[MQTT-3.2.2-14] RETAIN where retained messages are off ends the connection (version ${version})`, async (t) => {
    const { broker } = await startBroker(t, { connection: { retainAvailable: false } })
    const client = await connectClient(t, broker, { version })

    client.publish('a', 'x', { retain: true })

    const packets = await client.closed()
    t.deepEqual(
      packets.map(({ reasonCode }) => reasonCode),
      version === 5 ? [0x9a] : [],
    )
  })

  test(`[MQTT-3.2.2-15] a packet beyond the Maximum Packet Size of the broker ends the connection (version ${version})`, async (t) => {
    const { broker } = await startBroker(t, { connection: { maximumPacketSizeBytes: 1024 } })
    const client = await connectClient(t, broker, { version })
    const overhead = version === 5 ? 7 : 6

    client.publish('a', 'x'.repeat(1024 - overhead), { qos: 0 })
    t.deepEqual(await client.settled(), [])
    client.publish('a', 'x'.repeat(1024 - overhead + 1), { qos: 0 })

    const packets = await client.closed()
    t.deepEqual(
      packets.map(({ reasonCode }) => reasonCode),
      version === 5 ? [0x95] : [],
    )
  })
}

for (const [what, topicAliasMaximum, properties, reasonCode] of [
  ['above a Topic Alias Maximum of 2', 2, { topicAlias: 3 }, 0x94],
  ['where none is announced', 0, { topicAlias: 1 }, 0x94],
] as const) {
  test(`[MQTT-3.2.2-17] [MQTT-3.2.2-18] a Topic Alias ${what} ends the connection`, async (t) => {
    const { broker } = await startBroker(t, { connection: { topicAliasMaximum } })
    const client = await connectClient(t, broker)

    client.publish('a', 'x', { properties })

    await client.expect(t, 'disconnect', { reasonCode })
    t.deepEqual(await client.closed(), [])
  })
}

test('more messages than the Receive Maximum of the broker end the connection', async (t) => {
  const { broker } = await startBroker(t, { connection: { receiveMaximum: 2 } })
  const client = await connectClient(t, broker)

  // PUBREC does not end the exchange: without PUBREL each still counts.
  for (const messageId of [1, 2, 3]) client.publish('a', 'x', { qos: 2, messageId })

  const packets = await client.closed()
  t.deepEqual(
    packets.map(({ cmd, reasonCode }) => [cmd, reasonCode]),
    [
      ['pubrec', 0x10],
      ['pubrec', 0x10],
      ['disconnect', 0x93],
    ],
  )
})

for (const [what, connection, subscription, reasonCode] of [
  ['wildcards', { wildcardSubscriptions: false }, { topic: 'a/#' }, 0xa2],
  ['Shared Subscriptions', { sharedSubscriptions: false }, { topic: '$share/g/a' }, 0x9e],
] as const) {
  test(`SUBSCRIBE with ${what} where there are none is told so in SUBACK`, async (t) => {
    const { broker } = await startBroker(t, { connection })
    const client = await connectClient(t, broker)

    const suback = await client.subscribe(t, subscription.topic)

    t.deepEqual(suback['granted'], [reasonCode])
  })
}

test('a Subscription Identifier where there are none ends the connection', async (t) => {
  const { broker } = await startBroker(t, { connection: { subscriptionIdentifiers: false } })
  const client = await connectClient(t, broker)

  client.send({
    cmd: 'subscribe',
    messageId: 1,
    subscriptions: [{ topic: 'a', qos: 0 }],
    properties: { subscriptionIdentifier: 1 },
  })

  await client.expect(t, 'disconnect', { reasonCode: 0xa1 })
  t.deepEqual(await client.closed(), [])
})

test('[MQTT-3.2.2-19] [MQTT-3.2.2-20] what makes CONNACK too large for the client is left out', async (t) => {
  const decision = { isAllowed: false, reason: 'a long story about a password' }
  const { broker } = await startBroker(t, { hooks: { authenticate: () => decision } })
  for (const [maximumPacketSize, isTold] of [
    [37, true],
    [36, false],
  ] as const) {
    const client = openClient(broker)
    const frames = recordFrames(client)

    client.connect({ properties: { maximumPacketSize } })

    const connack = await client.expect(t, 'connack', { reasonCode: 0x86 })
    t.is(connack['properties']?.reasonString, isTold ? decision.reason : undefined)
    t.true((frames()[0] as Buffer).length <= maximumPacketSize)
  }
})

test('[MQTT-3.1.2-24] [MQTT-3.2.0-1] a client that takes no CONNACK of our size is closed, and has no session', async (t) => {
  const { broker } = await startBroker(t)
  const observed = new Observed(broker)
  const client = openClient(broker)

  client.connect({
    clientId: 'c',
    properties: { maximumPacketSize: 15, sessionExpiryInterval: 0 },
    will: { topic: 'w' },
  })
  client.publish('a', 'x')

  t.deepEqual(await client.closed(), [])
  t.deepEqual([broker.clientCount, observed.messages.length], [0, 0])
})

test('[MQTT-3.1.2-29] with Request Problem Information 0 a refusal may still say why in CONNACK', async (t) => {
  const decision = { isAllowed: false, reason: 'because' }
  const { broker } = await startBroker(t, { hooks: { authenticate: () => decision } })
  const client = openClient(broker)

  client.connect({ properties: { requestProblemInformation: false } })

  const connack = await client.expect(t, 'connack', { reasonCode: 0x86 })
  t.is(connack['properties']?.reasonString, 'because')
})

for (const requestProblemInformation of [false, true]) {
  test(`[MQTT-3.1.2-29] no acknowledgement carries a Reason String or User Property (Request Problem Information ${requestProblemInformation})`, async (t) => {
    const denial = { isAllowed: false, reason: 'because', rule: 'rule 7' }
    const hooks = { authorizePublish: () => denial, authorizeSubscribe: () => denial }
    const { broker } = await startBroker(t, { hooks })
    const client = await connectClient(t, broker, { properties: { requestProblemInformation } })

    client.publish('a', 'x', { qos: 1, messageId: 1 })
    client.publish('a', 'x', { qos: 2, messageId: 2 })
    client.send({ cmd: 'pubrel', messageId: 9 })
    client.send({ cmd: 'pubrec', messageId: 9 })
    client.send({ cmd: 'subscribe', messageId: 3, subscriptions: [{ topic: 'a', qos: 0 }] })
    client.send({ cmd: 'unsubscribe', messageId: 4, unsubscriptions: ['a'] })

    const packets = await client.settled()
    const seen = packets.map(({ cmd, properties = {} }) => [cmd, { ...properties }])
    t.deepEqual(
      seen,
      ['puback', 'pubrec', 'pubcomp', 'pubrel', 'suback', 'unsuback'].map((cmd) => [cmd, {}]),
    )
  })
}

test('[MQTT-3.1.2-29] with Request Problem Information 0 the User Properties of a PUBLISH come through', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker, {
    properties: { requestProblemInformation: false },
  })
  await client.subscribe(t, 'a')

  await broker.publish({ topic: 'a', properties: { userProperties: [['name', 'value']] } })

  const publish = await client.expect(t, 'publish')
  t.deepEqual({ ...publish['properties'].userProperties }, { name: 'value' })
})

test('a Client Identifier that was sent is not assigned again in CONNACK', async (t) => {
  const { broker } = await startBroker(t)
  const client = openClient(broker)

  client.sendBytes(connectOf({ payload: [text('mine')] }))

  const connack = await client.expect(t, 'connack')
  t.is(connack['properties'].assignedClientIdentifier, undefined)
})
