import test from 'ava'
import type { Subscription } from '../../lib/protocol/subscription.ts'
import { MatchCache, type MatchCacheLimits } from '../../lib/router/match-cache.ts'
import type { Receivers } from '../../lib/router/receivers.ts'
import { TopicTrie } from '../../lib/router/topic-trie.ts'

/** A tree that counts how often it is asked. */
class CountingTrie extends TopicTrie<string, string> {
  matchCount = 0

  override match(topicName: string): Receivers<string, string> {
    this.matchCount++
    return super.match(topicName)
  }
}

function subscriptionTo(topicFilter: string): Subscription {
  return {
    topicFilter,
    qos: 0,
    noLocal: false,
    retainAsPublished: false,
    subscriptionIdentifier: 0,
  }
}

function makeCache(limits?: MatchCacheLimits): {
  trie: CountingTrie
  cache: MatchCache<string, string>
} {
  const trie = new CountingTrie()
  return { trie, cache: new MatchCache(trie, limits) }
}

const limits = { receiverReferencesMax: 100, topicsMax: 10, seenOnceMax: 10, topicLengthMax: 20 }

function ask(cache: MatchCache<string, string>, topic: string, times: number): void {
  for (let i = 0; i < times; i++) cache.receiversOf(topic)
}

test('a topic is remembered from its second sight on', (t) => {
  const { trie, cache } = makeCache()

  ask(cache, 'a/b', 1)
  t.is(cache.topicCount, 0)

  ask(cache, 'a/b', 9)
  t.is(cache.topicCount, 1)
  t.is(trie.matchCount, 2)
})

test('a subscription below another first level leaves a remembered topic alone', (t) => {
  const { trie, cache } = makeCache()
  ask(cache, 'a/b', 2)

  cache.subscribe('b/#', 'me', subscriptionTo('b/#'))
  ask(cache, 'a/b', 1)

  t.is(trie.matchCount, 2)
})

for (const filter of ['a/b', 'a/#', '+/b', '#', 'a/+', 'a/other']) {
  test(`a subscription to ${filter} is heeded for a topic that is remembered`, (t) => {
    const { cache } = makeCache()
    ask(cache, 'a/b', 3)
    const isMatch = filter !== 'a/other'

    cache.subscribe(filter, 'me', subscriptionTo(filter))
    t.is(cache.receiversOf('a/b').single.length, isMatch ? 1 : 0)

    cache.unsubscribe(filter, 'me')
    t.is(cache.receiversOf('a/b').single.length, 0)

    cache.addGroup(filter, 'group')
    t.is(cache.receiversOf('a/b').groups.length, isMatch ? 1 : 0)

    cache.removeGroup(filter, 'group')
    t.is(cache.receiversOf('a/b').groups.length, 0)
  })
}

test('a stream of topics that never come again leaves no topic remembered', (t) => {
  const { cache } = makeCache()

  for (let i = 0; i < 50_000; i++) ask(cache, `a/${i}`, 1)

  t.is(cache.topicCount, 0)
})

test('no more topics are remembered than the limit, and a full cache is renewed without being emptied', (t) => {
  const { cache } = makeCache(limits)
  for (let i = 0; i < 10; i++) ask(cache, `a/${i}`, 2)
  t.is(cache.topicCount, 10)

  cache.subscribe('a/#', 'me', subscriptionTo('a/#'))
  for (let i = 0; i < 10; i++) ask(cache, `a/${i}`, 1)
  t.is(cache.topicCount, 10)
  t.is(cache.referenceCount, 10)

  ask(cache, 'a/one more', 2)
  t.is(cache.topicCount, 1)
})

test('no more receivers are referred to than the limit, not even by one topic', (t) => {
  const { trie, cache } = makeCache(limits)
  for (let i = 0; i < 101; i++) cache.subscribe('crowd/#', `${i}`, subscriptionTo('crowd/#'))
  cache.subscribe('a', 'me', subscriptionTo('a'))

  ask(cache, 'a', 2)
  ask(cache, 'crowd/1', 5)

  t.is(cache.referenceCount, 1)
  t.is(cache.receiversOf('crowd/1').single.length, 101)
  t.is(trie.matchCount, 8)
})

test('a long topic is not remembered, as its bytes would be held too', (t) => {
  const { cache } = makeCache(limits)

  ask(cache, 'x'.repeat(21), 5)
  t.is(cache.topicCount, 0)

  ask(cache, 'x'.repeat(20), 5)
  t.is(cache.topicCount, 1)
})
