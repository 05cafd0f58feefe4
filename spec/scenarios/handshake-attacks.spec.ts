/** Attacks before a client is one: half-open TLS, slow headers, compressed bombs, pages of strangers. */

import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { deflateRawSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import mqttPacket from 'mqtt-packet'
import { WebSocket } from 'ws'
import type { CreateBrokerOptions } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { openClient } from '../support/client.ts'
import {
  certificateFiles,
  type EncryptedBroker,
  startEncrypted,
  testAuthority,
} from '../support/encrypted.ts'
import { connectMqttJs, speaking } from '../support/mqtt-js.ts'
import { until } from '../support/turns.ts'

const MiB = 1024 ** 2
/** The beginning of a ClientHello of 512 bytes. */
const HALF_HELLO = Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03])

/** Of a listener that is not encrypted. */
const withoutTls = { keyFile: undefined, certFile: undefined }

interface Attacker {
  readonly socket: Socket
  isClosed: boolean
}

async function attack(t: ExecutionContext, port: number, bytes: Buffer): Promise<Attacker> {
  const socket = connect(port, '127.0.0.1')
  const attacker = { socket, isClosed: false }
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  socket.on('close', () => (attacker.isClosed = true))
  socket.resume()
  await once(socket, 'connect')
  socket.write(bytes)
  return attacker
}

async function startFor(
  t: ExecutionContext,
  own: object,
  options: CreateBrokerOptions = {},
): Promise<EncryptedBroker> {
  const files = await certificateFiles(t)
  return startEncrypted(t, files, own, options)
}

for (const type of ['tls', 'wss'] as const) {
  test(`clients that never finish TLS give way to those that do (${type})`, async (t) => {
    const own = { type, handshakeTimeoutMs: 300_000 }
    const limits = { loopback: true, halfOpenMax: 50 }
    const { port, url, log, broker } = await startFor(t, own, { limits })
    const { ca } = await testAuthority
    const attackers: Attacker[] = []

    for (let i = 0; i < 300; i++) attackers.push(await attack(t, port, HALF_HELLO))
    const { client } = await connectMqttJs(t, url, { ...speaking(5), ca: ca.cert })
    await client.client.subscribeAsync('a', { qos: 1 })
    await client.client.publishAsync('a', 'still served', { qos: 1 })
    t.like(await client.next(), { payload: 'still served' })
    await until(() => attackers.slice(0, 251).every(({ isClosed }) => isClosed))

    t.false(attackers.slice(251).some(({ isClosed }) => isClosed))
    t.is(
      (await log.next('connection refused'))['rule'],
      'limits.halfOpenMax is reached, and it was the oldest',
    )
    t.is(broker.clientCount, 1)
  })

  test(`clients that never finish TLS are closed in time (${type})`, async (t) => {
    const { port, log } = await startFor(t, { type, handshakeTimeoutMs: 100 })

    const attackers = await Promise.all(
      Array.from({ length: 20 }, () => attack(t, port, HALF_HELLO)),
    )
    await until(() => attackers.every(({ isClosed }) => isClosed))

    t.is(
      (await log.next('connection refused'))['rule'],
      'the TLS handshake was not complete after 0.1 s',
    )
    t.true(log.find('connection refused').length <= 10, 'the log is not flooded')
  })
}

test.serial('a flood of half-open handshakes costs little memory', async (t) => {
  const { port } = await startFor(t, { handshakeTimeoutMs: 60_000 })
  const before = process.memoryUsage()
  // Each may send as much as it likes of a handshake that does not end.
  const endless = Buffer.concat([HALF_HELLO, Buffer.alloc(400)])

  for (let i = 0; i < 500; i++) await attack(t, port, endless)
  for (let i = 0; i < 100; i++) await turn()
  const { rss } = process.memoryUsage()

  // Both ends live in this process.
  t.true(rss - before.rss < 150 * MiB, `${Math.round((rss - before.rss) / MiB)} MiB`)
})

