/** A broker as a process of its own, which can be killed and started again on the same store. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from '../support/turns.ts'
import type { Address } from './client.ts'

export const CLI: string = fileURLToPath(new URL('../../lib/cli.js', import.meta.url))

/** Bounds that nothing here reaches: what a policy drops is not lost by a fault. */
const FLAGS = [
  '--port=0',
  '--ws-port=0',
  '--log-level=warn',
  '--log-format=json',
  '--session.queueMessagesMax=10000000',
  '--session.queueBytesMax=10000000000',
  '--session.willRestartGraceSeconds=1',
  '--store.timeoutMs=1000',
]

/** Those that still run; they must not outlive us. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A broker that ended before it listened. */
export class BrokerEnded extends Error {
  readonly code: number | null
  readonly output: string

  constructor(code: number | null, output: string) {
    super(`the broker ended with ${code}:\n${output}`)
    this.code = code
    this.output = output
  }
}

export class World implements Address {
  port = 0
  heard = 0
  connections = 0
  strikes = 0
  readonly directory: string = mkdtempSync(join(tmpdir(), 'noctule-faults-'))
  /** All that brokers have logged. */
  log = ''
  #heard: () => void = () => {}
  readonly #flags: readonly string[]
  #child: ChildProcess | undefined

  constructor(flags: readonly string[]) {
    this.#flags = flags
  }

  async startBroker(): Promise<void> {
    const args = [CLI, 'start', ...FLAGS, ...this.#flags]
    const child = spawn(process.execPath, args, {
      cwd: this.directory,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    running.add(child)
    child.once('exit', () => running.delete(child))
    let output = ''
    const listening = new Promise<void>((resolve, reject) => {
      const hear = (text: string): void => {
        output += text
        this.log += text
        this.#heard()
        const port = /mqtt:\/\/127\.0\.0\.1:(\d+)/.exec(output)?.[1]
        if (port === undefined) return
        this.port = Number(port)
        resolve()
      }
      child.stdout.setEncoding('utf8').on('data', hear)
      child.stderr.setEncoding('utf8').on('data', hear)
      child.once('close', (code) => reject(new BrokerEnded(code, output)))
    })
    await listening
  }

  /** The lines that were logged and have this text. */
  linesWith(text: string): Readonly<Record<string, unknown>>[] {
    const lines = this.log.split('\n').filter((line) => line.includes(text))
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  /** Does something, and resolves when the broker has logged `text` since. */
  async untilLogged(text: string, act: () => Promise<void> | void): Promise<void> {
    const from = this.log.length
    await act()
    while (!this.log.includes(text, from)) {
      await new Promise<void>((resolve) => {
        this.#heard = resolve
      })
    }
  }

  /** Stops the broker in the middle of whatever it does, until `thaw`. */
  async freeze(): Promise<void> {
    this.#child?.kill('SIGSTOP')
    const tasks = `/proc/${this.#child?.pid}/task`
    await until(() => readdirSync(tasks).every((task) => isStopped(`${tasks}/${task}/stat`)))
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  /** Resolves when all clients know that the broker is gone. */
  untilDeserted(): Promise<void> {
    return until(() => this.connections === 0)
  }

  /** Ends the broker as a power cut would end its process. */
  async killBroker(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  async remove(): Promise<void> {
    await this.killBroker()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** Whether a thread stands still: its state is the first letter behind its name. */
function isStopped(stat: string): boolean {
  try {
    const text = readFileSync(stat, 'latin1')
    return text[text.lastIndexOf(')') + 2] === 'T'
  } catch {
    return false // It has just ended, and is not there when it is looked at again.
  }
}
