/** `npm run bench:micro [-- TEXT]`: measures the steps of a PUBLISH one by one; only those with TEXT in their names. */

import { textTable } from '../../lib/cli/bench/text-table.ts'
import { microCases } from './cases.ts'
import { measureCase } from './harness.ts'

const TIMING = { warmupMs: 300, samples: 15, sampleMs: 40 }

const [wanted = ''] = process.argv.slice(2)
const chosen = microCases.filter(({ name }) => name.includes(wanted))
if (chosen.length === 0) {
  console.error(`Nothing that is measured has "${wanted}" in its name.`)
  process.exitCode = 2
} else {
  const rows = chosen.map((one) => {
    const { name, medianNs, lowestNs, highestNs } = measureCase(one, TIMING)
    return [name, medianNs.toFixed(0), `${lowestNs.toFixed(0)}..${highestNs.toFixed(0)}`]
  })
  console.log(textTable([['nanoseconds of CPU for one', 'median', 'range'], ...rows]))
}
