/**
 * Two ends of a connection without a network: for tests and for clients inside the host program.
 *
 * Nothing is delivered within the call that sent it: each direction hands over its bytes, in order, in
 * the next turn of the event loop. Chunks are copied, as a network would: what a client does with those it gets, or
 * wrote, is its own affair.
 */

import { Buffer } from 'node:buffer'
import type { Clock } from '../util/clock.ts'
import { systemClock } from '../util/clock.ts'
import { RESET_SENTENCE } from './peer.ts'
import { NO_EVENTS } from './socket-transport.ts'
import type { AcceptTransport, Peer, Transport, TransportEvents } from './transport.ts'
import { CLOSE_TIMEOUT_MS } from './transport.ts'

/** The client's end. Set `onData` and `onClose` before the turn ends. */
export interface InMemoryClientEnd {
  onData: (chunk: Buffer) => void
  /** Called exactly once, however the connection ends. */
  onClose: () => void
  /** The server reads no more: what is written waits. */
  readonly isServerPaused: boolean
  write(bytes: Buffer): void
  /** Simulates a client that does not read: the server's `pendingBytes` grow. */
  pauseReading(): void
  resumeReading(): void
  /** Closes after what was written has arrived. */
  close(): void
  /** Breaks the connection: the server is told that it was reset. */
  destroy(): void
}

const NOBODY: Peer = {
  listener: 'memory',
  protocol: 'memory',
  address: 'memory',
  port: 0,
  certificate: undefined,
  userName: undefined,
}

/** Connects a client to whoever is behind `accept`. `peer` replaces some of the client's facts. */
export function connectInMemory(
  accept: AcceptTransport,
  peer: Partial<Peer> = {},
  clock: Clock = systemClock,
): InMemoryClientEnd {
  const connection = new Connection({ ...NOBODY, ...peer }, clock)
  accept(connection.server)
  return connection.client
}

class Connection {
  readonly server: ServerEnd
  readonly client: ClientEnd
  readonly toServer: Lane
  readonly toClient: Lane
  readonly clock: Clock
  #isFinished = false
  #cancelTimeout: (() => void) | undefined

  constructor(peer: Peer, clock: Clock) {
    this.clock = clock
    this.server = new ServerEnd(this, peer)
    this.client = new ClientEnd(this)
    this.toServer = new Lane(
      (chunk) => this.server.events.received(chunk),
      () => {},
    )
    this.toClient = new Lane(
      (chunk) => this.client.onData(chunk),
      () => this.server.events.drained(),
    )
  }

  /** Drops what is under way and tells both ends, in the next turn. */
  finish(error: string | undefined): void {
    if (this.#isFinished) return
    this.#isFinished = true
    this.#cancelTimeout?.()
    this.toServer.cut()
    this.toClient.cut()
    setImmediate(() => {
      this.server.events.closed(error)
      this.client.onClose()
    })
  }

  /** The server has said its last. */
  closeFromServer(): void {
    this.toServer.cut()
    this.toClient.end(() => this.finish(undefined))
    this.#cancelTimeout = this.clock.after(CLOSE_TIMEOUT_MS, () => this.finish(undefined))
  }

  /** The client has said its last, and listens no more. */
  closeFromClient(): void {
    this.toClient.cut()
    this.toServer.end(() => this.finish(undefined))
  }
}

class ServerEnd implements Transport {
  readonly peer: Peer
  events: TransportEvents = NO_EVENTS
  readonly #connection: Connection
  #isOver = false

  constructor(connection: Connection, peer: Peer) {
    this.#connection = connection
    this.peer = peer
  }

  /** A client that reads takes everything at once, like the kernel's buffer of a healthy socket. */
  get pendingBytes(): number {
    const { toClient } = this.#connection
    return toClient.isBlocked ? toClient.bytes : 0
  }

  write(bytes: Buffer): void {
    if (!this.#isOver && bytes.length > 0) this.#connection.toClient.push(bytes)
  }

  pause(): void {
    this.#connection.toServer.pause()
  }

  resume(): void {
    this.#connection.toServer.resume()
  }

  close(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#connection.closeFromServer()
  }

  destroy(): void {
    this.#isOver = true
    this.#connection.finish(undefined)
  }
}

class ClientEnd implements InMemoryClientEnd {
  onData: (chunk: Buffer) => void = () => {}
  onClose: () => void = () => {}
  readonly #connection: Connection
  #isOver = false

  constructor(connection: Connection) {
    this.#connection = connection
  }

  get isServerPaused(): boolean {
    return this.#connection.toServer.isPaused
  }

  write(bytes: Buffer): void {
    if (!this.#isOver && bytes.length > 0) this.#connection.toServer.push(bytes)
  }

  pauseReading(): void {
    this.#connection.toClient.pause()
  }

  resumeReading(): void {
    this.#connection.toClient.resume()
  }

  close(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#connection.closeFromClient()
  }

  destroy(): void {
    this.#isOver = true
    this.#connection.finish(RESET_SENTENCE)
  }
}

/** One direction. */
class Lane {
  isPaused = false
  /** Bytes wait, or waited, for a reader that paused; until all are taken. */
  isBlocked = false
  bytes = 0
  #chunks: Buffer[] = []
  #isScheduled = false
  #isCut = false
  #ended: (() => void) | undefined
  readonly #deliver: (chunk: Buffer) => void
  readonly #drained: () => void

  constructor(deliver: (chunk: Buffer) => void, drained: () => void) {
    this.#deliver = deliver
    this.#drained = drained
  }

  push(chunk: Buffer): void {
    if (this.#isCut) return
    this.#chunks.push(Buffer.from(chunk))
    this.bytes += chunk.length
    if (this.isPaused) this.isBlocked = true
    this.#schedule()
  }

  /** Calls `ended` when all has been delivered, or nothing can be any more. */
  end(ended: () => void): void {
    this.#ended = ended
    if (this.#isCut) ended()
    else this.#schedule()
  }

  /** Delivers nothing any more. */
  cut(): void {
    this.#isCut = true
    this.#chunks = []
    this.bytes = 0
    this.#ended = undefined
  }

  pause(): void {
    this.isPaused = true
    if (this.bytes > 0) this.isBlocked = true
  }

  resume(): void {
    this.isPaused = false
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.#run())
  }

  #run(): void {
    this.#isScheduled = false
    // What is written meanwhile waits for the next turn, so that two ends cannot keep a turn for ever.
    for (let rest = this.#chunks.length; rest > 0 && !this.isPaused; rest--) {
      const chunk = this.#chunks.shift()
      if (chunk === undefined) return
      this.bytes -= chunk.length
      this.#deliver(chunk)
    }
    if (this.#isCut || this.isPaused || this.#chunks.length > 0) return
    if (this.isBlocked) {
      this.isBlocked = false
      this.#drained()
    }
    this.#ended?.()
  }
}
