/** Many retained messages, and subscribers who ask for all of them again and again. */

import { Ledger } from './ledger.ts'
import type { Outcome } from './load.ts'
import { RetainedReader } from './retained-reader.ts'
import { RetainedWriter } from './retained-writer.ts'
import type { Run } from './run.ts'

export async function runRetained(run: Run): Promise<Outcome> {
  const { load, job } = run
  const ledger = new Ledger(0)
  const writer = new RetainedWriter(run)
  await writer.connect()
  await writer.write(load.messages)
  const readers = Array.from(
    { length: load.subscribers },
    (_, i) => new RetainedReader(run, i, ledger),
  )
  await run.each(readers, (reader) => reader.connect())

  for (const reader of readers) reader.start()
  const progress = () => ledger.delivered
  await run.pass(job.warmupMs, progress)
  const before = ledger.delivered
  const endSpan = run.startSpan()
  await run.pass(job.durationMs, progress)
  const measured = endSpan(ledger.delivered - before)
  for (const reader of readers) reader.stop()
  await run.until(() => readers.every(({ isBetween }) => isBetween), progress)

  await run.each(readers, (reader) => reader.disconnect())
  await writer.erase(load.messages)
  await writer.disconnect()
  return { ...measured, counts: ledger.counts, notes: run.notes }
}
