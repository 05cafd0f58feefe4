/** What a comparison found, as tables that read well in a terminal and in Markdown. */

import { faultsOf, figuresOf, isGeneratorBound } from '../lib/cli/bench/figures.ts'
import type { Outcome } from '../lib/cli/bench/load.ts'
import type { Scenario } from '../lib/cli/bench/scenarios.ts'
import { byteFigure, figure } from '../lib/cli/bench/text-table.ts'
import type { Entry } from './compare.ts'
import { contestants, flashmq, relay } from './contestants.ts'

export function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  const lower = sorted[Math.ceil(sorted.length / 2) - 1]
  const upper = sorted[Math.floor(sorted.length / 2)]
  return lower === undefined || upper === undefined ? undefined : (lower + upper) / 2
}

/** The median of something over the rounds; undefined where it was not measured. */
export function medianOf(
  entry: Entry,
  read: (outcome: Outcome) => number | undefined,
): number | undefined {
  return median(
    countedOf(entry)
      .map(read)
      .filter((value) => value !== undefined),
  )
}

/** A run is quiet when others used less of the broker's core than this. */
export const QUIET_SHARE = 0.15

/** The quiet runs, or all of them if none was quiet. */
function countedOf({ outcomes }: Entry): readonly Outcome[] {
  const quiet = outcomes.filter(isQuiet)
  return quiet.length === 0 ? outcomes : quiet
}

export function isQuiet({ span }: Outcome): boolean {
  return (span.othersShare ?? 0) < QUIET_SHARE
}

export const brokerUsOf = (outcome: Outcome): number | undefined => figuresOf(outcome.span).brokerUs

/** The first row is the head; all columns but the first are figures. */
export function markdownTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) =>
    Math.max(3, ...rows.map((row) => row[i]?.length ?? 0)),
  )
  const line = (row: readonly string[]) => {
    const cells = row.map((cell, i) =>
      i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0),
    )
    return `| ${cells.join(' | ')} |`
  }
  const rule = widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  const [head = [], ...body] = rows
  return [line(head), line(rule), ...body.map(line)].join('\n')
}

/** Broker CPU of everybody in every scenario, at a glance. */
export function overview(entries: readonly Entry[]): string {
  const names = namesOf(entries)
  const hasPeer = names.includes(flashmq.name)
  const rows = scenariosOf(entries).map((scenario) => {
    const cells = names.map((name) => {
      const entry = find(entries, scenario.name, name)
      if (entry === undefined) return ''
      const value = figure(medianOf(entry, brokerUsOf))
      return isStandIn(entry) ? `(${value})` : value
    })
    const ours = find(entries, scenario.name, 'noctule')
    const peer = find(entries, scenario.name, flashmq.name)
    const toRelay = ours && ratioOf(ours, find(entries, scenario.name, relay.name))
    const toPeer = ours && ratioOf(ours, peer)
    return [scenario.name, ...cells, factor(toRelay), ...(hasPeer ? [factor(toPeer)] : [])]
  })
  const ratios = ['noctule / relay', ...(hasPeer ? [`noctule / ${flashmq.name}`] : [])]
  return markdownTable([['', ...names, ...ratios], ...rows])
}

/** Whether it did not do the scenario, but something to compare with. */
export function isStandIn({ scenario, measured }: Entry): boolean {
  return measured !== scenario
}

