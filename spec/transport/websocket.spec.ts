/** Real WebSockets: the rules of chapter 6, frames as bytes, back-pressure, and who may come in. */

import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import test from 'ava'
import type { ClientOptions } from 'ws'
import { WebSocket } from 'ws'
import type { TlsListener } from '../../lib/transport/tls.ts'
import { CLOSE_TIMEOUT_MS } from '../../lib/transport/transport.ts'
import type { WebSocketOptions } from '../../lib/transport/websocket.ts'
import { listenWebSocket } from '../../lib/transport/websocket.ts'
import { certificates } from '../support/certificates.ts'
import { Acceptor, closeAfter, connectTo, readAll, whereOf } from '../support/transports.ts'

const MEBIBYTE = 1024 * 1024
const UPGRADE = [
  'Host: broker',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
]

interface Door {
  readonly listener: TlsListener
  readonly acceptor: Acceptor
}

async function listen(t: ExecutionContext, options: Partial<WebSocketOptions> = {}): Promise<Door> {
  const acceptor = new Acceptor()
  const { refused } = acceptor
  const listener = await listenWebSocket(
    { name: 'door', host: '127.0.0.1', port: 0, refused, ...options },
    acceptor.accept,
  )
  closeAfter(t, listener, acceptor)
  return { listener, acceptor }
}

async function connectWebSocket(
  t: ExecutionContext,
  { listener }: Door,
  options: ClientOptions = {},
  subprotocols: string[] = ['mqtt'],
): Promise<WebSocket> {
  const client = new WebSocket(listener.url, subprotocols, options)
  client.on('error', () => {})
  t.teardown(() => client.terminate())
  await once(client, 'open')
  return client
}

/** Sends a request by hand and returns the whole answer. */
async function request(t: ExecutionContext, door: Door, lines: readonly string[]): Promise<string> {
  const socket = await connectTo(t, door.listener)
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  return (await readAll(socket)).toString()
}

test('bytes travel both ways in binary frames', async (t) => {
  const door = await listen(t)
  const client = await connectWebSocket(t, door)
  const server = await door.acceptor.next()
  const message = once(client, 'message')

  client.send(Buffer.from('ping'))
  server.transport.write(Buffer.from('pong'))
  const bytes = await server.untilBytes(4)
  const [answer, isBinary] = await message

  t.is(bytes.toString(), 'ping')
  t.is(String(answer), 'pong')
  t.true(isBinary)
  t.regex(door.listener.url, /^ws:\/\/127\.0\.0\.1:\d+\/mqtt$/)
  t.like(server.transport.peer, { listener: 'door', protocol: 'ws', address: '127.0.0.1' })
})

test('[MQTT-6.0.0-4] the subprotocol mqtt is chosen wherever it stands in the offer', async (t) => {
  const door = await listen(t)

  const client = await connectWebSocket(t, door, {}, ['mqttv3.1', 'chat', 'mqtt'])

  t.is(client.protocol, 'mqtt')
})

test('an old client that offers only mqttv3.1 gets it', async (t) => {
  const door = await listen(t)

  const client = await connectWebSocket(t, door, {}, ['mqttv3.1'])

  t.is(client.protocol, 'mqttv3.1')
})

for (const offer of [[], ['Sec-WebSocket-Protocol: chat, mqttx']]) {
  test(`[MQTT-6.0.0-3] a client is refused with the offer "${offer.join('')}"`, async (t) => {
    const door = await listen(t)

    const answer = await request(t, door, ['GET /mqtt HTTP/1.1', ...UPGRADE, ...offer])
    const { sentence } = await door.acceptor.nextRefusal()

    t.regex(answer, /^HTTP\/1\.1 400 Bad Request\r\n/)
    t.regex(answer, /the client does not offer the WebSocket subprotocol "mqtt"\n$/)
    t.is(sentence, 'the client does not offer the WebSocket subprotocol "mqtt"')
    t.is(door.acceptor.accepted.length, 0)
  })
}

test('[MQTT-6.0.0-1] a text frame closes the connection', async (t) => {
  const door = await listen(t)
  const client = await connectWebSocket(t, door)
  const server = await door.acceptor.next()
  const closed = once(client, 'close')

  client.send('a text frame')
  client.send(Buffer.from('never seen'))
  const [code] = await closed
  const error = await server.untilClosed()

  t.is(code, 1003)
  t.is(error, 'the client sent a text frame; MQTT needs binary frames')
  t.deepEqual(server.chunks, [])
})

