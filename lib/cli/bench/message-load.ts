/** Messages flow from publishers to subscribers: as fast as windows allow, or at a rate. */

import type { Client } from './client.ts'
import { addDead } from './dead-subscribers.ts'
import { Ledger } from './ledger.ts'
import type { Load, Outcome } from './load.ts'
import { Pacer } from './pacer.ts'
import { Publisher } from './publisher.ts'
import { Resubscriber } from './resubscriber.ts'
import { type Routes, routesOf } from './routes.ts'
import type { Run } from './run.ts'
import { Subscriber } from './subscriber.ts'

/** All who take part, with their books. */
export interface Cast {
  readonly routes: Routes
  readonly ledger: Ledger
  readonly publishers: readonly Publisher[]
  readonly subscribers: readonly Subscriber[]
}

export async function runMessages(run: Run): Promise<Outcome> {
  const { job } = run
  const cast = castOf(run)
  const { ledger, publishers } = cast
  await connectSubscribers(run, cast)
  const extras = [...(await addDead(run, cast.routes)), ...(await addResubscribers(run, ledger))]
  await run.each(publishers, (publisher) => publisher.connect())

  const progress = () => ledger.delivered + ledger.acknowledged
  const stop = await warmUp(run, publishers, progress)
  ledger.isMeasuring = true
  const before = ledger.delivered
  const endSpan = run.startSpan()
  await run.pass(job.durationMs, progress)
  const measured = endSpan(ledger.delivered - before)
  ledger.isMeasuring = false
  stop()

  await settle(run, cast)
  for (const extra of extras) extra.abandon()
  await leave(run, cast)
  const { latency, counts } = ledger
  return { ...measured, counts, ...(latency === undefined ? {} : { latency }), notes: run.notes }
}

export function castOf(run: Run): Cast {
  const { load } = run
  const routes = routesOf(load)
  const isShared = load.topology === 'shared'
  const ledger = new Ledger(routes.streams, isShared ? load.publishers * load.subscribers : 0)
  const publishers = indexes(load.publishers).map((i) => new Publisher(run, i, routes, ledger))
  const reception = { routes, ledger, publishers }
  const subscribers = indexes(load.subscribers).map((i) => new Subscriber(run, i, reception))
  return { routes, ledger, publishers, subscribers }
}

export async function connectSubscribers(run: Run, { routes, subscribers }: Cast): Promise<void> {
  await run.each(subscribers, async (subscriber, index) => {
    await subscriber.connect(sessionOf(run.load))
    await subscriber.subscribe(routes.filtersOf(index), run.load.qos)
  })
}

/** Waits for what is under way. What has not come when nothing moves any more is lost. */
export async function settle(run: Run, { ledger, publishers, subscribers }: Cast): Promise<void> {
  const { qos } = run.load
  const isDone = () =>
    ledger.lost === 0 && (qos === 0 || publishers.every(({ isAcknowledged }) => isAcknowledged))
  const progress = () => ledger.delivered + ledger.acknowledged
  const ask = async () => {
    await run.each(publishers, (publisher) => publisher.ping())
    await run.each(subscribers, (subscriber) => subscriber.ping())
  }
  if (!(await run.until(isDone, progress))) {
    // It may only be slow: its answers come behind what it had taken and what it had to give.
    await ask()
    await run.until(isDone, progress)
  }
  // What comes twice has come when it answers.
  await ask()
}

/** All say goodbye, and the broker forgets durable sessions. */
export async function leave(run: Run, { publishers, subscribers }: Cast): Promise<void> {
  await run.each([...publishers, ...subscribers], (client) => client.disconnect())
  if (!run.load.isDurable) return
  await run.each(subscribers, async (subscriber) => {
    await subscriber.connect()
    await subscriber.disconnect()
  })
}

export function sessionOf(load: Load): { isDurable: boolean; hasTopicAliases: boolean } {
  const { isDurable, hasTopicAliases } = load
  return { isDurable, hasTopicAliases }
}

/**
 * Begins the load and lets it run for the time before anything counts; returns what stops it. A load at a rate begins
 * with half of that time at full speed, as some brokers need many messages before they are what they will be.
 */
async function warmUp(
  run: Run,
  publishers: readonly Publisher[],
  progress: () => number,
): Promise<() => void> {
  const { ratePerSecond } = run.load
  const { warmupMs } = run.job
  startFlow(run, publishers)
  if (ratePerSecond === 0) {
    await run.pass(warmupMs, progress)
    return () => stopFlow(publishers)
  }
  await run.pass(warmupMs / 2, progress)
  stopFlow(publishers)
  const pacer = new Pacer(publishers, ratePerSecond)
  pacer.start()
  await run.pass(warmupMs / 2, progress)
  return () => pacer.stop()
}

/** As fast as windows allow. */
function startFlow(run: Run, publishers: readonly Publisher[]): void {
  for (const publisher of publishers) {
    publisher.quota = Infinity
    run.turn.want(publisher)
  }
}

function stopFlow(publishers: readonly Publisher[]): void {
  for (const publisher of publishers) publisher.quota = 0
}

const RESUBSCRIBERS = 10

async function addResubscribers(run: Run, ledger: Ledger): Promise<Client[]> {
  const { deliveriesPerResubscribe } = run.load
  if (deliveriesPerResubscribe === 0) return []
  const every = deliveriesPerResubscribe * RESUBSCRIBERS
  const clients = indexes(RESUBSCRIBERS).map((i) => new Resubscriber(run, i, ledger, every))
  await run.each(clients, async (client) => {
    await client.connect()
    client.start()
  })
  return clients
}

function indexes(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}
