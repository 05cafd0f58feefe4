/**
 * Keeps a directory for one broker: whoever has it listens on a socket of a name of its own in it. The
 * system takes the socket down with the process, however that ends, and no process identifier is asked, of
 * which each container has its own.
 *
 * Brokers that come at the same moment first listen, then look at all the others' sockets:
 *
 *     nobody listens there        its process is gone: the file is removed
 *     it has the directory        we give up
 *     it looks as well            the one with the smaller name waits for what becomes of the other,
 *                                 which gives up
 *
 * As everybody listens before looking, at least one of two sees the other.
 */

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StoreError } from '../storage.ts'

export interface DirectoryLock {
  release(): Promise<void>
}

const NAME = /^noctule-[0-9a-f]{16}\.sock$/

/** Whoever has the directory answers at once, unless it is busy: then it has the directory. */
const ANSWER_MS = 2_000

/** Longer addresses of sockets are cut, or refused. */
const ADDRESS_BYTES_MAX = 103

/** What a file system that knows no sockets says. */
const NO_SOCKETS: readonly (string | undefined)[] = [
  'EPERM',
  'EACCES',
  'EINVAL',
  'ENOTSUP',
  'EOPNOTSUPP',
  'EROFS',
]

/** Takes `directory`, which exists. Rejects with `StoreError` if another broker has it. */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  if (process.platform === 'win32') return lockByPipe(directory)
  try {
    return await lockIn(directory, directory)
  } catch (error) {
    if (!NO_SOCKETS.includes((error as NodeJS.ErrnoException).code)) throw error
    return lockIn(substituteFor(directory), directory)
  }
}

async function lockIn(folder: string, directory: string): Promise<DirectoryLock> {
  const place = new Place(folder)
  try {
    for (;;) {
      const lock = new SocketLock(place)
      await lock.listen()
      const rival = await lock.findRival()
      if (rival !== undefined) {
        await lock.release()
        throw inUse(directory, rival)
      }
      // One that looked between our binding and our listening has taken us for dead.
      if (lock.stillStands()) {
        lock.keep()
        return { release: () => lock.release().finally(() => place.close()) }
      }
      await lock.release()
    }
  } catch (error) {
    place.close()
    throw error
  }
}

/** A folder of sockets, by an address that is short however long its path is. */
class Place {
  readonly folder: string
  readonly address: string
  readonly #file: number | undefined

  constructor(folder: string) {
    this.folder = folder
    const isShort =
      Buffer.byteLength(join(folder, 'noctule-0123456789abcdef.sock')) <= ADDRESS_BYTES_MAX
    this.#file = isShort ? undefined : openSync(folder, 'r')
    this.address = this.#file === undefined ? folder : `/proc/self/fd/${this.#file}`
  }

  /** After all sockets in it are closed. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
  }
}

class SocketLock {
  readonly #place: Place
  readonly #name = `noctule-${randomBytes(8).toString('hex')}.sock`
  readonly #server: Server
  readonly #asking = new Set<Socket>()
  #isKept = false

  constructor(place: Place) {
    this.#place = place
    this.#server = createServer((socket) => {
      socket.on('error', () => {})
      socket.unref()
      this.#asking.add(socket)
      socket.on('close', () => this.#asking.delete(socket))
      if (this.#isKept) answer(socket)
      else socket.write(LOOKING)
    })
    this.#server.unref()
  }

  async listen(): Promise<void> {
    this.#server.listen(join(this.#place.address, this.#name))
    await once(this.#server, 'listening')
  }

  /** Looks at all others; returns what the one that has the directory says of itself. */
  async findRival(): Promise<string | undefined> {
    for (const name of readdirSync(this.#place.folder)) {
      if (!NAME.test(name) || name === this.#name) continue
      const reply = await ask(join(this.#place.address, name), name < this.#name)
      if (reply === 'gone') rmSync(join(this.#place.folder, name), { force: true })
      else if (reply !== 'gave up') return reply
    }
    return undefined
  }

  stillStands(): boolean {
    return statSync(join(this.#place.folder, this.#name), { throwIfNoEntry: false }) !== undefined
  }

  keep(): void {
    this.#isKept = true
    for (const socket of this.#asking) answer(socket)
  }

  release(): Promise<void> {
    for (const socket of this.#asking) socket.destroy()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }
}

/** What somebody says that has not decided yet; who has the directory says its process identifier. */
const LOOKING = '?'

function answer(socket: Socket): void {
  socket.end(String(process.pid))
}

/**
 * Asks who listens at `address`: the identifier of a process that has the directory, or '' where it does
 * not say. One with a smaller name has it as far as we are concerned, as it waits for us to give up.
 */
function ask(address: string, isSmaller: boolean): Promise<string> {
  return new Promise((resolve) => {
    const socket = createConnection(address)
    let text = ''
    const end = (reply: string) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(reply)
    }
    const timer = setTimeout(end, ANSWER_MS, '')
    socket.setEncoding('utf8')
    socket.on('data', (part: string) => {
      text += part
      if (isSmaller && text === LOOKING) end('')
    })
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      // One that closes its socket resets those that it has not accepted.
      if (code === 'ECONNRESET' || code === 'EPIPE') end('gave up')
      else end(code === 'ECONNREFUSED' || code === 'ENOENT' ? 'gone' : '')
    })
    socket.on('end', () => end(text.replace(LOOKING, '') || 'gave up'))
  })
}

/** Where sockets are kept for a directory that takes none: the same for every path that leads to it. */
function substituteFor(directory: string): string {
  const { dev, ino } = statSync(directory)
  const folder = join(tmpdir(), `noctule-${dev}-${ino}`)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  return folder
}

async function lockByPipe(directory: string): Promise<DirectoryLock> {
  const { dev, ino } = statSync(realpathSync(directory))
  const server = createServer((socket) => socket.destroy())
  server.unref()
  server.listen(`\\\\.\\pipe\\noctule-${dev}-${ino}`)
  try {
    await once(server, 'listening')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    throw inUse(directory, '')
  }
  return { release: () => new Promise((resolve) => server.close(() => resolve())) }
}

function inUse(directory: string, processId: string): StoreError {
  const who = processId === '' ? 'another broker' : `another broker (process ${processId})`
  return new StoreError(
    'in use',
    `The store in ${directory} is in use by ${who}: stop it, or name another directory in store.url.`,
  )
}
