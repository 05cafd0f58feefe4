import test from 'ava'
import { compare, hasFailed } from '../../bench/compare.ts'
import { type Contestant, contestants, relay } from '../../bench/contestants.ts'
import { curves } from '../../bench/curves.ts'
import { benchmarksDocument } from '../../bench/document.ts'
import { details, median, overview } from '../../bench/tables.ts'
import { scenarios } from '../../lib/cli/bench/scenarios.ts'
import { requireProgram } from '../support/programs.ts'
import { shrunk } from './small-loads.ts'

const ours = contestants.find(({ name }) => name === 'noctule') as Contestant
const peers = contestants.filter(({ name }) => ['flashmq', 'mosquitto', 'aedes'].includes(name))
const few = scenarios
  .filter(({ name }) => ['qos0-pairs', 'qos1-pairs', 'idle'].includes(name))
  .map((scenario) => ({ ...scenario, load: shrunk(scenario.load) }))

const extent = { rounds: 1, turns: 2, timing: { warmupMs: 50, durationMs: 100 } }
const quickly = { ...extent, limitMs: Infinity }

test('a comparison measures all who take part, and becomes a page', async (t) => {
  t.timeout(120_000)
  const told: string[] = []
  const tell = (line: string) => void told.push(line)
  const entries = await compare({
    ...quickly,
    scenarios: few,
    contestants: [relay, ours, ...peers],
    tell,
  })

  t.false(hasFailed(entries))
  t.is(told.length, 2 * entries.length)
  for (const { outcomes } of entries) t.is(outcomes.length, 2)
  t.regex(overview(entries), /^\| qos0-pairs +\|.* x \|$/m)
  t.regex(overview(entries), /^\| idle +\|/m)
  for (const scenario of few) t.regex(details(entries, scenario), /^\| noctule +\|/m)

  const page = benchmarksDocument({
    contestants,
    entries,
    curveEntries: [],
    extent,
  })
  for (const { title } of curves) t.true(page.includes(`### ${title}`))
  t.regex(page, /What these figures do not show/)
  t.notRegex(page, /undefined|NaN/)
})

test('the relay does plain pairs beside what it cannot do, and nothing beside queues', async (t) => {
  const names = ['fan-in', 'drain-20k']
  const beyond = scenarios
    .filter(({ name }) => names.includes(name))
    .map((scenario) => ({ ...scenario, load: shrunk(scenario.load) }))
  const options = { ...quickly, turns: 1, scenarios: beyond, tell: () => {} }

  const entries = await compare({ ...options, contestants: [relay] })

  t.deepEqual(
    entries.map(({ scenario, measured }) => [scenario.name, measured.load.topology]),
    [['fan-in', 'pairs']],
  )
  t.regex(overview(entries), /^\| fan-in +\| +\(\d\.?\d*\) \|/m)
  t.regex(details(entries, beyond[0]!), /^\| bare relay \(pairs\) \|/m)
})

test('ours does pairs of MQTT 3.1.1 beside streams of 5.0', async (t) => {
  const names = ['v5-properties', 'fan-in', 'trickle']
  const some = scenarios
    .filter(({ name }) => names.includes(name))
    .map((scenario) => ({ ...scenario, load: shrunk(scenario.load) }))
  const beside = contestants.filter(({ name }) => name === 'noctule, 3.1.1')
  const options = { ...quickly, turns: 1, scenarios: some, tell: () => {} }

  const entries = await compare({ ...options, contestants: beside })

  t.deepEqual(
    entries.map(({ scenario, measured: { load } }) => [scenario.name, load.protocolVersion]),
    [['v5-properties', 4]],
  )
  t.false(hasFailed(entries))
})

test('a store that is a process of its own is measured apart', async (t) => {
  if (requireProgram(t, 'redis-server', 'redis-server') === undefined) return
  const durable = scenarios.filter(({ name }) => name === 'durable')
  const entries = await compare({
    ...quickly,
    scenarios: durable.map((scenario) => ({ ...scenario, load: shrunk(scenario.load) })),
    contestants: contestants.filter(({ name }) => name === 'noctule, Redis'),
    tell: () => {},
  })

  t.false(hasFailed(entries))
  const [{ span } = { span: undefined }] = entries[0]?.outcomes ?? []
  t.true((span?.storeCpuUs ?? 0) > 0)
  t.true((span?.brokerCpuUs ?? 0) > 0)
})

test('one who fails is told of, and only ours make it a failure', async (t) => {
  const broken: Contestant = {
    name: 'broken',
    version: '1',
    isOurs: false,
    takes: () => true,
    start: async () => ({
      targets: {},
      watched: { broker: [], store: [] },
      stop: async () => {},
    }),
  }
  const options = { ...quickly, scenarios: few.slice(0, 1), tell: () => {} }

  const entries = await compare({ ...options, contestants: [broken] })
  const ownEntries = await compare({ ...options, contestants: [{ ...broken, isOurs: true }] })

  t.regex(details(entries, few[0]!), /broken: there is nothing to connect to/)
  t.false(hasFailed(entries))
  t.true(hasFailed(ownEntries))
})

test('nothing begins when the time is over', async (t) => {
  const entries = await compare({
    ...quickly,
    scenarios: few,
    contestants: [relay],
    limitMs: -1,
    tell: () => t.fail(),
  })

  t.true(entries.every(({ outcomes }) => outcomes.length === 0))
})

test('the median of an even number lies in the middle', (t) => {
  t.is(median([4, 1, 3]), 3)
  t.is(median([4, 1, 3, 2]), 2.5)
  t.is(median([]), undefined)
})
