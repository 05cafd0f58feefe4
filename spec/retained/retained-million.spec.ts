import { Buffer } from 'node:buffer'
import test from 'ava'
import { RetainedMessages } from '../../lib/retained/retained-messages.ts'
import { memoryInUse } from '../support/memory.ts'
import { bodyOf } from '../support/retained-body.ts'

const MILLION = 1_000_000
const PAYLOAD = Buffer.alloc(64, 'x')

function messagesOf(topicOf: (i: number) => string): RetainedMessages {
  const messages = new RetainedMessages({ messagesMax: MILLION, bytesMax: 2 ** 30 })
  for (let i = 0; i < MILLION; i++) {
    const topic = topicOf(i)
    // Every other one expires: it stands in one structure more.
    const expiresAt = i % 2 === 0 ? Number.POSITIVE_INFINITY : 1e12 + ((i * 7919) % MILLION)
    messages.set(topic, bodyOf(topic, PAYLOAD), 1, expiresAt, 0)
  }
  return messages
}

/** Fastest of several: what the lookup takes, not what the machine does beside it. */
function fastestMs(run: () => void): number {
  const times = Array.from({ length: 5 }, () => {
    const start = performance.now()
    run()
    return performance.now() - start
  })
  return Math.min(...times)
}

// Serial, as memory is measured.
for (const [shape, topicOf] of [
  ['flat', (i: number) => (i < 10 ? `a/${i}/c` : `sensors/${i}`)],
  [
    'deep',
    (i: number) =>
      i < 10 ? `a/${i}/c` : `plant/${i % 50}/line/${i % 1000}/machine/number ${i}/state`,
  ],
  [
    'paired',
    (i: number) =>
      i < 10 ? `a/${i}/c` : `devices/${i >> 1}/${i & 1 ? 'temperature' : 'humidity'}`,
  ],
] as const) {
  test.serial(
    `a million ${shape} topics cost at most 400 bytes each, and a/+/c takes below 1 ms`,
    (t) => {
      const before = memoryInUse()
      const messages = messagesOf(topicOf)
      const bytesEach = (memoryInUse() - before) / MILLION - PAYLOAD.length
      t.log(`${Math.round(bytesEach)} bytes each, beside a payload of ${PAYLOAD.length}`)

      t.true(bytesEach <= 400)
      t.is(messages.count, MILLION)
      t.is(messages.lookup('a/+/c', 0).length, 10)
      t.true(fastestMs(() => messages.lookup('a/+/c', 0)) < 1)
    },
  )
}
