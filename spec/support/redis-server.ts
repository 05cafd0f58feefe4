/** Real Redis servers of a test's own: on free ports, in a directory of their own, gone when it ends. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** No teardown runs when a test file dies of an exception: its servers must not outlive it. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export class RedisServer {
  readonly port: number
  readonly #directory: string
  readonly #program: string
  #settings: readonly string[]
  #child: ChildProcess | undefined

  private constructor(program: string, port: number, settings: readonly string[]) {
    this.#program = program
    this.#directory = mkdtempSync(join(tmpdir(), 'noctule-redis-'))
    this.port = port
    this.#settings = settings
  }

  /** Starts one with settings as on its command line, as in `--appendonly yes`. */
  static async start(
    settings: readonly string[] = [],
    program = 'redis-server',
  ): Promise<RedisServer> {
    for (let attempt = 0; ; attempt++) {
      const server = new RedisServer(program, await freePort(), settings)
      try {
        await server.start()
        return server
      } catch (error) {
        // Somebody else may have taken the port in between.
        server.#removeDirectory()
        if (attempt === 2) throw error
      }
    }
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  get directory(): string {
    return this.#directory
  }

  /** Starts it on its port, with what it has kept and perhaps other settings; resolves when it serves. */
  async start(settings: readonly string[] = this.#settings): Promise<void> {
    this.#settings = settings
    const common = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#directory]
    const quiet = ['--save', '', '--loglevel', 'warning']
    const isSentinel = this.#program === 'redis-sentinel'
    const args = isSentinel ? settings : [...common, ...quiet, ...settings]
    const child = spawn(this.#program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#child = child
    running.add(child)
    let output = ''
    child.stdout.on('data', (text: Buffer) => {
      output += String(text)
    })
    const ended = once(child, 'exit').then(([code]) => {
      running.delete(child)
      throw new Error(`${this.#program} ended with ${code}: ${output}`)
    })
    ended.catch(() => {})
    await Promise.race([this.#untilServing(child), ended])
  }

  /** Ends it at once, like a crash. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    this.#child = undefined
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  /** Stops it in the middle of whatever it does, until `continue`. */
  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  continue(): void {
    this.#child?.kill('SIGCONT')
  }

  /** Ends it and removes what it kept. */
  async remove(): Promise<void> {
    await this.kill()
    this.#removeDirectory()
  }

  /** Sends one command and returns its reply as Redis writes it, errors included. */
  async command(...words: readonly string[]): Promise<string> {
    const socket = connect(this.port, '127.0.0.1')
    try {
      return await ask(socket, words)
    } finally {
      socket.destroy()
    }
  }

  #removeDirectory(): void {
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async #untilServing(child: ChildProcess): Promise<void> {
    while (child.exitCode === null) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- Asked until it serves.
        const reply = await this.command('PING')
        if (reply.startsWith('+PONG')) return
      } catch {
        // Not listening yet.
      }
      // oxlint-disable-next-line no-await-in-loop -- A process tells nobody that it listens.
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
}

/** A port where nothing listens, below those of the cluster bus, unless somebody takes it now. */
async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(0, '127.0.0.1')
    // oxlint-disable-next-line no-await-in-loop -- Until one is low enough.
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    server.close()
    // oxlint-disable-next-line no-await-in-loop -- As above.
    await once(server, 'close')
    if (port < 55_535) return port
  }
}

async function ask(socket: Socket, words: readonly string[]): Promise<string> {
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`)
  socket.write(`*${words.length}\r\n${parts.join('')}`)
  let reply = ''
  for await (const chunk of socket) {
    reply += String(chunk)
    if (isWhole(reply)) return reply
  }
  throw new Error('the connection ended before the reply')
}

/** Whether a reply has come as a whole: lines and bulk strings, as far as tests ask for them. */
function isWhole(reply: string): boolean {
  if (!reply.endsWith('\r\n')) return false
  const length = /^\$(\d+)\r\n/.exec(reply)
  if (length === null) return !reply.startsWith('*') || reply.split('\r\n').length > 2
  return Buffer.byteLength(reply) >= length[0].length + Number(length[1]) + 2
}