test('[MQTT-6.0.0-2] packets may be split and joined by frames and fragments', async (t) => {
  const door = await listen(t)
  const client = await connectWebSocket(t, door)
  const server = await door.acceptor.next()

  client.send(Buffer.from('pac'))
  client.send(Buffer.from('ket'), { fin: false })
  client.send(Buffer.from(' and pack'), { fin: true })
  client.send(Buffer.alloc(0))
  client.send(Buffer.from('et'))
  const bytes = await server.untilBytes(17)

  t.is(bytes.toString(), 'packet and packet')
  t.true(server.chunks.every(({ length }) => length > 0))
})

test('bytes pile up for a client that does not read, until it reads again', async (t) => {
  const door = await listen(t)
  const client = await connectWebSocket(t, door)
  const server = await door.acceptor.next()
  let received = 0
  client.on('message', (data: Buffer) => {
    received += data.length
  })

  client.pause()
  for (let i = 0; i < 16; i++) server.transport.write(Buffer.alloc(MEBIBYTE, i))
  const pendingBytes = server.transport.pendingBytes
  client.resume()
  await server.until(() => server.drainings > 0)
  server.transport.close()
  await once(client, 'close')

  t.true(pendingBytes > MEBIBYTE)
  t.is(server.transport.pendingBytes, 0)
  t.is(received, 16 * MEBIBYTE)
})

test('a paused transport receives nothing, not even frames of the same chunk', async (t) => {
  const door = await listen(t)
  const client = await connectWebSocket(t, door)
  const server = await door.acceptor.next()
  const record = server.received.bind(server)
  const counts: number[] = []
  server.received = (chunk) => {
    record(chunk)
    if (server.chunks.length % 10 !== 0) return
    server.transport.pause()
    setImmediate(() => {
      counts.push(server.chunks.length)
      server.transport.resume()
    })
  }

  for (let i = 0; i < 100; i++) client.send(Buffer.from([i]))
  await server.untilBytes(100)

  t.deepEqual(counts, [10, 20, 30, 40, 50, 60, 70, 80, 90])
  t.deepEqual([...server.bytes], [...Array(100).keys()])
})

test('closing sends what is pending and a normal close frame', async (t) => {
  const door = await listen(t)
  const client = await connectWebSocket(t, door)
  const server = await door.acceptor.next()
  const message = once(client, 'message')
  const closed = once(client, 'close')
  const late = setTimeout(CLOSE_TIMEOUT_MS, 'late', { ref: false })

  server.transport.pause()
  server.transport.write(Buffer.from('goodbye'))
  server.transport.close()
  server.transport.write(Buffer.from('too late'))
  const [data] = await message
  const [code] = await closed
  const error = await Promise.race([server.untilClosed(), late])

  t.is(String(data), 'goodbye')
  t.is(code, 1000)
  t.is(error, undefined)
})

test('closing gives up on a client that never reads', async (t) => {
  const door = await listen(t)
  const client = await connectWebSocket(t, door)
  const server = await door.acceptor.next()

  client.pause()
  server.transport.write(Buffer.alloc(16 * MEBIBYTE))
  server.transport.close()
  const error = await server.untilClosed()

  t.is(error, undefined)
  t.is(server.closings.length, 1)
})

test('destroying drops what is pending and reports the end once', async (t) => {
  const door = await listen(t)
  const client = await connectWebSocket(t, door)
  const server = await door.acceptor.next()

  client.pause()
  server.transport.write(Buffer.alloc(16 * MEBIBYTE))
  server.transport.destroy()
  const closingsAtOnce = server.closings.length
  await server.untilClosed()
  server.transport.write(Buffer.from('no'))
  server.transport.close()
  server.transport.destroy()

  t.is(closingsAtOnce, 0)
  t.deepEqual(server.closings, [undefined])
})

test('a frame larger than the limit closes the connection', async (t) => {
  const door = await listen(t, { frameBytesMax: 1000 })
  const client = await connectWebSocket(t, door)
  const server = await door.acceptor.next()
  const closed = once(client, 'close')

  client.send(Buffer.alloc(1000))
  client.send(Buffer.alloc(1001))
  const [code] = await closed
  const error = await server.untilClosed()

  t.is(code, 1009)
  t.regex(error ?? '', /^the client broke WebSocket: .*payload/i)
  t.is(server.byteLength, 1000)
})

