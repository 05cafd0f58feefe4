/** A real HTTP server for a test, which remembers what it was asked. */

import { once } from 'node:events'
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createHttpsServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { ExecutionContext } from 'ava'

export interface HttpQuestion {
  readonly path: string
  readonly headers: IncomingMessage['headers']
  /** The body: what it says as JSON, if it says anything. */
  readonly body: unknown
}

/** What the server says: a body with status 200, a status alone, or whatever it likes. */
export type HttpReply =
  | { readonly status?: number; readonly body?: unknown; readonly headers?: Record<string, string> }
  | ((response: ServerResponse) => void)

export interface TestHttpServer {
  readonly url: string
  readonly questions: HttpQuestion[]
  /** How many connections were made to it. */
  readonly connections: () => number
  /** How it answers from now on. */
  answer: (question: HttpQuestion) => HttpReply | Promise<HttpReply>
  /** Resolves when it has been asked that often. */
  readonly asked: (count: number) => Promise<void>
  readonly close: () => Promise<void>
}

export async function startHttpServer(
  t: ExecutionContext,
  answer: TestHttpServer['answer'],
  tls?: ServerOptions,
): Promise<TestHttpServer> {
  let wake = () => {}
  let connections = 0
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    const body: unknown = text === '' ? undefined : JSON.parse(text)
    const question = { path: request.url ?? '', headers: request.headers, body }
    server.questions.push(question)
    wake()
    send(response, await server.answer(question))
  }
  const http: Server =
    tls === undefined
      ? createHttpServer((request, response) => void handle(request, response))
      : createHttpsServer(tls, (request, response) => void handle(request, response))
  http.on('connection', () => connections++)
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const close = async () => {
    http.closeAllConnections()
    if (!http.listening) return
    http.close()
    await once(http, 'close')
  }
  t.teardown(close)
  const { port } = http.address() as AddressInfo
  const server: TestHttpServer = {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    questions: [],
    connections: () => connections,
    answer,
    close,
    async asked(count) {
      while (server.questions.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
  }
  return server
}

function send(response: ServerResponse, reply: HttpReply): void {
  if (typeof reply === 'function') {
    reply(response)
    return
  }
  const { status = 200, body, headers = {} } = reply
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers })
  response.end(body === undefined || typeof body === 'string' ? body : JSON.stringify(body))
}
