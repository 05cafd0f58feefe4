import test from 'ava'
import type { AccessHooks } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { connectClient } from '../support/client.ts'
import { arrived, durable, payloads, publishes, versions } from '../support/messages.ts'
import { frame, twoBytes, type } from '../support/raw-packets.ts'

for (const version of versions) {
  const inVersion = `(version ${version})`
  const isV5 = version === 5

  test(`an acknowledgement that nobody waits for changes nothing ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })

    client.send({ cmd: 'puback', messageId: 9 })
    client.send({ cmd: 'pubcomp', messageId: 9 })

    t.deepEqual(await client.settled(), [])
  })

  test(`PUBREC and PUBREL of unknown identifiers are answered, so that they end ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })

    client.send({ cmd: 'pubrec', messageId: 9 })
    client.send({ cmd: 'pubrel', messageId: 10 })

    const answers = await client.settled()
    t.deepEqual(
      answers.map(({ cmd, messageId, reasonCode }) => [cmd, messageId, reasonCode]),
      [
        ['pubrel', 9, isV5 ? 0x92 : undefined],
        ['pubcomp', 10, isV5 ? 0x92 : undefined],
      ],
    )
  })

  test(`[MQTT-2.2.1-3] an acknowledgement of Packet Identifier 0 ends the connection ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)

    for (const packetType of [type.puback, type.pubrec, type.pubrel, type.pubcomp]) {
      const client = await connectClient(t, broker, { version })
      client.sendBytes(frame(packetType, packetType === type.pubrel ? 2 : 0, twoBytes(0)))
      const said = await client.closed()
      t.is(said[0]?.reasonCode, isV5 ? 0x81 : undefined)
    }
  })

  test(`[MQTT-3.6.1-1] PUBREL with other flags ends the connection ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)

    for (const flags of [0, 1, 3, 6]) {
      const client = await connectClient(t, broker, { version })
      client.sendBytes(frame(type.pubrel, flags, twoBytes(1)))
      const said = await client.closed()
      t.is(said[0]?.reasonCode, isV5 ? 0x81 : undefined)
    }
  })

  test(`[MQTT-3.6.1-1] a PUBREL of the broker has the flags 0010 ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })
    const chunks: Buffer[] = []
    client.end.onData = (chunk) => chunks.push(Buffer.from(chunk))

    client.send({ cmd: 'pubrec', messageId: 1 })
    while (chunks.length === 0) await new Promise((resolve) => setImmediate(resolve))

    t.is(chunks[0]?.[0], 0x62)
  })

  test(`an acknowledgement of the wrong kind ends no exchange ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const subscriber = await connectClient(t, broker, durable(version, 'c'))
    const publisher = await connectClient(t, broker)
    await subscriber.subscribe(t, 'a', { qos: 2 })
    for (const qos of [1, 2]) publisher.publish('a', `${qos}`, { qos, messageId: qos })
    const [first, second] = publishes(await arrived(subscriber, publisher))

    subscriber.send({ cmd: 'puback', messageId: second?.messageId })
    subscriber.send({ cmd: 'pubcomp', messageId: second?.messageId })
    subscriber.send({ cmd: 'pubcomp', messageId: first?.messageId })
    t.deepEqual(await subscriber.settled(), [])

    const again = await connectClient(t, broker, durable(version, 'c'))
    t.deepEqual(payloads(await arrived(again)), ['1', '2'])
  })
}

test('PUBREL, SUBSCRIBE and UNSUBSCRIBE of MQTT 3.1 may carry DUP', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker, { version: 3 })

  client.sendBytes(frame(type.pubrel, 0x0a, twoBytes(7)))

  await client.expect(t, 'pubcomp', { messageId: 7 })
})

for (const [name, statement, wrong] of [
  ['puback', '[MQTT-3.4.2-1]', 0x92],
  ['pubrec', '[MQTT-3.5.2-1]', 0x92],
  ['pubrel', '[MQTT-3.6.2-1]', 0x80],
  ['pubcomp', '[MQTT-3.7.2-1]', 0x80],
] as const) {
  test(`${statement} ${name.toUpperCase()} with a reason code of another packet ends the connection`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker)

    client.sendBytes(frame(type[name], name === 'pubrel' ? 2 : 0, twoBytes(1), wrong))

    await client.expect(t, 'disconnect', { reasonCode: 0x82 })
  })
}

test('[MQTT-3.4.2-1] [MQTT-3.5.2-1] the broker says 0x00, or 0x10 when nobody has subscribed', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)
  await client.subscribe(t, 'heard')

  for (const [topic, reasonCode] of [
    ['heard', 0],
    ['unheard', 0x10],
  ] as const) {
    client.publish(topic, '', { qos: 1, messageId: 1 })
    client.publish(topic, '', { qos: 2, messageId: 2 + reasonCode })
    const answers = (await client.settled()).filter(({ cmd }) => cmd !== 'publish')
    t.deepEqual(
      answers.map((packet) => [packet.cmd, packet.reasonCode]),
      [
        ['puback', reasonCode],
        ['pubrec', reasonCode],
      ],
    )
  }
})

