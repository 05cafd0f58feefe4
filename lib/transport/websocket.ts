/**
 * MQTT over WebSocket, plain (ws) and over TLS (wss): an HTTP server of its own that knows one path and
 * the subprotocols of MQTT, and answers everybody else with a sentence.
 */

import { Buffer } from 'node:buffer'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import { WebSocketServer } from 'ws'
import { httpAnswer, recognise } from './first-bytes.ts'
import type { Arrival } from './gate.ts'
import { Gate } from './gate.ts'
import type { NetworkOptions } from './listen.ts'
import { listenNetwork } from './listen.ts'
import type { TlsCredentials, TlsListener, TlsOptions } from './tls.ts'
import { TlsStep } from './tls.ts'
import type { AcceptTransport } from './transport.ts'
import { CLOSE_TIMEOUT_MS } from './transport.ts'
import { WebSocketTransport } from './websocket-transport.ts'

type EncryptionOptions = Pick<
  TlsOptions,
  'requestCert' | 'requireCert' | 'userNameFrom' | 'preSharedKeys'
>

export interface WebSocketOptions extends NetworkOptions, EncryptionOptions {
  /** `/mqtt` if absent. */
  readonly path?: string | undefined
  /** Makes it wss. */
  readonly credentials?: TlsCredentials | undefined
  /** Largest WebSocket message, which need not be a whole packet; `FRAME_BYTES_MAX` if absent. */
  readonly frameBytesMax?: number | undefined
  /**
   * Web pages that may connect, as `https://example.org`; all if absent. Only browsers send an Origin,
   * and they always do: a client without one is not a web page.
   */
  readonly allowedOrigins?: readonly string[] | undefined
}

/** A packet of the usual limit, 2 MiB, in one frame, with its fixed header. */
const FRAME_BYTES_MAX: number = 2 * 1024 * 1024 + 16

const HTTP_HEADER_BYTES_MAX = 16 * 1024
const UPGRADE_PLEASE =
  'This is the WebSocket door of an MQTT broker. Connect with an MQTT client, subprotocol "mqtt".'

/** Listens for MQTT clients over WebSocket; throws a `ListenError` if it cannot. */
export async function listenWebSocket(
  options: WebSocketOptions,
  accept: AcceptTransport,
): Promise<TlsListener> {
  const { credentials } = options
  const gate = new Gate(options, credentials === undefined ? 'ws' : 'wss')
  const step = new WebSocketStep(options, gate, accept)
  const tls =
    credentials === undefined
      ? undefined
      : new TlsStep({ ...options, credentials }, (socket, arrival) => step.start(arrival, socket))
  const listener = await listenNetwork(
    options,
    gate.protocol,
    step.path,
    (socket) =>
      gate.enter(socket, (arrival) =>
        tls === undefined ? step.start(arrival, socket) : tls.start(arrival),
      ),
    () => gate.close(),
  )
  return { ...listener, reload: (fresh) => tls?.reload(fresh) }
}

const ARRIVAL = Symbol('arrival')

interface ArrivedSocket extends Socket {
  [ARRIVAL]?: Arrival
}

/** Turns arrivals into WebSocket transports. */
class WebSocketStep {
  readonly path: string
  readonly #gate: Gate
  readonly #accept: AcceptTransport
  readonly #allowedOrigins: ReadonlySet<string> | undefined
  readonly #http: Server
  readonly #upgrades: WebSocketServer