test('a client that resets the connection is reported as a sentence', async (t) => {
  const door = await listen(t)
  const socket = await connectTo(t, door.listener)
  socket.write(
    ['GET /mqtt HTTP/1.1', ...UPGRADE, 'Sec-WebSocket-Protocol: mqtt', '', ''].join('\r\n'),
  )
  await once(socket, 'data')
  const server = await door.acceptor.next()

  socket.resetAndDestroy()
  const error = await server.untilClosed()

  t.is(error, 'the client reset the connection')
})

test('bytes that come with the handshake are not lost', async (t) => {
  const door = await listen(t)
  const socket = await connectTo(t, door.listener)
  const lines = ['GET /mqtt HTTP/1.1', ...UPGRADE, 'Sec-WebSocket-Protocol: mqtt', '', '']

  const frame = Buffer.from([0x82, 0x82, 0, 0, 0, 0, 0xc0, 0x00])
  socket.write(Buffer.concat([Buffer.from(lines.join('\r\n')), frame]))
  const server = await door.acceptor.next()
  const bytes = await server.untilBytes(2)

  t.deepEqual(bytes, Buffer.from([0xc0, 0x00]))
})

test('another path is not found, with the right one in the answer', async (t) => {
  const door = await listen(t, { path: '/broker' })
  const offer = 'Sec-WebSocket-Protocol: mqtt'

  const upgrade = await request(t, door, ['GET /mqtt HTTP/1.1', ...UPGRADE, offer])
  const get = await request(t, door, ['GET / HTTP/1.1', 'Host: broker'])
  const client = await connectWebSocket(t, door)

  t.regex(upgrade, /^HTTP\/1\.1 404 Not Found\r\n[^]*MQTT over WebSocket is at \/broker\n$/)
  t.regex(get, /^HTTP\/1\.1 404 Not Found\r\n[^]*MQTT over WebSocket is at \/broker\n$/)
  t.is(client.protocol, 'mqtt')
})

test('a browser that just looks is told what this is', async (t) => {
  const door = await listen(t)

  const answer = await request(t, door, ['GET /mqtt?x=1 HTTP/1.1', 'Host: broker'])

  t.regex(answer, /^HTTP\/1\.1 426 Upgrade Required\r\n/)
  t.regex(answer, /\r\nUpgrade: websocket\r\n/)
  t.regex(answer, /This is the WebSocket door of an MQTT broker/)
  t.deepEqual(door.acceptor.refusals, [])
})

test('a handshake that WebSocket forbids is answered with the reason', async (t) => {
  const door = await listen(t)
  const lines = UPGRADE.map((line) => line.replace('Version: 13', 'Version: 7'))
  const offer = 'Sec-WebSocket-Protocol: mqtt'

  const answer = await request(t, door, ['GET /mqtt HTTP/1.1', ...lines, offer])

  t.regex(answer, /^HTTP\/1\.1 400 Bad Request\r\n[^]*Sec-WebSocket-Version: 13\r\n/)
  t.regex(answer, /the WebSocket handshake is not valid: .*Sec-WebSocket-Version header\n$/)
})

test('web pages of other origins are refused where origins are listed', async (t) => {
  const door = await listen(t, { allowedOrigins: ['https://Example.org'] })
  const lines = ['GET /mqtt HTTP/1.1', ...UPGRADE, 'Sec-WebSocket-Protocol: mqtt']

  const answer = await request(t, door, [...lines, 'Origin: https://example.com'])
  const page = await connectWebSocket(t, door, { origin: 'https://example.org' })
  const program = await connectWebSocket(t, door)

  t.regex(answer, /^HTTP\/1\.1 403 Forbidden\r\n/)
  t.deepEqual([page.protocol, program.protocol], ['mqtt', 'mqtt'])
})

test('every origin may connect where none are listed', async (t) => {
  const door = await listen(t)

  const client = await connectWebSocket(t, door, { origin: 'https://example.com' })

  t.is(client.protocol, 'mqtt')
})

test('X-Forwarded-For is believed from a trusted proxy', async (t) => {
  const door = await listen(t, { trustedProxies: ['127.0.0.0/8', '10.1.0.0/16'] })
  const headers = { 'X-Forwarded-For': '6.6.6.6, 192.0.2.7:4711, 10.1.2.3' }

  await connectWebSocket(t, door, { headers })
  const { transport } = await door.acceptor.next()

  t.like(transport.peer, { address: '192.0.2.7', port: 0 })
})

test('X-Forwarded-For is not believed from anybody else', async (t) => {
  const door = await listen(t, { trustedProxies: ['10.0.0.0/8'] })

  await connectWebSocket(t, door, { headers: { 'X-Forwarded-For': '192.0.2.7' } })
  const { transport } = await door.acceptor.next()

  t.is(transport.peer.address, '127.0.0.1')
  t.not(transport.peer.port, 0)
})

