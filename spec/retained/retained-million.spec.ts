import { Buffer } from 'node:buffer'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import { RetainedMessages } from '../../lib/retained/retained-messages.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'
import { Timers } from '../../lib/util/timers.ts'
import { ManualClock } from '../support/clock.ts'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

const COUNT = 1_000_000
const BYTES_EACH_MAX = 400
const LOOKUP_MAX_MS = 1

function usedBytes(): number {
  collectGarbage()
  collectGarbage() // The first hands dead buffers to a thread; the second waits for it.
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external // What array buffers hold is part of `external`.
}

/** Few levels that many share, and many that nobody shares: as sites and as device identifiers. */
const topicsOf: readonly ((i: number) => string)[] = [
  (i) => `site/${i % 1_000}/sensor/${i}`,
  (i) => `devices/device-${i}/state`,
  (i) => `plant/line${i % 10}/cell${i % 1_000}/machine-${i}/status/temperature`,
  (i) => (i < 40 ? `a/${i}/c` : `a/${i % 10}/d/${i}`),
]

function topicOf(i: number): string {
  return topicsOf[i % topicsOf.length]!(i)
}

/** The stored form; `composeBody` would make a million buffers of their own for the collector. */
function bodyOf(topic: string, payload: string): Buffer {
  return Buffer.from(`${String.fromCharCode(0, topic.length)}${topic}\0${payload}`, 'latin1')
}

function fill(retained: RetainedMessages): number {
  let payloadBytes = 0
  for (let i = 0; i < COUNT; i++) {
    const topic = topicOf(i)
    const payload = `value ${i}`
    payloadBytes += payload.length
    retained.set(topic, bodyOf(topic, payload), 1, Number.POSITIVE_INFINITY, 0)
  }
  return payloadBytes
}

/** The median of how long `act` takes. */
function medianMs(act: () => void): number {
  const times = Array.from({ length: 21 }, () => {
    const start = performance.now()
    act()
    return performance.now() - start
  })
  return times.toSorted((a, b) => a - b)[10]!
}

test('a million retained messages cost at most 400 bytes each beside their payload, and are found at once', (t) => {
  t.timeout(60_000)
  const limits = { messagesMax: COUNT, bytesMax: 1e9, defaultExpirySeconds: 0 }
  const retained = new RetainedMessages(
    limits,
    new Timers(new ManualClock()),
    new MemoryBudget(1e12),
  )
  const before = usedBytes()

  const payloadBytes = fill(retained)
  const bytesEach = (usedBytes() - before - payloadBytes) / COUNT
  const found = retained.lookup('a/+/c', 1).length
  const lookupMs = medianMs(() => retained.lookup('a/+/c', 1))

  t.log(`${bytesEach.toFixed(0)} bytes each, ${lookupMs.toFixed(3)} ms for a lookup`)
  t.is(retained.count, COUNT)
  t.is(found, 10)
  t.true(bytesEach <= BYTES_EACH_MAX)
  t.true(lookupMs < LOOKUP_MAX_MS)
})
