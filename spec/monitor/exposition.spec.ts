/** That the tests of the metrics would notice a line that is wrong. */

import test from 'ava'
import { parseExposition } from '../support/exposition.ts'

const head = '# HELP a_total A sentence.\n# TYPE a_total counter\n'

test('what is right is read', (t) => {
  const families = parseExposition(`${head}a_total{x="1",y="\\"\\\\\\n"} 1.5e+21\na_total 0\n`)

  t.is(families.get('a_total')?.samples.get('{x="1",y="\\"\\\\\\n"}'), 1.5e21)
  t.is(families.get('a_total')?.help, 'A sentence.')
})

for (const [name, text] of [
  ['no end of line', `${head}a_total 1`],
  ['a sample of another metric', `${head}b_total 1\n`],
  ['a sample before its metric', 'a_total 1\n'],
  ['a type without help', '# TYPE a_total counter\na_total 1\n'],
  ['help without a sentence', '# HELP a_total\n# TYPE a_total counter\na_total 1\n'],
  ['an unknown type', '# HELP a_total A.\n# TYPE a_total number\n'],
  ['a metric told twice', `${head}a_total 1\n${head}`],
  ['a sample said twice', `${head}a_total{x="1"} 1\na_total{x="1"} 2\n`],
  ['a counter below 0', `${head}a_total -1\n`],
  ['a counter without _total', '# HELP a A.\n# TYPE a counter\na 1\n'],
  ['a label without quotes', `${head}a_total{x=1} 1\n`],
  ['a quote that is not escaped', `${head}a_total{x="""} 1\n`],
  ['a comma too many', `${head}a_total{x="1",} 1\n`],
  ['no value', `${head}a_total{x="1"}\n`],
  ['a value that is no number', `${head}a_total undefined\n`],
  ['a time stamp', `${head}a_total 1 1700000000000\n`],
] as const) {
  test(`${name} is noticed`, (t) => {
    t.throws(() => parseExposition(text))
  })
}

test('OpenMetrics has an end, and no empty lines', (t) => {
  const open = '# HELP a A.\n# TYPE a counter\na_total 1\n'

  t.is(parseExposition(`${open}# EOF\n`, true).size, 1)
  t.throws(() => parseExposition(open, true))
  t.throws(() => parseExposition(`${open}\n# EOF\n`, true))
})
