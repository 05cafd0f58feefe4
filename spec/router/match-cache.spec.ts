import { Buffer } from 'node:buffer'
import test from 'ava'
import { PacketType } from '../../lib/protocol/packets.ts'
import { MatchCache, type MatchCacheLimits } from '../../lib/router/match-cache.ts'
import { TopicTrie } from '../../lib/router/topic-trie.ts'
import { memoryInUse } from '../support/memory.ts'
import { frame, text } from '../support/raw-packets.ts'

/** A trie that counts how often it is asked. */
class CountingTrie extends TopicTrie<string, string> {
  asked = 0

  override match(topicName: string) {
    this.asked++
    return super.match(topicName)
  }
}

function setUp(limits?: MatchCacheLimits) {
  const trie = new CountingTrie()
  const cache = new MatchCache<string, string>(trie, limits)
  const subscribe = (topicFilter: string, subscriber: string, subscriptionIdentifier = 0) =>
    cache.subscribe(topicFilter, subscriber, {
      topicFilter,
      qos: 0,
      noLocal: false,
      retainAsPublished: false,
      subscriptionIdentifier,
    })
  /** Whether the answer comes from the cache. */
  const isCached = (topicName: string) => {
    const before = trie.asked
    cache.receiversOf(topicName)
    return trie.asked === before
  }
  const warm = (...topicNames: string[]) => {
    for (const topicName of topicNames) {
      cache.receiversOf(topicName)
      cache.receiversOf(topicName)
    }
  }
  return { trie, cache, subscribe, isCached, warm }
}

test('a topic is remembered while there is room, and later at its second sight', (t) => {
  const { cache, subscribe, isCached } = setUp({ entriesMax: 2, receiverReferencesMax: 100 })
  subscribe('a/#', 'client')

  t.deepEqual([isCached('a/1'), isCached('a/1')], [false, true])
  t.deepEqual([isCached('a/2'), isCached('a/2')], [false, true])
  t.deepEqual([isCached('a/b'), isCached('a/b'), isCached('a/b')], [false, false, true])
  t.deepEqual(
    cache.receiversOf('a/b').single.map(({ subscriber }) => subscriber),
    ['client'],
  )
})

test('topics that are seen once push nothing out', (t) => {
  const { cache, isCached } = setUp({ entriesMax: 100, receiverReferencesMax: 1_000_000 })
  const topics = Array.from({ length: 100 }, (_, i) => `again/${i}`)
  for (const topic of topics) cache.receiversOf(topic)
  for (let i = 0; i < 1000; i++) cache.receiversOf(`unique/${i}`)

  t.is(cache.size, 100)
  t.true(topics.every(isCached))
})

test('a subscription without wildcards leaves other topics remembered', (t) => {
  const { subscribe, isCached, warm } = setUp()
  warm('a/b', 'a/c')
  subscribe('a/b', 'client')

  t.deepEqual([isCached('a/b'), isCached('a/c')], [false, true])
  t.true(isCached('a/b'))
})

test('a wildcard below a literal first level leaves other branches remembered', (t) => {
  const { cache, subscribe, isCached, warm } = setUp()
  warm('a', 'a/b', 'c/d')

  subscribe('a/#', 'client')
  t.deepEqual([isCached('a'), isCached('a/b'), isCached('c/d')], [false, false, true])
  cache.unsubscribe('a/#', 'client')
  t.deepEqual([isCached('a'), isCached('a/b'), isCached('c/d')], [false, false, true])
})

test('a wildcard at the first level makes every topic void', (t) => {
  const { cache, isCached, warm } = setUp()
  warm('a/b', 'c/d')

  cache.addGroup('+/b', 'group')
  t.deepEqual([isCached('a/b'), isCached('c/d')], [false, false])
  cache.removeGroup('+/b', 'group')
  t.deepEqual([isCached('a/b'), isCached('c/d')], [false, false])
})

test('receivers of a void topic are not kept', (t) => {
  const { cache, subscribe, warm } = setUp()
  subscribe('a/+', 'client', 7)
  warm('a/1', 'a/2')
  t.is(cache.receiverReferences, 4) // Two receivers and their identifiers.

  cache.unsubscribe('a/+', 'client')
  t.is(cache.receiverReferences, 0)
})

test('whoever has the answer for a topic that is forgotten keeps no other topics by it', (t) => {
  const { cache, subscribe } = setUp({ entriesMax: 10, receiverReferencesMax: 1000 })
  subscribe('a/+', 'client')
  const kept = cache.receiversOf('a/first')
  const before = memoryInUse()
  for (let i = 0; i < 20_000; i++) {
    cache.receiversOf(`a/${i}`)
    cache.receiversOf(`a/${i}`)
  }

  t.true(memoryInUse() - before < 500_000)
  t.deepEqual(kept.single, [])
})

test('topics beyond the bound take the places of others, one by one', (t) => {
  const { cache, subscribe, isCached, warm } = setUp({
    entriesMax: 10,
    receiverReferencesMax: 1000,
  })
  subscribe('a/+', 'client')
  for (let i = 0; i < 25; i++) warm(`a/${i}`)

  t.is(cache.size, 10)
  t.is(cache.receiverReferences, 10)
  t.true(isCached('a/24'))
})

