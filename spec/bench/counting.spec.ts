import test from 'ava'
import { faultsOf } from '../../lib/cli/bench/figures.ts'
import { runMessages } from '../../lib/cli/bench/message-load.ts'
import { Run } from '../../lib/cli/bench/run.ts'
import { type Fault, STANDSTILL_MS, startFaultyBroker } from './faulty-broker.ts'
import { jobOf, loadOf } from './small-loads.ts'

const pairs = { publishers: 3, subscribers: 3, underWayMessages: 5, payloadBytes: 61 }

/** The books that each fault must leave, by how often it was done. */
const books: readonly (readonly [Fault, string, (n: number) => object])[] = [
  ['none', 'nothing', () => ({})],
  ['lose', 'loss', (lost) => ({ lost })],
  ['double', 'doubling', (duplicated) => ({ duplicated })],
  ['reorder', 'a changed order', (reordered) => ({ reordered })],
  ['corrupt the filling', 'damage to the payload', (n) => ({ corrupted: n, lost: n })],
  ['corrupt the header', 'damage to what the payload says', (n) => ({ corrupted: n, lost: n })],
  ['shorten', 'a missing byte', (n) => ({ corrupted: n, lost: n })],
  ['misroute', 'a wrong receiver', (n) => ({ misrouted: n, lost: n })],
]

for (const qos of [0, 1] as const) {
  for (const [fault, words, expected] of books) {
    test(`QoS ${qos}: ${words} is counted for what it is`, async (t) => {
      const broker = await startFaultyBroker(t, fault)
      const load = loadOf('qos0-pairs', { ...pairs, qos })
      const run = new Run(jobOf(load, broker.port))

      const outcome = await Promise.race([runMessages(run), run.failed])

      const clean = { lost: 0, duplicated: 0, reordered: 0, corrupted: 0, misrouted: 0 }
      const { sent, expected: due, delivered, acknowledged, ...found } = outcome.counts
      t.deepEqual(found, { ...clean, ...expected(broker.struck()) })
      t.is(fault === 'none', broker.struck() === 0)
      t.is(due, sent)
      t.is(delivered, sent - found.lost)
      t.is(acknowledged, qos === 0 ? 0 : sent)
      t.true(outcome.span.operations > 0)
      t.true(outcome.span.operations < delivered)
      const isForgiven = fault === 'none' || (fault === 'double' && qos === 1)
      t.is(faultsOf(outcome, load).length === 0, isForgiven)
    })
  }
}

test('an acknowledgement of what is not under way ends the run', async (t) => {
  const broker = await startFaultyBroker(t, 'acknowledge something else')
  const load = loadOf('qos1-pairs', { ...pairs, windowMessages: 1 })
  const run = new Run(jobOf(load, broker.port))

  const failure = await t.throwsAsync(Promise.race([runMessages(run), run.failed]))

  t.regex(
    failure?.message ?? '',
    /sent packet type 4 for Packet Identifier 2, which does not wait for it/,
  )
})

test('at a rate, all messages are late that were due while nothing went on', async (t) => {
  const broker = await startFaultyBroker(t, 'stand still once')
  const load = loadOf('trickle', { ...pairs, qos: 0, ratePerSecond: 100 })
  const run = new Run({ ...jobOf(load, broker.port, 1000), warmupMs: 0 })

  const { counts, latency } = await Promise.race([runMessages(run), run.failed])

  // One in five was due then. If messages waited for those before them, only one of 100 would be late.
  t.is(counts.lost, 0)
  t.true(counts.sent >= 90)
  t.true((latency?.p99Us ?? 0) > 0.8 * STANDSTILL_MS * 1000)
})

for (const { qos, underWay, window, burst } of [
  { qos: 0, underWay: 9, window: 1, burst: 4 },
  { qos: 1, underWay: 9, window: 3, burst: 3 },
] as const) {
  test(`QoS ${qos}: messages are sent in bursts of ${burst}`, async (t) => {
    const broker = await startFaultyBroker(t, 'none')
    const changes = { qos, underWayMessages: underWay, windowMessages: window, burstMessages: 4 }
    const load = loadOf('qos0-pairs', { ...pairs, publishers: 1, subscribers: 1, ...changes })
    const run = new Run(jobOf(load, broker.port))

    const { counts } = await Promise.race([runMessages(run), run.failed])

    t.true(counts.sent > 0)
    t.is(counts.sent % burst, 0)
    t.is(counts.lost, 0)
  })
}
