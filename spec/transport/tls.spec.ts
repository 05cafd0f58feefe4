/** Real TLS: certificates and their exchange, client certificates, handshakes that fail. */

import { Buffer } from 'node:buffer'
import { spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { connect } from 'node:tls'
import type { ExecutionContext } from 'ava'
import test from 'ava'
import { ListenError } from '../../lib/transport/listen.ts'
import type { TlsCredentials, TlsListener, TlsOptions } from '../../lib/transport/tls.ts'
import { listenTls } from '../../lib/transport/tls.ts'
import type { Certificates } from '../support/certificates.ts'
import { certificates } from '../support/certificates.ts'
import {
  Acceptor,
  closeAfter,
  connectTo,
  readAll,
  readBytes,
  whereOf,
} from '../support/transports.ts'

const MEBIBYTE = 1024 * 1024

interface Door {
  readonly listener: TlsListener
  readonly acceptor: Acceptor
  readonly made: Certificates
}

async function listen(t: ExecutionContext, options: Partial<TlsOptions> = {}): Promise<Door> {
  const made = await certificates()
  const acceptor = new Acceptor()
  const { refused } = acceptor
  const credentials = credentialsOf(made, made.server.cert)
  const address = { name: 'door', host: '127.0.0.1', port: 0 }
  const listener = await listenTls(
    { ...address, credentials, refused, ...options },
    acceptor.accept,
  )
  closeAfter(t, listener, acceptor)
  return { listener, acceptor, made }
}

function credentialsOf(made: Certificates, cert: string): TlsCredentials {
  const { key } = cert === made.server.cert ? made.server : made.renewedServer
  return { key, cert, ca: made.ca.cert }
}

async function connectTls(
  t: ExecutionContext,
  { listener, made }: Door,
  options: ConnectionOptions = {},
): Promise<TLSSocket> {
  const socket = connect({ ...whereOf(listener), ca: made.ca.cert, ...options })
  t.teardown(() => socket.destroy())
  await once(socket, 'secureConnect')
  socket.on('error', () => {})
  return socket
}

test('bytes travel both ways, and a client without certificate has none', async (t) => {
  const door = await listen(t)
  const client = await connectTls(t, door)
  const server = await door.acceptor.next()

  client.write('ping')
  server.transport.write(Buffer.from('pong'))
  const bytes = await server.untilBytes(4)
  const answer = await readBytes(client, 4)

  t.is(bytes.toString(), 'ping')
  t.is(answer.toString(), 'pong')
  t.regex(door.listener.url, /^mqtts:\/\/127\.0\.0\.1:\d+$/)
  t.like(server.transport.peer, { protocol: 'tls', address: '127.0.0.1', certificate: undefined })
  t.is(server.transport.peer.port, client.localPort ?? 0)
})

test('back-pressure and closing work as on plain TCP', async (t) => {
  const door = await listen(t)
  const client = await connectTls(t, door)
  const server = await door.acceptor.next()

  client.pause()
  server.transport.write(Buffer.alloc(16 * MEBIBYTE, 7))
  const pendingBytes = server.transport.pendingBytes
  const received = readBytes(client, 16 * MEBIBYTE)
  client.resume()
  const bytes = await received
  await server.until(() => server.drainings > 0)
  server.transport.close()
  const error = await server.untilClosed()

  t.is(pendingBytes, 16 * MEBIBYTE)
  t.true(bytes.equals(Buffer.alloc(16 * MEBIBYTE, 7)))
  t.is(server.transport.pendingBytes, 0)
  t.is(error, undefined)
})

test('a paused transport receives nothing until it resumes', async (t) => {
  const door = await listen(t)
  const client = await connectTls(t, door)
  const server = await door.acceptor.next()
  const sent = Buffer.alloc(16 * MEBIBYTE, 0x10)

  server.transport.pause()
  client.write(sent)
  await new Promise((resolve) => setImmediate(resolve))
  const receivedInPause = server.byteLength
  server.transport.resume()
  const bytes = await server.untilBytes(sent.length)

  t.is(receivedInPause, 0)
  t.true(bytes.equals(sent))
})

test('reloading serves the new certificate to new clients and keeps the old ones', async (t) => {
  const door = await listen(t)
  const oldClient = await connectTls(t, door)
  const server = await door.acceptor.next()

  door.listener.reload(credentialsOf(door.made, door.made.renewedServer.cert))
  const newClient = await connectTls(t, door)
  oldClient.write('still here')
  const bytes = await server.untilBytes(10)

  t.is(oldClient.getPeerCertificate().subject.CN, 'server')
  t.is(newClient.getPeerCertificate().subject.CN, 'renewed-server')
  t.is(bytes.toString(), 'still here')
  t.deepEqual(server.closings, [])
})

test('certificates that cannot be used are refused and the old ones stay', async (t) => {
  const door = await listen(t)
  const { server, renewedServer } = door.made

  const error = t.throws(
    () => door.listener.reload({ key: server.key, cert: renewedServer.cert }),
    { instanceOf: ListenError },
  )
  const client = await connectTls(t, door)

  t.is(error.code, 'ERR_CERTIFICATE')
  t.regex(error.message, /^Cannot use the certificates of the listener "door": .*mismatch/)
  t.is(client.getPeerCertificate().subject.CN, 'server')
})

test('a listener is not opened with a certificate that is none', async (t) => {
  const credentials = { key: 'no key', cert: 'no certificate' }

  const error = await t.throwsAsync(listen(t, { credentials }), { instanceOf: ListenError })

  t.is(error.code, 'ERR_CERTIFICATE')
})

test('a verified client certificate is a fact about the peer', async (t) => {
  const door = await listen(t, { requireCert: true })

  await connectTls(t, door, door.made.client)
  const server = await door.acceptor.next()

  const { fingerprint256, serialNumber } = new X509Certificate(door.made.client.cert)
  t.deepEqual(server.transport.peer.certificate, {
    commonName: 'client-1',
    fingerprint256,
    serialNumber,
    dnsNames: [],
    emailAddresses: [],
    uris: [],
  })
  t.is(server.transport.peer.userName, undefined)
})

test('a certificate of another authority counts as none if none is required', async (t) => {
  const door = await listen(t, { requestCert: true })

  await connectTls(t, door, door.made.otherClient)
  const server = await door.acceptor.next()

  t.is(server.transport.peer.certificate, undefined)
})

test('a client without a certificate is refused where one is required', async (t) => {
  const door = await listen(t, { requireCert: true })

  const client = connect({ ...whereOf(door.listener), ca: door.made.ca.cert })
  client.on('error', () => {})
  const { peer, sentence } = await door.acceptor.nextRefusal()

  t.is(sentence, 'the client sent no certificate, and this listener requires one')
  t.like(peer, { listener: 'door', protocol: 'tls', address: '127.0.0.1' })
  t.is(door.acceptor.accepted.length, 0)
})

test('a client with a certificate of another authority is refused', async (t) => {
  const door = await listen(t, { requireCert: true })

  const client = connect({
    ...whereOf(door.listener),
    ca: door.made.ca.cert,
    ...door.made.otherClient,
  })
  client.on('error', () => {})
  const { sentence } = await door.acceptor.nextRefusal()

  t.regex(
    sentence,
    /^the client certificate "client-2", serial [0-9A-F]+ is signed by nobody in caFile$/,
  )
  t.is(door.acceptor.accepted.length, 0)
})

test('an authority that a reload takes away is not trusted by a resumed session either', async (t) => {
  const door = await listen(t, { requireCert: true })
  const { made, listener, acceptor } = door
  const first = await connectTls(t, door, { ...made.client, maxVersion: 'TLSv1.2' })
  const session = first.getSession()

  listener.reload({ ...made.server, ca: made.otherCa.cert })
  const second = connect({
    ...whereOf(listener),
    ...made.client,
    ca: made.ca.cert,
    maxVersion: 'TLSv1.2',
    ...(session === undefined ? {} : { session }),
  })
  second.on('error', () => {})
  const { sentence } = await acceptor.nextRefusal()

  t.truthy(session)
  t.regex(
    sentence,
    /^the client certificate "client-1", serial [0-9A-F]+ is signed by nobody in caFile$/,
  )
})

test('a client that is too old is refused with a sentence', async (t) => {
  const door = await listen(t)

  const client = connect({
    ...whereOf(door.listener),
    ca: door.made.ca.cert,
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT@SECLEVEL=0',
  })
  client.on('error', () => {})
  const { sentence } = await door.acceptor.nextRefusal()

  t.is(sentence, 'the client offered no TLS version we accept; minTlsVersion is the oldest')
})

test('a client that does not trust our certificate is reported', async (t) => {
  const door = await listen(t)

  const { host, port } = whereOf(door.listener)
  const client = spawn('openssl', [
    's_client',
    '-verify_return_error',
    '-connect',
    `${host}:${port}`,
  ])
  t.teardown(() => client.kill())
  const { sentence } = await door.acceptor.nextRefusal()

  t.is(sentence, 'the client does not trust our certificate')
})

const strangers = [
  [
    'plain MQTT',
    '\x10\x0c\0\x04MQTT',
    'the client sent plain MQTT to a TLS port; switch TLS on in the client',
  ],
  [
    'plain HTTP',
    'GET / HTTP/1.1\r\n\r\n',
    'the client sent plain HTTP to a TLS port; use wss:// or https://',
  ],
  [
    'a PROXY header',
    'PROXY UNKNOWN\r\n',
    'a PROXY header on a listener that expects none; set proxyProtocol and trustedProxies',
  ],
  ['nonsense', 'hello, is it me?', 'the client does not speak TLS'],
] as const

for (const [name, bytes, expected] of strangers) {
  test(`a client that sends ${name} to the TLS port is told apart`, async (t) => {
    const { listener, acceptor } = await listen(t)
    const client = await connectTo(t, listener)

    client.write(bytes, 'latin1')
    const { peer, sentence } = await acceptor.nextRefusal()
    await readAll(client)

    t.is(sentence, expected)
    t.is(peer.address, '127.0.0.1')
  })
}

test('a ClientHello in pieces of one byte is understood', async (t) => {
  const door = await listen(t)
  const pieces = await connectTo(t, door.listener)
  const inner = connect({ socket: trickle(t, pieces), ca: door.made.ca.cert })
  t.teardown(() => inner.destroy())

  inner.write('hello')
  const server = await door.acceptor.next()
  const bytes = await server.untilBytes(5)

  t.is(bytes.toString(), 'hello')
})

/** Returns a stream that sends each byte to `socket` in a write of its own. */
function trickle(t: ExecutionContext, socket: Socket): Duplex {
  const stream = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      for (const byte of chunk) socket.write(Buffer.from([byte]))
      socket.write('', () => done())
    },
  })
  socket.on('data', (chunk: Buffer) => stream.push(chunk))
  t.teardown(() => stream.destroy())
  return stream
}

