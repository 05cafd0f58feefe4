/** What holds for sockets of each kind, whatever is written and whoever pauses when: nothing lost, nothing early. */

import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { connect } from 'node:tls'
import type { ExecutionContext } from 'ava'
import test from 'ava'
import { listenTcp } from '../../lib/transport/tcp.ts'
import { listenTls } from '../../lib/transport/tls.ts'
import type { Transport, TransportEvents } from '../../lib/transport/transport.ts'
import { type Random, seededRandom } from '../../lib/util/random.ts'
import { certificates } from '../support/certificates.ts'
import { defer, turns } from '../support/deferred.ts'
import { Acceptor, closeAfter, connectTo, readBytes, whereOf } from '../support/transports.ts'

const BYTES = 64 * 1024 * 1024

/** What pieces are cut from. */
const NOISE = randomBytes(1024 * 1024)

interface Pair {
  readonly client: Socket
  readonly transport: Transport
}

async function overTcp(t: ExecutionContext): Promise<Pair> {
  const acceptor = new Acceptor()
  const { accept, refused } = acceptor
  const door = { name: 'door', host: '127.0.0.1', port: 0, refused }
  const listener = await listenTcp(door, accept)
  closeAfter(t, listener, acceptor)
  const client = await connectTo(t, listener)
  const { transport } = await acceptor.next()
  return { client, transport }
}

async function overTls(t: ExecutionContext): Promise<Pair> {
  const acceptor = new Acceptor()
  const { accept, refused } = acceptor
  const { ca, server } = await certificates()
  const credentials = { key: server.key, cert: server.cert, ca: ca.cert }
  const door = { name: 'door', host: '127.0.0.1', port: 0, refused, credentials }
  const listener = await listenTls(door, accept)
  closeAfter(t, listener, acceptor)
  const client = connect({ ...whereOf(listener), ca: ca.cert })
  t.teardown(() => client.destroy())
  const { transport } = await acceptor.next()
  return { client, transport }
}

/** All that is sent in a test. Mostly what a few packets take, at times more than a socket takes at once. */
function* pieces(random: Random): Generator<Buffer> {
  for (let left = BYTES; left > 0; ) {
    const most = random.below(4) === 0 ? 400_000 : 2_000
    const size = Math.min(left, 1 + random.below(most))
    const at = random.below(NOISE.length - size)
    yield NOISE.subarray(at, at + size)
    left -= size
  }
}

/** Reads with pauses, which it begins while it is given bytes or between. */
class PausingReader implements TransportEvents {
  readonly chunks: Buffer[] = []
  readonly closed: () => void
  readonly #transport: Transport
  readonly #random: Random
  readonly #end = defer<void>()
  #isPaused = false
  /** Chunks that came while it paused. */
  early = 0
  pauses = 0

  constructor(transport: Transport, random: Random) {
    this.#transport = transport
    this.#random = random
    this.closed = () => this.#end.resolve()
    transport.events = this
  }

  get whenClosed(): Promise<void> {
    return this.#end.promise
  }

  received(chunk: Buffer): void {
    if (this.#isPaused) this.early++
    this.chunks.push(Buffer.from(chunk))
    const when = this.#random.below(8)
    if (when === 0) this.#pause()
    if (when === 1) setImmediate(() => this.#pause())
  }

  drained(): void {}

  #pause(): void {
    if (this.#isPaused) return
    this.#isPaused = true
    this.pauses++
    this.#transport.pause()
    void turns(this.#random.below(4)).then(() => {
      this.#isPaused = false
      this.#transport.resume()
    })
  }
}

/** Sees that each time the transport blocks it says once that it does no more. */
class DrainWatch implements TransportEvents {
  readonly #transport: Transport
  #isBlocked = false
  /** What was said while nothing was blocked, or before all had left. */
  wrong = 0
  drainings = 0
  #tell = () => {}

  constructor(transport: Transport) {
    this.#transport = transport
    transport.events = this
  }

  write(bytes: Buffer): void {
    this.#transport.write(bytes)
    if (this.#transport.pendingBytes > 0) this.#isBlocked = true
  }

  received(): void {}
  closed(): void {}

  drained(): void {
    if (!this.#isBlocked || this.#transport.pendingBytes > 0) this.wrong++
    this.#isBlocked = false
    this.drainings++
    this.#tell()
  }

  async untilDrained(): Promise<void> {
    const drained = defer<void>()
    this.#tell = () => drained.resolve()
    if (this.#isBlocked) await drained.promise
  }
}

for (const [name, open] of [
  ['TCP', overTcp],
  ['TLS', overTls],
] as const) {
  for (const seed of [1, 2, 3]) {
    test(`${name}: what a client sends arrives whole whatever pauses, seed ${seed}`, async (t) => {
      const random = seededRandom(seed)
      const { client, transport } = await open(t)
      const reader = new PausingReader(transport, random)
      const sent: Buffer[] = []

      for (const piece of pieces(random)) {
        sent.push(piece)
        client.write(piece)
        // oxlint-disable-next-line no-await-in-loop -- One behind the other is what is tested.
        await turns(random.below(3))
      }
      client.end()
      await reader.whenClosed

      t.is(reader.early, 0)
      t.true(reader.pauses > 0)
      t.true(Buffer.concat(reader.chunks).equals(Buffer.concat(sent)))
    })

    test(`${name}: what a client is sent arrives whole, and each block ends once, seed ${seed}`, async (t) => {
      const random = seededRandom(seed)
      const { client, transport } = await open(t)
      const watch = new DrainWatch(transport)
      const received = readBytes(client, BYTES)
      client.pause()
      const sent: Buffer[] = []

      for (const piece of pieces(random)) {
        sent.push(piece)
        watch.write(piece)
        // oxlint-disable-next-line no-await-in-loop -- One behind the other is what is tested.
        if (random.below(4) === 0) await turns(random.below(3))
        if (!client.isPaused()) {
          if (random.below(8) === 0) client.pause()
        } else if (transport.pendingBytes > 0 && random.below(4) === 0) {
          client.resume()
        }
      }
      client.resume()
      await watch.untilDrained()

      t.is(watch.wrong, 0)
      t.true(watch.drainings > 0)
      t.is(transport.pendingBytes, 0)
      t.true((await received).equals(Buffer.concat(sent)))
    })
  }
}
