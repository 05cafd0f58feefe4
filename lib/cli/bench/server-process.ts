/** A server that runs for a while as a process of ours: started, waited for, ended. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { pinned } from './cores.ts'

/** They must not outlive us. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

const START_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 5_000

export interface ServerOptions {
  readonly command: string
  readonly args: readonly string[]
  /** What it prints when it is ready. */
  readonly ready: RegExp
  readonly core: number | undefined
  /** Its current directory. */
  readonly directory: string
}

export class ServerProcess {
  readonly pid: number
  /** All that it printed until it was ready. */
  readonly output: string
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, output: string) {
    this.#child = child
    this.pid = child.pid as number
    this.output = output
  }

  /** Resolves when it is ready; rejects with what it printed when it ends before. */
  static async start({
    command,
    args,
    ready,
    core,
    directory,
  }: ServerOptions): Promise<ServerProcess> {
    const [program, words] = pinned(core, command, args)
    const child = spawn(program, words, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
    running.add(child)
    child.once('exit', () => running.delete(child))
    return new Promise((resolve, reject) => {
      let output = ''
      const give = (end: () => void) => {
        clearTimeout(timer)
        child.removeAllListeners('close').removeAllListeners('error')
        for (const stream of streams) stream.off('data', hear).resume()
        end()
      }
      const hear = (text: string) => {
        output += text
        if (ready.test(output)) give(() => resolve(new ServerProcess(child, output)))
      }
      const streams: Readable[] = [child.stdout, child.stderr]
      for (const stream of streams) stream.setEncoding('utf8').on('data', hear)
      const fail = (reason: string) => {
        give(() => reject(new Error(`${command} ${reason}:\n${output}`)))
      }
      const timer = setTimeout(() => {
        child.kill('SIGKILL')
        fail(`was not ready within ${START_TIMEOUT_MS / 1000} s`)
      }, START_TIMEOUT_MS)
      child.once('error', (error) => fail(`cannot be started: ${error.message}`))
      child.once('close', (code, signal) => fail(`ended with ${code ?? signal}`))
    })
  }

  /** Resolves when it has ended; it is asked first. */
  async stop(): Promise<void> {
    const child = this.#child
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await ended
    clearTimeout(timer)
  }
}
