/**
 * Opens the server socket of every listener and turns what goes wrong into a `ListenError` that says
 * what to do. TLS and WebSocket are steps behind this one server, so PROXY headers work for all.
 */

import { once } from 'node:events'
import type { ListenOptions as NodeListenOptions, Server, Socket } from 'node:net'
import { createServer, isIP } from 'node:net'
import type { ListenOptions } from './peer.ts'
import { ignoreError } from './peer.ts'
import type { Listener } from './transport.ts'

/** A listener could not be opened. `code` is stable: `EADDRINUSE`, `EACCES`, `ERR_CERTIFICATE`, … */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  readonly code: string

  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}

/** What a listener on a network address is told. */
export interface NetworkOptions extends ListenOptions {
  /** Address or name to bind; all addresses, IPv6 and IPv4, if absent. Brackets are allowed. */
  readonly host?: string | undefined
  /** 0: any free port. */
  readonly port: number
  /** Each connection must begin with a PROXY header, and come from one of `trustedProxies`. */
  readonly proxyProtocol?: boolean | undefined
  /** Addresses and CIDR ranges whose word about a client's address is believed. */
  readonly trustedProxies?: readonly string[] | undefined
  /** For PROXY header, TLS and WebSocket handshake together; 10 seconds if absent. */
  readonly handshakeTimeoutMs?: number | undefined
}

/** Clients may arrive all at once after a restart. The kernel bounds it too: net.core.somaxconn. */
const BACKLOG = 4_096

/** Finds dead peers whose Keep Alive is 0. */
const TCP_KEEP_ALIVE_MS = 60_000

/**
 * Listens on `options.host` and `options.port` and calls `arrived` with each socket. `scheme` and `path`
 * make the URL. `closing` is called when the listener closes, for what is still in a handshake.
 */
export async function listenNetwork(
  options: NetworkOptions,
  scheme: string,
  path: string,
  arrived: (socket: Socket) => void,
  closing: () => void = ignoreError,
): Promise<Listener> {
  const host = options.host?.replace(/^\[(.*)\]$/, '$1')
  const server = createServer(
    {
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
      allowHalfOpen: false,
    },
    arrived,
  )
  try {
    await open(server, { host, port: options.port, backlog: BACKLOG })
  } catch (error) {
    throw networkError(errorOf(error), host, options.port, scheme)
  }
  const url = `${scheme}://${boundPlace(server)}${path}`
  reportFailures(server, options, url)
  return { name: options.name, url, close: () => closeServer(server, closing) }
}

/** Resolves as soon as `server` listens. */
export async function open(server: Server, where: NodeListenOptions): Promise<void> {
  const listening = once(server, 'listening')
  server.listen(where)
  await listening
}

/** Gives failures of an open server to `options.failed`: without a listener they would be uncaught. */
export function reportFailures(server: Server, options: ListenOptions, url: string): void {
  server.on('error', (error: NodeJS.ErrnoException) => {
    const why =
      error.code === 'EMFILE' || error.code === 'ENFILE'
        ? 'too many open files. Raise the limit (ulimit -n, LimitNOFILE)'
        : error.message
    options.failed?.(`Cannot accept clients on ${url}: ${why}.`)
  })
}

/** Stops accepting. Does not wait for the connections, which stay. */
export async function closeServer(server: Server, closing: () => void): Promise<void> {
  closing()
  // The port is free as soon as close() returns; its callback would wait for the last connection.
  server.close()
  await new Promise((resolve) => setImmediate(resolve))
}

/** Returns `host:port`, IPv6 in brackets. */
export function place(host: string, port: number): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`
}

function boundPlace(server: Server): string {
  const bound = server.address()
  if (bound === null || typeof bound === 'string')
    throw new Error('the server must be bound to a port')
  return place(bound.address, bound.port)
}

/** Returns what was thrown as an error that may have a `code`. */
export function errorOf(thrown: unknown): NodeJS.ErrnoException {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}

function networkError(
  error: NodeJS.ErrnoException,
  host: string | undefined,
  port: number,
  scheme: string,
): ListenError {
  const code = error.code ?? 'ERR_LISTEN'
  const where = host === undefined ? `port ${port}` : place(host, port)
  return new ListenError(code, `Cannot listen on ${where}: ${advice(error, port, scheme)}`, error)
}

const portFlags: Readonly<Record<string, string>> = {
  mqtt: ' with --port',
  http: ' with --monitor.metrics.port',
}

function advice(error: NodeJS.ErrnoException, port: number, scheme: string): string {
  switch (error.code ?? '') {
    case 'EADDRINUSE':
      return `the port is taken by another program. Stop it or choose another${portFlags[scheme] ?? ' port'}.`
    case 'EACCES':
      return port > 0 && port < 1024
        ? 'ports below 1024 need a privilege. Choose a higher port or grant CAP_NET_BIND_SERVICE.'
        : 'the system does not permit it. Choose another port or address, or ask for the right.'
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address. Choose one of its own, or 0.0.0.0 for all.'
    case 'EAFNOSUPPORT':
      return 'this machine does not speak that address family. Choose an address of the other one.'
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the name does not resolve to an address. Check its spelling or write the address.'
    case 'ERR_SOCKET_BAD_PORT':
      return 'that is no port. Choose one from 0 to 65535.'
    default:
      return `${error.message}.`
  }
}
