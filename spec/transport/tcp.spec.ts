/** Real TCP: bytes both ways, back-pressure both ways, every way to close, and strangers. */

import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import type { ExecutionContext } from 'ava'
import test from 'ava'
import type { NetworkOptions } from '../../lib/transport/listen.ts'
import { ListenError } from '../../lib/transport/listen.ts'
import { listenTcp } from '../../lib/transport/tcp.ts'
import type { Listener } from '../../lib/transport/transport.ts'
import { Acceptor, closeAfter, connectTo, readAll, readBytes } from '../support/transports.ts'

const CONNECT = Buffer.from([0x10, 0x0c, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 0])
const MEBIBYTE = 1024 * 1024

async function listen(
  t: ExecutionContext,
  options: Partial<NetworkOptions> = {},
): Promise<{ listener: Listener; acceptor: Acceptor }> {
  const acceptor = new Acceptor()
  const { refused } = acceptor
  const listener = await listenTcp(
    { name: 'door', host: '127.0.0.1', port: 0, refused, ...options },
    acceptor.accept,
  )
  closeAfter(t, listener, acceptor)
  return { listener, acceptor }
}

test('a client is accepted with the facts about it', async (t) => {
  const { listener, acceptor } = await listen(t)

  const client = await connectTo(t, listener)
  const { transport } = await acceptor.next()

  t.regex(listener.url, /^mqtt:\/\/127\.0\.0\.1:\d+$/)
  t.deepEqual(transport.peer, {
    listener: 'door',
    protocol: 'tcp',
    address: '127.0.0.1',
    port: client.localPort ?? 0,
    certificate: undefined,
    userName: undefined,
  })
})

test('half packets arrive as they come, before the rest is sent', async (t) => {
  const { listener, acceptor } = await listen(t)
  const client = await connectTo(t, listener)
  const server = await acceptor.next()

  client.write(CONNECT.subarray(0, 1))
  const first = await server.untilBytes(1)
  client.write(CONNECT.subarray(1))
  const all = await server.untilBytes(CONNECT.length)

  t.deepEqual(first, CONNECT.subarray(0, 1))
  t.deepEqual(all, CONNECT)
})

test('bytes written to a client that reads leave at once', async (t) => {
  const { listener, acceptor } = await listen(t)
  const client = await connectTo(t, listener)
  const server = await acceptor.next()

  server.transport.write(Buffer.from('one '))
  server.transport.write(Buffer.from('two'))
  const pendingBytes = server.transport.pendingBytes
  const bytes = await readBytes(client, 7)

  t.is(pendingBytes, 0)
  t.is(bytes.toString(), 'one two')
  t.is(server.drainings, 0)
})

test('bytes pile up for a client that does not read, until it reads again', async (t) => {
  const { listener, acceptor } = await listen(t)
  const client = await connectTo(t, listener)
  const server = await acceptor.next()
  const written = Array.from({ length: 16 }, (_, i) => Buffer.alloc(MEBIBYTE, i))

  client.pause()
  for (const block of written) server.transport.write(block)
  const pendingBytes = server.transport.pendingBytes
  const received = readBytes(client, 16 * MEBIBYTE)
  client.resume()
  const bytes = await received
  await server.until(() => server.drainings > 0)

  t.true(pendingBytes > MEBIBYTE)
  t.is(server.transport.pendingBytes, 0)
  t.is(server.drainings, 1)
  t.true(bytes.equals(Buffer.concat(written)))
})

test('a small write behind which the socket blocks is reported drained too', async (t) => {
  const { listener, acceptor } = await listen(t)
  const client = await connectTo(t, listener)
  const server = await acceptor.next()

  client.pause()
  let written = 0
  while (server.transport.pendingBytes === 0) {
    server.transport.write(Buffer.alloc(1000))
    written += 1000
  }
  const received = readBytes(client, written)
  client.resume()
  await received
  await server.until(() => server.drainings > 0)

  t.is(server.transport.pendingBytes, 0)
})

test('a paused transport receives nothing, and slows its client down, until it resumes', async (t) => {
  const { listener, acceptor } = await listen(t)
  const client = await connectTo(t, listener)
  const server = await acceptor.next()
  const bytes = Buffer.alloc(16 * MEBIBYTE, 0x10)

  server.transport.pause()
  client.write(bytes)
  await new Promise((resolve) => setImmediate(resolve))
  const receivedInPause = server.bytes.length
  const heldByClient = client.writableLength
  server.transport.resume()
  await server.untilBytes(bytes.length)

  t.is(receivedInPause, 0)
  t.true(heldByClient > 0)
  t.true(server.bytes.equals(bytes))
})

test('closing sends what is pending before it ends the connection', async (t) => {
  const { listener, acceptor } = await listen(t)
  const client = await connectTo(t, listener)
  const server = await acceptor.next()

  server.transport.write(Buffer.alloc(8 * MEBIBYTE, 1))
  server.transport.write(Buffer.from('last'))
  server.transport.close()
  server.transport.write(Buffer.from('too late'))
  const bytes = await readAll(client)

  t.is(bytes.length, 8 * MEBIBYTE + 4)
  t.is(bytes.subarray(-4).toString(), 'last')
  t.is(await server.untilClosed(), undefined)
})

test('closing a transport whose client still sends loses none of our bytes', async (t) => {
  const { listener, acceptor } = await listen(t)
  const client = await connectTo(t, listener)
  const server = await acceptor.next()
  const failures: Error[] = []
  client.on('error', (error) => failures.push(error))

  server.transport.pause()
  client.write(Buffer.alloc(4 * MEBIBYTE, 0x10))
  server.transport.write(Buffer.from('goodbye'))
  server.transport.close()
  const bytes = await readAll(client)

  t.is(bytes.toString(), 'goodbye')
  t.deepEqual(failures, [])
  t.is(await server.untilClosed(), undefined)
  t.is(server.bytes.length, 0)
})

