/**
 * A `net.Socket` (TCP, TLS or Unix) as a `Transport`: one object and one function per connection,
 * nothing per chunk. Made by tcp.ts, tls.ts and unix.ts.
 *
 * The socket knows its transport by a symbol, so that the four listeners are shared by all connections.
 *
 * Node's streams spend a tick on each read, to see whether more is to be read, and one on the callback of each
 * write. Both are left out where nothing depends on them: what a flowing socket reads does not go through its
 * stream, and a write that leaves at once has no callback.
 */

import { Buffer } from 'node:buffer'
import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { httpAnswer, recognise, STRANGER_SENTENCES } from './first-bytes.ts'
import { networkSentence } from './peer.ts'
import type { Peer, Transport, TransportEvents } from './transport.ts'
import { CLOSE_TIMEOUT_MS } from './transport.ts'

const OWNER = Symbol('transport')

interface OwnedSocket extends Socket {
  [OWNER]: SocketTransport
}

const NOTHING = Buffer.alloc(0)

/** Listens until `Transport.events` is set. */
export const NO_EVENTS: TransportEvents = { received() {}, drained() {}, closed() {} }

export class SocketTransport implements Transport {
  readonly peer: Peer
  events: TransportEvents
  readonly #socket: OwnedSocket
  /** `new` until the first bytes were looked at; `over` as soon as either side wants to close. */
  #state: 'new' | 'open' | 'over'
  /** Somebody waits for `drained`. */
  #isBlocked: boolean
  #error: string | undefined
  #closeTimer: NodeJS.Timeout | undefined
  readonly #written: (error?: Error | null) => void
  /** The callback of each write: TLS takes none at once. */
  readonly #eachWritten: ((error?: Error | null) => void) | undefined

  constructor(socket: Socket, peer: Peer) {
    this.peer = peer
    this.events = NO_EVENTS
    this.#socket = Object.assign(socket, { [OWNER]: this, push: pushPast })
    this.#state = 'new'
    this.#isBlocked = false
    this.#error = undefined
    this.#closeTimer = undefined
    this.#written = (error) => {
      if (error === undefined || error === null) this.#reportDrained()
    }
    this.#eachWritten = socket instanceof TLSSocket ? this.#written : undefined

    socket.on('data', onData)
    socket.on('end', onEnd)
    socket.on('error', onError)
    socket.on('close', onClose)
  }

  get pendingBytes(): number {
    return this.#socket.writableLength
  }

  write(bytes: Buffer): void {
    if (this.#state === 'over') return
    const socket = this.#socket
    socket.write(bytes, this.#eachWritten)
    if (this.#isBlocked || socket.writableLength === 0) return
    this.#isBlocked = true
    this.#awaitDrained()
  }

  /** 'drain' comes only above the high-water mark, a callback always: also that of nothing behind what is pending. */
  #awaitDrained(): void {
    if (this.#eachWritten === undefined) this.#socket.write(NOTHING, this.#written)
  }

  pause(): void {
    if (this.#state !== 'over') this.#socket.pause()
  }

  resume(): void {
    if (this.#state !== 'over') this.#socket.resume()
  }

  close(): void {
    if (this.#state !== 'over') this.#end(undefined)
  }

  destroy(): void {
    this.#state = 'over'
    this.#socket.destroy()
  }

  /**
   * Sends what is pending and FIN, then waits for the peer's FIN. What the peer still sends is read and
   * dropped: a socket closed over unread bytes is reset, and the peer would lose our last packet.
   */
  #end(farewell: string | undefined): void {
    this.#state = 'over'
    if (farewell === undefined) this.#socket.end()
    else this.#socket.end(farewell)
    this.#socket.resume()
    this.#limitClosing()
  }

  #limitClosing(): void {
    if (this.#closeTimer !== undefined) return
    this.#closeTimer = setTimeout(destroySocket, CLOSE_TIMEOUT_MS, this.#socket)
    this.#closeTimer.unref()
  }

  #reportDrained(): void {
    if (!this.#isBlocked || this.#state === 'over') return
    if (this.#socket.writableLength > 0) {
      this.#awaitDrained()
      return
    }
    this.#isBlocked = false
    this.events.drained()
  }

  #receiveFirst(chunk: Buffer): void {
    this.#state = 'open'
    const protocol = recognise(chunk)
    const sentence = STRANGER_SENTENCES[protocol]
    if (sentence === undefined) {
      this.events.received(chunk)
      return
    }
    this.#error = sentence
    if (protocol === 'http') this.#end(httpAnswer(400, sentence))
    else this.destroy()
  }

  /** These four are called by the listeners below alone. */
  handleData(chunk: Buffer): void {
    if (this.#state === 'open') this.events.received(chunk)
    else if (this.#state === 'new') this.#receiveFirst(chunk)
  }

  // The stream ends our half by itself; a peer that closed its half and never reads must not hold it.
  handleEnd(): void {
    this.#state = 'over'
    this.#limitClosing()
  }

  handleError(error: NodeJS.ErrnoException): void {
    if (this.#state !== 'over') this.#error = networkSentence(error)
    this.#state = 'over'
  }

  handleClose(): void {
    this.#state = 'over'
    clearTimeout(this.#closeTimer)
    this.events.closed(this.#error)
  }
}

/**
 * Node calls `push` with all that a socket reads. What a flowing one reads goes past its stream; what it reads
 * while it is paused, behind what waits, and its end go through it.
 */
function pushPast(this: OwnedSocket, chunk: Buffer | null): boolean {
  const isFlowing = this.readableFlowing === true && this.readableLength === 0
  if (chunk === null || !isFlowing) return Socket.prototype.push.call(this, chunk)
  this[OWNER].handleData(chunk)
  return true
}

function onData(this: OwnedSocket, chunk: Buffer): void {
  this[OWNER].handleData(chunk)
}

function onEnd(this: OwnedSocket): void {
  this[OWNER].handleEnd()
}

function onError(this: OwnedSocket, error: NodeJS.ErrnoException): void {
  this[OWNER].handleError(error)
}

function onClose(this: OwnedSocket): void {
  this[OWNER].handleClose()
}

function destroySocket(socket: Socket): void {
  socket.destroy()
}
