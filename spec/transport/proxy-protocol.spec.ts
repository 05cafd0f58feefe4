/** PROXY headers: the parser on bytes, then behind it real sockets of TCP, TLS and WebSocket. */

import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { connect } from 'node:tls'
import type { ExecutionContext } from 'ava'
import test from 'ava'
import * as fc from 'fast-check'
import { WebSocket } from 'ws'
import type { NetworkOptions } from '../../lib/transport/listen.ts'
import { ListenError } from '../../lib/transport/listen.ts'
import { parseProxyHeader } from '../../lib/transport/proxy-protocol.ts'
import { listenTcp } from '../../lib/transport/tcp.ts'
import { listenTls } from '../../lib/transport/tls.ts'
import type { Listener } from '../../lib/transport/transport.ts'
import { listenWebSocket } from '../../lib/transport/websocket.ts'
import { certificates } from '../support/certificates.ts'
import { Acceptor, closeAfter, connectTo, readAll } from '../support/transports.ts'

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')

/** Builds a header of version 2 from its two code bytes and what follows the length. */
function binary(command: number, family: number, rest: Buffer): Buffer {
  const fixed = Buffer.from([command, family, rest.length >> 8, rest.length & 0xff])
  return Buffer.concat([SIGNATURE, fixed, rest])
}

const OVER_IPV4 = Buffer.from([192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 0x07, 0x5b])
const OVER_IPV6 = Buffer.concat([
  Buffer.from('20010db8000000000000000000000007', 'hex'),
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.from([0x12, 0x67, 0x07, 0x5b]),
])
const TLV = Buffer.from([0x01, 0, 3, 1, 2, 3])

