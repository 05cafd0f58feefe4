import test from 'ava'
import { startBroker } from '../support/broker.ts'
import { connectClient } from '../support/client.ts'
import {
  acknowledge,
  arrived,
  durable,
  payloads,
  publishes,
  versions,
} from '../support/messages.ts'
import { block, frame, text, twoBytes, type } from '../support/raw-packets.ts'

function unsubscribe(...unsubscriptions: string[]) {
  return { cmd: 'unsubscribe', messageId: 9, unsubscriptions }
}

for (const version of versions) {
  const inVersion = `(version ${version})`
  const isV5 = version === 5
  const noProperties = isV5 ? block() : []

  test(`[MQTT-3.10.1-1] UNSUBSCRIBE with other flags ends the connection ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)

    for (const flags of [0, 3, 6]) {
      const client = await connectClient(t, broker, { version })
      client.sendBytes(frame(type.unsubscribe, flags, twoBytes(1), noProperties, text('a')))
      t.is((await client.closed())[0]?.reasonCode, isV5 ? 0x81 : undefined)
    }
  })

  test(`[MQTT-3.10.3-1] a Topic Filter that is not UTF-8 ends the connection ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })

    client.sendBytes(frame(type.unsubscribe, 2, twoBytes(1), noProperties, text([0xff])))

    t.is((await client.closed())[0]?.reasonCode, isV5 ? 0x81 : undefined)
  })

  test(`[MQTT-3.10.3-2] UNSUBSCRIBE without a Topic Filter ends the connection ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })

    client.sendBytes(frame(type.unsubscribe, 2, twoBytes(1), noProperties))

    t.is((await client.closed())[0]?.reasonCode, isV5 ? 0x82 : undefined)
  })

  test(`[MQTT-3.10.4-1] filters are compared character by character ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })
    for (const topic of ['a/+', 'a/#', 'A/b', '$share/g/a/b']) await client.subscribe(t, topic)

    client.send(unsubscribe('a/b', '#', '+/b', 'a/', '/a/+', '$share/h/a/b'))
    await client.expect(t, 'unsuback')
    client.publish('a/b', 'x')
    t.is(publishes(await arrived(client)).length, 2)

    client.send(unsubscribe('a/+', 'a/#', '$share/g/a/b'))
    await client.expect(t, 'unsuback')
    client.publish('a/b', 'x')
    client.publish('A/b', 'y')
    t.deepEqual(payloads(await arrived(client)), ['y'])
  })

  test(`[MQTT-3.10.4-2] no new message comes for a filter that is unsubscribed ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, durable(version, 'c'))
    const publisher = await connectClient(t, broker)
    await client.subscribe(t, 'a', { qos: 1 })

    client.send(unsubscribe('a'))
    await client.expect(t, 'unsuback')
    for (const qos of [0, 1, 2]) publisher.publish('a', '', { qos, messageId: qos + 1 })

    t.deepEqual(await arrived(client, publisher), [])
  })

  test(`[MQTT-3.10.4-3] delivery that has begun is completed ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, durable(version, 'c'))
    const publisher = await connectClient(t, broker)
    await client.subscribe(t, 'a', { qos: 2 })
    for (const qos of [1, 2]) publisher.publish('a', `${qos}`, { qos, messageId: qos })
    const sent = publishes(await arrived(client, publisher))

    client.send(unsubscribe('a'))
    await client.expect(t, 'unsuback')
    const after = await connectClient(t, broker, durable(version, 'c'))
    const again = publishes(await arrived(after))

    t.deepEqual(payloads(again), ['1', '2'])
    acknowledge(after, again)
    await after.expect(t, 'pubrel', { messageId: sent[1]?.messageId })
  })

  test(`[MQTT-3.10.4-4] [MQTT-3.10.4-5] UNSUBACK has the identifier, even where nothing ended ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })

    for (const messageId of [7, 0xffff]) {
      client.send({ ...unsubscribe('a'), messageId })
      await client.expect(t, 'unsuback', { messageId })
    }
  })

  test(`[MQTT-3.10.4-6] [MQTT-3.11.3-1] [MQTT-3.11.3-2] one UNSUBACK answers all filters, in order ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })
    for (const topic of ['a', 'b']) await client.subscribe(t, topic)

    client.send(unsubscribe('a', 'x', 'b', 'a'))

    const { granted } = await client.expect(t, 'unsuback')
    if (isV5) t.deepEqual(granted, [0, 0x11, 0, 0x11])
    else t.deepEqual([...(granted ?? [])], [])
    client.publish('b', '')
    t.deepEqual(await arrived(client), [])
  })

  test(`what is unsubscribed stays so over a reconnection ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const before = await connectClient(t, broker, durable(version, 'c'))
    await before.subscribe(t, 'a', { qos: 1 })
    before.send(unsubscribe('a'))
    await before.expect(t, 'unsuback')

    const after = await connectClient(t, broker, durable(version, 'c'))
    after.publish('a', '', { qos: 1, messageId: 1 })

    t.deepEqual(publishes(await arrived(after)), [])
  })
}

test('[MQTT-3.11.2-1] [MQTT-3.11.2-2] UNSUBACK is as large as its reason codes', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker, { properties: { maximumPacketSize: 20 } })
  const before = client.receivedBytes

  client.send(unsubscribe('a'))
  await client.expect(t, 'unsuback')

  t.is(client.receivedBytes - before, 6)
})
