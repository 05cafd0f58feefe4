import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { type CreateBrokerOptions, createBroker } from '../../lib/index.ts'
import { openTcpClient, TestClient } from '../support/client.ts'
import { recordingLogger } from '../support/recording-logger.ts'
import { until } from '../support/turns.ts'

async function start(t: import('ava').ExecutionContext, options: CreateBrokerOptions) {
  const broker = await createBroker(options)
  t.teardown(() => broker.close())
  const ports = broker.urls.map((url) => Number(url.startsWith('unix') ? 0 : new URL(url).port))
  return { broker, ports }
}

test('each listener has limits and rules of its own', async (t) => {
  const { ports } = await start(t, {
    connection: { maximumPacketSizeBytes: 5000 },
    listeners: [
      { type: 'tcp', port: 0 },
      { type: 'tcp', port: 0, maximumPacketSizeBytes: 1000 },
      { type: 'tcp', port: 0, allowAnonymous: false },
    ],
  })

  const [plain, small, closed] = await Promise.all(ports.map((port) => openTcpClient(t, port)))
  for (const client of [plain, small, closed]) client?.connect()

  t.is((await plain?.expect(t, 'connack'))?.properties.maximumPacketSize, 5000)
  t.is((await small?.expect(t, 'connack'))?.properties.maximumPacketSize, 1000)
  t.is((await closed?.expect(t, 'connack'))?.reasonCode, 0x87)
})

test('a listener that is full refuses, and takes the next when one has left', async (t) => {
  const { broker, ports } = await start(t, {
    listeners: [{ type: 'tcp', port: 0, connectionsMax: 1 }],
  })
  const port = ports[0] as number
  const first = await openTcpClient(t, port)
  first.connect()
  await first.expect(t, 'connack', { reasonCode: 0 })

  const second = await openTcpClient(t, port)
  second.connect()
  await second.closed()
  const left = once(broker, 'disconnected')
  first.send({ cmd: 'disconnect' })
  await Promise.all([left, first.closed()])
  const third = await openTcpClient(t, port)
  third.connect()

  await third.expect(t, 'connack', { reasonCode: 0 })
})

test('an IPv6 listener serves, and its URL has brackets', async (t) => {
  const { broker, ports } = await start(t, { listeners: [{ type: 'tcp', host: '::1', port: 0 }] })
  const socket = createConnection({ host: '::1', port: ports[0] as number })
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')

  t.regex(broker.urls[0] as string, /^mqtt:\/\/\[::1\]:\d+$/)
})

test('a Unix socket serves', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'noctule-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'mqtt.sock')
  await start(t, { listeners: [{ type: 'unix', path }] })
  const client = new TestClient(5)
  const socket = createConnection(path)
  t.teardown(() => socket.destroy())
  socket.on('data', (chunk) => client.take(chunk))
  client.wire = socket

  client.connect()

  await client.expect(t, 'connack', { reasonCode: 0 })
})

test('behind a trusted proxy, log and hooks know the address that the proxy names', async (t) => {
  const logger = recordingLogger()
  const { ports } = await start(t, {
    logger,
    listeners: [{ type: 'tcp', port: 0, proxyProtocol: true, trustedProxies: ['127.0.0.1'] }],
  })
  const client = await openTcpClient(t, ports[0] as number)

  client.sendBytes(Buffer.from('PROXY TCP4 203.0.113.7 192.0.2.1 56324 1883\r\n'))
  client.connect()
  await client.expect(t, 'connack', { reasonCode: 0 })

  t.is(logger.find('client connected')[0]?.fields['address'], '203.0.113.7:56324')
})

for (const [name, bytes, words] of [
  ['a TLS client', Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]), /TLS/],
  ['a browser', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), /HTTP/],
] as const) {
  test(`${name} on a plain MQTT port is recognised and named in the log`, async (t) => {
    const logger = recordingLogger()
    const { ports } = await start(t, { logger, listeners: [{ type: 'tcp', port: 0 }] })
    const stranger = await openTcpClient(t, ports[0] as number)
    stranger.take = () => {}

    stranger.sendBytes(bytes)
    await until(() => logger.find('connection refused').length > 0)

    const [line] = logger.find('connection refused')
    t.regex(String(line?.fields['rule']), words)
    t.is(line?.fields['listener'], 'tcp-0')
  })
}