test('clients of other protocols are told apart', async (t) => {
  const door = await listen(t)
  const mqtt = await connectTo(t, door.listener)
  mqtt.write('\x10\x0c\0\x04MQTT', 'latin1')
  const first = await door.acceptor.nextRefusal()
  await readAll(mqtt)

  const tls = await connectTo(t, door.listener)
  tls.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]))
  const second = await door.acceptor.nextRefusal()
  await readAll(tls)

  t.regex(first.sentence, /^a plain MQTT client on a WebSocket port/)
  t.regex(second.sentence, /^a TLS client on a plain WebSocket port/)
})

test('a client that does not finish its request is given up on', async (t) => {
  const door = await listen(t, { handshakeTimeoutMs: 50 })
  const socket = await connectTo(t, door.listener)

  socket.write('GET /mqtt HTTP/1.1\r\nHost: broker\r\n')
  const { sentence } = await door.acceptor.nextRefusal()
  await readAll(socket)

  t.is(sentence, 'the WebSocket handshake was not complete after 0.05 s')
})

test('a client that leaves in the middle of its request is reported, one that only knocks is not', async (t) => {
  const door = await listen(t)
  const knocking = await connectTo(t, door.listener)
  await connectWebSocket(t, door)
  knocking.resetAndDestroy()

  const leaving = await connectTo(t, door.listener)
  const port = leaving.localPort ?? 0
  leaving.end('GET /mqtt HTTP/1.1\r\nHost: broker\r\n')
  const { peer, sentence } = await door.acceptor.nextRefusal()

  t.is(peer.port, port)
  t.is(sentence, 'the client left during the WebSocket handshake')
  t.deepEqual(door.acceptor.refusals, [])
})

test('a request that is no HTTP is answered', async (t) => {
  const door = await listen(t)

  const answer = await request(t, door, ['hello, is it me?'])
  const { sentence } = await door.acceptor.nextRefusal()

  t.regex(answer, /^HTTP\/1\.1 400 Bad Request\r\n/)
  t.regex(sentence, /^the HTTP request cannot be read: /)
})

test('closing the listener ends handshakes and keeps connections', async (t) => {
  const door = await listen(t, { handshakeTimeoutMs: 3_600_000 })
  const pending = await connectTo(t, door.listener)
  pending.write('GET /mqtt HTTP/1.1\r\n')
  const client = await connectWebSocket(t, door)
  const server = await door.acceptor.next()

  await door.listener.close()
  await readAll(pending)
  client.send(Buffer.from('still here'))
  const bytes = await server.untilBytes(10)

  t.is(bytes.toString(), 'still here')
})

test('the handshake time-out spares those who are in', async (t) => {
  const door = await listen(t, { handshakeTimeoutMs: 50 })
  const client = await connectWebSocket(t, door)
  const server = await door.acceptor.next()

  await connectTo(t, door.listener)
  await door.acceptor.nextRefusal()
  client.send(Buffer.from('still here'))
  const bytes = await server.untilBytes(10)

  t.is(bytes.toString(), 'still here')
})

test('wss works with client certificates, and reloads', async (t) => {
  const made = await certificates()
  const credentials = { ...made.server, ca: made.ca.cert }
  const door = await listen(t, { credentials, requireCert: true })
  const client = await connectWebSocket(t, door, { ca: made.ca.cert, ...made.client })
  const server = await door.acceptor.next()

  door.listener.reload({ ...made.renewedServer, ca: made.otherCa.cert })
  await connectWebSocket(t, door, { ca: made.ca.cert, ...made.otherClient })
  const newServer = await door.acceptor.next()
  client.send(Buffer.from('still here'))
  const bytes = await server.untilBytes(10)

  t.regex(door.listener.url, /^wss:\/\//)
  t.is(bytes.toString(), 'still here')
  t.like(server.transport.peer, { protocol: 'wss', address: '127.0.0.1' })
  t.is(server.transport.peer.certificate?.commonName, 'client-1')
  t.is(newServer.transport.peer.certificate?.commonName, 'client-2')
})

test('a listener on IPv6 has brackets in its URL', async (t) => {
  const door = await listen(t, { host: '::1' })

  await connectWebSocket(t, door)
  const { transport } = await door.acceptor.next()

  t.is(transport.peer.address, '::1')
  t.is(whereOf(door.listener).host, '::1')
})
