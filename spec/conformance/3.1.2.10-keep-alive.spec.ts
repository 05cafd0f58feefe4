import test from 'ava'
import { startBroker } from '../support/broker.ts'
import { connectClient, openClient } from '../support/client.ts'
import { defer, turns } from '../support/deferred.ts'
import { frame, text, type } from '../support/raw-packets.ts'

const versions = [3, 4, 5] as const
const farewellOf = { 3: [], 4: [], 5: [['disconnect', 0x8d]] } as const

for (const version of versions) {
  test(`[MQTT-3.1.2-22] [3.1.1: MQTT-3.1.2-24] a client silent for 1.5 times its Keep Alive is closed, not before (version ${version})`, async (t) => {
    const { broker, clock } = await startBroker(t)
    const client = await connectClient(t, broker, { version, keepalive: 10 })

    await clock.advance(14_999)
    t.false(client.isClosed)
    await clock.advance(1)

    const farewell = await client.closed()
    t.deepEqual(
      farewell.map(({ cmd, reasonCode }) => [cmd, reasonCode]),
      farewellOf[version],
    )
  })

  test(`[MQTT-3.1.2-22] each packet starts the Keep Alive anew (version ${version})`, async (t) => {
    const { broker, clock } = await startBroker(t)
    const client = await connectClient(t, broker, { version, keepalive: 10 })
    for (let i = 0; i < 5; i++) {
      await clock.advance(14_000)
      if (i % 2 === 0) client.send({ cmd: 'pingreq' })
      else client.publish('a', 'x')
      await turns()
    }

    await clock.advance(14_999)
    t.false(client.isClosed)
    await clock.advance(1)

    t.is((await client.closed()).at(-1)?.['reasonCode'], version === 5 ? 0x8d : undefined)
  })

  test(`[MQTT-3.1.2-22] what the client receives does not keep it alive (version ${version})`, async (t) => {
    const { broker, clock } = await startBroker(t)
    const client = await connectClient(t, broker, { version, keepalive: 10 })
    await client.subscribe(t, 'a')

    for (let i = 0; i < 3; i++) {
      await clock.advance(5_000)
      await broker.publish({ topic: 'a' })
    }

    await client.closed()
    t.pass()
  })

  test(`[MQTT-3.1.2-22] a Keep Alive of 0 turns it off (version ${version})`, async (t) => {
    const { broker, clock } = await startBroker(t)
    const client = await connectClient(t, broker, { version, keepalive: 0 })

    await clock.advance(10_000_000)

    t.deepEqual(await client.settled(), [])
  })

  test(`[MQTT-3.1.2-22] the longest Keep Alive works too (version ${version})`, async (t) => {
    const { broker, clock } = await startBroker(t, { monitor: { sysIntervalSeconds: 0 } })
    const client = await connectClient(t, broker, { version, keepalive: 65_535 })

    await clock.advance(65_535 * 1_500 - 1)
    t.false(client.isClosed)
    await clock.advance(1)

    await client.closed()
  })

  test(`the Keep Alive stands while the broker reads nothing (version ${version})`, async (t) => {
    const answer = defer<boolean>()
    const { broker, clock } = await startBroker(t, {
      hooks: { authorizePublish: () => answer.promise },
    })
    const client = await connectClient(t, broker, { version, keepalive: 10 })
    client.publish('a', 'x')
    await turns()

    await clock.advance(100_000)
    t.false(client.isClosed)
    answer.resolve(true)
    await turns()
    await clock.advance(14_999)
    t.false(client.isClosed)
    await clock.advance(1)

    await client.closed()
  })

  test(`a packet on its way keeps its client alive, as that cannot send another (version ${version})`, async (t) => {
    const { broker, clock } = await startBroker(t)
    const client = await connectClient(t, broker, { version, keepalive: 10 })
    const publish = frame(type.publish, 0, text('topic'), version === 5 ? 0 : [], 1, 2, 3)

    for (const byte of publish) {
      client.sendBytes([byte])
      await turns(1)
      await clock.advance(14_000)
    }

    t.deepEqual(await client.settled(), [])
  })

  test(`connection.keepAliveMaxSeconds bounds the Keep Alive of every client (version ${version})`, async (t) => {
    const { broker, clock } = await startBroker(t, { connection: { keepAliveMaxSeconds: 20 } })
    const clients = await Promise.all(
      [0, 60].map((keepalive) => connectClient(t, broker, { version, keepalive })),
    )
    const modest = await connectClient(t, broker, { version, keepalive: 10 })

    await clock.advance(15_000)
    await modest.closed()
    await clock.advance(14_999)
    t.true(clients.every(({ isClosed }) => !isClosed))
    await clock.advance(1)

    for (const client of clients) await client.closed()
  })
}

for (const [keepalive, expected] of [
  [0, 20],
  [60, 20],
  [20, undefined],
  [10, undefined],
] as const) {
  test(`[MQTT-3.1.2-21] [MQTT-3.2.2-22] a Keep Alive of ${keepalive} where 20 is the longest is answered by a Server Keep Alive of ${expected}`, async (t) => {
    const { broker } = await startBroker(t, { connection: { keepAliveMaxSeconds: 20 } })
    const client = openClient(broker)

    client.connect({ keepalive })

    const connack = await client.expect(t, 'connack')
    t.is(connack['properties'].serverKeepAlive, expected)
  })
}
