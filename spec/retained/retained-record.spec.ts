import { Buffer } from 'node:buffer'
import test from 'ava'
import { RetainedRecord } from '../../lib/retained/retained-record.ts'
import { bodyOf } from '../support/retained-body.ts'

function recordOf(body: Buffer): RetainedRecord {
  return new RetainedRecord(body, 1, Number.POSITIVE_INFINITY, 1)
}

for (const [size, bytes] of [
  ['small', 10],
  ['large', 5000],
] as const) {
  test(`a ${size} body comes back byte for byte, in memory of its own`, (t) => {
    const body = bodyOf('topic', Buffer.from(Array.from({ length: bytes }, (_, i) => i % 256)))
    const record = recordOf(body)

    t.true(record.body().equals(body))
    t.is(record.body().buffer.byteLength, body.length)
    t.is(record.bodyLength, body.length)
  })

  test(`the topic is read from a ${size} body`, (t) => {
    for (const topic of ['a', 'zażółć/gęślą/🦇', 'x'.repeat(300)]) {
      t.is(recordOf(bodyOf(topic, 'p'.repeat(bytes))).topic, topic)
    }
  })
}

test('a large body that is a view is copied', (t) => {
  const body = bodyOf('topic', 'p'.repeat(5000))
  const chunk = Buffer.concat([Buffer.alloc(10), body, Buffer.alloc(60_000)])
  const record = recordOf(chunk.subarray(10, 10 + body.length))
  chunk.fill(0)

  t.true(record.body().equals(body))
  t.is(record.body().buffer.byteLength, body.length)
})

test('a retired record has no body any more', (t) => {
  const record = recordOf(bodyOf('topic', 'payload'))
  t.true(record.isCurrent)
  record.retire()

  t.false(record.isCurrent)
  t.is(record.bodyLength, 0)
  t.throws(() => record.body(), { message: /only while it is current/ })
  t.throws(() => record.topic, { message: /only while it is current/ })
})
