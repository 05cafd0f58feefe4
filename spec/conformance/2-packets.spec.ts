import { Buffer } from 'node:buffer'
import test from 'ava'
import { startBroker } from '../support/broker.ts'
import { type AnyPacket, connectClient, openClient } from '../support/client.ts'
import { turns } from '../support/deferred.ts'
import { recordFrames } from '../support/frames.ts'
import { Observed } from '../support/observed.ts'
import { block, connectOf, frame, join, text, twoBytes, type } from '../support/raw-packets.ts'

const versions = [3, 4, 5] as const
const BOM = '\uFEFF'

function codesOf(packets: readonly AnyPacket[]): unknown[] {
  return packets.map(({ cmd, reasonCode }) => [cmd, reasonCode])
}

for (const version of versions) {
  test(`[MQTT-4.2-1] packets are read whatever the pieces they come in (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const observed = new Observed(broker)
    const client = openClient(broker, version)
    const name = text(version === 3 ? 'MQIsdp' : 'MQTT')
    const bytes = join(
      connectOf({ protocolName: name, level: version }),
      frame(type.publish, 2, text('a'), 0, 7, version === 5 ? 0 : [], Buffer.from('one')),
      frame(type.publish, 0, text('a'), version === 5 ? 0 : [], Buffer.from('x'.repeat(200))),
      frame(type.pingreq, 0),
    )

    for (const byte of bytes) client.sendBytes([byte])

    for (const cmd of ['connack', 'puback', 'pingresp']) await client.expect(t, cmd)
    t.deepEqual(observed.payloads, ['one', 'x'.repeat(200)])
  })

  test(`[MQTT-1.5.4-3] U+FEFF is a character like any other (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version, clientId: `${BOM}c` })
    const other = await connectClient(t, broker, { version, clientId: 'c' })
    await client.subscribe(t, `${BOM}a`)
    await other.subscribe(t, 'a')

    other.publish(`${BOM}a`, 'x')

    await client.expect(t, 'publish', { topic: `${BOM}a` })
    t.deepEqual(await other.settled(), [])
  })

  test(`[MQTT-1.5.4-1] each character of Unicode comes through (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })
    const topic = 'a/é/水/😀/\u{10FFFF}/\uD7FF\uE000'
    await client.subscribe(t, topic)

    client.publish(topic, 'x')

    await client.expect(t, 'publish', { topic })
  })

  for (const [tags, what, bytes] of [
    ['[MQTT-1.5.4-1]', 'a surrogate', [0xed, 0xa0, 0x80]],
    ['[MQTT-1.5.4-1]', 'an overlong form', [0xc0, 0xaf]],
    ['[MQTT-1.5.4-1]', 'a cut-off character', [0xe6, 0xb0]],
    ['[MQTT-1.5.4-1]', 'a code point beyond U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
    ['[MQTT-1.5.4-2]', 'U+0000', [0x61, 0]],
  ] as const) {
    test(`${tags} ${what} in a Topic Name ends the connection (version ${version})`, async (t) => {
      const { broker } = await startBroker(t)
      const observed = new Observed(broker)
      const client = await connectClient(t, broker, { version })

      client.sendBytes(frame(type.publish, 0, text(bytes), version === 5 ? block() : []))

      t.deepEqual(codesOf(await client.closed()), version === 5 ? [['disconnect', 0x81]] : [])
      t.deepEqual(observed.messages, [])
    })
  }

  for (const [name, packetType, flags, body] of [
    ['PUBACK', type.puback, 1, [0, 1]],
    ['PUBREC', type.pubrec, 8, [0, 1]],
    ['PUBREL', type.pubrel, 0, [0, 1]],
    ['PUBCOMP', type.pubcomp, 2, [0, 1]],
    ['SUBSCRIBE', type.subscribe, 0, [0, 1, 0, 1, 0x61, 0]],
    ['UNSUBSCRIBE', type.unsubscribe, 3, [0, 1, 0, 1, 0x61]],
    ['PINGREQ', type.pingreq, 4, []],
    ['DISCONNECT', type.disconnect, 2, []],
  ] as const) {
    test(`[MQTT-2.1.3-1] ${name} with reserved flags of ${flags} ends the connection (version ${version})`, async (t) => {
      const { broker } = await startBroker(t)
      const client = await connectClient(t, broker, { version })

      client.sendBytes(frame(packetType, flags, body))

      t.deepEqual(codesOf(await client.closed()), version === 5 ? [['disconnect', 0x81]] : [])
    })
  }

  test(`[MQTT-1.5.5-1] a Remaining Length of more than four bytes ends the connection (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })

    client.sendBytes([0x30, 0x80, 0x80, 0x80, 0x80, 0x01])

    t.deepEqual(codesOf(await client.closed()), version === 5 ? [['disconnect', 0x81]] : [])
  })

  test(`[MQTT-2.2.1-2] a PUBLISH at QoS 0 has no Packet Identifier, either way (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })
    await client.subscribe(t, 'a')
    const frames = recordFrames(client)
    const publish = frame(
      type.publish,
      0,
      text('a'),
      version === 5 ? block() : [],
      Buffer.from('xyz'),
    )

    client.sendBytes(publish)

    await client.expect(t, 'publish', { topic: 'a', qos: 0 })
    t.deepEqual(frames(), [publish])
  })

  for (const qos of [1, 2] as const) {
    test(`[MQTT-2.2.1-3] a PUBLISH at QoS ${qos} with Packet Identifier 0 ends the connection (version ${version})`, async (t) => {
      const { broker } = await startBroker(t)
      const client = await connectClient(t, broker, { version })

      client.sendBytes(
        frame(type.publish, qos << 1, text('a'), twoBytes(0), version === 5 ? 0 : []),
      )

      t.deepEqual(codesOf(await client.closed()), version === 5 ? [['disconnect', 0x81]] : [])
    })
  }

  test(`[MQTT-2.2.1-4] each PUBLISH of the broker has a Packet Identifier that is not in use, and never 0 (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })
    await client.subscribe(t, 'a', { qos: 1 })

    for (let i = 0; i < 200; i++) await broker.publish({ topic: 'a', qos: 1 })

    const publications = await client.settled()
    const identifiers = new Set(publications.map(({ messageId }) => messageId as number))
    t.is(identifiers.size, 200)
    t.false(identifiers.has(0))
  })

  test(`[MQTT-2.2.1-5] [MQTT-2.2.1-6] each acknowledgement has the Packet Identifier of its packet (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })

    client.publish('a', 'x', { qos: 1, messageId: 1 })
    client.publish('a', 'x', { qos: 2, messageId: 0x0203 })
    client.send({ cmd: 'pubrel', messageId: 0x0203 })
    client.send({ cmd: 'subscribe', messageId: 0xffff, subscriptions: [{ topic: 'a', qos: 0 }] })
    client.send({ cmd: 'unsubscribe', messageId: 5, unsubscriptions: ['a'] })

    const packets = await client.settled()
    t.deepEqual(
      packets.map(({ cmd, messageId }) => [cmd, messageId]),
      [
        ['puback', 1],
        ['pubrec', 0x0203],
        ['pubcomp', 0x0203],
        ['suback', 0xffff],
        ['unsuback', 5],
      ],
    )
  })
}

test('[MQTT-1.5.5-1] a Remaining Length longer than needed is malformed', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)

  client.sendBytes([0xc0, 0x80, 0x00])

  t.deepEqual(codesOf(await client.closed()), [['disconnect', 0x81]])
})

test('[MQTT-2.2.2-1] what has no properties says so by a Property Length of 0', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)
  const frames = recordFrames(client)

  await client.subscribe(t, 'a', { qos: 1 })
  await broker.publish({ topic: 'a', payload: 'x', qos: 1 })
  client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['a'] })
  await client.settled()

  t.deepEqual(frames().slice(0, 3), [
    Buffer.from([0x90, 4, 0, 1, 0, 1]),
    Buffer.from([0x32, 7, 0, 1, 0x61, 0, 2, 0, 0x78]),
    Buffer.from([0xb0, 4, 0, 2, 0, 0]),
  ])
})

for (const [what, bytes] of [
  ['SUBSCRIBE', frame(type.subscribe, 2, 0, 1)],
  ['UNSUBSCRIBE', frame(type.unsubscribe, 2, 0, 1)],
  ['PUBLISH', frame(type.publish, 0, text('a'))],
] as const) {
  test(`[MQTT-2.2.2-1] a ${what} without a Property Length is malformed`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker)

    client.sendBytes(bytes)

    t.deepEqual(codesOf(await client.closed()), [['disconnect', 0x81]])
  })
}

test('[MQTT-1.5.7-1] a User Property is a pair of UTF-8 strings', async (t) => {
  for (const pair of [
    [text([0xff]), text('value')],
    [text('name'), text([0xff])],
    [text('name'), text([0x61, 0])],
  ]) {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker)

    client.sendBytes(frame(type.publish, 0, text('a'), block(0x26, ...pair)))
    await turns()

    t.deepEqual(codesOf(await client.closed()), [['disconnect', 0x81]])
  }
})
