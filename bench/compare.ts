/**
 * Measures contestants side by side. In each round, and for each scenario, all of them are started afresh; then they
 * take turns, so that what a machine does in a second or two happens to all of them.
 */

import { type Cores, chooseCores } from '../lib/cli/bench/cores.ts'
import { faultsOf, figuresOf } from '../lib/cli/bench/figures.ts'
import type { Outcome } from '../lib/cli/bench/load.ts'
import { measure, placeOf, type Timing } from '../lib/cli/bench/measure.ts'
import type { Scenario } from '../lib/cli/bench/scenarios.ts'
import type { Subject } from '../lib/cli/bench/subject.ts'
import { CommandFailure } from '../lib/cli/failures.ts'
import type { Contestant } from './contestants.ts'

/** All that is known of one contestant in one scenario. */
export interface Entry {
  readonly scenario: Scenario
  readonly contestant: Contestant
  /** What it did: the scenario, or what stands in for it. */
  readonly measured: Scenario
  readonly outcomes: Outcome[]
  /** Why there are fewer outcomes than turns. */
  readonly failures: string[]
}

/** How much is measured. */
export interface Extent {
  /** How often each contestant is started for each scenario. */
  readonly rounds: number
  /** How often each is measured in a round. */
  readonly turns: number
  /** Of the first turn; later ones need less time to warm up. */
  readonly timing: Timing
}

export interface ComparisonOptions extends Extent {
  readonly scenarios: readonly Scenario[]
  readonly contestants: readonly Contestant[]
  /** Nothing new begins after so long. */
  readonly limitMs: number
  /** Gets a line for each run. */
  readonly tell: (line: string) => void
}

/** For a broker that has been under this load before, and a generator that has not. */
const LATER_WARMUP_MS_MAX = 500

export async function compare(options: ComparisonOptions): Promise<Entry[]> {
  const { scenarios, contestants, rounds, turns, timing, limitMs, tell } = options
  const end = performance.now() + limitMs
  const measuring: Measuring = { cores: chooseCores(), timing, tell, end }
  const entries = scenarios.flatMap((scenario) =>
    contestants.flatMap((contestant) => entryOf(scenario, contestant) ?? []),
  )
  for (let round = 1; round <= rounds; round++) {
    for (const scenario of scenarios) {
      const own = entries.filter((entry) => entry.scenario === scenario)
      const take = isMeasuredFresh(scenario) ? takeFreshTurns : takeTurns
      await take(own, turns, measuring)
    }
  }
  return entries
}

/** Undefined when it does not take part. */
function entryOf(scenario: Scenario, contestant: Contestant): Entry | undefined {
  if (contestant.version === undefined) return undefined
  const measured = contestant.takes(scenario) ? scenario : contestant.standIn?.(scenario)
  return measured && { scenario, contestant, measured, outcomes: [], failures: [] }
}

/** Memory by which a broker grows is seen once in its life. */
function isMeasuredFresh({ load }: Scenario): boolean {
  return load.shape === 'idle'
}

interface Measuring {
  readonly cores: Cores
  readonly timing: Timing
  readonly tell: (line: string) => void
  readonly end: number
}

/** Starts all of them, measures them in turn, and stops them. */
async function takeTurns(
  entries: readonly Entry[],
  turns: number,
  measuring: Measuring,
): Promise<void> {
  const { cores, timing, tell, end } = measuring
  const warmupMs = Math.min(timing.warmupMs, LATER_WARMUP_MS_MAX)
  const started: (readonly [Entry, Subject])[] = []
  try {
    for (const entry of entries) {
      if (performance.now() > end) return
      started.push([entry, await entry.contestant.start(cores, entry.measured)])
    }
    for (let turn = 1; turn <= turns; turn++) {
      const turnTiming = turn === 1 ? timing : { ...timing, warmupMs }
      for (const [entry, subject] of started) {
        if (performance.now() > end) return
        const run = entry.outcomes.length + entry.failures.length + 1
        const name = `run ${run}  ${entry.scenario.name}  ${entry.contestant.name}`
        tell(`${name}: ${await measureOnce(entry, subject, turnTiming, cores)}`)
      }
    }
  } finally {
    for (const [, subject] of started) await subject.stop()
  }
}

/** As `takeTurns`, but each of them is started for each turn, and has twice the time to warm up. */
async function takeFreshTurns(
  entries: readonly Entry[],
  turns: number,
  measuring: Measuring,
): Promise<void> {
  const { timing } = measuring
  const longer = { ...measuring, timing: { ...timing, warmupMs: 2 * timing.warmupMs } }
  for (let turn = 1; turn <= turns; turn++) {
    for (const entry of entries) await takeTurns([entry], 1, longer)
  }
}

/** Adds what came of it to the entry; returns it in a word. */
async function measureOnce(
  { measured, outcomes, failures }: Entry,
  subject: Subject,
  timing: Timing,
  cores: Cores,
): Promise<string> {
  const place = placeOf(measured, subject)
  if (typeof place === 'string') {
    failures.push(place)
    return place
  }
  try {
    const outcome = await measure(measured.load, place, subject, timing, cores.generator)
    outcomes.push(outcome)
    const { brokerUs } = figuresOf(outcome.span)
    return [`${brokerUs?.toFixed(2) ?? '-'} µs`, ...faultsOf(outcome, measured.load)].join(', ')
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error
    failures.push(error.message)
    return error.message
  }
}

/** Whether something of ours failed, or did not do as it should. */
export function hasFailed(entries: readonly Entry[]): boolean {
  return entries.some(
    ({ contestant, outcomes, failures, measured }) =>
      contestant.isOurs &&
      (failures.length > 0 || outcomes.some((one) => faultsOf(one, measured.load).length > 0)),
  )
}
