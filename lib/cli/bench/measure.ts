/** Runs one scenario against one broker. */

import { generate } from './generate.ts'
import type { Load, Outcome, Target } from './load.ts'
import type { Scenario } from './scenarios.ts'
import type { Subject } from './subject.ts'

export interface Timing {
  readonly warmupMs: number
  readonly durationMs: number
}

/** Where the scenario would run, or why it cannot. */
export function placeOf({ transport }: Scenario, { targets }: Subject): Target | string {
  if (transport === undefined) {
    return targets.tcp ?? targets.tls ?? targets.ws ?? 'there is nothing to connect to'
  }
  const words = { tcp: 'plain TCP', tls: 'TLS', ws: 'WebSocket' }
  return targets[transport] ?? `there is no listener for ${words[transport]}`
}

/** Rejects with a sentence when the broker could not be measured. */
export async function measure(
  load: Load,
  target: Target,
  { watched }: Subject,
  timing: Timing,
  core: number | undefined,
): Promise<Outcome> {
  return generate({ load, target, watched, ...timing }, core)
}
