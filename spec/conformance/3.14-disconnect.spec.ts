import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import test from 'ava'
import { WebSocket } from 'ws'
import type { AccessHooks, ConnectionEnd } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { type AnyPacket, connectClient, openClient, TestClient } from '../support/client.ts'
import { defer, turns } from '../support/deferred.ts'
import { recordFrames } from '../support/frames.ts'
import { startListeningBroker } from '../support/mqtt-js.ts'
import { Observed } from '../support/observed.ts'
import { block, frame, property, type } from '../support/raw-packets.ts'
import { nextTurn } from '../support/turns.ts'

const versions = [3, 4, 5] as const

function codesOf(packets: readonly AnyPacket[]): unknown[] {
  return packets.map(({ cmd, reasonCode }) => [cmd, reasonCode])
}

for (const version of versions) {
  test(`[MQTT-3.14.4-1] [MQTT-3.14.4-2] DISCONNECT closes the connection, unanswered; nothing behind it counts (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const observed = new Observed(broker)
    const ends: ConnectionEnd[] = []
    broker.on('disconnected', (_, end) => ends.push(end))
    const client = await connectClient(t, broker, { version })

    client.send({ cmd: 'disconnect' })
    client.publish('a', 'late')

    t.deepEqual(await client.closed(), [])
    t.deepEqual(observed.messages, [])
    t.like(ends, [{ reasonCode: 0, by: 'client' }])
  })

  test(`[MQTT-3.14.1-1] [MQTT-2.1.3-1] [3.1.1: MQTT-3.14.1-1] a DISCONNECT with reserved bits set is malformed (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const observed = new Observed(broker)
    const client = await connectClient(t, broker, { version, will: { topic: 'w' } })

    client.sendBytes([0xe1, 0])

    t.deepEqual(codesOf(await client.closed()), version === 5 ? [['disconnect', 0x81]] : [])
    t.is(observed.messages.length, 1)
  })

  test(`a broker that stops says so to MQTT 5.0 clients, and closes all (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker, { version })
    const waiting = openClient(broker, version)

    await broker.close()

    t.deepEqual(codesOf(await client.closed()), version === 5 ? [['disconnect', 0x8b]] : [])
    t.deepEqual(await waiting.closed(), [])
  })

  test(`[MQTT-3.14.0-1] a broker that stops says nothing to a client without CONNACK (version ${version})`, async (t) => {
    const answer = defer<boolean>()
    const { broker } = await startBroker(t, { hooks: { authenticate: () => answer.promise } })
    const client = openClient(broker, version)
    client.connect()
    await turns()

    await broker.close()
    answer.resolve(true)
    await turns()

    t.deepEqual(await client.closed(), [])
  })
}

for (const version of [3, 4] as const) {
  test(`DISCONNECT of 3.x has no body (version ${version})`, async (t) => {
    const { broker } = await startBroker(t)
    const observed = new Observed(broker)
    const client = await connectClient(t, broker, { version, will: { topic: 'w' } })

    client.sendBytes([0xe0, 1, 0])

    t.deepEqual(await client.closed(), [])
    t.is(observed.messages.length, 1)
  })
}

test('a broker that stops points to the other one that connection.serverReference names', async (t) => {
  const { broker } = await startBroker(t, { connection: { serverReference: 'other.example' } })
  const client = await connectClient(t, broker)

  await broker.close()

  const disconnect = await client.expect(t, 'disconnect', { reasonCode: 0x9c })
  t.is(disconnect['properties'].serverReference, 'other.example')
})

for (const reasonCode of [0x8e, 0x8d, 0x8b, 0x8f, 0x9c, 0xa2, 0x01, 0x18, 0xff]) {
  test(`[MQTT-3.14.2-1] a DISCONNECT of a client with 0x${reasonCode.toString(16)} is a Protocol Error`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker)

    client.sendBytes(frame(type.disconnect, 0, reasonCode, block()))

    t.deepEqual(codesOf(await client.closed()), [['disconnect', 0x82]])
  })
}

for (const [what, body] of [
  ['a Reason Code alone', [0]],
  [
    'every property',
    [
      0,
      block(
        property('sessionExpiryInterval', 5),
        property('reasonString', 'done'),
        property('userProperties', ['a', 'b']),
      ),
    ],
  ],
] as const) {
  test(`[MQTT-3.14.2-1] a DISCONNECT with ${what} ends the connection normally`, async (t) => {
    const { broker } = await startBroker(t)
    const ends: ConnectionEnd[] = []
    broker.on('disconnected', (_, end) => ends.push(end))
    const client = await connectClient(t, broker, { properties: { sessionExpiryInterval: 1 } })

    client.sendBytes(frame(type.disconnect, 0, ...body))

    t.deepEqual(await client.closed(), [])
    t.like(ends, [{ reasonCode: 0, by: 'client' }])
  })
}

for (const [what, body, code] of [
  ['a property of another packet', [0, block(property('receiveMaximum', 1))], 0x81],
  [
    'a Reason String twice',
    [0, block(property('reasonString', 'x'), property('reasonString', 'x'))],
    0x82,
  ],
  ['a Property Length that is wrong', [0, 9], 0x81],
  ['bytes behind its properties', [0, 0, 0], 0x81],
] as const) {
  test(`[MQTT-4.13.1-1] a DISCONNECT of a client with ${what} is answered by 0x${code.toString(16)}`, async (t) => {
    const { broker } = await startBroker(t)
    const client = await connectClient(t, broker)

    client.sendBytes(frame(type.disconnect, 0, ...body))

    t.deepEqual(codesOf(await client.closed()), [['disconnect', code]])
  })
}

test('[MQTT-3.14.2-2] [MQTT-3.14.2-1] [MQTT-3.1.2-29] a DISCONNECT of the broker carries a Reason String and nothing else', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker, {
    properties: { sessionExpiryInterval: 100, requestProblemInformation: false },
  })

  client.sendBytes([0xf0, 0])

  const disconnect = await client.expect(t, 'disconnect', { reasonCode: 0x82 })
  t.deepEqual(Object.keys(disconnect['properties']), ['reasonString'])
})

test('[MQTT-3.14.2-3] [MQTT-3.14.2-4] [MQTT-3.1.2-24] what makes DISCONNECT too large for the client is left out', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker, { properties: { maximumPacketSize: 20 } })
  const frames = recordFrames(client)

  client.connect()

  t.deepEqual(codesOf(await client.closed()), [['disconnect', 0x82]])
  t.deepEqual(frames(), [Buffer.from([0xe0, 2, 0x82, 0])])
})

test('[MQTT-3.14.4-1] nothing follows a DISCONNECT of the broker', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker, { clientId: 'c' })
  await client.subscribe(t, 'a', { qos: 1 })

  client.sendBytes(Buffer.from([0xf0, 0, 0xc0, 0]))
  await turns(1)
  await broker.publish({ topic: 'a', qos: 1 })
  await broker.publish({ topic: 'a' })

  t.deepEqual(codesOf(await client.closed()), [['disconnect', 0x82]])
})

interface Writer {
  readonly write: (bytes: Buffer) => void
  readonly end: () => void
  /** The other side has closed too. */
  readonly closed: Promise<unknown>
}

const writers = {
  async tcp(url: string): Promise<Writer> {
    const { port } = new URL(url)
    const socket = createConnection({ port: Number(port), host: '127.0.0.1' })
    await once(socket, 'connect')
    socket.resume()
    return {
      write: (bytes) => void socket.write(bytes),
      end: () => void socket.end(),
      closed: once(socket, 'close'),
    }
  },
  async ws(url: string): Promise<Writer> {
    const webSocket = new WebSocket(url, 'mqtt')
    await once(webSocket, 'open')
    return {
      write: (bytes) => webSocket.send(bytes),
      end: () => webSocket.close(),
      closed: once(webSocket, 'close'),
    }
  },
}

/** What a client says that publishes 50 messages and leaves: CONNECT, and all the rest. */
function visit(): [Buffer, Buffer] {
  const client = new TestClient(5)
  const chunks: Buffer[] = []
  client.wire = { write: (bytes) => void chunks.push(bytes), destroy() {} }
  client.connect({ will: { topic: 'w' } })
  const connect = Buffer.concat(chunks.splice(0))
  for (let i = 0; i < 50; i++) client.publish('a', String(i))
  client.send({ cmd: 'disconnect' })
  return [connect, Buffer.concat(chunks)]
}

const numbers = Array.from({ length: 50 }, (_, i) => String(i))

for (const kind of ['tcp', 'ws'] as const) {
  test(`[MQTT-3.14.4-3] what a client says before it closes counts, however slowly it is read (${kind})`, async (t) => {
    const hooks: AccessHooks = { authorizePublish: () => nextTurn().then(() => true) }
    const { broker, urls } = await startListeningBroker(t, { hooks })
    const observed = new Observed(broker)
    const ended = once(broker, 'disconnected')
    const writer = await writers[kind](urls[kind])

    writer.write(Buffer.concat(visit()))
    writer.end()

    const [, end] = (await ended) as [unknown, ConnectionEnd]
    t.like(end, { reasonCode: 0, by: 'client' })
    t.deepEqual(observed.payloads, numbers)
  })

  for (const isAtOnce of [true, false]) {
    test(`[MQTT-3.14.4-3] what follows CONNECT ${isAtOnce ? 'at once' : 'in another segment'} counts though its client has gone when it is let in (${kind})`, async (t) => {
      const asked = defer<undefined>()
      const answer = defer<boolean>()
      const hooks: AccessHooks = {
        authenticate() {
          asked.resolve(undefined)
          return answer.promise
        },
      }
      const { broker, urls } = await startListeningBroker(t, { hooks })
      const observed = new Observed(broker)
      const ended = once(broker, 'disconnected')
      const writer = await writers[kind](urls[kind])
      const [connect, rest] = visit()

      writer.write(isAtOnce ? Buffer.concat([connect, rest]) : connect)
      await asked.promise
      if (!isAtOnce) writer.write(rest)
      writer.end()
      await writer.closed
      answer.resolve(true)

      const [, end] = (await ended) as [unknown, ConnectionEnd]
      t.like(end, { reasonCode: 0, by: 'client' })
      t.deepEqual(observed.payloads, numbers)
    })
  }
}
