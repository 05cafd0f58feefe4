import { Buffer } from 'node:buffer'
import test from 'ava'
import fc from 'fast-check'
import { RetainedMessages } from '../../lib/retained/retained-messages.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'
import { Timers } from '../../lib/util/timers.ts'
import { ManualClock } from '../support/clock.ts'

const NEVER = Number.POSITIVE_INFINITY

interface Store {
  readonly clock: ManualClock
  readonly timers: Timers
  readonly budget: MemoryBudget
  readonly retained: RetainedMessages
}

function makeRetained(
  change: { messagesMax?: number; bytesMax?: number; defaultExpirySeconds?: number } = {},
): Store {
  const clock = new ManualClock()
  const timers = new Timers(clock)
  const budget = new MemoryBudget(1e9)
  const limits = { messagesMax: 100, bytesMax: 1_000, defaultExpirySeconds: 0, ...change }
  return { clock, timers, budget, retained: new RetainedMessages(limits, timers, budget) }
}

function bodiesOf({ clock, retained }: Store, filter: string): string[] {
  return retained
    .lookup(filter, clock.now())
    .map((match) => retained.bodyOf(match).toString())
    .toSorted()
}

function set(store: Store, topic: string, content: string, expiresAt = NEVER): void {
  store.retained.set(topic, Buffer.from(content), 1, expiresAt, store.clock.now())
}

test('[MQTT-3.3.1-5] a retained message replaces the one of its topic', (t) => {
  const store = makeRetained()
  set(store, 'a/b', 'first')
  set(store, 'a/b', 'second one')

  t.deepEqual(bodiesOf(store, 'a/+'), ['second one'])
  t.is(store.retained.count, 1)
  t.is(store.retained.bytes, 10)
})

test('[MQTT-3.3.1-6] a cleared topic has no message, and clearing it again changes nothing', (t) => {
  const store = makeRetained()
  set(store, 'a', 'first')

  store.retained.clear('a')
  store.retained.clear('a')

  t.deepEqual(bodiesOf(store, '#'), [])
  t.is(store.retained.count, 0)
  t.is(store.retained.bytes, 0)
  t.is(store.budget.usedBytes, 0)
})

test('a message that expires is gone at that moment, for lookups and for the memory', async (t) => {
  const store = makeRetained()
  const end = store.clock.now() + 1_000
  set(store, 'a', 'short', end)
  set(store, 'b', 'long', end + 1)
  const [match] = store.retained.lookup('a', store.clock.now())

  t.deepEqual(store.retained.lookup('#', end).length, 1)
  t.is(store.retained.count, 2)

  await store.clock.advance(1_000)
  t.deepEqual(bodiesOf(store, '#'), ['long'])
  t.is(store.retained.count, 1)
  t.false(match?.isCurrent)
})

test('a message replaced by one that stays does not expire with it, nor the other way round', async (t) => {
  const store = makeRetained()
  set(store, 'a', 'expires', store.clock.now() + 1_000)
  set(store, 'a', 'stays')
  set(store, 'b', 'stays')
  set(store, 'b', 'expires', store.clock.now() + 1_000)

  await store.clock.advance(2_000)

  t.deepEqual(bodiesOf(store, '#'), ['stays'])
  t.is(store.timers.size, 0)
})

test('a message without an expiry of its own gets that of the limits', async (t) => {
  const store = makeRetained({ defaultExpirySeconds: 60 })
  set(store, 'a', 'without')
  set(store, 'b', 'with', store.clock.now() + 120_000)

  await store.clock.advance(59_999)
  t.deepEqual(bodiesOf(store, '#'), ['with', 'without'])

  await store.clock.advance(1)
  t.deepEqual(bodiesOf(store, '#'), ['with'])
})

test('a handle tells that its message was replaced, cleared or is still the one', (t) => {
  const store = makeRetained()
  for (const topic of ['a', 'b', 'c']) set(store, topic, topic)
  const matches = ['a', 'b', 'c'].map((topic) => store.retained.get(topic))

  set(store, 'a', 'new')
  store.retained.clear('b')

  t.deepEqual(
    matches.map((match) => match?.isCurrent),
    [false, false, true],
  )
  t.true(store.retained.get('a')?.isCurrent)
  t.is(store.retained.get('b'), undefined)
})

