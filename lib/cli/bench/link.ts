/** A connection's bytes, over TCP, TLS or WebSocket, with as little between them and us as Node allows. */

import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { WebSocket } from 'ws'
import type { Target } from './load.ts'
import { type Chunk, chunkOf } from './walk-packets.ts'

export interface LinkEvents {
  opened(): void
  /** The first `length` bytes are new; they are gone after the call. */
  received(chunk: Chunk, length: number): void
  /** At the end, whoever ended it; once. */
  closed(error: Error | undefined): void
}

export interface Link {
  /** Returns whether the caller may write into `bytes` again. */
  write(bytes: Uint8Array): boolean
  /** Leaves everything that comes from now on where it is. */
  stopReading(): void
  /** Says that we have no more to say. */
  end(): void
  /** At once; a TCP connection is reset, so that no thousands in TIME_WAIT burden those that come later. */
  destroy(): void
}

/** All TCP sockets are read into the same memory: what comes is used up before the next read. */
const READ_BYTES = 262_144
const reading = chunkOf(Buffer.allocUnsafeSlow(READ_BYTES))

/** `localAddress` is undefined where the system chooses. */
export function openLink(target: Target, events: LinkEvents, localAddress?: string): Link {
  const { protocol } = target
  if (protocol === 'mqtt') return openTcp(target, events, localAddress)
  return protocol === 'mqtts' ? openTls(target, events) : openWebSocket(target, events)
}

function openTcp({ host, port }: Target, events: LinkEvents, localAddress?: string): Link {
  const socket = connectTcp({
    host,
    port,
    noDelay: true,
    ...(localAddress === undefined ? {} : { localAddress }),
    onread: {
      buffer: reading.bytes,
      callback: (length) => {
        events.received(reading, length)
        return true
      },
    },
  })
  socket.once('connect', () => events.opened())
  return new SocketLink(socket, events, true)
}

function openTls({ host, port, isInsecure }: Target, events: LinkEvents): Link {
  const socket = connectTls({ host, port, rejectUnauthorized: !isInsecure })
  socket.setNoDelay()
  socket.once('secureConnect', () => events.opened())
  socket.on('data', (bytes: Buffer) => events.received(chunkOf(bytes), bytes.length))
  return new SocketLink(socket, events, false)
}

class SocketLink implements Link {
  readonly #socket: Socket
  /** Whether bytes that were written at once are with the system, in no queue of ours. */
  readonly #isDirect: boolean

  constructor(socket: Socket, events: LinkEvents, isDirect: boolean) {
    this.#socket = socket
    this.#isDirect = isDirect
    let cause: Error | undefined
    socket.once('error', (error) => {
      cause = error
    })
    socket.once('close', () => events.closed(cause))
  }

  write(bytes: Uint8Array): boolean {
    this.#socket.write(bytes)
    return this.#isDirect && this.#socket.writableLength === 0
  }

  stopReading(): void {
    this.#socket.pause()
  }

  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    if (this.#isDirect) this.#socket.resetAndDestroy()
    else this.#socket.destroy()
  }
}

function openWebSocket(target: Target, events: LinkEvents): Link {
  const { protocol, host, port, path, isInsecure } = target
  const shownHost = host.includes(':') ? `[${host}]` : host
  const socket = new WebSocket(
    `${protocol === 'ws' ? 'ws' : 'wss'}://${shownHost}:${port}${path}`,
    'mqtt',
    {
      perMessageDeflate: false,
      rejectUnauthorized: !isInsecure,
    },
  )
  let cause: Error | undefined
  socket.once('open', () => events.opened())
  socket.on('message', (bytes: Buffer) => events.received(chunkOf(bytes), bytes.length))
  socket.once('error', (error) => {
    cause = error
  })
  socket.once('close', () => events.closed(cause))
  return {
    write: (bytes) => {
      socket.send(bytes)
      return false
    },
    stopReading: () => socket.pause(),
    end: () => socket.close(),
    destroy: () => socket.terminate(),
  }
}
