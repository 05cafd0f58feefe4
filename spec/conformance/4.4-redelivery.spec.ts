import test, { type ExecutionContext } from 'ava'
import type { AccessHooks, Broker } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { type AnyPacket, connectClient, type MemoryClient, openClient } from '../support/client.ts'
import { defer, turns } from '../support/deferred.ts'
import { HeldStore } from '../support/held-store.ts'
import {
  acknowledge,
  arrived,
  durable,
  payloads,
  publishes,
  versions,
} from '../support/messages.ts'

async function publishAll(
  t: ExecutionContext,
  broker: Broker,
  messages: readonly (readonly [payload: string, qos: number])[],
): Promise<void> {
  const publisher = await connectClient(t, broker)
  for (const [i, [payload, qos]] of messages.entries()) {
    publisher.publish('a', payload, { qos, messageId: i + 1 })
  }
  await publisher.settled()
}

/** Breaks the connection and waits until the broker knows. */
async function breakOff(client: MemoryClient): Promise<void> {
  client.destroy()
  await client.closed()
}

function described(packets: readonly AnyPacket[]): unknown[] {
  return packets.map(({ cmd, payload, qos, dup, messageId }) =>
    cmd === 'publish' ? [String(payload), qos, dup, messageId] : [cmd, messageId],
  )
}

