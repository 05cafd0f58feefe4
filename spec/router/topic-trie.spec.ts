import test from 'ava'
import type { Subscription } from '../../lib/protocol/subscription.ts'
import { TopicTrie } from '../../lib/router/topic-trie.ts'
import { memoryInUse } from '../support/memory.ts'

function subscription(topicFilter: string, options: Partial<Subscription> = {}): Subscription {
  return {
    topicFilter,
    qos: 0,
    noLocal: false,
    retainAsPublished: false,
    subscriptionIdentifier: 0,
    ...options,
  }
}

/** Subscribes one subscriber, named like the filter, to each filter. */
function trieOf(...topicFilters: string[]): TopicTrie<string, string> {
  const trie = new TopicTrie<string, string>()
  for (const filter of topicFilters) trie.subscribe(filter, filter, subscription(filter))
  return trie
}

function matchesOf(trie: TopicTrie<string, string>, topicName: string): string[] {
  return trie
    .match(topicName)
    .single.map(({ subscriber }) => subscriber)
    .toSorted()
}

test('a filter without wildcards matches its very name', (t) => {
  const trie = trieOf('a/b', 'a', '/a', 'a/', 'a//b')

  for (const name of ['a/b', 'a', '/a', 'a/', 'a//b']) t.deepEqual(matchesOf(trie, name), [name])
  t.deepEqual(matchesOf(trie, 'a/c'), [])
})

test('+ stands for exactly one level, an empty one too', (t) => {
  const trie = trieOf('+', 'a/+', '+/+', 'a/+/c', '/+')

  t.deepEqual(matchesOf(trie, 'a'), ['+'])
  t.deepEqual(matchesOf(trie, 'a/'), ['+/+', 'a/+'])
  t.deepEqual(matchesOf(trie, '/finance'), ['+/+', '/+'])
  t.deepEqual(matchesOf(trie, 'a//c'), ['a/+/c'])
})

test('# stands for any number of levels, none among them', (t) => {
  const trie = trieOf('#', 'a/#', 'a/b/#', '+/b/#')

  t.deepEqual(matchesOf(trie, 'a'), ['#', 'a/#'])
  t.deepEqual(matchesOf(trie, 'a/b'), ['#', '+/b/#', 'a/#', 'a/b/#'])
  t.deepEqual(matchesOf(trie, 'b/b/c/d'), ['#', '+/b/#'])
})

test('[MQTT-4.7.2-1] a topic that begins with $ is not matched by a filter that begins with a wildcard', (t) => {
  const trie = trieOf(
    '#',
    '+/monitor/Clients',
    '+/+/+',
    '$SYS/#',
    '$SYS/monitor/+',
    '$SYS/+/Clients',
  )

  t.deepEqual(matchesOf(trie, '$SYS/monitor/Clients'), [
    '$SYS/#',
    '$SYS/+/Clients',
    '$SYS/monitor/+',
  ])
  t.deepEqual(matchesOf(trie, 'a/$SYS/b'), ['#', '+/+/+'])
})

test('[MQTT-4.7.3-4] names and filters are compared as they stand', (t) => {
  const trie = trieOf('ACCOUNTS', 'Accounts', 'café', 'cafe\u0301', 'a /b')

  for (const name of ['ACCOUNTS', 'Accounts', 'café', 'cafe\u0301']) {
    t.deepEqual(matchesOf(trie, name), [name])
  }
  t.deepEqual(matchesOf(trie, 'a/b'), [])
})

test('a subscriber whose subscriptions overlap is found once', (t) => {
  const trie = new TopicTrie<string, string>()
  trie.subscribe('a/+', 'client', subscription('a/+', { qos: 1, subscriptionIdentifier: 1 }))
  trie.subscribe('a/#', 'client', subscription('a/#', { qos: 2, subscriptionIdentifier: 2 }))

  const [receiver, ...others] = trie.match('a/b').single
  t.deepEqual(others, [])
  t.is(receiver?.qos, 2)
  t.deepEqual(receiver?.identifiers?.toSorted(), [1, 2])
})

test('a subscription made again replaces the one before', (t) => {
  const trie = new TopicTrie<string, string>()

  t.false(trie.subscribe('a', 'client', subscription('a', { qos: 2, subscriptionIdentifier: 1 })))
  t.true(trie.subscribe('a', 'client', subscription('a', { qos: 1 })))
  t.is(trie.subscriptionCount, 1)
  t.deepEqual(
    trie.match('a').single.map(({ qos, identifiers }) => ({ qos, identifiers })),
    [{ qos: 1, identifiers: undefined }],
  )
})