const valid: readonly [name: string, header: Buffer, address: string | undefined][] = [
  ['version 1, TCP4', Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 4711 1883\r\n'), '192.0.2.7'],
  [
    'version 1, TCP6',
    Buffer.from('PROXY TCP6 2001:DB8::7 2001:db8::1 4711 1883\r\n'),
    '2001:db8::7',
  ],
  ['version 1, UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), undefined],
  [
    'version 1, UNKNOWN with addresses',
    Buffer.from('PROXY UNKNOWN ff::1 ff::2 1 2\r\n'),
    undefined,
  ],
  ['version 2, IPv4', binary(0x21, 0x11, OVER_IPV4), '192.0.2.7'],
  ['version 2, IPv4 with a TLV', binary(0x21, 0x11, Buffer.concat([OVER_IPV4, TLV])), '192.0.2.7'],
  ['version 2, IPv6', binary(0x21, 0x21, OVER_IPV6), '2001:db8::7'],
  ['version 2, LOCAL', binary(0x20, 0x00, Buffer.alloc(0)), undefined],
  ['version 2, LOCAL with addresses', binary(0x20, 0x11, OVER_IPV4), undefined],
  ['version 2, a Unix socket', binary(0x21, 0x31, Buffer.alloc(216, 1)), undefined],
]

for (const [name, header, address] of valid) {
  test(`${name}: the header is complete with its last byte and not before`, (t) => {
    const port = address === undefined ? 0 : 4711
    const expected = { state: 'done', address, port, headerBytes: header.length }

    const early = Array.from(header, (_, length) => parseProxyHeader(header.subarray(0, length)))

    t.deepEqual(
      early.filter(({ state }) => state !== 'more'),
      [],
    )
    t.deepEqual(parseProxyHeader(header), expected)
    t.deepEqual(parseProxyHeader(Buffer.concat([header, Buffer.from('\x10\x0c')])), expected)
  })
}

const invalid: readonly [name: string, header: Buffer, sentence: RegExp][] = [
  ['MQTT', Buffer.from([0x10]), /does not begin with a PROXY header/],
  ['another word', Buffer.from('PRIXY'), /does not begin with a PROXY header/],
  ['an almost right signature', Buffer.from('\r\n\r\n\x01'), /does not begin with a PROXY header/],
  ['a line feed alone', Buffer.from('PROXY UNKNOWN\n'), /does not end in CR LF/],
  ['a line of 107 bytes without end', Buffer.from('PROXY '.padEnd(107, 'x')), /longer than 107/],
  ['UDP', Buffer.from('PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n'), /other than TCP4/],
  [
    'an address of the other family',
    Buffer.from('PROXY TCP4 ::1 ::2 1 2\r\n'),
    /address or a port/,
  ],
  ['a port too large', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n'), /address or a port/],
  ['a field missing', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n'), /address or a port/],
  ['a field too many', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n'), /address or a port/],
  ['version 3', binary(0x31, 0x11, OVER_IPV4), /unknown version 3/],
  ['command 2', binary(0x22, 0x11, OVER_IPV4), /unknown command 2/],
  ['UDP in version 2', binary(0x21, 0x12, OVER_IPV4), /not about a TCP connection/],
  ['family 4', binary(0x21, 0x41, OVER_IPV4), /not about a TCP connection/],
  ['addresses cut off', binary(0x21, 0x21, OVER_IPV4), /too short for its addresses/],
  ['4097 bytes behind the fixed ones', binary(0x21, 0x11, Buffer.alloc(4097)), /longer than 4112/],
]

for (const [name, header, sentence] of invalid) {
  test(`${name}: the header is invalid`, (t) => {
    const result = parseProxyHeader(header)

    t.is(result.state, 'invalid')
    t.regex(result.state === 'invalid' ? result.sentence : '', sentence)
  })
}

test('any bytes are judged without throwing, and within the bounds', (t) => {
  const start = fc.constantFrom('', 'PROXY ', 'PROXY TCP4 ', SIGNATURE.toString('latin1'))
  const rest = fc.uint8Array({ maxLength: 5000, size: 'max' })

  fc.assert(
    fc.property(start, rest, (text, tail) => {
      const bytes = Buffer.concat([Buffer.from(text, 'latin1'), tail])
      const result = parseProxyHeader(bytes)
      if (result.state === 'done') return result.headerBytes <= bytes.length
      return result.state === 'invalid' || bytes.length < 16 + 4096
    }),
  )
  t.pass()
})

type Listen = typeof listenTcp

async function listen(
  t: ExecutionContext,
  how: Listen,
  options: Partial<NetworkOptions> = {},
): Promise<{ listener: Listener; acceptor: Acceptor }> {
  const acceptor = new Acceptor()
  const proxied = { proxyProtocol: true, trustedProxies: ['127.0.0.1'] }
  const common = { name: 'door', host: '127.0.0.1', port: 0, refused: acceptor.refused }
  const listener = await how({ ...common, ...proxied, ...options }, acceptor.accept)
  closeAfter(t, listener, acceptor)
  return { listener, acceptor }
}

for (const [name, header, address] of valid) {
  test(`a client behind a proxy that sends ${name} is known by that, byte by byte`, async (t) => {
    const { listener, acceptor } = await listen(t, listenTcp)
    const proxy = await connectTo(t, listener)
    proxy.setNoDelay()

    for (const byte of header) proxy.write(Buffer.from([byte]))
    proxy.write('packets')
    const server = await acceptor.next()
    const bytes = await server.untilBytes(7)

    t.is(bytes.toString(), 'packets')
    t.is(server.transport.peer.address, address ?? '127.0.0.1')
    t.is(server.transport.peer.port, address === undefined ? (proxy.localPort ?? 0) : 4711)
  })
}

test('packets in the same chunk as the header are not lost', async (t) => {
  const { listener, acceptor } = await listen(t, listenTcp)
  const proxy = await connectTo(t, listener)

  proxy.write('PROXY TCP4 192.0.2.7 10.0.0.1 4711 1883\r\npackets')
  const server = await acceptor.next()
  server.transport.write(Buffer.from('answer'))
  const bytes = await server.untilBytes(7)
  server.transport.close()
  const answer = await readAll(proxy)

  t.is(bytes.toString(), 'packets')
  t.is(answer.toString(), 'answer')
})

test('garbage instead of a header is refused', async (t) => {
  const { listener, acceptor } = await listen(t, listenTcp)
  const proxy = await connectTo(t, listener)

  proxy.write(Buffer.from([0x10, 0x0c]))
  const { peer, sentence } = await acceptor.nextRefusal()
  const bytes = await readAll(proxy)

  t.is(sentence, 'the connection does not begin with a PROXY header')
  t.is(peer.address, '127.0.0.1')
  t.is(bytes.length, 0)
  t.is(acceptor.accepted.length, 0)
})

test('a proxy that is not trusted is refused before it says anything', async (t) => {
  const { listener, acceptor } = await listen(t, listenTcp, { trustedProxies: ['10.0.0.0/8'] })
  const proxy = await connectTo(t, listener)

  const { sentence } = await acceptor.nextRefusal()
  await readAll(proxy)

  t.is(sentence, 'the connection comes from an address that is not in trustedProxies')
})

test('a header that does not come is waited for no longer than the handshake may take', async (t) => {
  const { listener, acceptor } = await listen(t, listenTcp, { handshakeTimeoutMs: 50 })
  const proxy = await connectTo(t, listener)

  proxy.write('PROXY ')
  const { sentence } = await acceptor.nextRefusal()
  await readAll(proxy)

  t.is(sentence, 'the PROXY header was not complete after 0.05 s')
})

test('a listener that trusts no proxy, or one that is none, is not opened', async (t) => {
  const nobody = listen(t, listenTcp, { trustedProxies: [] })
  const typo = listen(t, listenTcp, { trustedProxies: ['10.0.0.0/33'] })

  const first = await t.throwsAsync(nobody, { instanceOf: ListenError })
  const second = await t.throwsAsync(typo, { instanceOf: ListenError })

  t.regex(first.message, /no proxy is trusted\. Name the proxies in trustedProxies\.$/)
  t.regex(second.message, /^Cannot trust the proxy "10\.0\.0\.0\/33"/)
})

test('the header precedes TLS', async (t) => {
  const made = await certificates()
  const credentials = { ...made.server, ca: made.ca.cert }
  const how: Listen = (options, accept) => listenTls({ ...options, credentials }, accept)
  const { listener, acceptor } = await listen(t, how)
  const proxy = await connectTo(t, listener)

  proxy.write('PROXY TCP4 192.0.2.7 10.0.0.1 4711 8883\r\n')
  const client = connect({ socket: proxy, ca: made.ca.cert, host: '127.0.0.1' })
  t.teardown(() => client.destroy())
  client.write('packets')
  const server = await acceptor.next()
  const bytes = await server.untilBytes(7)

  t.is(bytes.toString(), 'packets')
  t.like(server.transport.peer, { protocol: 'tls', address: '192.0.2.7', port: 4711 })
})

for (const isSecure of [false, true]) {
  test(`the header precedes ${isSecure ? 'wss' : 'ws'}, and X-Forwarded-For goes on from it`, async (t) => {
    const made = await certificates()
    const credentials = isSecure ? { ...made.server, ca: made.ca.cert } : undefined
    const how: Listen = (options, accept) => listenWebSocket({ ...options, credentials }, accept)
    const { listener, acceptor } = await listen(t, how, {
      trustedProxies: ['127.0.0.1', '192.0.2.0/24'],
    })
    const proxy = await connectTo(t, listener)
    proxy.write('PROXY TCP4 192.0.2.7 10.0.0.1 4711 8083\r\n')
    const socket = isSecure
      ? connect({ socket: proxy, ca: made.ca.cert, host: '127.0.0.1' })
      : proxy

    const client = new WebSocket(listener.url, 'mqtt', {
      createConnection: () => socket,
      headers: { 'X-Forwarded-For': '2001:DB8::9' },
    })
    t.teardown(() => client.terminate())
    await once(client, 'open')
    client.send(Buffer.from('packets'))
    const server = await acceptor.next()
    const bytes = await server.untilBytes(7)

    t.is(bytes.toString(), 'packets')
    t.like(server.transport.peer, { address: '2001:db8::9', port: 0 })
  })
}
