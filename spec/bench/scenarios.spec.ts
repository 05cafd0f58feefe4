import test, { type ExecutionContext } from 'ava'
import { faultsOf, figuresOf } from '../../lib/cli/bench/figures.ts'
import { generate } from '../../lib/cli/bench/generate.ts'
import { placeOf } from '../../lib/cli/bench/measure.ts'
import { startOwnBroker } from '../../lib/cli/bench/own-broker.ts'
import { type Scenario, scenarios } from '../../lib/cli/bench/scenarios.ts'
import type { Subject } from '../../lib/cli/bench/subject.ts'
import { shrunk } from './small-loads.ts'

const DURATION_MS = 300

const brokers = new Map<string, Subject>()

test.before(async () => {
  for (const store of ['memory', 'disk:data']) {
    const options = { store, storePids: [], core: undefined, wantsTls: true }
    brokers.set(store, await startOwnBroker(options))
  }
  const guarded = { store: 'memory', storePids: [], core: undefined, isGuarded: true }
  brokers.set('guarded', await startOwnBroker(guarded))
})

test.after.always(async () => {
  for (const broker of brokers.values()) await broker.stop()
})

for (const scenario of scenarios) {
  test.serial(`${scenario.name} runs, and all that is sent arrives`, (t) =>
    runShortly(t, scenario, scenario.isGuarded === true ? 'guarded' : 'memory'),
  )
  if (scenario.isForStores) {
    test.serial(`${scenario.name} runs on a disk, and all that is sent arrives`, (t) =>
      runShortly(t, scenario, 'disk:data'),
    )
  }
}

test('scenarios have names of their own', (t) => {
  t.is(new Set(scenarios.map(({ name }) => name)).size, scenarios.length)
})

async function runShortly(t: ExecutionContext, scenario: Scenario, store: string): Promise<void> {
  const subject = brokers.get(store) as Subject
  const target = placeOf(scenario, subject)
  if (typeof target === 'string') {
    t.fail(target)
    return
  }
  const load = shrunk(scenario.load)
  const { watched } = subject
  const job = { load, target, watched, warmupMs: 100, durationMs: DURATION_MS }
  const outcome = await generate(job, undefined)

  const { counts, span } = outcome
  t.deepEqual(faultsOf(outcome, load), [])
  t.is(counts.duplicated, 0)
  t.true((figuresOf(span).brokerUs ?? 0) > 0)
  t.true((outcome.residentBytes ?? 0) > 0)
  const isAcknowledged = load.qos > 0 && load.shape !== 'retained'
  t.is(counts.acknowledged, isAcknowledged ? counts.sent : 0)
  t.is(outcome.filling === undefined, load.shape !== 'queue')
}