  constructor(options: WebSocketOptions, gate: Gate, accept: AcceptTransport) {
    this.path = options.path ?? '/mqtt'
    this.#gate = gate
    this.#accept = accept
    const origins = options.allowedOrigins?.map((origin) => origin.toLowerCase())
    this.#allowedOrigins = origins === undefined ? undefined : new Set(origins)
    this.#upgrades = createUpgrades(options.frameBytesMax ?? FRAME_BYTES_MAX)
    this.#upgrades.on('wsClientError', (error, _socket, request) => {
      const sentence = `the WebSocket handshake is not valid: ${error.message}`
      refuse(request.socket, 400, sentence, 'Sec-WebSocket-Version: 13\r\n')
    })
    this.#http = createServer({ maxHeaderSize: HTTP_HEADER_BYTES_MAX, noDelay: false })
    this.#http.on('request', (request, response) => this.#answer(request, response))
    this.#http.on('upgrade', (request, _socket, head) => {
      this.#upgrade(request, request.socket, head)
    })
    this.#http.on('clientError', refuseNonsense)
  }

  start(arrival: Arrival, socket: ArrivedSocket): void {
    arrival.step = 'WebSocket handshake'
    socket[ARRIVAL] = arrival
    this.#http.emit('connection', socket)
    socket.resume()
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const isOurs = pathOf(request) === this.path
    const sentence = isOurs ? UPGRADE_PLEASE : this.#notHere()
    response.statusCode = isOurs ? 426 : 404
    response.setHeader('Connection', 'close')
    response.setHeader('Content-Type', 'text/plain; charset=utf-8')
    response.setHeader('Content-Length', Buffer.byteLength(sentence) + 1)
    if (isOurs) response.setHeader('Upgrade', 'websocket')
    response.end(`${sentence}\n`)
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    if (pathOf(request) !== this.path) {
      refuse(socket, 404, this.#notHere())
    } else if (!this.#isAllowed(request.headers.origin)) {
      refuse(socket, 403, 'web pages of this origin may not connect; see allowedOrigins')
    } else if (choose(offersOf(request)) === undefined) {
      refuse(socket, 400, 'the client does not offer the WebSocket subprotocol "mqtt"') // [MQTT-6.0.0-3]
    } else {
      this.#upgrades.handleUpgrade(request, socket, head, (webSocket) => {
        const arrival = arrivalOf(socket)
        this.#followProxies(arrival, request)
        arrival.pass()
        this.#accept(new WebSocketTransport(webSocket, socket, arrival.peer()))
      })
    }
  }

  #followProxies(arrival: Arrival, request: IncomingMessage): void {
    const forwardedFor = request.headers['x-forwarded-for']
    if (forwardedFor === undefined) return
    const client = this.#gate.trustedProxies.clientOf(arrival.address, String(forwardedFor))
    if (client === arrival.address) return
    arrival.address = client
    arrival.port = 0
  }

  #isAllowed(origin: string | undefined): boolean {
    if (origin === undefined || this.#allowedOrigins === undefined) return true
    return this.#allowedOrigins.has(origin.toLowerCase())
  }

  #notHere(): string {
    return `there is nothing at this path; MQTT over WebSocket is at ${this.path}`
  }
}

function createUpgrades(frameBytesMax: number): WebSocketServer {
  const options = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: frameBytesMax,
    closeTimeout: CLOSE_TIMEOUT_MS,
    handleProtocols: (offers: Set<string>): string | false => choose(offers) ?? false,
  }
  return new WebSocketServer(options)
}

/** `mqttv3.1` is what clients offered before the standard fixed the name. */
function choose(offers: ReadonlySet<string>): string | undefined {
  if (offers.has('mqtt')) return 'mqtt' // [MQTT-6.0.0-4]
  return offers.has('mqttv3.1') ? 'mqttv3.1' : undefined
}

function offersOf(request: IncomingMessage): ReadonlySet<string> {
  const header = request.headers['sec-websocket-protocol'] ?? ''
  return new Set(header.split(',').map((name) => name.trim()))
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?', 1)[0] ?? ''
}

function arrivalOf(socket: ArrivedSocket): Arrival {
  const arrival = socket[ARRIVAL]
  if (arrival === undefined) throw new Error('a socket of the HTTP server must have arrived')
  return arrival
}

function refuse(socket: Socket, status: number, sentence: string, headers = ''): void {
  arrivalOf(socket).refuse(sentence, httpAnswer(status, sentence, headers), socket)
}

interface HttpError extends NodeJS.ErrnoException {
  readonly rawPacket?: Buffer
}

/** What arrived is not HTTP, or HTTP too large: names the protocols that people mistake for it. */
function refuseNonsense(error: HttpError, socket: ArrivedSocket): void {
  const arrival = arrivalOf(socket)
  const protocol = error.rawPacket === undefined ? 'unknown' : recognise(error.rawPacket)
  if (protocol === 'mqtt') {
    arrival.fail('a plain MQTT client on a WebSocket port; use ws:// or another listener')
  } else if (protocol === 'tls') {
    arrival.fail('a TLS client on a plain WebSocket port; use wss:// on a listener with TLS')
  } else if (error.code === 'HPE_HEADER_OVERFLOW') {
    refuse(socket, 431, `the HTTP headers have more than ${HTTP_HEADER_BYTES_MAX} bytes`)
  } else if (error.code === 'HPE_INVALID_EOF_STATE' || !socket.writable) {
    arrival.fail('the client left during the WebSocket handshake')
  } else {
    refuse(socket, 400, `the HTTP request cannot be read: ${error.message}`)
  }
}
