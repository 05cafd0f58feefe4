import test, { type ExecutionContext } from 'ava'
import type { Broker } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { connectClient } from '../support/client.ts'
import { HeldStore } from '../support/held-store.ts'
import { acknowledge, arrived, durable, payloads, publishes } from '../support/messages.ts'

async function publishAll(
  t: ExecutionContext,
  broker: Broker,
  count: number,
  qos: number,
): Promise<void> {
  const publisher = await connectClient(t, broker)
  for (let i = 1; i <= count; i++) publisher.publish('a', `${i}`, { qos, messageId: i })
  await publisher.settled()
}

for (const isDurable of [false, true]) {
  const kind = isDurable ? 'durable' : 'volatile'
  const options = (receiveMaximum: number) =>
    durable(5, 'subscriber', { receiveMaximum, sessionExpiryInterval: isDurable ? 60 : 0 })

  for (const qos of [1, 2]) {
    test(`[MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2] the client's Receive Maximum is never exceeded, QoS ${qos} (${kind})`, async (t) => {
      const { broker } = await startBroker(t)
      const subscriber = await connectClient(t, broker, options(3))
      await subscriber.subscribe(t, 'a', { qos: 2 })

      await publishAll(t, broker, 7, qos)

      t.deepEqual(payloads(await arrived(subscriber)), ['1', '2', '3'])
    })
  }

  test(`the send quota ends at PUBACK, PUBCOMP or a PUBREC of 0x80 and more, not at PUBREC (${kind})`, async (t) => {
    const { broker } = await startBroker(t)
    const subscriber = await connectClient(t, broker, options(2))
    await subscriber.subscribe(t, 'a', { qos: 2 })
    await publishAll(t, broker, 2, 2)
    await publishAll(t, broker, 4, 1)
    const [first, second] = publishes(await arrived(subscriber))

    subscriber.send({ cmd: 'pubrec', messageId: first?.messageId })
    t.deepEqual(payloads(await arrived(subscriber)), [])
    subscriber.send({ cmd: 'pubcomp', messageId: first?.messageId })
    const third = publishes(await arrived(subscriber))
    t.deepEqual(payloads(third), ['1'])
    subscriber.send({ cmd: 'pubrec', messageId: second?.messageId, reasonCode: 0x80 })
    t.deepEqual(payloads(await arrived(subscriber)), ['2'])
    acknowledge(subscriber, third)
    t.deepEqual(payloads(await arrived(subscriber)), ['3'])
  })

  test(`[MQTT-4.9.0-3] [MQTT-3.3.4-10] everything but PUBLISH goes on while the quota is zero (${kind})`, async (t) => {
    const { broker } = await startBroker(t)
    const subscriber = await connectClient(t, broker, options(1))
    await subscriber.subscribe(t, 'a', { qos: 2 })
    await publishAll(t, broker, 3, 2)
    const { messageId } = await subscriber.expect(t, 'publish')

    subscriber.publish('other', '', { qos: 1, messageId: 5 })
    subscriber.publish('other', '', { qos: 2, messageId: 6 })
    subscriber.send({ cmd: 'unsubscribe', messageId: 7, unsubscriptions: ['b'] })
    subscriber.send({ cmd: 'pubrec', messageId })

    t.deepEqual((await arrived(subscriber)).map(({ cmd }) => cmd).toSorted(), [
      'puback',
      'pubrec',
      'pubrel',
      'unsuback',
    ])
    await subscriber.subscribe(t, 'b')
  })

  test(`messages at QoS 0 take no quota and wait for none (${kind})`, async (t) => {
    const { broker } = await startBroker(t)
    const subscriber = await connectClient(t, broker, options(1))
    await subscriber.subscribe(t, 'a', { qos: 2 })

    await publishAll(t, broker, 2, 1)
    await publishAll(t, broker, 2, 0)

    t.deepEqual(
      publishes(await arrived(subscriber)).map(({ qos, payload }) => [qos, String(payload)]),
      [
        [1, '1'],
        [0, '1'],
        [0, '2'],
      ],
    )
  })
}

test('[MQTT-4.9.0-1] the send quota begins anew with each connection', async (t) => {
  const { broker } = await startBroker(t)
  const before = await connectClient(t, broker, durable(5, 'c', { receiveMaximum: 3 }))
  await before.subscribe(t, 'a', { qos: 1 })
  await publishAll(t, broker, 9, 1)
  t.is((await arrived(before)).length, 3)

  const after = await connectClient(t, broker, durable(5, 'c', { receiveMaximum: 5 }))

  const got = publishes(await arrived(after))
  t.deepEqual(payloads(got), ['1', '2', '3', '4', '5'])
  acknowledge(after, got)
  t.deepEqual(payloads(await arrived(after)), ['6', '7', '8', '9'])
})