test('one topic more than there is room for costs the others nothing', (t) => {
  const entriesMax = 1000
  const { trie, cache } = setUp({ entriesMax, receiverReferencesMax: 1000 })
  const topics = Array.from({ length: entriesMax + 1 }, (_, i) => `a/${i}`)
  for (let round = 0; round < 10; round++) for (const topic of topics) cache.receiversOf(topic)
  trie.asked = 0

  for (const topic of topics.toReversed()) cache.receiversOf(topic)
  t.true(trie.asked < 50, `${trie.asked} of ${topics.length}`)
})

test('receivers beyond the bound take the places of others', (t) => {
  const { cache, subscribe, isCached, warm } = setUp({
    entriesMax: 1000,
    receiverReferencesMax: 10,
  })
  for (let i = 0; i < 4; i++) subscribe('a/#', `client ${i}`)
  warm('a/1', 'a/2')
  t.is(cache.receiverReferences, 8)

  cache.receiversOf('a/3')
  t.is(cache.receiverReferences, 8)
  t.true(isCached('a/3'))
})

test('a note of the last receivers holds until they change', (t) => {
  const { trie, cache, subscribe } = setUp()
  subscribe('a/b', 'client')
  const first = cache.receiversOf('a/b')
  trie.asked = 0

  t.is(cache.receiversOf('a/b', first), first)
  t.not(cache.receiversOf('a/c', first), first)
  cache.unsubscribe('a/b', 'client')
  t.deepEqual(cache.receiversOf('a/b', first).single, [])
  t.deepEqual(first.single, [])
})

test('a topic that is remembered is known by its bytes, until it is forgotten', (t) => {
  const { cache, subscribe } = setUp()
  const nameOf = (topicName: string) => {
    const bytes = Buffer.from(`.${topicName}.`)
    return cache.nameOf(bytes, 1, bytes.length - 1)
  }
  t.is(nameOf('a/b'), undefined)
  subscribe('a/+', 'client')
  const receivers = cache.receiversOf('a/b')

  t.is(nameOf('a/b'), 'a/b')
  t.is(cache.receiversOf('a/b'), receivers)
  t.is(nameOf('a/c'), undefined)
  t.deepEqual(cache.receiversOf('a/c').single, receivers.single)

  t.is(nameOf('a/b'), 'a/b')
  cache.unsubscribe('a/+', 'client')
  t.deepEqual(cache.receiversOf('a/b').single, [])
})

test('topics that are looked for together are known as far as they still are when they come', (t) => {
  const { cache, subscribe } = setUp()
  subscribe('a/#', 'client')
  subscribe('b/#', 'client')
  const topics = ['a/1', 'b/1', 'unknown', 'a/2', 'b/2']
  for (const topic of topics) if (topic !== 'unknown') cache.receiversOf(topic)
  const packets = topics.map((topic) => frame(PacketType.Publish, 0, text(topic)))
  const bytes = Buffer.concat(packets)
  const ask = (i: number) => {
    const start = packets.slice(0, i).reduce((sum, { length }) => sum + length, 4)
    return cache.nameOf(bytes, start, start + (topics[i] as string).length)
  }

  t.is(cache.expect(bytes, 0), bytes.length)
  t.is(ask(0), 'a/1')
  t.deepEqual(cache.receiversOf('a/1').single.length, 1)
  t.is(ask(2), undefined)
  cache.unsubscribe('a/#', 'client')
  t.is(ask(3), undefined)
  t.deepEqual(cache.receiversOf('a/2').single, [])
  t.is(ask(4), 'b/2')
  // Whoever asks out of order, or for what has become known since, is told the same.
  t.is(ask(1), 'b/1')
  cache.receiversOf('unknown')
  t.is(ask(2), 'unknown')
  cache.expect(bytes, 0)
  cache.release()
  t.is(ask(4), 'b/2')
})

test('what is no Topic Name is never taken for one that was checked', (t) => {
  const { cache } = setUp()
  for (const name of ['a/+', 'a/#', 'a\0b', '']) {
    cache.receiversOf(name)
    const bytes = Buffer.from(name)
    t.is(cache.nameOf(bytes, 0, bytes.length), undefined)
  }
})

test('a topic with more receivers than the bound pushes nothing out', (t) => {
  const { cache, subscribe, isCached, warm } = setUp({ entriesMax: 10, receiverReferencesMax: 3 })
  for (let i = 0; i < 4; i++) subscribe('a', `client ${i}`)
  subscribe('b', 'client')
  warm('b', 'a', 'a')

  t.false(isCached('a'))
  t.true(isCached('b'))
  t.is(cache.receiverReferences, 1)
})

test('a very long topic is matched each time', (t) => {
  const { cache, isCached, warm } = setUp()
  const long = 'long/'.repeat(60)
  warm(long)

  t.false(isCached(long))
  t.is(cache.size, 0)
})
