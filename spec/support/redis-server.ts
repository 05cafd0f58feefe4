/** Real Redis servers of a test's own: on free ports, in a directory of their own, gone when it ends. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** No teardown runs when a test file dies of an exception: its servers must not outlive it. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

const SETPRIV = '/usr/bin/setpriv'

export class RedisServer {
  readonly port: number
  readonly #directory: string
  readonly #sentinelOf: number | undefined
  #settings: readonly string[]
  #child: ChildProcess | undefined

  private constructor(port: number, settings: readonly string[], sentinelOf: number | undefined) {
    this.#sentinelOf = sentinelOf
    this.#directory = mkdtempSync(join(tmpdir(), 'noctule-redis-'))
    this.port = port
    this.#settings = settings
  }

  /** Starts one with settings as on its command line, as in `--appendonly yes`. */
  static start(settings: readonly string[] = []): Promise<RedisServer> {
    return RedisServer.#startOn(settings, undefined)
  }

  /** Starts a Sentinel that watches the server at `port` under the name `kept`. */
  static startSentinel(port: number): Promise<RedisServer> {
    return RedisServer.#startOn([], port)
  }

  static async #startOn(
    settings: readonly string[],
    sentinelOf: number | undefined,
  ): Promise<RedisServer> {
    for (let attempt = 0; ; attempt++) {
      const server = new RedisServer(await freePort(), settings, sentinelOf)
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

  /** Starts it on its port, with what it has kept and perhaps other settings; resolves when it serves. */
  async start(settings: readonly string[] = this.#settings): Promise<void> {
    this.#settings = settings
    const program = this.#sentinelOf === undefined ? 'redis-server' : 'redis-sentinel'
    const args =
      this.#sentinelOf === undefined
        ? [...this.#commonSettings(), ...settings]
        : [this.#writeSentinelFile(this.#sentinelOf)]
    // Where an exit of this thread runs no handler, the system sees to it that its servers end too.
    const [command, ...words] = existsSync(SETPRIV)
      ? ([SETPRIV, '--pdeathsig', 'KILL', program, ...args] as const)
      : ([program, ...args] as const)
    const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'ignore'] })
    this.#child = child
    running.add(child)
    let output = ''
    child.stdout.on('data', (text: Buffer) => {
      output += String(text)
    })
    const ended = once(child, 'exit').then(([code]) => {
      running.delete(child)
      throw new Error(`${program} ended with ${code}: ${output}`)
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

  /** Loses what it has kept. To be called while it does not run. */
  forget(): void {
    for (const name of readdirSync(this.#directory))
      rmSync(join(this.#directory, name), { recursive: true })
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

  #commonSettings(): string[] {
    const place = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#directory]
    // Replicas are served at once, instead of waiting for others to come.
    return [...place, '--save', '', '--loglevel', 'warning', '--repl-diskless-sync-delay', '0']
  }

  /** A Sentinel takes no settings but from a file, which it writes again itself. */
  #writeSentinelFile(masterPort: number): string {
    const file = join(this.#directory, 'sentinel.conf')
    const lines = [
      `port ${this.port}`,
      'bind 127.0.0.1',
      `dir ${this.#directory}`,
      `sentinel monitor kept 127.0.0.1 ${masterPort} 1`,
      'sentinel down-after-milliseconds kept 300',
      'sentinel failover-timeout kept 3000',
      '',
    ]
    writeFileSync(file, lines.join('\n'))
    return file
  }

  #removeDirectory(): void {
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async #untilServing(child: ChildProcess): Promise<void> {
    while (child.pid !== undefined && child.exitCode === null) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- Asked until it serves.
        const reply = await this.command('PING')
        if (!reply.startsWith('-LOADING')) return
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
  // One character a byte, as lengths are in bytes.
  socket.setEncoding('latin1')
  let reply = ''
  for await (const chunk of socket) {
    reply += String(chunk)
    if (isWhole(reply)) return reply
  }
  throw new Error('the connection ended before the reply')
}

/** Whether a reply has come as a whole. */
function isWhole(reply: string): boolean {
  return endOf(reply, 0) !== -1
}

/** Where the value ends that begins at `start`; -1 if there is more to come. */
function endOf(reply: string, start: number): number {
  const lineEnd = reply.indexOf('\r\n', start)
  if (lineEnd === -1) return -1
  const length = Number(reply.slice(start + 1, lineEnd))
  let end = lineEnd + 2
  if (reply[start] === '$' && length >= 0) {
    end += length + 2
    return end <= reply.length ? end : -1
  }
  if (reply[start] !== '*') return end
  for (let i = 0; i < length && end !== -1; i++) end = endOf(reply, end)
  return end
}
