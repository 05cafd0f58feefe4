/** `noctule start` as a process, on free ports, killed when its test ends. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ExecutionContext } from 'ava'

const CLI = fileURLToPath(new URL('../../lib/cli.js', import.meta.url))

export interface BrokerProcess {
  readonly child: ChildProcess
  /** All that it has printed so far, both streams together. */
  readonly output: () => string
  /** Resolves with the first match in its output; rejects if the process ends without. */
  readonly waitFor: (pattern: RegExp) => Promise<RegExpExecArray>
  /** Resolves with the exit code. */
  readonly exited: Promise<number | null>
}

export function spawnStart(
  t: ExecutionContext,
  args: readonly string[],
  environment: Record<string, string> = {},
): BrokerProcess {
  // The store of the configuration's default lies in the current directory.
  const directory = mkdtempSync(join(tmpdir(), 'noctule-start-'))
  const child = spawn(process.execPath, [CLI, 'start', ...args], {
    cwd: directory,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
    rmSync(directory, { recursive: true, force: true })
  })
  let output = ''
  let wake = () => {}
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      output += text
      wake()
    })
  }
  let hasEnded = false
  const exited = once(child, 'close').then(([code]: (number | null)[]) => {
    hasEnded = true
    wake()
    return code as number | null
  })
  return {
    child,
    output: () => output,
    exited,
    waitFor: async (pattern) => {
      for (;;) {
        const match = pattern.exec(output)
        if (match !== null) return match
        if (hasEnded) throw new Error(`ended without ${pattern}:\n${output}`)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
  }
}

/** Starts it on free ports and waits until it listens. */
export async function startProcess(
  t: ExecutionContext,
  args: readonly string[] = [],
  environment: Record<string, string> = {},
): Promise<BrokerProcess & { readonly port: number; readonly wsPort: number }> {
  const broker = spawnStart(t, ['--port', '0', '--ws-port', '0', ...args], environment)
  const [, port] = await broker.waitFor(/mqtt:\/\/127\.0\.0\.1:(\d+)/)
  const [, wsPort] = await broker.waitFor(/ws:\/\/127\.0\.0\.1:(\d+)\/mqtt/)
  await broker.waitFor(/Try it:\n.*\n.*\n/)
  return { ...broker, port: Number(port), wsPort: Number(wsPort) }
}