test('a handshake message that does not end is cut off', async (t) => {
  const { port } = await startFor(t, { handshakeTimeoutMs: 60_000 })
  // A Certificate or ClientHello of 16 MiB, in records of 16 KiB.
  const record = Buffer.concat([Buffer.from([0x16, 0x03, 0x03, 0x40, 0x00]), Buffer.alloc(0x4000)])
  record.set([0x01, 0xff, 0xff, 0xff], 5)

  const attacker = await attack(t, port, record)
  for (let i = 0; i < 1000 && !attacker.isClosed; i++) {
    attacker.socket.write(record)
    await turn()
  }
  await until(() => attacker.isClosed)

  t.true(attacker.socket.bytesWritten < MiB)
})

test('headers that come byte by byte do not hold the time-out off', async (t) => {
  const { port, log } = await startFor(t, { type: 'ws', ...withoutTls, handshakeTimeoutMs: 300 })
  const attacker = await attack(t, port, Buffer.from('GET /mqtt HTTP/1.1\r\nHost: a\r\nX: '))
  // So slowly that the headers are not too large before.
  const slowly = setInterval(() => attacker.socket.write('x'), 5)
  t.teardown(() => clearInterval(slowly))

  await until(() => attacker.isClosed)

  t.is(
    (await log.next('connection refused'))['rule'],
    'the WebSocket handshake was not complete after 0.3 s',
  )
})

test('headers without end are refused at 16 KiB, with the reason', async (t) => {
  const { port, log } = await startFor(t, { type: 'ws', ...withoutTls })
  const attacker = await attack(t, port, Buffer.from('GET /mqtt HTTP/1.1\r\nX: '))
  let answer = ''
  attacker.socket.on('data', (chunk: Buffer) => (answer += chunk.toString()))

  attacker.socket.write(Buffer.alloc(20_000, 'x'))
  await until(() => attacker.isClosed)

  t.regex(answer, /^HTTP\/1\.1 431 Request Header Fields Too Large\r\n/)
  t.is(
    (await log.next('connection refused'))['rule'],
    'the HTTP headers have more than 16384 bytes',
  )
})

test('a CONNECT that comes byte by byte does not hold the time-out off', async (t) => {
  const { broker, clock } = await startBroker(t)
  const client = openClient(broker)
  const connectPacket = mqttPacket.generate({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 5,
    clientId: 'slow'.repeat(100),
    clean: true,
  })

  for (let second = 0; second < 10; second++) {
    t.false(client.isClosed)
    client.sendBytes(connectPacket.subarray(second, second + 1))
    await clock.advance(1000)
  }

  t.deepEqual(await client.closed(), [])
})

const UPGRADE = [
  'GET /mqtt HTTP/1.1',
  'Host: broker',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Protocol: mqtt',
]

/** A frame of a client, masked with zeros. */
function frame(firstByte: number, payload: Buffer): Buffer {
  const { length } = payload
  const head = length < 126 ? [0x80 | length] : [0x80 | 126, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([firstByte, ...head, 0, 0, 0, 0]), payload])
}

test.serial(
  'compression is not agreed on, and a bomb in spite of that is not unpacked',
  async (t) => {
    const { port, log } = await startFor(t, { type: 'ws', ...withoutTls })
    const offer = 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits'
    const attacker = await attack(t, port, Buffer.from([...UPGRADE, offer, '', ''].join('\r\n')))
    const [answer] = (await once(attacker.socket, 'data')) as [Buffer]
    const bomb = deflateRawSync(Buffer.alloc(64 * MiB))
    const before = process.memoryUsage().rss

    attacker.socket.write(frame(0xc2, bomb.subarray(0, 60_000)))
    await until(() => attacker.isClosed)
    const grownBytes = process.memoryUsage().rss - before

    t.regex(answer.toString(), /^HTTP\/1\.1 101 /)
    t.notRegex(answer.toString(), /Sec-WebSocket-Extensions/i)
    t.true(grownBytes < 32 * MiB, `${Math.round(grownBytes / MiB)} MiB`)
    t.regex(String((await log.next('connection refused'))['rule']), /RSV1 must be clear/)
  },
)

