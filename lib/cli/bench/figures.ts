/** What the outcome of a run means: costs and rates. */

import type { Load, Outcome, Span } from './load.ts'

export interface Figures {
  readonly perSecond: number
  /** CPU microseconds for each operation; undefined where nobody could read them. */
  readonly brokerUs: number | undefined
  readonly storeUs: number | undefined
  readonly generatorUs: number
  /** How much of a core the generator used, 0 to 1 and a bit: near 1 it was the limit. */
  readonly generatorShare: number
}

export function figuresOf({ seconds, operations, ...cpu }: Span): Figures {
  const each = (cpuUs: number | undefined) =>
    cpuUs === undefined || operations === 0 ? undefined : cpuUs / operations
  return {
    perSecond: operations / seconds,
    brokerUs: each(cpu.brokerCpuUs),
    storeUs: each(cpu.storeCpuUs),
    generatorUs: each(cpu.generatorCpuUs) ?? 0,
    generatorShare: cpu.generatorCpuUs / 1_000_000 / seconds,
  }
}

/** A core that is used so much has nothing left. */
const FULL_SHARE = 0.95

/** Whether the generator had no time left and the broker had: then rates say little of the broker. */
export function isGeneratorBound({ span }: Outcome, { ratePerSecond }: Load): boolean {
  const brokerShare = (span.brokerCpuUs ?? 0) / 1_000_000 / span.seconds
  const { generatorShare } = figuresOf(span)
  // At a rate it looks at the clock all the time.
  return ratePerSecond === 0 && generatorShare >= FULL_SHARE && brokerShare < FULL_SHARE
}

/** What went wrong, in words; empty when all is as the standard promises it on connections that last. */
export function faultsOf({ counts, span }: Outcome, { qos }: Load): string[] {
  const faults = {
    lost: counts.lost,
    // At QoS 1 a broker may send again what was acknowledged too late.
    duplicated: qos === 1 ? 0 : counts.duplicated,
    reordered: counts.reordered,
    corrupted: counts.corrupted,
    misrouted: counts.misrouted,
  }
  const found = Object.entries(faults).filter(([, count]) => count !== 0)
  const sentences = found.map(([fault, count]) => `${count.toLocaleString('en')} ${fault}`)
  return span.operations === 0 ? ['nothing came while it was measured', ...sentences] : sentences
}

/** What the operations of a span are. */
export function operationOf({ shape }: Load): 'message' | 'connection' {
  return shape === 'idle' || shape === 'churn' ? 'connection' : 'message'
}