test('groups are found beside single subscribers', (t) => {
  const trie = trieOf('a/b')
  trie.addGroup('a/+', 'workers')
  trie.addGroup('a/b', 'workers of b')

  t.deepEqual(trie.match('a/b').groups.toSorted(), ['workers', 'workers of b'])
  t.like(trie.match('a/c'), { single: [], groups: ['workers'], only: undefined })
  t.true(trie.removeGroup('a/+', 'workers'))
  t.false(trie.removeGroup('a/+', 'workers'))
  t.like(trie.match('a/c'), { single: [], groups: [], only: undefined })
})

test('nodes are shared, and removed with their last subscription', (t) => {
  const trie = trieOf('a/b/c', 'a/b/+', 'a/#')
  t.is(trie.nodeCount, 5)

  t.true(trie.unsubscribe('a/b/c', 'a/b/c'))
  t.is(trie.nodeCount, 4)
  t.true(trie.unsubscribe('a/b/+', 'a/b/+'))
  t.is(trie.nodeCount, 2)
  t.true(trie.unsubscribe('a/#', 'a/#'))
  t.deepEqual([trie.nodeCount, trie.subscriptionCount], [0, 0])
})

test('ending a subscription that is not there changes nothing', (t) => {
  const trie = trieOf('a/b')

  t.false(trie.unsubscribe('a', 'a/b'))
  t.false(trie.unsubscribe('a/b', 'another'))
  t.false(trie.unsubscribe('x/y', 'a/b'))
  t.deepEqual([trie.nodeCount, trie.subscriptionCount], [1, 1])
})

test('a match that was handed out does not change', (t) => {
  const trie = trieOf('a')
  const before = trie.match('a')
  trie.unsubscribe('a', 'a')

  t.is(before.single.length, 1)
})

test('filters of 32,000 levels are stored, matched and removed', (t) => {
  const deep = '/'.repeat(32_000)
  const trie = trieOf(deep, `${deep}+`, `${deep}/#`)

  t.is(trie.match(deep).single.length, 3)
  t.true(trie.match(`${deep}a`).single[0]?.subscriber === `${deep}+`)
  for (const filter of [deep, `${deep}+`, `${deep}/#`]) trie.unsubscribe(filter, filter)
  t.is(trie.nodeCount, 0)
})

test('many wildcards cost no more than the nodes that match', (t) => {
  // Every mix of "a" and "+" over 12 levels: 4,096 filters, all of which match.
  const filters = Array.from({ length: 4096 }, (_, bits) =>
    Array.from({ length: 12 }, (_level, i) => ((bits >> i) & 1 ? '+' : 'a')).join('/'),
  )
  const trie = trieOf(...filters)
  const name = Array.from({ length: 12 }, () => 'a').join('/')

  t.is(trie.nodeCount, 2 ** 13 - 2)
  t.is(trie.match(name).single.length, 4096)
  t.is(trie.match(`${name}/a`).single.length, 0)
})

test('100,000 filters are found each by its name, and cost below 400 bytes each', (t) => {
  const names = Array.from({ length: 100_000 }, (_, i) => `sites/${i % 100}/devices/${i}/commands`)
  const client = {}
  const subscriptions = names.map((name) => subscription(name))
  const before = memoryInUse()
  const trie = new TopicTrie<object, string>()
  for (const made of subscriptions) trie.subscribe(made.topicFilter, client, made)

  t.true((memoryInUse() - before) / names.length < 400)
  t.is(names.filter((name) => trie.match(name).single.length !== 1).length, 0)
  for (const name of names) trie.unsubscribe(name, client)
  t.is(trie.nodeCount, 0)
})

test('filters of many levels cost a node or two each, to keep and to visit', (t) => {
  const filters = Array.from({ length: 1_000 }, (_, i) =>
    Array.from({ length: 200 }, (_level, depth) => ((i >> (depth % 10)) & 1 ? '+' : 'a')).join('/'),
  )
  const trie = trieOf(...filters)
  const topic = Array.from({ length: 200 }, () => 'a').join('/')

  t.is(trie.match(topic).single.length, 1_000)
  t.true(trie.nodeCount < 3 * filters.length, `${trie.nodeCount} nodes`)

  for (const filter of filters) trie.unsubscribe(filter, filter)
  t.is(trie.nodeCount, 0)
})