test('a client that wants compression is served without', async (t) => {
  const { port } = await startFor(t, { type: 'ws', ...withoutTls })

  const client = new WebSocket(`ws://127.0.0.1:${port}/mqtt`, ['mqtt'], { perMessageDeflate: true })
  t.teardown(() => client.terminate())
  await once(client, 'open')

  t.is(client.extensions, '')
})

test.serial(
  'pings that nobody reads the answers of end the connection, not the memory',
  async (t) => {
    const { port, broker } = await startFor(t, { type: 'ws', ...withoutTls })
    const attacker = await attack(t, port, Buffer.from([...UPGRADE, '', ''].join('\r\n')))
    await once(attacker.socket, 'data')
    attacker.socket.pause()
    const before = process.memoryUsage().rss
    const pings = Buffer.concat(Array.from({ length: 1000 }, () => frame(0x89, Buffer.alloc(125))))

    let sentBytes = 0
    while (!attacker.isClosed && sentBytes < 64 * MiB && !attacker.socket.destroyed) {
      attacker.socket.write(pings)
      sentBytes += pings.length
      await turn()
    }
    const grownBytes = process.memoryUsage().rss - before

    t.true(grownBytes < 100 * MiB, `${Math.round(grownBytes / MiB)} MiB of ${sentBytes / MiB}`)
    t.is(broker.clientCount, 0)
  },
)

test('fragments without end and without bytes end the connection', async (t) => {
  const { port } = await startFor(t, { type: 'ws', ...withoutTls })
  const attacker = await attack(t, port, Buffer.from([...UPGRADE, '', ''].join('\r\n')))
  await once(attacker.socket, 'data')

  attacker.socket.write(frame(0x02, Buffer.alloc(1)))
  const nothing = Buffer.concat(Array.from({ length: 1000 }, () => frame(0x00, Buffer.alloc(1))))
  while (!attacker.isClosed && attacker.socket.bytesWritten < 16 * MiB) {
    attacker.socket.write(nothing)
    await turn()
  }

  t.true(attacker.isClosed)
  t.true(attacker.socket.bytesWritten < MiB)
})

test('pages of strangers are kept out of wss too, before they are a client', async (t) => {
  const own = { type: 'wss', allowedOrigins: ['https://dashboard.example'] }
  const { url, broker, log } = await startFor(t, own)
  const { ca } = await testAuthority
  const open = async (origin: string): Promise<number> => {
    const page = new WebSocket(url, ['mqtt'], { ca: ca.cert, origin })
    t.teardown(() => page.terminate())
    return new Promise((resolve) => {
      page.on('error', () => {})
      page.on('unexpected-response', (_, { statusCode = 0 }) => resolve(statusCode))
      page.on('open', () => resolve(101))
    })
  }

  for (const stranger of [
    'https://evil.example',
    'http://dashboard.example',
    'https://dashboard.example.evil.example',
    'https://dashboard.example:8443',
    'null',
  ]) {
    t.is(await open(stranger), 403, stranger)
  }
  t.is(await open('https://dashboard.example'), 101)

  t.is(broker.clientCount, 0)
  t.is(log.find('connection refused').length, 5)
})

test('a client that stops in the middle of TLS harms no other', async (t) => {
  const { port, url } = await startFor(t, { handshakeTimeoutMs: 60_000 })
  const { ca } = await testAuthority
  const attackers = await Promise.all(
    Array.from({ length: 100 }, () => attack(t, port, HALF_HELLO)),
  )

  const socket = connectTls({ host: '127.0.0.1', port, ca: ca.cert })
  await once(socket, 'secureConnect')
  socket.destroy()
  await t.notThrowsAsync(connectMqttJs(t, url, { ...speaking(5), ca: ca.cert }))

  t.false(attackers.some(({ isClosed }) => isClosed))
})
