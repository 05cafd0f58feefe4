/** How cost grows: one number of a load at a time, all else as it was. */

import type { Load } from '../lib/cli/bench/load.ts'
import { type Scenario, scenarios } from '../lib/cli/bench/scenarios.ts'

export interface Curve {
  readonly name: string
  readonly title: string
  readonly points: readonly Point[]
}

export interface Point {
  readonly value: number
  readonly scenario: Scenario
}

export const curves: readonly Curve[] = [
  curve('topics', 'Topics, 50 publishers to 50 subscribers', 'topics-1m', {
    values: [50, 1000, 10_000, 100_000, 1_000_000],
    change: (topics) => ({ topics }),
  }),
  curve('filters', 'Filters, half with +, over 100 subscribers', 'filters-100k', {
    values: [100, 1000, 10_000, 100_000, 300_000],
    change: (filters) => ({ filters }),
  }),
  curve('clients', 'Pairs of a publisher and a subscriber', 'qos0-pairs', {
    values: [1, 10, 50, 200, 1000, 3000],
    change: (pairs) => ({ publishers: pairs, subscribers: pairs }),
  }),
  curve('payload', 'Bytes of payload, 50 publishers to 50 subscribers', 'qos0-pairs', {
    values: [16, 64, 256, 1024, 4096, 16_384],
    change: (payloadBytes) => ({ payloadBytes }),
  }),
  curve('fan-out', 'Subscribers of one publisher', 'fan-out', {
    values: [1, 10, 100, 500, 2000],
    change: (subscribers) => ({ subscribers }),
  }),
]

function curve(
  name: string,
  title: string,
  base: string,
  {
    values,
    change,
  }: { readonly values: readonly number[]; readonly change: (value: number) => Partial<Load> },
): Curve {
  const scenario = scenarios.find((one) => one.name === base) as Scenario
  const points = values.map((value) => ({
    value,
    scenario: {
      ...scenario,
      name: `${name} ${value}`,
      load: { ...scenario.load, ...change(value) },
    },
  }))
  return { name, title, points }
}
