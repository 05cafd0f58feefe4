/** What Redis stores keep and say, without a Redis: records, the packing of batches, and URLs. */

import test from 'ava'
import fc from 'fast-check'
import { describePlace, parseUrl } from '../../lib/storage/redis/connection.ts'
import { type Packed, PackReader, PackWriter } from '../../lib/storage/redis/pack.ts'
import {
  decodeSubscription,
  decodeWill,
  encodeSubscription,
  encodeWill,
  readFrame,
  writeFrame,
} from '../../lib/storage/redis/records.ts'
import { StoreError } from '../../lib/storage/storage.ts'
import { subscriptionTo, willTo } from './contract-support.ts'

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
const qos = fc.constantFrom(0 as const, 1 as const, 2 as const)
const safe = fc.oneof(fc.nat(200), fc.maxSafeNat())

test('a frame gives back how a message stood, whatever stands in front of its body', (t) => {
  const identifiers = fc.array(fc.integer({ min: 1, max: 268_435_455 }), { minLength: 1 })
  const standing = fc.record({
    qos,
    retain: fc.boolean(),
    subscriptionIdentifiers: fc.option(identifiers, { nil: undefined }),
    share: fc.option(fc.string({ unit: 'binary' }), { nil: undefined }),
  })
  const expiry = fc.oneof(fc.nat(), fc.constant(Number.POSITIVE_INFINITY))

  fc.assert(
    fc.property(standing, expiry, bytes, (how, expiresAt, body) => {
      const writer = new PackWriter()
      writeFrame(writer, how, expiresAt, 7, body)
      const frame = new PackReader(writer.written).bytes()
      t.deepEqual(readFrame(3, frame), { seq: 3, ...how, expiresAt, body })
    }),
  )
})

test('bytes that are no frame are told apart', (t) => {
  for (const frame of [Buffer.alloc(0), Buffer.alloc(16), Buffer.alloc(20, 0x1f)])
    t.is(readFrame(1, frame), undefined)
})

test('subscriptions and wills are given back as they were', (t) => {
  const subscriptions = [
    subscriptionTo('a'),
    subscriptionTo('b', { qos: 2, noLocal: true, subscriptionIdentifier: 268_435_455 }),
    subscriptionTo('$share/c', { qos: 0, retainAsPublished: true, isPlain: true }),
  ]
  const wills = [willTo('a'), { ...willTo('b'), expirySeconds: 0, delaySeconds: 0xffff_ffff }]

  t.deepEqual(
    subscriptions.map((one) => decodeSubscription(one.topicFilter, encodeSubscription(one))),
    subscriptions,
  )
  t.deepEqual(
    wills.map((will) => decodeWill(encodeWill(will))),
    wills,
  )
  t.throws(() => decodeSubscription('a', 'nonsense'), { instanceOf: RangeError })
})

test('what is packed is read as it was written', (t) => {
  const value = fc.oneof(safe, fc.boolean(), bytes)
  fc.assert(
    fc.property(fc.array(value, { maxLength: 40 }), (values) => {
      const writer = new PackWriter()
      writer.startArray(values.length)
      for (const each of values) {
        if (typeof each === 'number') writer.number(each)
        else if (typeof each === 'boolean') writer.boolean(each)
        else writer.bytes(each)
      }
      t.deepEqual(new PackReader(writer.written).value(), values satisfies Packed)
    }),
  )
})

test('a packed value that ends too early is refused', (t) => {
  const writer = new PackWriter()
  writer.startArray(2)
  writer.text('some text that is longer than thirty-two bytes')
  writer.number(1e12)
  for (let length = 0; length < writer.length; length++) {
    t.throws(() => new PackReader(Buffer.from(writer.written.subarray(0, length))).value(), {
      instanceOf: RangeError,
    })
  }
})

const plain = { isTls: false, database: 0, masterName: '', username: '', password: '' }
const urls = {
  'redis://kept:6380/3': {
    ...plain,
    kind: 'single',
    database: 3,
    hosts: [{ host: 'kept', port: 6380 }],
  },
  'rediss://name:p%40ss@[::1]': {
    ...plain,
    kind: 'single',
    isTls: true,
    hosts: [{ host: '::1', port: 6379 }],
    username: 'name',
    password: 'p@ss',
  },
  'redis+sentinel://:word@a,b:5/mine/2': {
    ...plain,
    kind: 'sentinel',
    hosts: [
      { host: 'a', port: 26_379 },
      { host: 'b', port: 5 },
    ],
    masterName: 'mine',
    database: 2,
    password: 'word',
  },
  'rediss+cluster://a:1,b:2/': {
    ...plain,
    kind: 'cluster',
    isTls: true,
    hosts: [
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
    ],
  },
}

for (const [url, place] of Object.entries(urls)) {
  test(`${url} says where Redis is, and is described without its password`, (t) => {
    const parsed = parseUrl(url)
    t.like(parsed, place)
    t.notRegex(describePlace(parsed), /word|p@ss/)
  })
}

for (const url of [
  'redis://a,b',
  'redis://a:99999',
  'redis://a/x',
  'redis+sentinel://a',
  'redis+cluster://a/1',
  'redis:a',
]) {
  test(`${url} is refused in one line`, (t) => {
    const error = t.throws(() => parseUrl(url), { instanceOf: StoreError })
    t.is(error.code, 'unusable')
    t.regex(error.message, /^store\.url cannot be understood: .+\.$/)
  })
}
