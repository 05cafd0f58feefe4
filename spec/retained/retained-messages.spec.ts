import test from 'ava'
import { type RetainedLimits, RetainedMessages } from '../../lib/retained/retained-messages.ts'
import { bodyOf } from '../support/retained-body.ts'

const NEVER = Number.POSITIVE_INFINITY

function setUp(limits: Partial<RetainedLimits> = {}) {
  const messages = new RetainedMessages({ messagesMax: 1000, bytesMax: 1_000_000, ...limits })
  const set = (topic: string, payload: string, expiresAt = NEVER, now = 0) =>
    messages.set(topic, bodyOf(topic, payload), 1, expiresAt, now)
  const topicsOf = (topicFilter: string, now = 0) =>
    messages
      .lookup(topicFilter, now)
      .map(({ topic }) => topic)
      .toSorted()
  return { messages, set, topicsOf }
}

test('a retained message is found with all that was stored', (t) => {
  const { messages } = setUp()
  const body = bodyOf('a/b', 'payload')
  t.is(messages.set('a/b', body, 2, 5000, 0), 'stored')

  const [match] = messages.lookup('a/+', 0)
  t.is(match, messages.get('a/b'))
  t.deepEqual([match?.topic, match?.qos, match?.expiresAt], ['a/b', 2, 5000])
  t.deepEqual(messages.bodyOf(match!), body)
  t.deepEqual([messages.count, messages.bytes], [1, body.length])
})

test('[MQTT-3.3.1-5] a retained message replaces the one before', (t) => {
  const { messages, set } = setUp()
  set('a', 'first and longer')
  const first = messages.get('a')
  set('a', 'second')

  const second = messages.get('a')
  t.deepEqual(messages.bodyOf(second!), bodyOf('a', 'second'))
  t.deepEqual([first?.isCurrent, second?.isCurrent], [false, true])
  t.deepEqual([messages.count, messages.bytes], [1, bodyOf('a', 'second').length])
})

test('[MQTT-3.3.1-6] a cleared retained message is not found any more', (t) => {
  const { messages, set, topicsOf } = setUp()
  set('a/b', 'payload')
  const match = messages.get('a/b')

  t.true(messages.clear('a/b'))
  t.false(messages.clear('a/b'))
  t.false(match?.isCurrent)
  t.deepEqual(topicsOf('#'), [])
  t.deepEqual([messages.count, messages.bytes], [0, 0])
})

test('versions grow with each message that is set', (t) => {
  const { messages, set } = setUp()
  set('a', '1')
  const version = messages.version
  set('b', '2')

  t.is(messages.get('a')?.version, version)
  t.true(messages.get('b')!.version > version)
  t.is(messages.get('b')?.version, messages.version)
})

test('a message beyond the number allowed is refused, a replacement is not', (t) => {
  const { messages, set, topicsOf } = setUp({ messagesMax: 2 })
  set('a', '1')
  set('b', '2')

  t.false(messages.hasRoomFor('c', 1))
  t.is(set('c', '3'), 'refused')
  t.is(set('a', 'again'), 'stored')
  t.deepEqual(topicsOf('#'), ['a', 'b'])
})

test('bytes beyond those allowed are refused and the message before stays', (t) => {
  const { messages, set } = setUp({ bytesMax: 100 })
  set('a', 'x'.repeat(50))

  t.is(set('a', 'x'.repeat(200)), 'refused')
  t.is(set('b', 'x'.repeat(50)), 'refused')
  t.deepEqual(messages.bodyOf(messages.get('a')!), bodyOf('a', 'x'.repeat(50)))
  t.true(messages.hasRoomFor('a', 100))
  t.false(messages.hasRoomFor('b', 100 - messages.bytes + 1))
  t.true(messages.hasRoomFor('b', 100 - messages.bytes))
})

test('an expired message is not found and makes room for others', (t) => {
  const { messages, set, topicsOf } = setUp({ messagesMax: 2 })
  set('a', '1', 1000)
  set('b', '2', 2000)

  t.deepEqual(topicsOf('#', 999), ['a', 'b'])
  t.deepEqual(topicsOf('#', 1000), ['b'])
  t.is(messages.count, 2)
  t.is(set('c', '3', NEVER, 1000), 'stored')
  t.deepEqual(topicsOf('#', 1000), ['b', 'c'])
})

test('expire removes what is due and nothing else', (t) => {
  const { messages, set, topicsOf } = setUp()
  set('a', '1', 1000)
  set('b', '2', 2000)
  set('c', '3')
  t.is(messages.nextExpiry, 1000)

  t.is(messages.expire(999).length, 0)
  t.is(messages.expire(1000).length, 1)
  t.deepEqual([messages.count, messages.nextExpiry], [2, 2000])
  t.is(messages.expire(10_000).length, 1)
  t.deepEqual(topicsOf('#'), ['c'])
  t.is(messages.nextExpiry, NEVER)
})

test('a message set anew lives by its new expiry', (t) => {
  const { messages, set, topicsOf } = setUp()
  set('a', '1', 1000)
  set('a', '2', 5000)
  set('b', '1', 1000)
  set('b', '2')

  t.is(messages.expire(4000).length, 0)
  t.deepEqual(topicsOf('#', 4000), ['a', 'b'])
  t.is(messages.expire(5000).length, 1)
  t.is(messages.nextExpiry, NEVER)
})

test('one call of expire takes a bounded time', (t) => {
  const { messages, set } = setUp({ messagesMax: 10_000 })
  for (let i = 0; i < 6000; i++) set(`a/${i}`, 'x', 1000)

  t.deepEqual(
    [1, 2, 3, 4].map(() => messages.expire(2000).length),
    [2500, 2500, 1000, 0],
  )
  t.is(messages.count, 0)
})
