/** Messages wait for sessions whose clients are away; then these come back and take them. */

import type { Outcome, Span } from './load.ts'
import { castOf, connectSubscribers, leave, sessionOf, settle } from './message-load.ts'
import type { Run } from './run.ts'

export async function runQueue(run: Run): Promise<Outcome> {
  const { load } = run
  const cast = castOf(run)
  const { ledger, publishers, subscribers } = cast
  await connectSubscribers(run, cast)
  await run.each(subscribers, (subscriber) => subscriber.disconnect())
  await run.each(publishers, (publisher) => publisher.connect())

  const filling = await fill()
  const endSpan = run.startSpan()
  await run.each(subscribers, (subscriber) => subscriber.connect(sessionOf(load)))
  await run.until(
    () => ledger.lost === 0,
    () => ledger.delivered,
  )
  const measured = endSpan(ledger.delivered)
  await settle(run, cast)
  await leave(run, cast)
  return { ...measured, counts: ledger.counts, filling, notes: run.notes }

  /** Resolves when all messages are acknowledged. */
  async function fill(): Promise<Span> {
    const quota = Math.floor(load.messages / publishers.length)
    const total = quota * publishers.length
    const endFilling = run.startSpan()
    for (const publisher of publishers) {
      publisher.quota = quota
      run.turn.want(publisher)
    }
    await run.untilSurely(
      () => ledger.acknowledged === total,
      () => ledger.acknowledged,
    )
    return endFilling(total).span
  }
}