test('versions grow over all topics, so that a handle tells what came later', (t) => {
  const store = makeRetained()
  set(store, 'a', '1')
  set(store, 'b', '2')
  const before = store.retained.version
  set(store, 'a', '3')

  t.true((store.retained.get('b')?.version ?? NEVER) <= before)
  t.true((store.retained.get('a')?.version ?? 0) > before)
  t.is(store.retained.get('a')?.version, store.retained.version)
})

test('the stored form comes back byte by byte, small or large, in memory of its own', (t) => {
  const store = makeRetained()
  for (const size of [0, 300, 5_000]) {
    const body = Buffer.from(Uint8Array.from({ length: size }, (_, i) => i))
    store.retained.set('t', Buffer.from(body), 2, NEVER, store.clock.now())
    const [match] = store.retained.lookup('t', store.clock.now())

    t.is(match?.qos, 2)
    t.deepEqual(match && store.retained.bodyOf(match), body)
  }
})

test('there is room up to the number of messages, and for a replacement when all are there', (t) => {
  const { retained, ...rest } = makeRetained({ messagesMax: 2 })
  const store = { retained, ...rest }
  set(store, 'a', '12345')
  t.true(retained.hasRoomFor('b', 1))

  set(store, 'b', '12345')
  t.false(retained.hasRoomFor('c', 1))
  t.true(retained.hasRoomFor('b', 100))

  retained.clear('a')
  t.true(retained.hasRoomFor('c', 1))
})

test('there is room up to the number of bytes, less those that are replaced', (t) => {
  const { retained, ...rest } = makeRetained({ bytesMax: 10 })
  const store = { retained, ...rest }
  set(store, 'a', '123456')

  t.true(retained.hasRoomFor('b', 4))
  t.false(retained.hasRoomFor('b', 5))
  t.true(retained.hasRoomFor('a', 10))
  t.false(retained.hasRoomFor('a', 11))
})

function isMatch(topicFilter: string, topicName: string): boolean {
  if (topicName.startsWith('$') && /^[+#]/.test(topicFilter)) return false
  const levels = topicName.split('/')
  const wanted = topicFilter.split('/')
  const end = wanted.at(-1) === '#' ? wanted.length - 1 : undefined
  if (end === undefined ? levels.length !== wanted.length : levels.length < end) return false
  return wanted.slice(0, end).every((level, i) => level === '+' || level === levels[i])
}

const level = fc.constantFrom('', 'a', 'b', '$x')
const topic = fc.array(level, { minLength: 1, maxLength: 3 }).map((levels) => levels.join('/'))
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 3 }), fc.constantFrom([], ['#']))
  .map(([levels, end]) => [...levels, ...end].join('/'))
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      does: fc.constant('set'),
      topic,
      seconds: fc.constantFrom(0, 1, 2, 5, NEVER, NEVER),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constant('clear'), topic, seconds: fc.constant(0) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant('wait'),
      topic,
      seconds: fc.integer({ min: 1, max: 3 }),
    }),
  },
)

test('a lookup finds what a list of retained messages finds, whatever is set, cleared and expires', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60, size: 'max' }),
      filter,
      async (steps, wanted) => {
        const store = makeRetained()
        const model = new Map<string, { content: string; expiresAt: number }>()
        for (const [i, { does, topic: name, seconds }] of steps.entries()) {
          if (does === 'set') {
            const entry = { content: `${i}`, expiresAt: store.clock.now() + seconds * 1_000 }
            set(store, name, entry.content, entry.expiresAt)
            model.set(name, entry)
          } else if (does === 'clear') {
            store.retained.clear(name)
            model.delete(name)
          } else await store.clock.advance(seconds * 1_000)

          const alive = [...model].filter(([, { expiresAt }]) => store.clock.now() < expiresAt)
          const expected = alive
            .filter(([known]) => isMatch(wanted, known))
            .map(([, { content }]) => content)
          t.deepEqual(bodiesOf(store, wanted), expected.toSorted())
        }
        for (const name of model.keys()) store.retained.clear(name)
        t.is(store.budget.usedBytes, 0)
        t.is(store.retained.count, 0)
        t.is(store.timers.size, 0)
      },
    ),
    { numRuns: 200 },
  )
})
