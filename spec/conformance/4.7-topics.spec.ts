import test from 'ava'
import { startBroker } from '../support/broker.ts'
import { connectClient } from '../support/client.ts'
import { arrived, publishes, versions } from '../support/messages.ts'
import { block, frame, text, twoBytes, type } from '../support/raw-packets.ts'

/** Filter → topics among `topics` that it matches. */
const matches: Readonly<Record<string, readonly string[]>> = {
  '#': ['a', 'a/b', 'a/b/c', '/', '/a', 'a/', 'a//c', 'A', 'b'],
  '+': ['a', 'A', 'b'],
  '+/+': ['a/b', '/', '/a', 'a/'],
  '/+': ['/', '/a'],
  '+/': ['/', 'a/'],
  'a/#': ['a', 'a/b', 'a/b/c', 'a/', 'a//c'],
  'a/+': ['a/b', 'a/'],
  'a/+/c': ['a/b/c', 'a//c'],
  '+/b/#': ['a/b', 'a/b/c'],
  'a//c': ['a//c'],
  'a/': ['a/'],
  '/': ['/'],
  a: ['a'],
  '$x/#': ['$x', '$x/a'],
  '$x/+': ['$x/a'],
  $x: ['$x'],
}
const topics = ['a', 'a/b', 'a/b/c', '/', '/a', 'a/', 'a//c', 'A', 'b', '$x', '$x/a']

for (const version of versions) {
  const inVersion = `(version ${version})`
  const isV5 = version === 5
  const noProperties = isV5 ? block() : []

  test(`[MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.2-1] [MQTT-3.3.2-3] filters match what they should ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const publisher = await connectClient(t, broker, { version })

    for (const [filter, expected] of Object.entries(matches)) {
      const subscriber = await connectClient(t, broker, { version })
      await subscriber.subscribe(t, filter)
      for (const topic of topics) publisher.publish(topic, 'x')
      const got = publishes(await arrived(subscriber, publisher))
      t.deepEqual(
        got.map(({ topic }) => topic),
        expected,
        filter,
      )
      subscriber.destroy()
    }
  })

  test(`[MQTT-4.7.1-1] [MQTT-4.7.1-2] [3.1.1: MQTT-4.7.1-3] misplaced wildcards are refused ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })

    for (const filter of ['a#', 'a/#/b', '#/', '##', 'a+', '+a', 'a/b+/c', '++', '/+b']) {
      const { granted } = await client.subscribe(t, filter)
      t.deepEqual(granted, [{ 3: 0, 4: 0x80, 5: 0x8f }[version]], filter)
    }
    t.is(broker.counters.protocolErrors, 0)
  })

  test(`[MQTT-4.7.3-1] an empty Topic Name or Topic Filter ends the connection ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)

    for (const bytes of [
      frame(type.publish, 0, text(''), noProperties),
      frame(type.subscribe, 2, twoBytes(1), noProperties, text(''), 0),
      frame(type.unsubscribe, 2, twoBytes(1), noProperties, text('')),
    ]) {
      const client = await connectClient(t, broker, { version })
      client.sendBytes(bytes)
      const [said] = await client.closed()
      t.is(said?.cmd, isV5 ? 'disconnect' : undefined)
    }
  })

  test(`[MQTT-4.7.3-2] U+0000 in a Topic Name or Topic Filter is malformed ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)

    for (const bytes of [
      frame(type.publish, 0, text('a\0'), noProperties),
      frame(type.subscribe, 2, twoBytes(1), noProperties, text('a\0'), 0),
      frame(type.unsubscribe, 2, twoBytes(1), noProperties, text('a\0')),
    ]) {
      const client = await connectClient(t, broker, { version })
      client.sendBytes(bytes)
      const [said] = await client.closed()
      t.is(said?.reasonCode, isV5 ? 0x81 : undefined)
    }
  })

  test(`[MQTT-4.7.3-3] a topic may have 65,535 bytes ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })
    const topic = 'ü'.repeat(32_767) + 'x'
    await client.subscribe(t, topic)

    client.publish(topic, 'x')

    const [message] = publishes(await arrived(client))
    t.is(message?.topic, topic)
  })

  test(`[MQTT-4.7.3-4] [MQTT-1.5.4-3] topics are compared as they are, without normalization ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })
    const composed = 'caf\u00e9'
    const variants = ['cafe\u0301', 'CAF\u00c9', '\ufeffcaf\u00e9', 'caf\u00e9 ', 'caf\ufffd']
    await client.subscribe(t, composed)

    for (const topic of [...variants, composed]) client.publish(topic, '')

    const got = publishes(await arrived(client))
    t.deepEqual(
      got.map(({ topic }) => topic),
      [composed],
    )
  })

  test(`[MQTT-4.7.2-1] $SYS is for those who name it ${inVersion}`, async (t) => {
    const { broker, clock } = await startBroker(t, { monitor: { sysIntervalSeconds: 1 } })
    const everything = await connectClient(t, broker, { version })
    for (const topic of ['#', '+/#', '+/broker/#']) await everything.subscribe(t, topic)
    const system = await connectClient(t, broker, { version })
    await system.subscribe(t, '$SYS/#')

    await clock.advance(2_000)

    t.deepEqual(await arrived(everything), [])
    t.true(publishes(await arrived(system)).length > 0)
  })
}
