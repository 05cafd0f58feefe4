/** MQTT over a Unix domain socket, for clients on the same machine. */

import { Buffer } from 'node:buffer'
import { chmodSync, existsSync } from 'node:fs'
import { lstat, unlink } from 'node:fs/promises'
import type { Server } from 'node:net'
import { connect, createServer } from 'node:net'
import { dirname } from 'node:path'
import { closeServer, errorOf, ListenError, open, reportFailures } from './listen.ts'
import type { ListenOptions } from './peer.ts'
import { ignoreError, peerOf } from './peer.ts'
import { SocketTransport } from './socket-transport.ts'
import type { AcceptTransport, Listener } from './transport.ts'

export interface UnixOptions extends ListenOptions {
  readonly path: string
  /** Permission bits of the socket file, for instance 0o660; what the umask leaves if absent. */
  readonly mode?: number | undefined
}

/** What `sun_path` holds without its final zero. libuv would cut a longer path off silently. */
const PATH_BYTES_MAX = process.platform === 'linux' ? 107 : 103

const BACKLOG = 4_096

/**
 * Listens on `options.path`. A socket file that a dead process left is replaced, one that somebody
 * listens on is not. Closing the listener removes the file. Throws a `ListenError` if it cannot.
 */
export async function listenUnix(options: UnixOptions, accept: AcceptTransport): Promise<Listener> {
  const { name, path } = options
  const url = `unix:${path}`
  const peer = peerOf(name, 'unix', 'unix', 0)
  const server = createServer({ allowHalfOpen: false }, (socket) => {
    accept(new SocketTransport(socket, peer))
  })
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) throw unixError(path, 'ENAMETOOLONG')
  try {
    await openPath(server, path)
    if (options.mode !== undefined) chmodSync(path, options.mode)
  } catch (error) {
    server.close()
    if (error instanceof ListenError) throw error
    // libuv turns ENOENT into EACCES here, as on Windows.
    const code = existsSync(dirname(path)) ? errorOf(error).code : 'ENOENT'
    throw unixError(path, code, error)
  }
  reportFailures(server, options, url)
  return { name, url, close: () => closeServer(server, ignoreError) }
}

async function openPath(server: Server, path: string): Promise<void> {
  try {
    await open(server, { path, backlog: BACKLOG })
  } catch (error) {
    if (errorOf(error).code !== 'EADDRINUSE') throw error
    await removeStale(path)
    await open(server, { path, backlog: BACKLOG })
  }
}

async function removeStale(path: string): Promise<void> {
  // connect() is refused by a plain file too, and that one is not ours to remove.
  const status = await lstat(path)
  if (!status.isSocket()) throw unixError(path, 'EEXIST')
  if (await isAnswered(path)) throw unixError(path, 'EADDRINUSE')
  await unlink(path)
}

/** Only a refusal proves that nobody listens: whoever may not connect must not remove the file. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'))
    socket.on('connect', () => {
      resolve(true)
      socket.destroy()
    })
  })
}

function unixError(path: string, code = 'ERR_LISTEN', cause?: unknown): ListenError {
  return new ListenError(code, `Cannot listen on unix:${path}: ${advice(code, cause)}`, cause)
}

function advice(code: string, cause: unknown): string {
  switch (code) {
    case 'EADDRINUSE':
      return 'another program listens there. Stop it or choose another path.'
    case 'EEXIST':
      return 'a file that is no socket is in the way. Remove it or choose another path.'
    case 'EACCES':
    case 'EPERM':
      return 'the directory is not writable for this user. Change its owner or choose another path.'
    case 'ENOENT':
    case 'ENOTDIR':
      return 'the directory does not exist. Create it or choose another path.'
    case 'ENAMETOOLONG':
      return `the path is longer than ${PATH_BYTES_MAX} bytes. Choose a shorter one.`
    default:
      return `${cause instanceof Error ? cause.message : code}.`
  }
}
