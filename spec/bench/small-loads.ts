/** Loads that a test can bear, made of those of the scenarios. */

import type { Job, Load } from '../../lib/cli/bench/load.ts'
import { scenarios } from '../../lib/cli/bench/scenarios.ts'
import { localTarget } from '../../lib/cli/bench/subject.ts'

export function loadOf(name: string, changes: Partial<Load> = {}): Load {
  const scenario = scenarios.find((one) => one.name === name)
  if (scenario === undefined) throw new Error(`there is no scenario ${name}`)
  return { ...scenario.load, ...changes }
}

/** The same load with fewer of everything. */
export function shrunk(load: Load): Load {
  const atMost = (value: number, max: number) => Math.min(value, max)
  return {
    ...load,
    publishers: atMost(load.publishers, 10),
    subscribers: atMost(load.subscribers, load.shape === 'idle' ? 300 : 20),
    filters: atMost(load.filters, 2000),
    topics: atMost(load.topics, 5000),
    messages: atMost(load.messages, 1000),
  }
}

export function jobOf(load: Load, port: number, durationMs = 100): Job {
  return {
    load,
    target: localTarget('mqtt', port),
    watched: { broker: [], store: [] },
    warmupMs: 20,
    durationMs,
  }
}