/** All that was measured in one scenario. */
export function details(entries: readonly Entry[], scenario: Scenario): string {
  const own = entries.filter((entry) => entry.scenario.name === scenario.name)
  const isIdle = scenario.load.shape === 'idle'
  const head = [
    '',
    'broker µs',
    'min..max',
    'quiet',
    '/ relay',
    'store µs',
    'per s',
    'generator µs',
    'p50 µs',
    'p99 µs',
    'p99.9 µs',
    'max µs',
    isIdle ? 'memory each' : 'memory',
  ]
  const rows = own.map((entry) => {
    const spread = countedOf(entry)
      .map(brokerUsOf)
      .filter((value) => value !== undefined)
    const of = (read: (outcome: Outcome) => number | undefined) => medianOf(entry, read)
    const ratio = ratioOf(entry, find(entries, scenario.name, relay.name))
    return [
      isStandIn(entry) ? `${entry.contestant.name} (pairs)` : entry.contestant.name,
      figure(of(brokerUsOf)),
      spread.length === 0 ? '-' : `${figure(Math.min(...spread))}..${figure(Math.max(...spread))}`,
      `${entry.outcomes.filter(isQuiet).length}/${entry.outcomes.length}`,
      ratio === undefined ? '-' : ratio.toFixed(2),
      figure(of(({ span }) => figuresOf(span).storeUs)),
      figure(of(({ span }) => figuresOf(span).perSecond)),
      figure(of(({ span }) => figuresOf(span).generatorUs)),
      figure(of(({ latency }) => latency?.p50Us)),
      figure(of(({ latency }) => latency?.p99Us)),
      figure(of(({ latency }) => latency?.p999Us)),
      figure(of(({ latency }) => latency?.maxUs)),
      byteFigure(of(isIdle ? bytesEach : ({ residentBytes }) => residentBytes)),
    ]
  })
  const filled = head.map((_, column) => column === 0 || rows.some((row) => row[column] !== '-'))
  const keep = (row: readonly string[]) => row.filter((_, column) => filled[column])
  const remarks = own.flatMap(remarksOn).map((remark) => `- ${remark}`)
  const table = markdownTable([head, ...rows].map(keep))
  return remarks.length === 0 ? table : `${table}\n\n${remarks.join('\n')}`
}

/** Who took part, in the order of the list of contestants. */
export function namesOf(entries: readonly Entry[]): string[] {
  const present = new Set(entries.map(({ contestant }) => contestant))
  const listed = contestants.filter((contestant) => present.has(contestant))
  return [...new Set([...listed, ...present])].map(({ name }) => name)
}

export function scenariosOf(entries: readonly Entry[]): Scenario[] {
  return [...new Map(entries.map(({ scenario }) => [scenario.name, scenario])).values()]
}

function ratioOf(entry: Entry, base: Entry | undefined): number | undefined {
  const baseUs = base && medianOf(base, brokerUsOf)
  const ownUs = medianOf(entry, brokerUsOf)
  return baseUs === undefined || ownUs === undefined ? undefined : ownUs / baseUs
}

function factor(ratio: number | undefined): string {
  return ratio === undefined ? '' : `${ratio.toFixed(2)} x`
}

function find(entries: readonly Entry[], scenario: string, contestant: string): Entry | undefined {
  return entries.find(
    (entry) => entry.scenario.name === scenario && entry.contestant.name === contestant,
  )
}

function bytesEach({ grownBytes, span }: Outcome): number | undefined {
  return grownBytes === undefined ? undefined : grownBytes / span.operations
}

function remarksOn({ contestant, outcomes, failures, measured }: Entry): string[] {
  const isBound = outcomes.some((outcome) => isGeneratorBound(outcome, measured.load))
  const fillings = outcomes.flatMap(({ filling }) =>
    filling === undefined ? [] : [figuresOf(filling)],
  )
  const fillingUs = median(fillings.flatMap(({ brokerUs }) => brokerUs ?? []))
  const remarks = [
    ...outcomes.flatMap((outcome) => faultsOf(outcome, measured.load)),
    ...outcomes.flatMap(({ notes }) => notes),
    ...failures,
    ...(fillingUs === undefined ? [] : [`${figure(fillingUs)} µs to take each message before`]),
    ...(isBound ? ['the generator was the limit'] : []),
  ]
  return [...new Set(remarks)].map((remark) => `${contestant.name}: ${remark}`)
}
