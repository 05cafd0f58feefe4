import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { parse } from 'yaml'
import { settingAt } from '../../lib/config/settings.ts'
import { certificateFiles, startEncrypted } from '../support/encrypted.ts'
import { scrape, startMetered, urlOf } from '../support/metrics.ts'
import { metricsDocument } from '../support/metrics-document.ts'
import { temporaryDirectory } from '../support/processes.ts'
import { Program, requireProgram } from '../support/programs.ts'

const manual = readFileSync('docs/metrics.md', 'utf8')
const blocks = [...manual.matchAll(/```yaml\n# ([\w.-]+)(?:;.*)?\n([^]*?)```/g)]

/** What stands in docs/metrics.md for a file of that name, the first time. */
const textOf = (name: string) => blocks.find(([, file]) => file === name)?.[2] ?? ''

test('docs/metrics.md is fresh: npm run generate', (t) => {
  t.is(manual, metricsDocument())
})

test('docs/metrics.md has every metric, with its type and sentence', async (t) => {
  const files = await certificateFiles(t)
  const monitor = { metrics: { port: 0 } }
  const { broker } = await startEncrypted(t, files, {}, { monitor })

  const shown = [...manual.matchAll(/^\| `(\w+)` \| (\w+) \| .* \| (.*) \|$/gm)]
  const families = await scrape(urlOf(broker))

  t.deepEqual(
    shown.map(([, ...row]) => row),
    [...families].map(([name, { type, help }]) => [name, type, help]),
  )
})

test('what docs/metrics.md shows of a scrape is there', async (t) => {
  const [, shown = ''] = /\$ curl .*\n([^]*?)```/.exec(manual) ?? []
  const { url } = await startMetered(t)
  const text = await (await fetch(url)).text()

  t.is(
    shown,
    text
      .split('\n')
      .filter((line) => line.includes('clients_connected'))
      .map((line) => `${line}\n`)
      .join(''),
  )
})

test('the options of docs/metrics.md exist', (t) => {
  const ours = blocks
    .filter(([, file]) => file === 'noctule.yaml')
    .map(([, , text = '']) => parse(text))

  t.is(ours.length, 2)
  for (const { monitor } of ours) {
    for (const name of Object.keys(monitor.metrics)) {
      t.not(settingAt(`monitor.metrics.${name}`), undefined, name)
    }
  }
})

test('promtool takes the configuration and the rules of docs/metrics.md', async (t) => {
  const promtool = requireProgram(t, 'promtool', 'prometheus')
  if (promtool === undefined) return
  const folder = temporaryDirectory(t)
  for (const name of ['prometheus.yml', 'noctule-rules.yml']) {
    writeFileSync(join(folder, name), textOf(name))
  }
  writeFileSync(join(folder, 'metrics-token'), 'token')

  const program = new Program(t, promtool, ['check', 'config', join(folder, 'prometheus.yml')])
  const { code, stdout, stderr } = await program.exited

  t.is(code, 0, stderr)
  t.regex(stdout, /5 rules found/)
})

test('every metric that a rule of docs/metrics.md asks about exists, with the labels it names', async (t) => {
  const files = await certificateFiles(t)
  const { broker } = await startEncrypted(t, files, {}, { monitor: { metrics: { port: 0 } } })
  const families = await scrape(urlOf(broker))
  const asked = [...manual.matchAll(/\b((?:noctule|nodejs)_[a-z_]+)(\{[^}]*\})?(?=[ [`])/g)]

  t.true(asked.length > 8)
  for (const [, name = '', labels = ''] of asked) {
    const samples = [...(families.get(name)?.samples.keys() ?? [])]
    const wanted = [...labels.matchAll(/(\w+)!?=("[^"]*")/g)].map(
      ([, label, value]) => `${label}=${value}`,
    )
    t.true(
      samples.some((sample) => wanted.every((one) => sample.includes(one))),
      name + labels,
    )
  }
})