test('[MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3] [MQTT-3.6.2-2] [MQTT-3.6.2-3] [MQTT-3.7.2-2] [MQTT-3.7.2-3] acknowledgements never exceed the Maximum Packet Size', async (t) => {
  const hooks: AccessHooks = {
    authorizePublish: () => ({ isAllowed: false, reason: 'a long reason', reasonCode: 0x87 }),
  }
  const { broker } = await startBroker(t, { hooks })
  const client = await connectClient(t, broker, { properties: { maximumPacketSize: 24 } })
  const before = client.receivedBytes

  client.publish('a', '', { qos: 1, messageId: 1 })
  client.publish('a', '', { qos: 2, messageId: 2 })
  client.send({ cmd: 'pubrec', messageId: 3 })
  client.send({ cmd: 'pubrel', messageId: 4 })

  const answers = await client.settled()
  t.deepEqual(
    answers.map(({ cmd, reasonCode }) => [cmd, reasonCode]),
    [
      ['puback', 0x87],
      ['pubrec', 0x87],
      ['pubrel', 0x92],
      ['pubcomp', 0x92],
    ],
  )
  t.is(client.receivedBytes - before, 4 * 5 + 2)
})

for (const version of [3, 4] as const) {
  for (const [qos, answer] of [
    [1, 'puback'],
    [2, 'pubrec'],
  ] as const) {
    test(`[3.1.1: MQTT-3.3.5-2] a PUBLISH that is not allowed is acknowledged and dropped (QoS ${qos}, version ${version})`, async (t) => {
      const { broker } = await startBroker(t, { hooks: { authorizePublish: () => false } })
      const subscriber = await connectClient(t, broker)
      const publisher = await connectClient(t, broker, { version })
      await subscriber.subscribe(t, 'a')

      publisher.publish('a', '', { qos, messageId: 1 })

      await publisher.expect(t, answer, { messageId: 1 })
      t.deepEqual(await subscriber.settled(), [])
    })

    test(`[3.1.1: MQTT-3.3.5-2] or it ends the connection, if the configuration says so (QoS ${qos}, version ${version})`, async (t) => {
      const { broker } = await startBroker(t, {
        hooks: { authorizePublish: () => false },
        security: { unauthorizedPublishV3: 'disconnect' },
      })
      const publisher = await connectClient(t, broker, { version })

      publisher.publish('a', '', { qos, messageId: 1 })

      t.deepEqual(await publisher.closed(), [])
    })
  }
}

test('a hook that decides late keeps the order of what it decides about', async (t) => {
  const answers: ((isAllowed: boolean) => void)[] = []
  const authorizePublish = () => new Promise<boolean>((resolve) => answers.push(resolve))
  const { broker } = await startBroker(t, { hooks: { authorizePublish } })
  const subscriber = await connectClient(t, broker)
  const publisher = await connectClient(t, broker)
  await subscriber.subscribe(t, '#')

  for (const messageId of [1, 2, 3]) publisher.publish('a', `${messageId}`, { qos: 1, messageId })
  for (const isAllowed of [true, false, true]) {
    while (answers.length === 0) await new Promise((resolve) => setImmediate(resolve))
    answers.shift()?.(isAllowed)
  }

  const got = await publisher.settled()
  t.deepEqual(
    got.map(({ messageId, reasonCode }) => [messageId, reasonCode]),
    [
      [1, 0],
      [2, 0x87],
      [3, 0],
    ],
  )
  t.deepEqual(payloads(await subscriber.settled()), ['1', '3'])
})

test('[MQTT-3.4.2-1] [MQTT-3.5.2-1] a reason code of a hook that no PUBACK may carry becomes 0x87', async (t) => {
  const hooks: AccessHooks = { authorizePublish: () => ({ isAllowed: false, reasonCode: 0x8f }) }
  const { broker } = await startBroker(t, { hooks })
  const client = await connectClient(t, broker)

  client.publish('a', '', { qos: 1, messageId: 1 })
  client.publish('a', '', { qos: 2, messageId: 2 })

  await client.expect(t, 'puback', { reasonCode: 0x87 })
  await client.expect(t, 'pubrec', { reasonCode: 0x87 })
})

for (const [what, options, topic, reasonCode] of [
  ['a topic below $SYS', {}, '$SYS/x', 0x87],
  ['a topic of too many levels', { topicLevelsMax: 3 }, 'a/b/c/d', 0x90],
  ['a topic of too many bytes', { topicBytesMax: 5 }, 'aaaaaa', 0x90],
] as const) {
  test(`${what} is refused with its reason, and the connection stays`, async (t) => {
    const { broker } = await startBroker(t, { connection: options })
    const client = await connectClient(t, broker)

    client.publish(topic, '', { qos: 1, messageId: 1 })
    client.publish(topic, '')

    t.like(await client.settled(), [{ cmd: 'puback', reasonCode }])
  })
}

test('[MQTT-3.2.2-11] a PUBLISH above the announced Maximum QoS ends the connection', async (t) => {
  const { broker } = await startBroker(t, { connection: { maximumQos: 1 } })
  const client = await connectClient(t, broker)

  client.publish('a', '', { qos: 2, messageId: 1 })

  await client.expect(t, 'disconnect', { reasonCode: 0x9b })
})
