import test from 'ava'
import type { Subscription } from '../../lib/protocol/subscription.ts'
import { TopicTrie } from '../../lib/router/topic-trie.ts'

function subscriptionTo(topicFilter: string, change: Partial<Subscription> = {}): Subscription {
  const off = {
    qos: 0,
    noLocal: false,
    retainAsPublished: false,
    subscriptionIdentifier: 0,
  } as const
  return { topicFilter, ...off, ...change }
}

/** A tree with one subscriber per filter, named like it. */
function treeOf(...topicFilters: readonly string[]): TopicTrie<string, string> {
  const trie = new TopicTrie<string, string>()
  for (const filter of topicFilters) trie.subscribe(filter, filter, subscriptionTo(filter))
  return trie
}

function found(trie: TopicTrie<string, string>, topicName: string): string[] {
  return trie.match(topicName).single.map(({ subscriber }) => subscriber)
}

// The examples of section 4.7 and their like.
const examples: readonly (readonly [filter: string, topic: string, isMatch: boolean])[] = [
  ['sport/tennis/player1/#', 'sport/tennis/player1', true],
  ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
  ['sport/#', 'sport', true],
  ['sport/#', 'sports', false],
  ['#', 'a', true],
  ['#', '/', true],
  ['sport/tennis/+', 'sport/tennis/player1', true],
  ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
  ['sport/+', 'sport', false],
  ['sport/+', 'sport/', true],
  ['+/+', '/finance', true],
  ['/+', '/finance', true],
  ['+', '/finance', false],
  ['#', '$SYS/monitor/Clients', false],
  ['+/monitor/Clients', '$SYS/monitor/Clients', false],
  ['$SYS/#', '$SYS/monitor/Clients', true],
  ['$SYS/monitor/+', '$SYS/monitor/Clients', true],
  ['a/#', 'a/$b', true],
  ['a/+', 'a/$b', true],
  ['ACCOUNTS', 'Accounts', false],
  ['/A', 'A', false],
  ['A', 'A/', false],
  ['caf\u00e9', 'cafe\u0301', false],
]

for (const [filter, topic, isMatch] of examples) {
  const tags = topic.startsWith('$') ? '[MQTT-4.7.2-1]' : '[MQTT-4.7.3-4]'
  test(`${tags} ${filter} ${isMatch ? 'matches' : 'does not match'} ${topic}`, (t) => {
    t.deepEqual(found(treeOf(filter), topic), isMatch ? [filter] : [])
  })
}

test('a subscriber with overlapping subscriptions is found once, with the best of each', (t) => {
  const trie = new TopicTrie<string, string>()
  trie.subscribe('a/#', 'me', subscriptionTo('a/#', { qos: 1, subscriptionIdentifier: 7 }))
  trie.subscribe('a/+', 'me', subscriptionTo('a/+', { qos: 2 }))
  trie.subscribe('a/b', 'me', subscriptionTo('a/b', { retainAsPublished: true }))
  trie.subscribe('#', 'me', subscriptionTo('#', { subscriptionIdentifier: 7 }))

  const { single } = trie.match('a/b')

  t.is(single.length, 1)
  t.is(single[0]?.qos, 2)
  t.true(single[0]?.retainAsPublished)
  t.deepEqual(single[0]?.identifiers, [7, 7])
  t.is(single[0]?.own, single[0])
})

test('a subscriber gets its own message by those of its subscriptions that are not No Local', (t) => {
  const trie = new TopicTrie<string, string>()
  const identified = { qos: 2, noLocal: true, subscriptionIdentifier: 1 } as const
  trie.subscribe('a', 'some', subscriptionTo('a', identified))
  trie.subscribe('+', 'some', subscriptionTo('+', { qos: 1, subscriptionIdentifier: 2 }))
  trie.subscribe('a', 'none', subscriptionTo('a', identified))

  const { single } = trie.match('a')
  const some = single.find(({ subscriber }) => subscriber === 'some')

  t.is(some?.qos, 2)
  t.is(some?.own?.qos, 1)
  t.deepEqual(some?.own?.identifiers, [2])
  t.is(some?.own?.own, some?.own)
  t.is(single.find(({ subscriber }) => subscriber === 'none')?.own, undefined)
})

test('a subscription to the same filter replaces the one before', (t) => {
  const trie = new TopicTrie<string, string>()

  t.false(trie.subscribe('a', 'me', subscriptionTo('a', { qos: 2, subscriptionIdentifier: 5 })))
  t.true(trie.subscribe('a', 'me', subscriptionTo('a', { qos: 1 })))

  t.is(trie.subscriptionCount, 1)
  t.is(trie.match('a').single[0]?.qos, 1)
  t.is(trie.match('a').single[0]?.identifiers, undefined)
})

test('unsubscribing what is not there changes nothing', (t) => {
  const trie = treeOf('a/b/c')

  t.false(trie.unsubscribe('a/b', 'a/b/c'))
  t.false(trie.unsubscribe('a/b/c/d', 'a/b/c'))
  t.false(trie.unsubscribe('a/b/c', 'somebody else'))
  trie.removeGroup('a/b/c', 'a group')

  t.deepEqual(found(trie, 'a/b/c'), ['a/b/c'])
  t.is(trie.countNodes(), 4)
})

test('a node goes with its last subscription, and those above it that nobody needs', (t) => {
  const trie = treeOf('a/b/c/d', 'a/b')

  trie.unsubscribe('a/b/c/d', 'a/b/c/d')

  t.is(trie.countNodes(), 3)
  t.deepEqual(found(trie, 'a/b'), ['a/b'])
})

test('filters and topics of 250 levels match without recursion', (t) => {
  const levels = Array.from({ length: 250 }, (_, i) => `level${i}`)
  const topic = levels.join('/')
  const plus = levels.map((level, i) => (i % 2 === 0 ? level : '+')).join('/')
  const hash = [...levels.slice(0, 200), '#'].join('/')
  const trie = treeOf(topic, plus, hash, `${topic}/more`, levels.slice(0, 249).join('/'))

  t.deepEqual(found(trie, topic).toSorted(), [topic, plus, hash].toSorted())

  for (const filter of [topic, plus, hash, `${topic}/more`, levels.slice(0, 249).join('/')]) {
    t.true(trie.unsubscribe(filter, filter))
  }
  t.is(trie.countNodes(), 1)
})

test('100,000 filters are matched, and leave nothing behind when they go', (t) => {
  const filters = Array.from({ length: 100_000 }, (_, i) => `site/${i % 317}/+/device/${i}`)
  const trie = treeOf()
  for (const filter of filters) trie.subscribe(filter, filter, subscriptionTo(filter))

  t.is(trie.subscriptionCount, 100_000)
  for (const i of [0, 4_711, 99_999]) {
    t.deepEqual(found(trie, `site/${i % 317}/x/device/${i}`), [filters[i]])
    t.deepEqual(found(trie, `site/${(i + 1) % 317}/x/device/${i}`), [])
  }

  for (const filter of filters) trie.unsubscribe(filter, filter)
  t.is(trie.countNodes(), 1)
  t.is(trie.subscriptionCount, 0)
})

test('a filter may have more groups than a list of arguments can hold', (t) => {
  const trie = new TopicTrie<string, string>()
  for (let i = 0; i < 300_000; i++) trie.addGroup('#', `group ${i}`)

  t.is(trie.match('a').groups.length, 300_000)
})
