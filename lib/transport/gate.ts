/**
 * The way from an accepted socket to a transport, where there is one: PROXY header, TLS, WebSocket.
 *
 * Each client on that way is an `Arrival`: its address as far as known, and one time-out for all steps.
 * A `Gate` belongs to one listener and keeps its arrivals, so that closing the listener ends them.
 */

import type { Buffer } from 'node:buffer'
import type { Socket } from 'node:net'
import type { Look } from './first-bytes.ts'
import { readAhead } from './first-bytes.ts'
import type { NetworkOptions } from './listen.ts'
import { ListenError } from './listen.ts'
import { addressOf, ignoreError, peerOf } from './peer.ts'
import { parseProxyHeader } from './proxy-protocol.ts'
import type { Doorkeeper, Peer, PeerCertificate } from './transport.ts'
import { CLOSE_TIMEOUT_MS } from './transport.ts'
import { TrustedProxies } from './trusted-proxies.ts'

/** For PROXY header, TLS and WebSocket handshake together, unless the listener says otherwise. */
const HANDSHAKE_TIMEOUT_MS = 10_000

/** A client that is not a transport yet. */
export class Arrival {
  readonly socket: Socket
  /** Of the client, as far as the steps so far know it. */
  address: string
  port: number
  /** What we wait for, for the sentence of the time-out. */
  step: string
  certificate: PeerCertificate | undefined
  /** Names of the certificate it showed, verified or not, for the log. */
  shown: string | undefined
  /** What certificate or pre-shared key have proved. */
  userName: string | undefined
  /** Called once it is a transport, or gone. */
  leaveDoor: () => void
  readonly #gate: Gate
  #timer: NodeJS.Timeout
  #isReported: boolean
  readonly #fail = (): void => {
    this.#leave()
    this.#gate.noteFailed(this)
  }
  readonly #leave = (): void => {
    clearTimeout(this.#timer)
    this.leaveDoor()
    this.#gate.forget(this)
  }

  constructor(socket: Socket, gate: Gate) {
    this.socket = socket
    this.address = addressOf(socket)
    this.port = socket.remotePort ?? 0
    this.step = 'PROXY header'
    this.certificate = undefined
    this.shown = undefined
    this.userName = undefined
    this.leaveDoor = ignoreError
    this.#gate = gate
    this.#timer = setTimeout(() => this.#expire(), gate.handshakeTimeoutMs)
    this.#timer.unref()
    this.#isReported = false
    // Stays on for good: a socket inside of TLS has no other listener.
    socket.on('error', ignoreError)
    socket.on('close', this.#fail)
  }

  /** Reports `sentence` and closes: at once, or after `answer` was sent over `stream`. */
  refuse(sentence: string, answer?: string, stream: Socket = this.socket): void {
    if (!this.#isReported) this.#gate.report(this.peer(), sentence)
    this.#isReported = true
    if (answer === undefined) {
      this.socket.destroy()
      return
    }
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.socket.destroy(), CLOSE_TIMEOUT_MS)
    this.#timer.unref()
    stream.end(answer)
    stream.resume()
  }

  /** Closes; reports `sentence` unless the client just knocked and left. */
  fail(sentence: string): void {
    if (this.socket.bytesRead === 0) this.#isReported = true
    this.refuse(sentence)
  }

  /** Tells `sentence` about a client that goes on. */
  notice(sentence: string): void {
    this.#gate.notice(this.peer(), sentence)
  }

  /** Ends the handshake: neither its time-out nor the end of the listener matters any more. */
  pass(): void {
    this.#leave()
    this.socket.off('close', this.#fail)
  }

  peer(): Peer {
    const gate = this.#gate
    const { address, port, certificate, userName } = this
    return peerOf(gate.name, gate.protocol, address, port, certificate, userName)
  }

  #expire(): void {
    const seconds = this.#gate.handshakeTimeoutMs / 1_000
    this.refuse(`the ${this.step} was not complete after ${seconds} s`)
  }
}

export class Gate {
  readonly name: string
  readonly protocol: Peer['protocol']
  readonly handshakeTimeoutMs: number
  readonly trustedProxies: TrustedProxies
  readonly #readsProxyHeader: boolean
  readonly #doorkeeper: Doorkeeper | undefined
  readonly #refused: ((peer: Peer, sentence: string) => void) | undefined
  readonly #noticed: ((peer: Peer, sentence: string) => void) | undefined
  readonly #arrivals = new Set<Arrival>()

  constructor(options: NetworkOptions, protocol: Peer['protocol']) {
    this.name = options.name
    this.protocol = protocol
    this.handshakeTimeoutMs = options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS
    this.trustedProxies = new TrustedProxies(options.trustedProxies ?? [])
    this.#readsProxyHeader = options.proxyProtocol ?? false
    this.#refused = options.refused
    this.#noticed = options.noticed
    this.#doorkeeper = options.doorkeeper
    if (this.#readsProxyHeader && this.trustedProxies.isEmpty) {
      throw new ListenError(
        'ERR_TRUSTED_PROXIES',
        `Cannot open the listener "${options.name}": proxyProtocol is on, but no proxy is trusted. Name the proxies in trustedProxies.`,
      )
    }
  }

  /** Takes a new socket and calls `next` when its PROXY header, if it must have one, has been read. */
  enter(socket: Socket, next: (arrival: Arrival) => void): void {
    const arrival = new Arrival(socket, this)
    this.#arrivals.add(arrival)
    if (!this.#readsProxyHeader) {
      this.#judge(arrival, next)
    } else if (this.trustedProxies.has(arrival.address)) {
      readAhead(
        socket,
        (bytes) => takeProxyHeader(arrival, bytes),
        () => this.#judge(arrival, next),
      )
    } else {
      arrival.refuse('the connection comes from an address that is not in trustedProxies')
    }
  }

  /** The address is known, unless a proxy will name it in an HTTP header: then it is judged later. */
  #judge(arrival: Arrival, next: (arrival: Arrival) => void): void {
    const { address } = arrival
    const doorkeeper = this.trustedProxies.has(address) ? undefined : this.#doorkeeper
    const refusal = doorkeeper?.refusal(address, this.protocol)
    if (refusal !== undefined) {
      arrival.refuse(refusal)
      return
    }
    if (doorkeeper !== undefined) {
      arrival.leaveDoor = doorkeeper.enter(address, (sentence) => arrival.refuse(sentence))
    }
    next(arrival)
  }

  /** One has gone before it was a transport. */
  noteFailed({ address }: Arrival): void {
    if (!this.trustedProxies.has(address)) this.#doorkeeper?.failed(address)
  }

  report(peer: Peer, sentence: string): void {
    this.#refused?.(peer, sentence)
  }

  notice(peer: Peer, sentence: string): void {
    this.#noticed?.(peer, sentence)
  }

  forget(arrival: Arrival): void {
    this.#arrivals.delete(arrival)
  }

  /** Ends whoever is still on the way. */
  close(): void {
    for (const arrival of this.#arrivals) arrival.socket.destroy()
  }
}

function takeProxyHeader(arrival: Arrival, bytes: Buffer): Look {
  const header = parseProxyHeader(bytes)
  if (header.state === 'more') return 'more'
  if (header.state === 'invalid') {
    arrival.refuse(header.sentence)
    return 'stop'
  }
  if (header.address !== undefined) {
    arrival.address = header.address
    arrival.port = header.port
  }
  return header.headerBytes
}
