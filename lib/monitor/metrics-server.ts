/**
 * `GET /metrics` over HTTP. Whoever may connect here may be anybody: a connection has one request, without a body, and a
 * bounded time for all of it, and there are so many at once.
 */

import { Buffer } from 'node:buffer'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { MonitorMetricsConfiguration } from '../config/options.ts'
import { HalfOpen } from '../transport/half-open.ts'
import { listenNetwork } from '../transport/listen.ts'
import { addressOf, ignoreError } from '../transport/peer.ts'
import type { Listener } from '../transport/transport.ts'
import type { Clock } from '../util/clock.ts'
import type { LimitedLog } from '../util/limited-log.ts'
import type { Logger } from '../util/logger.ts'
import type { Timers } from '../util/timers.ts'
import { BearerToken } from './bearer-token.ts'
import { Exposition, loadLibrary } from './exposition.ts'
import type { Figure } from './figure.ts'

const PATH = '/metrics'

/** A request may name the server too (RFC 9112, section 3.2.2). */
const OURS = /^(?:http:\/\/[^/?#]*)?\/metrics(?:\?|$)/i

/** From the first byte to the last, of request and answer. */
const CONNECTION_MAX_MS = 10_000

/** When there are more, the oldest goes: one that asks and reads is never old. */
const CONNECTIONS = { max: 64, perAddressMax: 16, loopback: true }

const HEADER_BYTES_MAX = 8 * 1024

export interface MetricsParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Logger
  readonly limitedLog: LimitedLog
}

/** What is answered instead of metrics. */
interface Refusal {
  readonly status: number
  readonly sentence: string
  readonly headers?: Readonly<Record<string, string>>
}

const UNAUTHORIZED: Refusal = {
  status: 401,
  sentence: 'Metrics need the token of monitor.metrics.tokenFile: Authorization: Bearer TOKEN.',
  headers: { 'WWW-Authenticate': 'Bearer realm="noctule metrics"' },
}
const NOT_FOUND: Refusal = { status: 404, sentence: `Metrics are at ${PATH}.` }
const NOT_ALLOWED: Refusal = {
  status: 405,
  sentence: 'Metrics can only be read: GET or HEAD.',
  headers: { Allow: 'GET, HEAD' },
}
const NO_BODY: Refusal = { status: 400, sentence: 'A request for metrics has no body.' }
const FAILED: Refusal = { status: 500, sentence: 'A defect of the broker: its log says more.' }

/**
 * Serves metrics, unless no port is set. Rejects with `ConfigurationError` if the token or the library is missing, with
 * `ListenError` if the port cannot be had.
 */
export async function serveMetrics(
  options: MonitorMetricsConfiguration,
  figures: readonly Figure[],
  parts: MetricsParts,
): Promise<MetricsServer | undefined> {
  const { port, host, tokenFile } = options
  if (port === undefined) return undefined
  const exposition = new Exposition(await loadLibrary(), figures, parts.clock)
  const token =
    tokenFile === undefined ? undefined : new BearerToken(tokenFile, parts.clock, parts.log)
  await token?.open()
  const server = new MetricsServer(exposition, token, parts)
  try {
    await server.listen(host, port)
  } catch (error) {
    await server.close()
    throw error
  }
  return server
}

export class MetricsServer {
  readonly #exposition: Exposition
  readonly #token: BearerToken | undefined
  readonly #parts: MetricsParts
  readonly #http: Server
  readonly #sockets = new Set<Socket>()
  readonly #places = new HalfOpen(CONNECTIONS)
  #listener: Listener | undefined

  /** Without `token` everybody may read. */
  constructor(exposition: Exposition, token: BearerToken | undefined, parts: MetricsParts) {
    this.#exposition = exposition
    this.#token = token
    this.#parts = parts
    this.#http = createServer({ maxHeaderSize: HEADER_BYTES_MAX, keepAlive: false })
    this.#http.maxRequestsPerSocket = 1
    this.#http.on('request', (request, response) => void this.#handle(request, response))
  }

  /** Where it is, with the port that was really chosen. */
  get url(): string | undefined {
    return this.#listener?.url
  }

  async listen(host: string, port: number): Promise<void> {
    const { log } = this.#parts
    const failed = (sentence: string) => log.error({ listener: 'metrics' }, sentence)
    this.#listener = await listenNetwork(
      { name: 'metrics', host, port, failed },
      'http',
      PATH,
      (socket) => this.#arrive(socket),
      () => this.#closeSockets(),
    )
    log.info({ url: this.url }, 'metrics are served')
  }

  /** Reads the token again. */
  async reload(): Promise<void> {
    await this.#token?.check()
  }

  async close(): Promise<void> {
    this.#token?.close()
    await this.#listener?.close()
  }

  #closeSockets(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #arrive(socket: Socket): void {
    const end = () => socket.destroy()
    const leave = this.#places.enter(addressOf(socket), end)
    const deadline = this.#parts.timers.after(CONNECTION_MAX_MS, end)
    this.#sockets.add(socket)
    socket.on('error', ignoreError)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      deadline.cancel()
      leave()
    })
    this.#http.emit('connection', socket)
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refusal = this.#judge(request)
    if (refusal !== undefined) {
      refuse(response, refusal)
      return
    }
    try {
      const { contentType, text } = await this.#exposition.answer(request.headers.accept)
      send(response, 200, text, { 'Content-Type': contentType, Vary: 'Accept' })
    } catch (error) {
      this.#parts.log.error({ err: error }, 'metrics could not be computed')
      refuse(response, FAILED)
    }
  }

  /** Without the token nobody learns what is here and what is not. */
  #judge({ method, url = '', headers, socket }: IncomingMessage): Refusal | undefined {
    if (this.#token?.isIn(headers.authorization) === false) {
      const rule = headers.authorization === undefined ? 'no token' : 'another token'
      const address = addressOf(socket)
      this.#parts.limitedLog.warn('metrics refused', { address, rule }, 'metrics were refused')
      return UNAUTHORIZED
    }
    if (!OURS.test(url)) return NOT_FOUND
    if (method !== 'GET' && method !== 'HEAD') return NOT_ALLOWED
    const hasBody =
      headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
    return hasBody ? NO_BODY : undefined
  }
}

function refuse(response: ServerResponse, { status, sentence, headers }: Refusal): void {
  send(response, status, `${sentence}\n`, {
    'Content-Type': 'text/plain; charset=utf-8',
    ...headers,
  })
}

function send(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>>,
): void {
  response.writeHead(status, {
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    Connection: 'close',
    ...headers,
  })
  response.end(text)
}
