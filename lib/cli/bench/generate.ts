/** Runs a generator as a process of its own, and waits for what it has to say. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { CommandFailure } from '../failures.ts'
import { pinned } from './cores.ts'
import type { Answer, Job, Outcome } from './load.ts'

const GENERATOR = fileURLToPath(new URL('generator.js', import.meta.url))

/** Rejects with a sentence when the broker could not be measured. */
export async function generate(job: Job, core: number | undefined): Promise<Outcome> {
  const [command, args] = pinned(core, process.execPath, [GENERATOR])
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  // A generator that died has said why.
  child.stdin.on('error', () => {})
  child.stdin.end(JSON.stringify(job))
  const [output, [code, signal]] = await Promise.all([text(child.stdout), once(child, 'close')])
  process.off('exit', kill)
  if (output === '') throw new Error(`the generator ended with ${code ?? signal}`)
  const answer = JSON.parse(output) as Answer
  if ('failure' in answer) throw new CommandFailure(answer.failure)
  return answer.outcome
}