test('a client that says nothing is given up on', async (t) => {
  const { listener, acceptor } = await listen(t, { handshakeTimeoutMs: 50 })
  const client = await connectTo(t, listener)

  const { sentence } = await acceptor.nextRefusal()
  const bytes = await readAll(client)

  t.is(sentence, 'the TLS handshake was not complete after 0.05 s')
  t.is(bytes.length, 0)
})

test('a client that stops in the middle of the handshake is given up on', async (t) => {
  const { listener, acceptor } = await listen(t, { handshakeTimeoutMs: 50 })
  const client = await connectTo(t, listener)

  client.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]))
  const { sentence } = await acceptor.nextRefusal()
  await readAll(client)

  t.is(sentence, 'the TLS handshake was not complete after 0.05 s')
  t.is(acceptor.accepted.length, 0)
})

test('a client that leaves in the middle of the handshake is reported, one that only knocks is not', async (t) => {
  const { listener, acceptor } = await listen(t)
  const knocking = await connectTo(t, listener)
  knocking.end()
  await readAll(knocking)

  const leaving = await connectTo(t, listener)
  const port = leaving.localPort ?? 0
  leaving.end(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]))
  const { peer, sentence } = await acceptor.nextRefusal()

  t.is(peer.port, port)
  t.is(sentence, 'the client closed the connection during the TLS handshake')
  t.is(peer.address, '127.0.0.1')
  t.deepEqual(acceptor.refusals, [])
})

test('closing the listener ends handshakes and keeps connections', async (t) => {
  const door = await listen(t, { handshakeTimeoutMs: 3_600_000 })
  const pending = await connectTo(t, door.listener)
  pending.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]))
  const client = await connectTls(t, door)
  const server = await door.acceptor.next()

  await door.listener.close()
  await readAll(pending)
  client.write('still here')
  const bytes = await server.untilBytes(10)

  t.is(bytes.toString(), 'still here')
})
