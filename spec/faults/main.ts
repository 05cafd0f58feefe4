/**
 * `npm run faults -- [--rounds N] [--seed N] [--only TEXT]`: strikes a loaded broker and its store, round
 * after round, and prints a table of what became of the messages. Exits with 1 if a promise was broken.
 */

import yargs from 'yargs'
import { run } from './campaign.ts'
import { campaigns, control } from './campaigns.ts'
import { isKept, type Row, tableOf } from './verdict.ts'

const flags = await yargs(process.argv.slice(2))
  .scriptName('npm run faults --')
  .option('rounds', { type: 'number', default: 20, describe: 'Strikes of each fault' })
  .option('seed', {
    type: 'number',
    default: Date.now() % 1_000_000,
    describe: 'What chance begins with',
  })
  .option('only', { type: 'string', describe: 'Only faults whose name and store contain this' })
  .strict()
  .parseAsync()

const { rounds, seed, only = '' } = flags
const chosen = campaigns.filter(({ make }) => {
  const { name, store } = make()
  return `${name} ${store}`.includes(only)
})
if (!(rounds >= 1) || Number.isNaN(seed) || chosen.length === 0) {
  console.error(
    chosen.length === 0
      ? `No fault has "${only}" in its name or store.`
      : '--rounds and --seed are numbers, and there is at least one round.',
  )
  process.exit(2)
}
console.log(`seed ${seed}, ${rounds} rounds of each fault`)
const rows: Row[] = []
let isBroken = false
for (const { make } of chosen) {
  const fault = make()
  const row = await run(fault, { rounds, seed, settleTimeoutMs: 60_000 })
  console.log(`${isKept(row) ? 'kept  ' : 'BROKEN'}  ${fault.name}, ${fault.store}`)
  for (const remark of row.remarks) console.log(`        ${remark}`)
  if (!isKept(row)) console.log(row)
  isBroken ||= !isKept(row)
  rows.push(row)
}
if (only !== '') console.log('Without --only, a control shows that losses are found.')
else {
  const row = await run(control(), { rounds: Math.min(rounds, 10), seed, settleTimeoutMs: 3_000 })
  rows.push(row)
  if (isKept(row)) {
    console.log('The control lost nothing: these figures prove nothing.')
    isBroken = true
  }
}
console.log(`\n${tableOf(rows)}`)
process.exitCode = isBroken ? 1 : 0
