/** Who connects and says nothing, before and after a handshake; and who is not let in at all. */

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import test, { type ExecutionContext } from 'ava'
import { startBroker } from '../support/broker.ts'
import { certificates } from '../support/certificates.ts'
import { openClient } from '../support/client.ts'
import { temporaryDirectory } from '../support/processes.ts'
import { recordingLogger } from '../support/recording-logger.ts'
import { nextTurn } from '../support/turns.ts'

test('the oldest of an address that says nothing goes when there are too many; others stay', async (t) => {
  const logger = recordingLogger()
  const { broker } = await startBroker(t, { perAddress: { halfOpenMax: 2 }, logger })
  const other = openClient(broker, 5, { address: '192.0.2.2' })
  const [first, second, third] = [1, 2, 3].map(() =>
    openClient(broker, 5, { address: '192.0.2.1' }),
  )

  await first?.closed()
  second?.connect()
  third?.connect()
  other.connect()

  for (const client of [second, third, other]) await client?.expect(t, 'connack', { reasonCode: 0 })
  t.is(broker.counters.limitsReached.halfOpen, 1)
  t.regex(String(logger.find('connection refused')[0]?.fields['rule']), /perAddress\.halfOpenMax/)
})

test('all together are bounded too, and who has spoken does not count', async (t) => {
  const { broker } = await startBroker(t, { limits: { halfOpenMax: 3 } })
  const spoken = openClient(broker, 5, { address: '192.0.2.1' })
  spoken.connect()
  await spoken.expect(t, 'connack')
  const clients = Array.from({ length: 4 }, (_, i) =>
    openClient(broker, 5, { address: `192.0.2.${i + 2}` }),
  )

  await clients[0]?.closed()
  for (const client of clients.slice(1)) client.connect()

  for (const client of clients.slice(1)) await client.expect(t, 'connack', { reasonCode: 0 })
  await spoken.settled()
})

test('who named a method and does not go on has said nothing yet; who goes on is not in its way', async (t) => {
  const steps = {
    first: { kind: 'continue', userName: 'alice' },
    last: { kind: 'success', userName: 'alice' },
  } as const
  const next = (data: Buffer | undefined) => (data === undefined ? steps.first : steps.last)
  const { broker } = await startBroker(t, {
    hooks: { authenticationMethods: { X: () => ({ next }) } },
    perAddress: { halfOpenMax: 2 },
  })
  const begin = async () => {
    const client = openClient(broker, 5, { address: '192.0.2.1' })
    client.connect({ properties: { authenticationMethod: 'X' } })
    await client.expect(t, 'auth')
    return client
  }
  const properties = { authenticationMethod: 'X', authenticationData: Buffer.from('x') }
  const honest = await begin()
  honest.send({ cmd: 'auth', reasonCode: 0x18, properties })
  await honest.expect(t, 'connack', { reasonCode: 0 })
  const silent = [await begin(), await begin()]

  await begin()

  t.deepEqual(await silent[0]?.closed(), [])
  t.false(silent[1]?.isClosed)
  t.deepEqual(await honest.settled(), [])
  t.is(broker.counters.limitsReached.halfOpen, 1)
})

test('this machine may be as silent as it likes, unless it is said', async (t) => {
  const { broker } = await startBroker(t, { limits: { halfOpenMax: 1 } })
  const clients = Array.from({ length: 5 }, () => openClient(broker, 5, { address: '127.0.0.1' }))
  await nextTurn()
  await nextTurn()

  for (const client of clients) client.connect()

  for (const client of clients) await client.expect(t, 'connack', { reasonCode: 0 })
})

/** A broker with TLS on a free port, that treats this machine like any other. */
async function startTls(t: ExecutionContext, options: object) {
  const { server } = await certificates()
  const directory = temporaryDirectory(t)
  const [keyFile, certFile] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  writeFileSync(keyFile, server.key)
  writeFileSync(certFile, server.cert)
  const logger = recordingLogger()
  const { broker } = await startBroker(t, {
    listeners: [{ type: 'tls', port: 0, keyFile, certFile }],
    logger,
    ...options,
  })
  return { broker, logger, port: Number(broker.urls[0]?.split(':').at(-1)), directory }
}

async function openSocket(t: ExecutionContext, port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  socket.resume()
  await once(socket, 'connect')
  return socket
}

test('handshakes that are never finished are bounded, and a client that does finish comes in', async (t) => {
  const { broker, port, logger } = await startTls(t, {
    limits: { loopback: true },
    perAddress: { halfOpenMax: 2 },
  })
  const sockets = [await openSocket(t, port), await openSocket(t, port)]

  const secure = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
  t.teardown(() => secure.destroy())
  await Promise.all([once(secure, 'secureConnect'), once(sockets[0] as Socket, 'close')])

  t.true(broker.counters.limitsReached.halfOpen >= 1)
  t.regex(
    String((await logger.next('connection refused'))['rule']),
    /perAddress\.halfOpenMax is reached/,
  )
})

test('a banned address is refused before the handshake: not one byte is answered', async (t) => {
  const file = join(temporaryDirectory(t), 'bans')
  writeFileSync(file, 'address=127.0.0.0/8 reason="no more"\n')
  const { broker, port, logger } = await startTls(t, { bans: { file } })

  const secure = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
  secure.on('error', () => {})
  await new Promise((resolve) => secure.once('close', resolve))

  t.is(secure.bytesRead, 0)
  t.is(broker.counters.limitsReached.bans, 1)
  t.is((await logger.next('connection refused'))['rule'], 'banned: no more (address=127.0.0.0/8)')
})

test('an address that connects too often is refused before the next handshake', async (t) => {
  const { broker, port } = await startTls(t, {
    limits: { loopback: true, burstSeconds: 1 },
    perAddress: { connectionsPerSecond: 1 },
  })
  const socket = await openSocket(t, port)
  socket.destroy()
  await once(socket, 'close')

  const again = async () => {
    const next = await openSocket(t, port)
    await Promise.race([once(next, 'close'), nextTurn()])
    return broker.counters.limitsReached.connectionRate > 0
  }
  while (!(await again())) await nextTurn()

  t.true(broker.counters.limitsReached.connectionRate > 0)
})
