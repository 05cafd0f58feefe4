/** Writes docs/benchmarks.md: what was measured, where, how, and what it does not say. */

import { cpus, release, totalmem, type } from 'node:os'
import { chooseCores } from '../lib/cli/bench/cores.ts'
import { byteFigure, figure } from '../lib/cli/bench/text-table.ts'
import type { Entry, Extent } from './compare.ts'
import type { Contestant } from './contestants.ts'
import { type Curve, curves } from './curves.ts'
import {
  brokerUsOf,
  details,
  isQuiet,
  markdownTable,
  medianOf,
  namesOf,
  overview,
  QUIET_SHARE,
  scenariosOf,
} from './tables.ts'

export interface Measured {
  readonly contestants: readonly Contestant[]
  readonly entries: readonly Entry[]
  readonly curveEntries: readonly Entry[]
  readonly extent: Extent
}

export function benchmarksDocument(measured: Measured): string {
  const { entries, curveEntries, extent } = measured
  const parts = [
    '# Benchmarks',
    'Written by `npm run bench -- --write`; nobody edits it by hand.',
    '## What is measured',
    `The headline is **CPU microseconds of the broker for each message delivered**: the CPU time of all its threads over the measured time, divided by the deliveries in it. Of all figures it depends least on what else a machine does. ${procedure(extent)} Shown are medians over the runs that were *quiet*, which means that others used less than ${100 * QUIET_SHARE} % of the broker's core (over all runs where none was), and the range from the lowest to the highest. *Bare relay* is \`bench/relay.ts\`: the least a program on Node can do to move messages, without any check; it sets the scale.`,
    'A message is counted as lost, doubled, out of order or damaged by what it says about itself, and every one is looked at. Where nothing is said, there was no such message.',
    machine(measured),
    '```console\n$ npm run bench -- --write        # this page\n$ npm run bench -- --quick        # what matters most, in two minutes\n$ BENCH_NODE=PATH npm run bench -- --write    # with another Node as well\n$ npx noctule bench --list        # the scenarios\n$ npx noctule bench --url mqtt://HOST --pid PID -s qos1-pairs    # any broker\n```',
    ...(areMostQuiet(entries) ? [] : [NOISY]),
    '## At a glance',
    'CPU microseconds of the broker for each message delivered; for `churn` and `idle`, for each connection. The column `noctule / relay` sets our broker against the relay in the same turns: in the same scenario or, where the relay cannot do that, in pairs at QoS 0 with the same payload, whose figures stand in brackets. So does ours beside streams of MQTT 5.0: `noctule, 3.1.1`.',
    overview(entries),
    '## Scenarios',
    ...scenariosOf(entries).flatMap((scenario) => [
      `### ${scenario.name}`,
      `${scenario.title}.`,
      details(entries, scenario),
    ]),
    '## How cost grows',
    'One number at a time, the rest as in the scenario of that kind. CPU microseconds of the broker for each message delivered, measured once in each round.',
    ...curves.map((curve) => drawCurve(curve, curveEntries)),
    '## What these figures do not show',
    CAVEATS,
  ]
  return `${parts.join('\n\n')}\n`
}

const NOISY =
  '**Most of these runs were not quiet: others kept the machine busy, and the figures are worth little. Make this page again.**'

const CAVEATS = [
  'All of it ran on one machine over its loopback device: there was no network, with its latency, its losses and its interrupts, and the kernel’s share of the work is smaller than on a real interface.',
  'Broker and generator had a core each but shared caches and memory, and a virtual machine shares more than that with strangers; compare the columns of one table, not figures of different days.',
  'Under full load many messages travel in one read and one write, which makes each of them cheap; `trickle` and `one-at-a-time` show what a message costs that travels alone. Latencies under full load are the time spent in queues that the generator itself fills; only those of `trickle` say how fast a broker answers.',
  'Peers ran as they are packaged, with the settings that `bench/contestants.ts` shows; who knows them well may get more out of them. FlashMQ logs each connection, which `churn` and `idle` pay for: without that it does not say when it is ready. A broker that uses several cores would move more messages than one core allows, at no lower price for each.',
  'Redis ran on the same machine and synced each write to its disk; what that takes depends on the disk. Memory is what the system counts as resident at the end of a run, with what a garbage collector has not yet given back.',
  'Nothing here says what survives a crash: that is in [stores.md](stores.md).',
].join(' ')

function areMostQuiet(entries: readonly Entry[]): boolean {
  const outcomes = entries.flatMap((entry) => entry.outcomes)
  return outcomes.filter(isQuiet).length * 2 >= outcomes.length
}

function procedure({ rounds, turns, timing }: Extent): string {
  const place =
    chooseCores().broker === undefined ? '' : ', on one core with the generator on another'
  const inAll = rounds === 1 ? '' : `, and all that ${rounds} times over`
  const { warmupMs, durationMs } = timing
  return `For each scenario all brokers are started afresh${place}, and take turns, as the pace of a machine may change from one second to the next: ${warmupMs / 1000} s to warm up, ${durationMs / 1000} s that count, then the next broker, ${turns} times in turn${inAll}. Only \`idle\` starts them anew for each turn, and warms them up twice as long.`
}

function machine({ contestants }: Measured): string {
  const [{ model } = { model: 'unknown' }] = cpus()
  const rows = [
    ['Machine', `${cpus().length} x ${model.trim()}, ${byteFigure(totalmem())} of memory`],
    ['System', `${type()} ${release()}`],
    ['Day', new Date().toISOString().slice(0, 10)],
    ...contestants.flatMap(({ name, version }) => (version === undefined ? [] : [[name, version]])),
  ]
  return ['|   |   |', '|---|---|', ...rows.map(([key, value]) => `| ${key} | ${value} |`)].join(
    '\n',
  )
}

function drawCurve({ name, title, points }: Curve, entries: readonly Entry[]): string {
  const names = namesOf(entries)
  const valuesOf = (contestant: string) =>
    points.map(({ scenario }) => {
      const entry = entries.find(
        (one) => one.measured === scenario && one.contestant.name === contestant,
      )
      return entry && medianOf(entry, brokerUsOf)
    })
  const shown = names.map((each) => [each, valuesOf(each)] as const)
  const present = shown.filter(([, values]) => values.some((value) => value !== undefined))
  const head = [name, ...points.map(({ value }) => value.toLocaleString('en'))]
  const table = markdownTable([
    head,
    ...present.map(([each, values]) => [each, ...values.map(figure)]),
  ])
  const ours = valuesOf('noctule').map((value) => (value ?? 0).toFixed(2))
  const chart = [
    '```mermaid',
    'xychart-beta',
    `  x-axis "${title}" [${points.map(({ value }) => `"${value.toLocaleString('en')}"`).join(', ')}]`,
    '  y-axis "CPU µs for each message" 0 --> ' + Math.ceil(Math.max(...ours.map(Number), 1) * 1.2),
    `  line [${ours.join(', ')}]`,
    '```',
  ]
  return [`### ${title}`, table, chart.join('\n')].join('\n\n')
}
