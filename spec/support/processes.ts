/** Real processes for the tests of the command line: the program itself, and a broker it talks to. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ExecutionContext } from 'ava'
import { createBroker, type ListenerInput } from '../../lib/index.ts'
import type { KeyAndCertificate } from './certificates.ts'

export interface TestBroker {
  readonly port: number
  readonly wsPort: number
  /** 0 unless a certificate was given. */
  readonly tlsPort: number
}

export interface CliResult {
  /** null when a signal killed the process. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** No teardown runs when a test file dies of an exception: its processes must not outlive it. */
const running = new Set<ChildProcessWithoutNullStreams>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

const CLI = fileURLToPath(new URL('../../lib/cli.js', import.meta.url))

/** Starts a broker on free ports that lets everybody in. */
export async function startTestBroker(
  t: ExecutionContext,
  { tls }: { readonly tls?: KeyAndCertificate } = {},
): Promise<TestBroker> {
  const directory = temporaryDirectory(t)
  const listeners: ListenerInput[] = [
    { type: 'tcp', port: 0 },
    { type: 'ws', port: 0 },
  ]
  if (tls !== undefined) {
    const certFile = join(directory, 'cert.pem')
    const keyFile = join(directory, 'key.pem')
    writeFileSync(certFile, tls.cert)
    writeFileSync(keyFile, tls.key)
    listeners.push({ type: 'tls', port: 0, certFile, keyFile })
  }
  const broker = await createBroker({ listeners })
  t.teardown(() => broker.close())
  const [port = 0, wsPort = 0, tlsPort = 0] = broker.urls.map((url) => Number(new URL(url).port))
  return { port, wsPort, tlsPort }
}

/** Runs `noctule` to its end. Standard input is closed at once, or after `input`. */
export async function run(
  t: ExecutionContext,
  args: readonly string[],
  { input = '' }: { readonly input?: string | Buffer } = {},
): Promise<CliResult> {
  const cli = spawnCli(t, args)
  cli.child.stdin.end(input)
  return cli.ended
}

/** Starts `noctule`; it is killed at the end of the test if it still runs. */
export function spawnCli(t: ExecutionContext, args: readonly string[]): Process {
  return new Process(t, process.execPath, [CLI, ...args])
}

export function temporaryDirectory(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'noctule-cli-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** A port where nothing listens, unless somebody takes it now. */
export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1)
  return port
}

/**
 * Where nothing listens until the test ends: the port is taken at another address of this machine, so that
 * nobody else gets it for all of them.
 */
export async function silentPlace(t: ExecutionContext): Promise<{ host: string; port: number }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { host: '127.0.0.2', port: (server.address() as { port: number }).port }
}

export class Process {
  readonly child: ChildProcessWithoutNullStreams
  readonly ended: Promise<CliResult>
  #stdout = ''
  #stderr = ''
  readonly #onOutput = new Set<() => void>()

  constructor(t: ExecutionContext, command: string, args: readonly string[]) {
    this.child = spawn(command, args)
    // A process that ends before it has read all is what some tests want.
    this.child.stdin.on('error', () => {})
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
      for (const look of this.#onOutput) look()
    })
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
      for (const look of this.#onOutput) look()
    })
    this.ended = once(this.child, 'close').then(([code]) => {
      for (const look of this.#onOutput) look()
      return { code: code as number | null, stdout: this.#stdout, stderr: this.#stderr }
    })
    this.ended.catch(() => {})
    running.add(this.child)
    t.teardown(async () => {
      this.child.kill('SIGKILL')
      await this.ended
      running.delete(this.child)
    })
  }

  /** Waits for a whole line of standard output or standard error; rejects when none can come any more. */
  waitForLine(pattern: RegExp): Promise<string> {
    return this.#waitFor(pattern, () => wholeLines(this.#stdout, this.#stderr))
  }

  /** Waits for what standard output or standard error has, ended line or not: a prompt. */
  waitForText(pattern: RegExp): Promise<string> {
    return this.#waitFor(pattern, () => [this.#stdout, this.#stderr])
  }

  #waitFor(pattern: RegExp, texts: () => readonly string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = texts().find((text) => pattern.test(text))
        const hasEnded = this.child.exitCode !== null || this.child.signalCode !== null
        if (found === undefined && !(hasEnded && this.child.stdout.closed)) return
        this.#onOutput.delete(look)
        if (found !== undefined) resolve(found)
        else reject(new Error(`ended without ${pattern}: ${this.#stdout}${this.#stderr}`))
      }
      this.#onOutput.add(look)
      look()
    })
  }
}

function wholeLines(...outputs: readonly string[]): string[] {
  return outputs.flatMap((output) => output.split('\n').slice(0, -1))
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  for (const server of servers) server.close()
  await Promise.all(servers.map((server) => once(server, 'close')))
  return ports
}
