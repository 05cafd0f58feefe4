/**
 * The generator, a process of its own so that it can have a core of its own: reads a `Job` as JSON from its
 * standard input, does it, and prints one `Answer` as JSON.
 */

import { text } from 'node:stream/consumers'
import { CommandFailure } from '../failures.ts'
import { runChurn } from './churn-load.ts'
import { runIdle } from './idle-load.ts'
import type { Answer, Job, Outcome, Shape } from './load.ts'
import { runMessages } from './message-load.ts'
import { runQueue } from './queue-load.ts'
import { runRetained } from './retained-load.ts'
import { Run } from './run.ts'

const loads: Readonly<Record<Shape, (run: Run) => Promise<Outcome>>> = {
  messages: runMessages,
  queue: runQueue,
  retained: runRetained,
  idle: runIdle,
  churn: runChurn,
}

const given = JSON.parse(await text(process.stdin)) as Job
process.stdout.write(`${JSON.stringify(await answer(given))}\n`, () => process.exit())

async function answer(job: Job): Promise<Answer> {
  const run = new Run(job)
  try {
    return { outcome: await Promise.race([loads[job.load.shape](run), run.failed]) }
  } catch (error) {
    if (error instanceof CommandFailure) return { failure: error.message }
    throw error
  }
}
