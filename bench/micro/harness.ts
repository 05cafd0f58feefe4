/** Measures small pieces of code: nanoseconds of CPU for one operation. */

export interface MicroCase {
  readonly name: string
  /** Operations that one call of `run` does. */
  readonly operations: number
  /** Returns something that depends on all it did, so that nothing of it is left out. */
  readonly run: () => number
}

export interface MicroResult {
  readonly name: string
  readonly medianNs: number
  readonly lowestNs: number
  readonly highestNs: number
}

export interface MicroTiming {
  /** Time before anything counts, for the compiler. */
  readonly warmupMs: number
  readonly samples: number
  /** How long each sample takes. */
  readonly sampleMs: number
}

/** Where results go that nobody wants. */
let sink = 0

export function measureCase(
  { name, operations, run }: MicroCase,
  { warmupMs, samples, sampleMs }: MicroTiming,
): MicroResult {
  const callMs = repeat(run, warmupMs)
  const calls = Math.max(1, Math.round(sampleMs / callMs))
  const results = Array.from({ length: samples }, () => {
    const before = process.cpuUsage()
    for (let i = 0; i < calls; i++) sink ^= run()
    const { user, system } = process.cpuUsage(before)
    return ((user + system) * 1000) / (calls * operations)
  }).toSorted((a, b) => a - b)
  return {
    name,
    medianNs: results[results.length >> 1] as number,
    lowestNs: results[0] as number,
    highestNs: results.at(-1) as number,
  }
}

/** Calls it for so long, at least once; returns what a call took. */
function repeat(run: () => number, durationMs: number): number {
  const start = performance.now()
  let calls = 0
  do {
    sink ^= run()
    calls++
  } while (performance.now() - start < durationMs)
  return Math.max(0.0001, (performance.now() - start) / calls)
}
