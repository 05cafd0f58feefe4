/** `npm run bench`: measures this broker beside its peers. */

import yargs from 'yargs'
import { scenarios } from '../lib/cli/bench/scenarios.ts'
import { compare, hasFailed } from './compare.ts'
import { contestants } from './contestants.ts'
import { details, overview, scenariosOf } from './tables.ts'

const flags = await yargs(process.argv.slice(2))
  .scriptName('npm run bench --')
  .option('quick', {
    type: 'boolean',
    default: false,
    describe: 'What matters most, in two minutes',
  })
  .option('scenario', { type: 'string', array: true, describe: 'Only these' })
  .option('broker', { type: 'string', array: true, describe: 'Only these' })
  .option('rounds', { type: 'number', describe: 'How often each is measured [3]' })
  .option('duration', { type: 'number', default: 2, describe: 'Seconds to measure each' })
  .option('warmup', { type: 'number', default: 1, describe: 'Seconds before that' })
  .strict()
  .parseAsync()

/** With what is under way then, a quick look ends within two minutes. */
const QUICK_LIMIT_MS = 100_000
const QUICK_TIMING = { warmupMs: 500, durationMs: 700 }

const { quick, scenario: names, broker: brokers } = flags
const isNamed = (name: string, given: readonly string[] | undefined) =>
  given?.includes(name) ?? true
const entries = await compare({
  scenarios: scenarios.filter(
    ({ name, isQuick = false }) =>
      isNamed(name, names) && (isQuick || !quick || names !== undefined),
  ),
  contestants: contestants.filter(({ name }) => isNamed(name, brokers)),
  rounds: flags.rounds ?? 3,
  timing: quick
    ? QUICK_TIMING
    : { warmupMs: flags.warmup * 1000, durationMs: flags.duration * 1000 },
  limitMs: quick ? QUICK_LIMIT_MS : Infinity,
  tell: (line) => console.error(line),
})
console.log('CPU microseconds of the broker for each message delivered (each connection):\n')
console.log(overview(entries))
for (const scenario of scenariosOf(entries)) {
  console.log(`\n${scenario.name}: ${scenario.title}\n`)
  console.log(details(entries, scenario))
}
process.exitCode = hasFailed(entries) ? 1 : 0
