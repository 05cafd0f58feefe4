/** Both ends of a transport under test: an acceptor that records, and small clients on real sockets. */

import { Buffer } from 'node:buffer'
import { EventEmitter, once } from 'node:events'
import type { NetConnectOpts, Socket } from 'node:net'
import { connect } from 'node:net'
import type { ExecutionContext } from 'ava'
import type { Listener, Peer, Transport, TransportEvents } from '../../lib/transport/transport.ts'

/** Records what happens on one transport. */
export class Recorder implements TransportEvents {
  readonly transport: Transport
  readonly chunks: Buffer[] = []
  /** What `closed` was called with, once per call. */
  readonly closings: (string | undefined)[] = []
  drainings = 0
  readonly #happened = new EventEmitter()

  constructor(transport: Transport) {
    this.transport = transport
    transport.events = this
  }

  byteLength = 0

  get bytes(): Buffer {
    return Buffer.concat(this.chunks)
  }

  received(chunk: Buffer): void {
    this.chunks.push(Buffer.from(chunk))
    this.byteLength += chunk.length
    this.#happened.emit('change')
  }

  drained(): void {
    this.drainings++
    this.#happened.emit('change')
  }

  closed(error: string | undefined): void {
    this.closings.push(error)
    this.#happened.emit('change')
  }

  /** Resolves when `condition` holds; asked after each event. */
  async until(condition: () => boolean): Promise<void> {
    // oxlint-disable-next-line no-await-in-loop -- Each event may be the one.
    while (!condition()) await once(this.#happened, 'change')
  }

  /** Resolves with all bytes as soon as there are `length`. */
  async untilBytes(length: number): Promise<Buffer> {
    await this.until(() => this.byteLength >= length)
    return this.bytes
  }

  async untilClosed(): Promise<string | undefined> {
    await this.until(() => this.closings.length > 0)
    return this.closings[0]
  }
}

/** Gives each accepted transport to whoever asks for the next one, in order. */
export class Acceptor {
  readonly accepted: Recorder[] = []
  readonly refusals: { readonly peer: Peer; readonly sentence: string }[] = []
  readonly #happened = new EventEmitter()
  #given = 0

  readonly accept = (transport: Transport): void => {
    this.accepted.push(new Recorder(transport))
    this.#happened.emit('change')
  }

  readonly refused = (peer: Peer, sentence: string): void => {
    this.refusals.push({ peer, sentence })
    this.#happened.emit('change')
  }

  async next(): Promise<Recorder> {
    const index = this.#given++
    // oxlint-disable-next-line no-await-in-loop -- Each event may be the one.
    while (this.accepted.length <= index) await once(this.#happened, 'change')
    return this.accepted[index] ?? Promise.reject(new Error('accepted nothing'))
  }

  async nextRefusal(): Promise<{ readonly peer: Peer; readonly sentence: string }> {
    // oxlint-disable-next-line no-await-in-loop -- Each event may be the one.
    while (this.refusals.length === 0) await once(this.#happened, 'change')
    return this.refusals.shift() ?? Promise.reject(new Error('refused nothing'))
  }
}

/** Closes the listener, and what it accepted, when the test ends. */
export function closeAfter(t: ExecutionContext, listener: Listener, acceptor: Acceptor): void {
  t.teardown(async () => {
    await listener.close()
    for (const { transport } of acceptor.accepted) transport.destroy()
  })
}

/** Connects to the host and port of a listener's URL, or wherever `options` say. */
export async function connectTo(
  t: ExecutionContext,
  listener: Listener,
  options: Partial<NetConnectOpts> = {},
): Promise<Socket> {
  const socket = connect({ ...whereOf(listener), ...options })
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

export function whereOf(listener: Listener): { host: string; port: number } {
  const url = new URL(listener.url)
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(url.port) }
}

/** Resolves with all that comes until the other end closes. */
export function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  return new Promise((resolve) => {
    if (socket.closed) resolve(Buffer.concat(chunks))
    else socket.on('close', () => resolve(Buffer.concat(chunks)))
  })
}

/** Resolves as soon as `length` bytes have come. */
export function readBytes(socket: Socket, length: number): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let read = 0
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      read += chunk.length
      if (read >= length) resolve(Buffer.concat(chunks))
    })
  })
}
