/** Clients come, subscribe and go, over and over. */

import { Client } from './client.ts'
import { Ledger } from './ledger.ts'
import type { Outcome } from './load.ts'
import { TOPIC_ROOT } from './routes.ts'
import type { Run } from './run.ts'
import { sourceAddress } from './source-address.ts'

export async function runChurn(run: Run): Promise<Outcome> {
  const { load, job } = run
  const ending = new AbortController()
  let cycles = 0
  const clients = Array.from({ length: load.subscribers }, (_, i) => new Client(run, `guest ${i}`))
  const comeAndGo = async (client: Client, index: number) => {
    for (let visit = 0; !ending.signal.aborted; visit++) {
      await client.connect({ localAddress: sourceAddress(run.target, index + visit) })
      await client.subscribe([`${TOPIC_ROOT}/${index}`], 0)
      await client.disconnect()
      cycles++
    }
  }
  const ended = run.each(clients, comeAndGo, clients.length)
  ended.catch((failure: unknown) => run.fail(failure as Error))
  const progress = () => cycles
  await run.pass(job.warmupMs, progress)
  const before = cycles
  const endSpan = run.startSpan()
  await run.pass(job.durationMs, progress)
  const measured = endSpan(cycles - before)
  ending.abort()
  await ended
  return { ...measured, counts: new Ledger(0).counts, notes: run.notes }
}
