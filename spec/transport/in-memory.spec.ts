/** The in-memory pair behaves like a socket: ordered, never nested, with back-pressure both ways. */

import { Buffer } from 'node:buffer'
import { setImmediate as turn } from 'node:timers/promises'
import test from 'ava'
import type { InMemoryClientEnd } from '../../lib/transport/in-memory.ts'
import { connectInMemory } from '../../lib/transport/in-memory.ts'
import type { Clock } from '../../lib/util/clock.ts'
import type { Recorder } from '../support/transports.ts'
import { Acceptor } from '../support/transports.ts'

interface Pair {
  readonly client: InMemoryClientEnd
  readonly server: Recorder
  /** What the client was told, in order; `closed` at the end. */
  readonly told: string[]
  /** Resolves when the client has been told that it is closed. */
  readonly closed: Promise<void>
}

async function connect(clock?: Clock): Promise<Pair> {
  const acceptor = new Acceptor()
  const client = connectInMemory(acceptor.accept, { address: '192.0.2.7' }, clock)
  const told: string[] = []
  client.onData = (chunk) => told.push(chunk.toString())
  const closed = new Promise<void>((resolve) => {
    client.onClose = () => {
      told.push('closed')
      resolve()
    }
  })
  return { client, server: await acceptor.next(), told, closed }
}

test('the server learns the facts it is given about the client', async (t) => {
  const { server } = await connect()

  t.deepEqual(server.transport.peer, {
    listener: 'memory',
    protocol: 'memory',
    address: '192.0.2.7',
    port: 0,
    certificate: undefined,
    userName: undefined,
  })
})

test('bytes arrive in order, both ways, and not within the call that sends them', async (t) => {
  const { client, server, told } = await connect()

  client.write(Buffer.from('one'))
  client.write(Buffer.from('two'))
  server.transport.write(Buffer.from('three'))
  server.transport.write(Buffer.from('four'))
  const atOnce = [server.chunks.length, told.length, server.transport.pendingBytes]
  await turn()

  t.deepEqual(atOnce, [0, 0, 0])
  t.deepEqual(server.chunks.map(String), ['one', 'two'])
  t.deepEqual(told, ['three', 'four'])
  t.is(server.drainings, 0)
})

test('what a client does with its bytes afterwards changes nothing for others', async (t) => {
  const pairs = [await connect(), await connect()] as const
  const [first, second] = pairs
  first.client.onData = (chunk) => chunk.fill(0)
  const shared = Buffer.from('to both')
  for (const { server } of pairs) server.transport.write(shared)
  const own = Buffer.from('to the server')
  first.client.write(own)
  own.fill(0)
  await turn()

  t.deepEqual(second.told, ['to both'])
  t.deepEqual(first.server.chunks.map(String), ['to the server'])
})

test('an answer given while bytes are delivered is not delivered inside of that', async (t) => {
  const { client, server } = await connect()
  const order: string[] = []
  server.received = (): void => {
    order.push('received')
    server.transport.write(Buffer.from('answer'))
    order.push('answered')
  }
  client.onData = () => order.push('answer')

  client.write(Buffer.from('question'))
  client.write(Buffer.from('question'))
  await turn()
  await turn()

  t.deepEqual(order, ['received', 'answered', 'received', 'answered', 'answer', 'answer'])
})

test('two ends that answer each other for ever let the program go on', async (t) => {
  const { client, server } = await connect()
  let answers = 0
  server.received = (chunk) => server.transport.write(chunk)
  client.onData = (chunk) => {
    answers++
    client.write(chunk)
  }

  client.write(Buffer.from('ball'))
  for (let i = 0; i < 10; i++) await turn() // oxlint-disable-line no-await-in-loop
  client.destroy()

  t.true(answers > 0 && answers <= 10)
})

test('bytes pile up for a client that pauses reading, until it resumes', async (t) => {
  const { client, server, told } = await connect()

  client.pauseReading()
  server.transport.write(Buffer.from('one'))
  server.transport.write(Buffer.from('three'))
  await turn()
  const pendingBytes = server.transport.pendingBytes
  const toldInPause = told.length
  client.resumeReading()
  await server.until(() => server.drainings > 0)

  t.is(pendingBytes, 8)
  t.is(toldInPause, 0)
  t.is(server.transport.pendingBytes, 0)
  t.deepEqual(told, ['one', 'three'])
  t.is(server.drainings, 1)
})

test('a client that pauses between two chunks gets the second when it resumes', async (t) => {
  const { client, server, told } = await connect()
  client.onData = (chunk) => {
    told.push(chunk.toString())
    client.pauseReading()
  }

  server.transport.write(Buffer.from('one'))
  server.transport.write(Buffer.from('two'))
  await turn()
  const toldInPause = [...told]
  client.resumeReading()
  await turn()

  t.deepEqual(toldInPause, ['one'])
  t.deepEqual(told, ['one', 'two'])
})

test('a paused server receives nothing until it resumes', async (t) => {
  const { client, server } = await connect()

  server.transport.pause()
  client.write(Buffer.from('one'))
  await turn()
  const inPause = [client.isServerPaused, server.chunks.length]
  server.transport.resume()
  await server.untilBytes(3)

  t.deepEqual(inPause, [true, 0])
  t.false(client.isServerPaused)
})

test('the server closes after what it has written, and receives no more', async (t) => {
  const { client, server, told, closed } = await connect()

  client.write(Buffer.from('not any more'))
  server.transport.write(Buffer.from('goodbye'))
  server.transport.close()
  server.transport.write(Buffer.from('too late'))
  const closingsAtOnce = server.closings.length
  await closed

  t.is(closingsAtOnce, 0)
  t.deepEqual(told, ['goodbye', 'closed'])
  t.deepEqual(server.closings, [undefined])
  t.deepEqual(server.chunks, [])
})

test('the server gives up closing when the time for it has passed', async (t) => {
  const timers: (() => void)[] = []
  const clock = {
    now: () => 0,
    after: (_: number, run: () => void) => (timers.push(run), () => {}),
  }
  const { client, server, told, closed } = await connect(clock)

  client.pauseReading()
  server.transport.write(Buffer.from('never read'))
  server.transport.close()
  await turn()
  const closingsBefore = server.closings.length
  for (const run of timers) run()
  await closed

  t.is(closingsBefore, 0)
  t.deepEqual(told, ['closed'])
  t.deepEqual(server.closings, [undefined])
})

test('the server destroys without a last word', async (t) => {
  const { server, told, closed } = await connect()

  server.transport.write(Buffer.from('goodbye'))
  server.transport.destroy()
  server.transport.destroy()
  server.transport.close()
  await closed

  t.deepEqual(told, ['closed'])
  t.deepEqual(server.closings, [undefined])
})

test('a client that closes is heard to the end', async (t) => {
  const { client, server, told, closed } = await connect()

  client.write(Buffer.from('last'))
  client.close()
  client.write(Buffer.from('too late'))
  await closed

  t.deepEqual(server.chunks.map(String), ['last'])
  t.deepEqual(server.closings, [undefined])
  t.deepEqual(told, ['closed'])
})

test('a client that breaks off is reported as one that reset the connection', async (t) => {
  const { client, server, closed } = await connect()

  client.write(Buffer.from('lost'))
  client.destroy()
  await closed

  t.deepEqual(server.chunks, [])
  t.deepEqual(server.closings, ['the client reset the connection'])
  t.is(server.transport.pendingBytes, 0)
})

test('two ends that close at the same moment are both told at once', async (t) => {
  const { client, server, told, closed } = await connect()

  client.close()
  server.transport.close()
  await closed

  t.deepEqual(told, ['closed'])
})
