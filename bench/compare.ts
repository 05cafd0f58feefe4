/** Measures contestants side by side: round after round, each scenario with all of them in turn, each of them fresh. */

import { type Cores, chooseCores } from '../lib/cli/bench/cores.ts'
import { faultsOf, figuresOf } from '../lib/cli/bench/figures.ts'
import type { Outcome } from '../lib/cli/bench/load.ts'
import { measure, placeOf, type Timing } from '../lib/cli/bench/measure.ts'
import type { Scenario } from '../lib/cli/bench/scenarios.ts'
import { CommandFailure } from '../lib/cli/failures.ts'
import type { Contestant } from './contestants.ts'

/** All that is known of one contestant in one scenario. */
export interface Entry {
  readonly scenario: Scenario
  readonly contestant: Contestant
  readonly outcomes: Outcome[]
  /** Why there are fewer outcomes than rounds. */
  readonly failures: string[]
}

export interface ComparisonOptions {
  readonly scenarios: readonly Scenario[]
  readonly contestants: readonly Contestant[]
  readonly rounds: number
  readonly timing: Timing
  /** Nothing new begins after so long. */
  readonly limitMs: number
  /** Gets a line for each run. */
  readonly tell: (line: string) => void
}

export async function compare(options: ComparisonOptions): Promise<Entry[]> {
  const { scenarios, contestants, rounds, timing, limitMs, tell } = options
  const cores = chooseCores()
  const end = performance.now() + limitMs
  const entries: Entry[] = scenarios.flatMap((scenario) =>
    contestants
      .filter((contestant) => contestant.version !== undefined && contestant.takes(scenario))
      .map((contestant) => ({ scenario, contestant, outcomes: [], failures: [] })),
  )
  for (let round = 1; round <= rounds; round++) {
    for (const entry of entries) {
      if (performance.now() > end) return entries
      const name = `round ${round}  ${entry.scenario.name}  ${entry.contestant.name}`
      tell(`${name}: ${await measureOnce(entry, timing, cores)}`)
    }
  }
  return entries
}

/** Adds what came of it to the entry; returns it in a word. */
async function measureOnce(entry: Entry, timing: Timing, cores: Cores): Promise<string> {
  const { scenario, contestant } = entry
  const subject = await contestant.start(cores, scenario)
  try {
    const place = placeOf(scenario, subject)
    if (typeof place === 'string') {
      entry.failures.push(place)
      return place
    }
    const outcome = await measure(scenario.load, place, subject, timing, cores.generator)
    entry.outcomes.push(outcome)
    const { brokerUs } = figuresOf(outcome.span)
    return [`${brokerUs?.toFixed(2) ?? '-'} µs`, ...faultsOf(outcome, scenario.load)].join(', ')
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error
    entry.failures.push(error.message)
    return error.message
  } finally {
    await subject.stop()
  }
}

/** Whether something of ours failed, or did not do as it should. */
export function hasFailed(entries: readonly Entry[]): boolean {
  return entries.some(
    ({ contestant, outcomes, failures, scenario }) =>
      contestant.isOurs &&
      (failures.length > 0 || outcomes.some((one) => faultsOf(one, scenario.load).length > 0)),
  )
}