for (const version of versions) {
  const inVersion = `(version ${version})`

  test(`[MQTT-4.4.0-1] [MQTT-3.3.1-1] [3.1.1: MQTT-4.6.0-1] what is unacknowledged is sent again in order, with DUP and its identifier ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const before = await connectClient(t, broker, durable(version, 'c'))
    await before.subscribe(t, 'a', { qos: 2 })
    const messages = [
      ['1', 1],
      ['2', 2],
      ['3', 1],
      ['4', 2],
    ] as const
    await publishAll(t, broker, messages)
    const sent = await arrived(before)
    await breakOff(before)
    await publishAll(t, broker, [['5', 1]])

    const after = await connectClient(t, broker, durable(version, 'c'))

    const again = await arrived(after)
    t.deepEqual(described(again.slice(0, 4)), described(sent.map((p) => ({ ...p, dup: true }))))
    t.like(again[4], { cmd: 'publish', dup: false, qos: 1 })
    t.is(again.length, 5)
  })

  test(`[MQTT-4.4.0-1] [MQTT-4.3.3-5] [MQTT-4.3.3-6] PUBREL is sent again, never the PUBLISH before it ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const before = await connectClient(t, broker, durable(version, 'c'))
    await before.subscribe(t, 'a', { qos: 2 })
    await publishAll(t, broker, [
      ['1', 2],
      ['2', 2],
      ['3', 2],
    ])
    const sent = publishes(await arrived(before))
    acknowledge(before, sent.slice(0, 2))
    t.is((await arrived(before)).length, 2)
    await breakOff(before)

    for (let i = 0; i < 2; i++) {
      const after = await connectClient(t, broker, durable(version, 'c'))
      const ids = sent.map(({ messageId }) => messageId)
      t.deepEqual(described(await arrived(after)), [
        ['pubrel', ids[0]],
        ['pubrel', ids[1]],
        ['3', 2, true, ids[2]],
      ])
      await breakOff(after)
    }
  })

  test(`[MQTT-4.4.0-1] [MQTT-4.6.0-6] while it is found out what its client may, a session is sent nothing ${inVersion}`, async (t) => {
    const answer = defer<boolean>()
    let judge: () => boolean | Promise<boolean> = () => true
    const hooks: AccessHooks = {
      authenticate: () => ({ isAllowed: true, acl: ['allow all #'] }),
      authorizeSubscribe: () => judge(),
    }
    const { broker } = await startBroker(t, { hooks })
    const before = await connectClient(t, broker, durable(version, 'c'))
    await before.subscribe(t, 'a', { qos: 1 })
    await publishAll(t, broker, [['1', 1]])
    await arrived(before)
    await breakOff(before)

    judge = () => answer.promise
    const after = await connectClient(t, broker, durable(version, 'c'))
    await publishAll(t, broker, [
      ['2', 1],
      ['live', 0],
    ])
    await turns()
    t.deepEqual(after.packets, [])
    answer.resolve(true)

    t.deepEqual(payloads(await arrived(after)), ['1', '2'])
  })

  test(`[MQTT-4.4.0-1] an exchange is completed after the reconnection ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const before = await connectClient(t, broker, durable(version, 'c'))
    await before.subscribe(t, 'a', { qos: 2 })
    await publishAll(t, broker, [
      ['1', 1],
      ['2', 2],
    ])
    await arrived(before)
    await breakOff(before)

    const after = await connectClient(t, broker, durable(version, 'c'))
    const again = await arrived(after)
    acknowledge(after, again)
    const { messageId } = await after.expect(t, 'pubrel', { messageId: again[1]?.messageId })
    after.send({ cmd: 'pubcomp', messageId })
    t.deepEqual(await arrived(after), [])
    await breakOff(after)

    const last = await connectClient(t, broker, durable(version, 'c'))
    t.deepEqual(await arrived(last), [])
  })

  test(`[MQTT-4.4.0-1] nothing is sent again while the connection lasts ${inVersion}`, async (t) => {
    const { broker, clock } = await startBroker(t)
    const subscriber = await connectClient(t, broker, durable(version, 'c'))
    await subscriber.subscribe(t, 'a', { qos: 2 })
    await publishAll(t, broker, [
      ['1', 1],
      ['2', 2],
    ])
    await arrived(subscriber)

    await clock.advance(24 * 3_600_000)

    t.deepEqual(await arrived(subscriber), [])
  })

  test(`a session that begins anew is sent nothing of the one before ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const before = await connectClient(t, broker, durable(version, 'c'))
    await before.subscribe(t, 'a', { qos: 2 })
    await publishAll(t, broker, [
      ['1', 1],
      ['2', 2],
    ])
    await arrived(before)
    await breakOff(before)

    const after = await connectClient(t, broker, { ...durable(version, 'c'), clean: true })

    t.deepEqual(await arrived(after), [])
  })

  test(`[MQTT-4.5.0-1] a message is added to every session that matches before it is acknowledged ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const away = await connectClient(t, broker, durable(version, 'away'))
    const slow = await connectClient(t, broker, durable(version, 'slow'))
    for (const client of [away, slow]) await client.subscribe(t, 'a', { qos: 2 })
    await breakOff(away)
    slow.end.pauseReading()
    const publisher = await connectClient(t, broker, { version })

    for (const qos of [1, 2]) publisher.publish('a', `${qos}`, { qos, messageId: qos })
    await publisher.expect(t, 'puback')
    await publisher.expect(t, 'pubrec')
    await breakOff(slow)

    for (const clientId of ['away', 'slow']) {
      const client = await connectClient(t, broker, durable(version, clientId))
      t.deepEqual(payloads(await arrived(client)), ['1', '2'])
    }
  })

  test(`messages at QoS 0 are not kept for a session that is offline ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const before = await connectClient(t, broker, durable(version, 'c'))
    await before.subscribe(t, 'a', { qos: 2 })
    await breakOff(before)

    await publishAll(t, broker, [
      ['0', 0],
      ['1', 1],
    ])

    const after = await connectClient(t, broker, durable(version, 'c'))
    t.deepEqual(payloads(await arrived(after)), ['1'])
  })

  test(`what a client takes over from itself is sent again on the new connection ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const before = await connectClient(t, broker, durable(version, 'c'))
    await before.subscribe(t, 'a', { qos: 1 })
    await publishAll(t, broker, [['1', 1]])
    const [sent] = await arrived(before)

    const after = await connectClient(t, broker, durable(version, 'c'))

    t.deepEqual(described(await arrived(after)), [['1', 1, true, sent?.messageId]])
  })

  test(`1,000 messages that came while a session was offline arrive in order ${inVersion}`, async (t) => {
    const { broker } = await startBroker(t)
    const before = await connectClient(t, broker, durable(version, 'c'))
    await before.subscribe(t, 'a', { qos: 2 })
    await breakOff(before)
    const messages = Array.from({ length: 1_000 }, (_, i) => [`${i}`, 1] as const)
    await publishAll(t, broker, messages)

    const after = await connectClient(t, broker, durable(version, 'c', { receiveMaximum: 100 }))
    const got: string[] = []
    while (got.length < messages.length) {
      const packets = await arrived(after)
      if (packets.length === 0) break
      got.push(...payloads(packets))
      acknowledge(after, packets)
    }

    t.deepEqual(
      got,
      messages.map(([payload]) => payload),
    )
  })
}

for (const qos of [1, 2]) {
  test(`[MQTT-4.4.0-2] what was refused with 0x80 or more is not sent again (QoS ${qos})`, async (t) => {
    const { broker } = await startBroker(t)
    const before = await connectClient(t, broker, durable(5, 'c'))
    await before.subscribe(t, 'a', { qos: 2 })
    await publishAll(t, broker, [['1', qos]])
    const { messageId } = await before.expect(t, 'publish')

    before.send({ cmd: qos === 1 ? 'puback' : 'pubrec', messageId, reasonCode: 0x83 })
    await arrived(before)
    await breakOff(before)

    const after = await connectClient(t, broker, durable(5, 'c'))
    t.deepEqual(await arrived(after), [])
  })
}

test('a smaller Receive Maximum holds for what is sent again, over several connections', async (t) => {
  const { broker } = await startBroker(t)
  const before = await connectClient(t, broker, durable(5, 'c'))
  await before.subscribe(t, 'a', { qos: 1 })
  await publishAll(
    t,
    broker,
    ['1', '2', '3', '4', '5'].map((payload) => [payload, 1]),
  )
  const sent = publishes(await arrived(before))
  await breakOff(before)
  await publishAll(t, broker, [['6', 1]])

  const second = await connectClient(t, broker, durable(5, 'c', { receiveMaximum: 2 }))
  const window = publishes(await arrived(second))
  t.deepEqual(payloads(window), ['1', '2'])
  acknowledge(second, window.slice(0, 1))
  t.deepEqual(payloads(await arrived(second)), ['3'])
  await breakOff(second)

  const third = await connectClient(t, broker, durable(5, 'c', { receiveMaximum: 10 }))
  const rest = publishes(await arrived(third))
  t.deepEqual(payloads(rest), ['2', '3', '4', '5', '6'])
  t.deepEqual(
    rest.map(({ dup }) => dup),
    [true, true, true, true, false],
  )
  t.deepEqual(
    rest.slice(0, 4).map(({ messageId }) => messageId),
    sent.slice(1).map(({ messageId }) => messageId),
  )
})

test('a message that is sent again has all that it had at first', async (t) => {
  const { broker } = await startBroker(t)
  const before = await connectClient(t, broker, durable(5, 'c'))
  const options = { qos: 2, rap: true, properties: { subscriptionIdentifier: 9 } }
  await before.subscribe(t, 'a', options)
  const publisher = await connectClient(t, broker)
  const properties = { contentType: 'x', userProperties: { a: 'b' }, messageExpiryInterval: 60 }
  publisher.publish('a', 'x', { qos: 2, messageId: 1, retain: true, properties })
  const first = await before.expect(t, 'publish', { retain: true })
  await breakOff(before)

  const after = await connectClient(t, broker, durable(5, 'c'))

  const again = await after.expect(t, 'publish', { retain: true, qos: 2, dup: true })
  t.deepEqual(again.properties, first.properties)
})

test('[MQTT-3.1.2-25] what has become too large for the client counts as acknowledged', async (t) => {
  const { broker } = await startBroker(t)
  const before = await connectClient(t, broker, durable(5, 'c'))
  await before.subscribe(t, 'a', { qos: 1 })
  await publishAll(t, broker, [
    ['x'.repeat(100), 1],
    ['small', 1],
  ])
  await arrived(before)
  await breakOff(before)

  const options = durable(5, 'c', { maximumPacketSize: 60, receiveMaximum: 1 })
  const after = await connectClient(t, broker, options)

  t.deepEqual(payloads(await arrived(after)), ['small'])
})

test('[MQTT-3.2.0-1] a message that comes while a session is being resumed waits for its CONNACK and its turn', async (t) => {
  class EagerStore extends HeldStore {
    /** Lets what is held go just after a session was claimed. */
    override async claim(...parameters: Parameters<HeldStore['claim']>) {
      const claimed = await super.claim(...parameters)
      queueMicrotask(() => this.complete())
      return claimed
    }
  }
  const storage = new EagerStore()
  const { broker } = await startBroker(t, { storage })
  const before = await connectClient(t, broker, durable(4, 'c'))
  await before.subscribe(t, 'a', { qos: 1 })
  await publishAll(t, broker, [['1', 1]])
  await arrived(before)
  await breakOff(before)
  storage.isHolding = true
  await publishAll(t, broker, [['2', 1]])

  const after = openClient(broker, 4)
  after.connect(durable(4, 'c'))

  await after.expect(t, 'connack', { sessionPresent: true })
  t.deepEqual(payloads(await arrived(after)), ['1', '2'])
})
