/** `npm run bench`: measures this broker beside its peers; `-- --write` makes docs/benchmarks.md of it. */

import { writeFileSync } from 'node:fs'
import yargs from 'yargs'
import { scenarios } from '../lib/cli/bench/scenarios.ts'
import { onStopSignal } from '../lib/cli/ending.ts'
import { type ComparisonOptions, compare, type Extent, hasFailed } from './compare.ts'
import { contestants } from './contestants.ts'
import { curves } from './curves.ts'
import { benchmarksDocument } from './document.ts'
import { details, overview, scenariosOf } from './tables.ts'

const DOCUMENT = 'docs/benchmarks.md'

/** With what is under way then, a quick look ends within two minutes. */
const QUICK_LIMIT_MS = 100_000
const QUICK = { rounds: 1, turns: 1, timing: { warmupMs: 500, durationMs: 700 } }

/** How often a point of a curve is measured in a round: what counts there is the line. */
const CURVE_TURNS = 1

/** Whose costs are followed as they grow. */
const FOLLOWED: readonly string[] = ['bare relay', 'noctule', 'mosquitto']

const flags = await yargs(process.argv.slice(2))
  .scriptName('npm run bench --')
  .options({
    quick: { type: 'boolean', describe: 'What matters most, in two minutes' },
    write: { type: 'boolean', describe: `Everything, into ${DOCUMENT}` },
    scenario: { type: 'string', array: true, describe: 'Only these [all]' },
    broker: { type: 'string', array: true, describe: 'Only these [all that are there]' },
    rounds: { type: 'number', default: 2, describe: 'How often each is started' },
    turns: { type: 'number', default: 3, describe: 'How often each is measured then' },
    duration: { type: 'number', default: 1, describe: 'Seconds to measure each' },
    warmup: { type: 'number', default: 1.5, describe: 'Seconds before the first time' },
  })
  .conflicts('write', ['quick', 'scenario', 'broker'])
  .strict()
  .parseAsync()

const { quick, write, scenario: wantedScenarios, broker: wantedBrokers } = flags
const extent: Extent = quick
  ? QUICK
  : {
      rounds: flags.rounds,
      turns: flags.turns,
      timing: { warmupMs: flags.warmup * 1000, durationMs: flags.duration * 1000 },
    }
const common: Omit<ComparisonOptions, 'scenarios' | 'contestants'> = {
  ...extent,
  limitMs: quick ? QUICK_LIMIT_MS : Infinity,
  tell: (line) => console.error(line),
}

// With us go those that we have started.
onStopSignal(() => process.exit(1))
process.exitCode = await (write ? writeDocument() : show())

async function show(): Promise<number> {
  const entries = await compare({
    ...common,
    scenarios: scenarios.filter(
      ({ name, isQuick = false }) => wantedScenarios?.includes(name) ?? (isQuick || quick !== true),
    ),
    contestants: contestants.filter(({ name }) => wantedBrokers?.includes(name) ?? true),
  })
  console.log('CPU microseconds of the broker for each message delivered (each connection)\n')
  console.log(overview(entries))
  for (const scenario of scenariosOf(entries)) {
    console.log(`\n${scenario.name}: ${scenario.title}\n\n${details(entries, scenario)}`)
  }
  return hasFailed(entries) ? 1 : 0
}

async function writeDocument(): Promise<number> {
  const entries = await compare({ ...common, scenarios, contestants })
  const curveEntries = await compare({
    ...common,
    turns: CURVE_TURNS,
    scenarios: curves.flatMap(({ points }) => points.map(({ scenario }) => scenario)),
    contestants: contestants.filter(({ name }) => FOLLOWED.includes(name)),
  })
  writeFileSync(DOCUMENT, benchmarksDocument({ contestants, entries, curveEntries, extent }))
  console.error(`Written: ${DOCUMENT}`)
  return hasFailed([...entries, ...curveEntries]) ? 1 : 0
}
