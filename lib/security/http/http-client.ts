/**
 * One URL of a server that the broker asks: over connections that are kept, with an end to every wait and a
 * bound on every answer. Redirects are not followed: whoever sent one could name another server.
 */

import { X509Certificate } from 'node:crypto'
import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import https from 'node:https'
import type { Clock } from '../../util/clock.ts'
import { FileProblem } from '../file-problem.ts'

/** How long a connection that nobody uses is kept. */
const IDLE_MS = 15_000

export interface HttpClientOptions {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly connectionsMax: number
  readonly timeoutMs: number
  readonly responseBytesMax: number
}

export interface HttpAnswer {
  readonly status: number
  readonly body: string
}

export class HttpClient {
  readonly #options: HttpClientOptions
  readonly #clock: Clock
  readonly #module: typeof http | typeof https
  readonly #underWay = new Set<ClientRequest>()
  #ca: string | undefined
  #isClosed = false
  #agent: http.Agent

  constructor(options: HttpClientOptions, clock: Clock) {
    this.#options = options
    this.#clock = clock
    this.#module = options.url.startsWith('https:') ? https : http
    this.#agent = this.#createAgent()
  }

  /** For log lines: a query may hold what is nobody's business. */
  get name(): string {
    const { origin, pathname } = new URL(this.#options.url)
    return `${origin}${pathname}`
  }

  /** Whether others may read and change what is said: no TLS, and not this machine alone. */
  get isExposed(): boolean {
    const { protocol, hostname } = new URL(this.#options.url)
    return protocol === 'http:' && !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Trusts these authorities alone, PEM. Throws a `FileProblem` if there is none. */
  trust(ca: string): void {
    if (!hasCertificate(ca)) throw new FileProblem(0, 'it has no certificate in PEM')
    this.#ca = ca
    // What is under way goes on; connections that idle there are closed in time.
    this.#agent = this.#createAgent()
  }

  get(): Promise<HttpAnswer> {
    return this.#ask('GET', '', {})
  }

  post(json: string): Promise<HttpAnswer> {
    return this.#ask('POST', json, { 'Content-Type': 'application/json' })
  }

  /** Ends what is under way; it rejects. */
  close(): void {
    this.#isClosed = true
    for (const request of this.#underWay) request.destroy(new Error('the broker is shutting down'))
    this.#agent.destroy()
  }

  #createAgent(): http.Agent {
    const { connectionsMax: maxSockets } = this.#options
    return new this.#module.Agent({ keepAlive: true, maxSockets, timeout: IDLE_MS })
  }

  /** Rejects with an `Error` whose message says what went wrong, without anything that was sent. */
  async #ask(
    method: string,
    body: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<HttpAnswer> {
    const deadline = this.#clock.now() + this.#options.timeoutMs
    try {
      return await this.#send(method, body, headers, deadline, this.#agent)
    } catch (error) {
      if (!(error instanceof StaleConnection)) throw error
      return this.#send(method, body, headers, deadline, false)
    }
  }

  /** Without an agent the connection is a new one. */
  #send(
    method: string,
    body: string,
    more: Readonly<Record<string, string>>,
    deadline: number,
    agent: http.Agent | false,
  ): Promise<HttpAnswer> {
    const { url, headers: own, timeoutMs, responseBytesMax } = this.#options
    const length = Buffer.byteLength(body)
    const headers = {
      Accept: 'application/json',
      ...(length > 0 && { 'Content-Length': length }),
      ...more,
      ...own,
    }
    const ca = this.#ca === undefined ? {} : { ca: this.#ca }
    const request = this.#module.request(url, { method, headers, agent, ...ca })
    this.#underWay.add(request)
    let cancel = (): void => {}
    return new Promise<HttpAnswer>((resolve, reject) => {
      cancel = this.#clock.after(Math.max(0, deadline - this.#clock.now()), () =>
        reject(new Error(`no answer within ${timeoutMs} ms`)),
      )
      request.on('error', (error) => reject(describe(request, error)))
      request.on('response', (response) => {
        readBounded(response, responseBytesMax).then(
          (text) => resolve({ status: response.statusCode ?? 0, body: text }),
          reject,
        )
      })
      request.end(body)
    })
      .catch((error: unknown) => {
        request.destroy()
        throw error
      })
      .finally(() => {
        cancel()
        this.#underWay.delete(request)
      })
  }
}

function hasCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0
  } catch {
    return false
  }
}

/** The server closed a connection that was kept at the moment we used it again. */
class StaleConnection extends Error {}

function describe(request: ClientRequest, error: NodeJS.ErrnoException): Error {
  if (request.reusedSocket && error.code === 'ECONNRESET') return new StaleConnection()
  // Where a name has several addresses, the error about all of them has no words.
  return error.message === '' ? new Error(`cannot be reached: ${error.code}`) : error
}

function readBounded(response: IncomingMessage, bytesMax: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    response.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length > bytesMax) reject(new Error(`its answer has more than ${bytesMax} bytes`))
      else chunks.push(chunk)
    })
    response.on('end', () => resolve(Buffer.concat(chunks).toString()))
    const breakOff = () => reject(new Error('it closed the connection amid its answer'))
    response.on('error', breakOff)
    response.on('close', breakOff)
  })
}
