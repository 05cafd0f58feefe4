import test, { type ExecutionContext } from 'ava'
import { faultsOf, figuresOf } from '../../lib/cli/bench/figures.ts'
import { generate } from '../../lib/cli/bench/generate.ts'
import { placeOf } from '../../lib/cli/bench/measure.ts'
import { startOwnBroker } from '../../lib/cli/bench/own-broker.ts'
import { type Scenario, scenarios } from '../../lib/cli/bench/scenarios.ts'
import type { Subject } from '../../lib/cli/bench/subject.ts'
import { shrunk } from './small-loads.ts'

async function start(t: ExecutionContext, store: string): Promise<Subject> {
  const subject = await startOwnBroker({ store, storePids: [], core: undefined, wantsTls: true })
  t.teardown(() => subject.stop())
  return subject
}

async function runShortly(
  t: ExecutionContext,
  scenario: Scenario,
  subject: Subject,
): Promise<void> {
  const target = placeOf(scenario, subject)
  if (typeof target === 'string') {
    t.fail(target)
    return
  }
  const load = shrunk(scenario.load)
  const { watched } = subject
  const job = { load, target, watched, warmupMs: 100, durationMs: 200 }
  const outcome = await generate(job, undefined)

  const { counts, span } = outcome
  t.deepEqual(faultsOf(outcome, load), [])
  t.is(counts.duplicated, 0)
  t.true(span.operations > 0)
  t.true((figuresOf(span).brokerUs ?? 0) > 0)
  t.true((outcome.residentBytes ?? 0) > 0)
  const isAcknowledged = load.qos > 0 && load.shape !== 'retained'
  t.is(counts.acknowledged, isAcknowledged ? counts.sent : 0)
  t.is(outcome.filling === undefined, load.shape !== 'queue')
}

test('every scenario runs on a broker in memory, and all that it sends arrives', async (t) => {
  t.timeout(120_000)
  const subject = await start(t, 'memory')
  for (const scenario of scenarios) {
    t.log(scenario.name)
    await runShortly(t, scenario, subject)
  }
})

test('every scenario for stores runs on a disk', async (t) => {
  t.timeout(120_000)
  const subject = await start(t, 'disk:data')
  for (const scenario of scenarios.filter(({ isForStores }) => isForStores)) {
    t.log(scenario.name)
    await runShortly(t, scenario, subject)
  }
})

test('scenarios have names of their own', (t) => {
  t.is(new Set(scenarios.map(({ name }) => name)).size, scenarios.length)
})
