/** A WebSocket as a `Transport`: binary frames are bytes, whatever packets they cut. */

import { Buffer } from 'node:buffer'
import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import { networkSentence } from './peer.ts'
import { NO_EVENTS } from './socket-transport.ts'
import type { Peer, Transport, TransportEvents } from './transport.ts'

/** Close codes of RFC 6455, section 7.4.1. */
const NORMAL = 1000
const UNSUPPORTED_DATA = 1003

const TEXT_FRAME = 'the client sent a text frame; MQTT needs binary frames'
const BINARY = { binary: true, compress: false }

export class WebSocketTransport implements Transport {
  readonly peer: Peer
  events: TransportEvents
  readonly #webSocket: WebSocket
  #isOver: boolean
  #isBlocked: boolean
  #isPaused: boolean
  /** Frames of a chunk that was being taken apart when `pause` came; bounded by one chunk. */
  #held: Buffer[]
  #error: string | undefined
  readonly #written: () => void

  /** `socket` is the one below `webSocket`, whose errors ws keeps to itself. */
  constructor(webSocket: WebSocket, socket: Socket, peer: Peer) {
    this.peer = peer
    this.events = NO_EVENTS
    this.#webSocket = webSocket
    this.#isOver = false
    this.#isBlocked = false
    this.#isPaused = false
    this.#held = []
    this.#error = undefined
    this.#written = () => this.#reportDrained()

    // ws hands on Buffers, never arrays of them, as long as binaryType is 'nodebuffer'.
    webSocket.on('message', (data, isBinary) => {
      if (Buffer.isBuffer(data)) this.#receive(data, isBinary)
    })
    webSocket.on('error', (error) => this.#fail(`the client broke WebSocket: ${error.message}`))
    socket.on('error', (error) => this.#fail(networkSentence(error)))
    webSocket.on('close', () => {
      if (!this.#isOver) for (const data of this.#held) this.events.received(data)
      this.#held = []
      this.#isOver = true
      this.events.closed(this.#error)
    })
  }

  get pendingBytes(): number {
    return this.#webSocket.bufferedAmount
  }

  write(bytes: Buffer): void {
    if (this.#isOver) return
    this.#webSocket.send(bytes, BINARY, this.#written) // [MQTT-6.0.0-1]
    if (this.#webSocket.bufferedAmount > 0) this.#isBlocked = true
  }

  pause(): void {
    if (this.#isOver) return
    this.#isPaused = true
    this.#webSocket.pause()
  }

  resume(): void {
    if (this.#isOver || !this.#isPaused) return
    this.#isPaused = false
    if (this.#held.length === 0) this.#webSocket.resume()
    else setImmediate(() => this.#receiveHeld())
  }

  close(): void {
    if (!this.#isOver) this.#close(NORMAL, '')
  }

  destroy(): void {
    this.#isOver = true
    this.#webSocket.terminate()
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (this.#isOver) return
    if (!isBinary) {
      this.#error = TEXT_FRAME
      this.#close(UNSUPPORTED_DATA, TEXT_FRAME) // [MQTT-6.0.0-1]
    } else if (this.#isPaused || this.#held.length > 0) {
      this.#held.push(data)
    } else if (data.length > 0) {
      this.events.received(data) // [MQTT-6.0.0-2]
    }
  }

  #receiveHeld(): void {
    while (!this.#isPaused && !this.#isOver) {
      const data = this.#held.shift()
      if (data === undefined) break
      if (data.length > 0) this.events.received(data)
    }
    if (!this.#isPaused && !this.#isOver) this.#webSocket.resume()
  }

  // ws destroys the socket itself if the peer has not answered after CLOSE_TIMEOUT_MS (websocket.ts).
  #close(code: number, reason: string): void {
    this.#isOver = true
    this.#held = []
    this.#webSocket.close(code, reason)
    // The peer's close frame is behind what it sent before.
    this.#webSocket.resume()
  }

  #reportDrained(): void {
    if (!this.#isBlocked || this.#isOver || this.#webSocket.bufferedAmount > 0) return
    this.#isBlocked = false
    this.events.drained()
  }

  #fail(sentence: string): void {
    if (!this.#isOver) this.#error = sentence
    this.#isOver = true
  }
}