test('closing gives up on a client that never reads', async (t) => {
  const { listener, acceptor } = await listen(t)
  const client = await connectTo(t, listener)
  const server = await acceptor.next()

  client.pause()
  server.transport.write(Buffer.alloc(16 * MEBIBYTE))
  server.transport.close()
  const error = await server.untilClosed()

  t.is(error, undefined)
  t.deepEqual(server.closings, [undefined])
})

test('destroying drops what is pending and reports the end once', async (t) => {
  const { listener, acceptor } = await listen(t)
  const client = await connectTo(t, listener)
  const server = await acceptor.next()

  client.pause()
  server.transport.write(Buffer.alloc(16 * MEBIBYTE))
  server.transport.destroy()
  const closingsAtOnce = server.closings.length
  await server.untilClosed()
  server.transport.close()
  server.transport.destroy()
  server.transport.write(Buffer.from('no'))
  server.transport.resume()
  const bytes = await readAll(client.resume())

  t.is(closingsAtOnce, 0)
  t.deepEqual(server.closings, [undefined])
  t.true(bytes.length < 16 * MEBIBYTE)
})

test('a client that ends the connection is no error', async (t) => {
  const { listener, acceptor } = await listen(t)
  const client = await connectTo(t, listener)
  const server = await acceptor.next()

  client.end(CONNECT)
  const error = await server.untilClosed()

  t.is(error, undefined)
  t.deepEqual(server.bytes, CONNECT)
})

test('a client that resets the connection is reported as a sentence', async (t) => {
  const { listener, acceptor } = await listen(t)
  const client = await connectTo(t, listener)
  const server = await acceptor.next()

  client.resetAndDestroy()
  const error = await server.untilClosed()

  t.is(error, 'the client reset the connection')
})

test('a TLS client on the plain port is named', async (t) => {
  const { listener, acceptor } = await listen(t)
  const client = await connectTo(t, listener)

  client.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]))
  const server = await acceptor.next()
  const error = await server.untilClosed()

  t.is(error, 'a TLS client on a plain MQTT port; use mqtts:// on a TLS listener')
  t.deepEqual(server.chunks, [])
})

for (const request of [
  'GET / HTTP/1.1',
  'POST /mqtt HTTP/1.1',
  'HEAD / HTTP/1.0',
  'OPTIONS * HTTP/1.1',
]) {
  test(`an HTTP client that sends ${request} on the MQTT port is answered`, async (t) => {
    const { listener, acceptor } = await listen(t)
    const client = await connectTo(t, listener)

    client.write(`${request}\r\nHost: broker\r\n\r\n`)
    const answer = await readAll(client)
    const server = await acceptor.next()

    t.regex(answer.toString(), /^HTTP\/1\.1 400 Bad Request\r\n/)
    t.regex(answer.toString(), /an HTTP client on an MQTT port; WebSocket listens elsewhere\n$/)
    t.regex((await server.untilClosed()) ?? '', /an HTTP client on an MQTT port/)
    t.deepEqual(server.chunks, [])
  })
}

test('only the first bytes of a connection are looked at for strangers', async (t) => {
  const { listener, acceptor } = await listen(t)
  const client = await connectTo(t, listener)
  const server = await acceptor.next()

  client.write(CONNECT)
  await server.untilBytes(CONNECT.length)
  client.write('GET / HTTP/1.1\r\n')
  const bytes = await server.untilBytes(CONNECT.length + 16)

  t.is(bytes.subarray(CONNECT.length).toString(), 'GET / HTTP/1.1\r\n')
})

test('a listener on IPv6 has brackets in its URL and takes them in its host', async (t) => {
  const { listener, acceptor } = await listen(t, { host: '[::1]' })

  await connectTo(t, listener, { host: '::1' })
  const { transport } = await acceptor.next()

  t.regex(listener.url, /^mqtt:\/\/\[::1\]:\d+$/)
  t.is(transport.peer.address, '::1')
})

test('an IPv4 client of a listener for all addresses has its plain IPv4 address', async (t) => {
  const { listener, acceptor } = await listen(t, { host: '::' })

  await connectTo(t, listener, { host: '127.0.0.1' })
  const { transport } = await acceptor.next()

  t.is(transport.peer.address, '127.0.0.1')
})

test('a port that is taken is an error that says what to do', async (t) => {
  const { listener } = await listen(t)
  const port = Number(new URL(listener.url).port)

  const error = await t.throwsAsync(listen(t, { port }), { instanceOf: ListenError })

  t.is(error.code, 'EADDRINUSE')
  t.is(
    error.message,
    `Cannot listen on 127.0.0.1:${port}: the port is taken by another program. Stop it or choose another with --port.`,
  )
})

test('an address that is not ours is an error that says what to do', async (t) => {
  const error = await t.throwsAsync(listen(t, { host: '2001:db8::1', port: 1883 }), {
    instanceOf: ListenError,
  })

  t.is(error.code, 'EADDRNOTAVAIL')
  t.regex(
    error.message,
    /^Cannot listen on \[2001:db8::1\]:1883: this machine has no such address\./,
  )
})

test('a closed listener accepts nobody, but its connections stay', async (t) => {
  const { listener, acceptor } = await listen(t)
  const client = await connectTo(t, listener)
  const server = await acceptor.next()

  await listener.close()
  await t.throwsAsync(
    connectTo(t, listener).then((socket) => once(socket, 'close')),
    undefined,
  )
  client.write(CONNECT)
  const bytes = await server.untilBytes(CONNECT.length)

  t.deepEqual(bytes, CONNECT)
  t.is(acceptor.accepted.length, 1)
})
