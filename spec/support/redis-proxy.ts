/** Stands between a store and Redis, and loses what a test wants to be lost. */

import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { ExecutionContext } from 'ava'

export class RedisProxy {
  readonly #server: Server
  readonly #port: number
  readonly #sockets = new Set<Socket>()
  /** Decides about each piece of a reply: it is lost, and the connection with it, if this says so. */
  losesReply: (reply: Buffer) => boolean = () => false

  private constructor(port: number) {
    this.#port = port
    this.#server = createServer((client) => this.#accept(client))
  }

  static async start(t: ExecutionContext, port: number): Promise<RedisProxy> {
    const proxy = new RedisProxy(port)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    t.teardown(() => proxy.close())
    return proxy
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#server.address() as { port: number }).port}`
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #accept(client: Socket): void {
    const server = connect(this.#port, '127.0.0.1')
    const end = (): void => {
      client.destroy()
      server.destroy()
    }
    for (const socket of [client, server]) {
      this.#sockets.add(socket)
      socket.on('error', end).on('close', end)
    }
    client.on('data', (bytes) => server.write(bytes))
    server.on('data', (bytes: Buffer) => {
      if (this.losesReply(bytes)) end()
      else client.write(bytes)
    })
  }
}