test('[MQTT-3.3.4-9] PUBCOMP for a PUBREL that was sent again frees no place in the window', async (t) => {
  const { broker } = await startBroker(t)
  const before = await connectClient(t, broker, durable(5, 'c', { receiveMaximum: 2 }))
  await before.subscribe(t, 'a', { qos: 2 })
  await publishAll(t, broker, 2, 2)
  acknowledge(before, await arrived(before))
  await arrived(before)
  await publishAll(t, broker, 5, 1)
  const after = await connectClient(t, broker, durable(5, 'c', { receiveMaximum: 2 }))
  const resumed = await arrived(after)
  t.deepEqual(
    resumed.map(({ cmd }) => cmd),
    ['pubrel', 'pubrel', 'publish', 'publish'],
  )

  for (const { cmd, messageId } of resumed)
    if (cmd === 'pubrel') after.send({ cmd: 'pubcomp', messageId })

  t.deepEqual(await arrived(after), [])
})

test('session.inflightMax bounds the window of a client that allows more', async (t) => {
  const { broker } = await startBroker(t, { session: { inflightMax: 2 } })

  for (const version of [4, 5] as const) {
    const subscriber = await connectClient(t, broker, { version })
    await subscriber.subscribe(t, 'a', { qos: 1 })
    await publishAll(t, broker, 5, 1)
    t.deepEqual(payloads(await arrived(subscriber)), ['1', '2'])
  }
})

test('[MQTT-3.3.4-7] [MQTT-3.3.4-8] a client may use its whole Receive Maximum, again and again', async (t) => {
  const { broker } = await startBroker(t, { connection: { receiveMaximum: 3 } })
  const client = await connectClient(t, broker)

  for (let round = 0; round < 3; round++) {
    for (const messageId of [1, 2, 3]) client.publish('a', '', { qos: 2, messageId })
    for (const messageId of [1, 2, 3]) client.send({ cmd: 'pubrel', messageId })
    for (const messageId of [1, 2, 3, 4]) client.publish('a', '', { qos: 1, messageId })
    t.is((await arrived(client)).length, 10)
  }
})

test('[MQTT-3.3.4-7] a client that exceeds the Receive Maximum is told 0x93: QoS 2 counts until PUBCOMP', async (t) => {
  const { broker } = await startBroker(t, { connection: { receiveMaximum: 2 } })
  const client = await connectClient(t, broker)

  for (const messageId of [1, 2, 3]) client.publish('a', '', { qos: 2, messageId })

  t.like(await client.closed(), [
    { cmd: 'pubrec', messageId: 1 },
    { cmd: 'pubrec', messageId: 2 },
    { cmd: 'disconnect', reasonCode: 0x93 },
  ])
})

test('[MQTT-3.3.4-7] a PUBREC of 0x80 and more gives the quota back', async (t) => {
  const { broker } = await startBroker(t, {
    connection: { receiveMaximum: 2 },
    hooks: { authorizePublish: () => false },
  })
  const client = await connectClient(t, broker)

  for (const messageId of [1, 2, 3, 4, 5]) client.publish('a', '', { qos: 2, messageId })

  t.is((await arrived(client)).filter(({ cmd }) => cmd === 'pubrec').length, 5)
})

test('[MQTT-3.3.4-7] what the store has not confirmed counts for QoS 1 too', async (t) => {
  const storage = new HeldStore()
  const { broker } = await startBroker(t, { storage, connection: { receiveMaximum: 2 } })
  const subscriber = await connectClient(t, broker, durable(5, 'c'))
  await subscriber.subscribe(t, 'a', { qos: 1 })
  const publisher = await connectClient(t, broker)
  storage.isHolding = true

  for (const messageId of [1, 2, 3]) publisher.publish('a', '', { qos: 1, messageId })

  t.like(await publisher.closed(), [{ cmd: 'disconnect', reasonCode: 0x93 }])
})

for (const version of [3, 4] as const) {
  for (const qos of [1, 2]) {
    test(`a publisher that knows no Receive Maximum is slowed, not closed (QoS ${qos}, version ${version})`, async (t) => {
      const storage = new HeldStore()
      const { broker } = await startBroker(t, { storage, connection: { receiveMaximum: 2 } })
      const subscriber = await connectClient(t, broker, durable(5, 'c'))
      await subscriber.subscribe(t, 'a', { qos: 1 })
      const publisher = await connectClient(t, broker, { version })
      storage.isHolding = true

      for (let messageId = 1; messageId <= 6; messageId++) {
        publisher.publish('a', `${messageId}`, { qos, messageId })
      }
      await subscriber.settled()
      t.is(storage.heldCount, 2)
      t.true(publisher.end.isServerPaused)

      for (let done = 0; done < 6; done++) {
        storage.complete()
        await publisher.expect(t, qos === 1 ? 'puback' : 'pubrec', { messageId: done + 1 })
      }
      t.deepEqual(payloads(await arrived(subscriber)), ['1', '2', '3', '4', '5', '6'])
    })
  }
}
