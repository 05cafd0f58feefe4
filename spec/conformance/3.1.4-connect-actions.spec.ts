import test from 'ava'
import { startBroker } from '../support/broker.ts'
import { connectClient, openClient } from '../support/client.ts'
import { defer, turns } from '../support/deferred.ts'
import { Observed } from '../support/observed.ts'
import { connectOf } from '../support/raw-packets.ts'

const versions = [3, 4, 5] as const

for (const version of versions) {
  test(`[MQTT-3.1.4-6] [3.1.1: MQTT-3.1.4-5] nothing behind a refused CONNECT is processed (version ${version})`, async (t) => {
    const { broker } = await startBroker(t, { hooks: { authenticate: async () => false } })
    const observed = new Observed(broker)
    const client = openClient(broker, version)

    client.connect()
    client.publish('a', 'never')

    const [connack, ...rest] = await client.closed()
    t.is(
      version === 5 ? connack?.['reasonCode'] : connack?.['returnCode'],
      version === 5 ? 0x86 : 4,
    )
    t.deepEqual(rest, [])
    t.deepEqual(observed.messages, [])
  })

  test(`packets right behind CONNECT wait while a hook decides, then are handled in order (version ${version})`, async (t) => {
    const answer = defer<boolean>()
    const { broker } = await startBroker(t, { hooks: { authenticate: () => answer.promise } })
    const observed = new Observed(broker)
    const client = openClient(broker, version)

    client.connect()
    for (const payload of ['1', '2', '3'])
      client.publish('a', payload, { qos: 1, messageId: Number(payload) })
    await turns()
    t.true(client.end.isServerPaused)
    t.deepEqual([client.packets, observed.payloads], [[], []])
    answer.resolve(true)

    await client.expect(t, 'connack')
    for (const messageId of [1, 2, 3]) await client.expect(t, 'puback', { messageId })
    t.deepEqual(observed.payloads, ['1', '2', '3'])
  })

  test(`a client that is silent is closed after connection.connectTimeoutMs (version ${version})`, async (t) => {
    const { broker, clock } = await startBroker(t, { connection: { connectTimeoutMs: 3000 } })
    const client = openClient(broker, version)
    client.sendBytes(connectOf().subarray(0, 5))

    await clock.advance(2999)
    t.false(client.isClosed)
    await clock.advance(1)

    t.deepEqual(await client.closed(), [])
  })

  test(`a hook that does not answer in time costs the client its connection (version ${version})`, async (t) => {
    const answer = defer<boolean>()
    const { broker, clock } = await startBroker(t, {
      connection: { connectTimeoutMs: 3000 },
      hooks: { authenticate: () => answer.promise },
    })
    const client = openClient(broker, version)
    client.connect()
    await turns()

    await clock.advance(3000)
    t.deepEqual(await client.closed(), [])
    answer.resolve(true)
    await turns()

    t.is(broker.clientCount, 0)
  })

  test(`a hook that fails refuses the client as a server that is not available (version ${version})`, async (t) => {
    const hooks = {
      authenticate: async () => {
        throw new Error('no data base')
      },
    }
    const { broker } = await startBroker(t, { hooks })
    const client = openClient(broker, version)

    client.connect()

    await client.expect(t, 'connack', version === 5 ? { reasonCode: 0x80 } : { returnCode: 3 })
    t.deepEqual(await client.closed(), [])
  })
}

const refusals = [
  [0x80, 3],
  [0x83, 3],
  [0x84, 1],
  [0x85, 2],
  [0x86, 4],
  [0x87, 5],
  [0x88, 3],
  [0x89, 3],
  [0x8a, 5],
  [0x97, 3],
  [0x9c, 3],
  [0x9f, 3],
] as const
for (const [reasonCode, returnCode] of refusals) {
  for (const version of versions) {
    test(`[MQTT-3.1.4-2] [MQTT-3.2.2-7] [3.1.1: MQTT-3.2.2-5] a hook that refuses with 0x${reasonCode.toString(16)} is heard (version ${version})`, async (t) => {
      const decision = { isAllowed: false, reasonCode, reason: 'not today', rule: 'rule 7' }
      const { broker } = await startBroker(t, { hooks: { authenticate: () => decision } })
      const client = openClient(broker, version)

      client.connect()

      const connack = await client.expect(t, 'connack', { sessionPresent: false })
      t.is(connack['properties']?.reasonString, version === 5 ? 'not today' : undefined)
      t.is(
        version === 5 ? connack['reasonCode'] : connack['returnCode'],
        version === 5 ? reasonCode : returnCode,
      )
      t.deepEqual(await client.closed(), [])
    })
  }
}

test('[MQTT-3.2.2-8] a hook cannot put a code into CONNACK that does not belong there', async (t) => {
  for (const reasonCode of [0, 4, 0x8e, 0x92, 0xff]) {
    const hooks = { authenticate: () => ({ isAllowed: false, reasonCode }) }
    const { broker } = await startBroker(t, { hooks })
    const client = openClient(broker)

    client.connect()

    await client.expect(t, 'connack', { reasonCode: 0x87 })
    t.deepEqual(await client.closed(), [])
  }
})

test('the rule that refused a client is for the log, not for the client', async (t) => {
  const decision = { isAllowed: false, rule: 'password file, line 7: no such user' }
  const { broker } = await startBroker(t, { hooks: { authenticate: () => decision } })
  const client = openClient(broker)

  client.connect()

  const connack = await client.expect(t, 'connack', { reasonCode: 0x86 })
  t.is(connack['properties']?.reasonString, undefined)
})

for (const version of versions) {
  test(`[MQTT-3.1.4-2] a client that nothing authenticates is refused where anonymous clients are (version ${version})`, async (t) => {
    const { broker } = await startBroker(t, { security: { allowAnonymous: false } })
    const client = openClient(broker, version)

    client.connect({ username: 'u', password: 'p' })

    await client.expect(t, 'connack', version === 5 ? { reasonCode: 0x87 } : { returnCode: 5 })
    t.deepEqual(await client.closed(), [])
  })

  test(`[MQTT-3.1.4-2] a client beyond connection.connectionsMax is refused (version ${version})`, async (t) => {
    const { broker } = await startBroker(t, { connection: { connectionsMax: 1 } })
    await connectClient(t, broker, { version })
    const client = openClient(broker, version)

    client.connect()

    await client.expect(t, 'connack', version === 5 ? { reasonCode: 0x97 } : { returnCode: 3 })
    t.deepEqual(await client.closed(), [])
  })
}

test('a full broker points to the other one that connection.serverReference names', async (t) => {
  const { broker } = await startBroker(t, {
    connection: { connectionsMax: 1, serverReference: 'other.example' },
  })
  await connectClient(t, broker)
  const client = openClient(broker)

  client.connect()

  const connack = await client.expect(t, 'connack', { reasonCode: 0x9c })
  t.is(connack['properties'].serverReference, 'other.example')
})

test('[MQTT-1.5.4-2] the reason of a hook is sent in a form that may be sent', async (t) => {
  const decision = { isAllowed: false, reason: `no\0${'é'.repeat(70_000)}` }
  const { broker } = await startBroker(t, { hooks: { authenticate: () => decision } })
  const client = openClient(broker)

  client.connect()

  const connack = await client.expect(t, 'connack', { reasonCode: 0x86 })
  t.is(connack['properties'].reasonString, `no${'é'.repeat(1022)}`)
})
