/** Many clients that connect, subscribe to one topic each, and do nothing. */

import { Client } from './client.ts'
import { Ledger } from './ledger.ts'
import type { Outcome } from './load.ts'
import { openFilesMax } from './process-usage.ts'
import { TOPIC_ROOT } from './routes.ts'
import type { Run } from './run.ts'
import { sourceAddress } from './source-address.ts'

const PARALLEL = 200

/** Files that a process has open beside its connections. */
const OTHER_FILES = 100

export async function runIdle(run: Run): Promise<Outcome> {
  const count = affordable(run)
  // What the first guests leave behind counts as memory; what they cost does not count as time.
  const endGrowth = run.startSpan()
  await warmUp(run)
  const clients = clientsOf(run, 'idle', count)
  const endSpan = run.startSpan()
  await settle(run, clients)
  const measured = endSpan(count)
  const { grownBytes } = endGrowth(count)
  abandon(clients)
  const memory = grownBytes === undefined ? {} : { grownBytes }
  return { ...measured, ...memory, counts: new Ledger(0).counts, notes: run.notes }
}

/** Guests come and go, so that a broker is measured that has seen clients before. */
async function warmUp(run: Run): Promise<void> {
  const end = performance.now() + run.job.warmupMs
  while (performance.now() < end) {
    const guests = clientsOf(run, 'guest', PARALLEL)
    await settle(run, guests)
    abandon(guests)
  }
}

function clientsOf(run: Run, name: string, count: number): Client[] {
  return Array.from({ length: count }, (_, i) => new Client(run, `${name} ${i}`))
}

async function settle(run: Run, clients: readonly Client[]): Promise<void> {
  await run.each(
    clients,
    async (client, index) => {
      await client.connect({ localAddress: sourceAddress(run.target, index) })
      await client.subscribe([`${TOPIC_ROOT}/${index}`], 0)
    },
    PARALLEL,
  )
}

function abandon(clients: readonly Client[]): void {
  for (const client of clients) client.abandon()
}

/** As many connections as were asked for, or as the system lets the broker and us have. */
function affordable({ load, job, notes }: Run): number {
  const limits = (['self', ...job.watched.broker] as const).map((pid) => openFilesMax(pid))
  const limit = Math.min(...limits.map((files) => (files ?? Infinity) - OTHER_FILES))
  if (limit >= load.subscribers) return load.subscribers
  notes.push(
    `${limit.toLocaleString('en')} connections instead of ${load.subscribers.toLocaleString('en')}: the limit of open files allows no more (ulimit -n)`,
  )
  return limit
}
