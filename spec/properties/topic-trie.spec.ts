import test from 'ava'
import fc from 'fast-check'
import type { Qos } from '../../lib/protocol/packets.ts'
import type { Subscription } from '../../lib/protocol/subscription.ts'
import { MatchCache, type MatchCacheLimits } from '../../lib/router/match-cache.ts'
import type { Receiver, Receivers } from '../../lib/router/receivers.ts'
import { TopicTrie } from '../../lib/router/topic-trie.ts'
import { anyTopicFilter, anyTopicName, naiveMatch } from '../support/naive-matcher.ts'

interface Held {
  readonly subscriber: string
  readonly subscription: Subscription
}

/** The trie under test, the cache in front of it, and the truth as a plain list. */
class World {
  readonly trie = new TopicTrie<string, string>()
  readonly cache: MatchCache<string, string>
  held: Held[] = []
  groups: { topicFilter: string; group: string }[] = []

  constructor(limits?: MatchCacheLimits) {
    this.cache = new MatchCache(this.trie, limits)
  }

  subscribe({ subscriber, subscription }: Held): boolean {
    const { topicFilter } = subscription
    const existed = this.forget(subscriber, topicFilter)
    this.held.push({ subscriber, subscription })
    return this.cache.subscribe(topicFilter, subscriber, subscription) === existed
  }

  unsubscribe(subscriber: string, topicFilter: string): boolean {
    const existed = this.forget(subscriber, topicFilter)
    return this.cache.unsubscribe(topicFilter, subscriber) === existed
  }

  addGroup(topicFilter: string, group: string): boolean {
    this.removeGroup(topicFilter, group)
    this.groups.push({ topicFilter, group })
    this.cache.addGroup(topicFilter, group)
    return true
  }

  removeGroup(topicFilter: string, group: string): boolean {
    const count = this.groups.length
    this.groups = this.groups.filter((g) => g.group !== group || g.topicFilter !== topicFilter)
    return this.cache.removeGroup(topicFilter, group) === this.groups.length < count
  }

  forget(subscriber: string, topicFilter: string): boolean {
    const count = this.held.length
    this.held = this.held.filter(
      (h) => h.subscriber !== subscriber || h.subscription.topicFilter !== topicFilter,
    )
    return this.held.length < count
  }

  expected(topicName: string): unknown {
    const matching = this.held.filter((h) => naiveMatch(h.subscription.topicFilter, topicName))
    const subscribers = new Set(matching.map(({ subscriber }) => subscriber))
    const single = [...subscribers].toSorted().map((subscriber) => {
      const all = matching.filter((h) => h.subscriber === subscriber).map((h) => h.subscription)
      const own = all.filter(({ noLocal }) => !noLocal)
      return { subscriber, ...merged(all), own: own.length === 0 ? undefined : merged(own) }
    })
    const groups = this.groups.filter((g) => naiveMatch(g.topicFilter, topicName))
    return { single, groups: groups.map(({ group }) => group).toSorted() }
  }
}

function merged(subscriptions: readonly Subscription[]): object {
  const identifiers = subscriptions.map((s) => s.subscriptionIdentifier).filter((id) => id !== 0)
  return {
    qos: Math.max(...subscriptions.map(({ qos }) => qos)),
    retainAsPublished: subscriptions.some((s) => s.retainAsPublished),
    identifiers: identifiers.length === 0 ? undefined : identifiers.toSorted((a, b) => a - b),
  }
}

function plain({ single, groups }: Receivers<string, string>): unknown {
  const receivers = single.map((receiver) => ({
    subscriber: receiver.subscriber,
    ...optionsOf(receiver),
    own: receiver.own && optionsOf(receiver.own),
  }))
  return {
    single: receivers.toSorted((a, b) => (a.subscriber < b.subscriber ? -1 : 1)),
    groups: [...groups].toSorted(),
  }
}

function optionsOf({ qos, retainAsPublished, identifiers }: Receiver<string>): object {
  return { qos, retainAsPublished, identifiers: identifiers?.toSorted((a, b) => a - b) }
}

const anySubscriber = fc.constantFrom('one', 'two', 'three')
const anyGroup = fc.constantFrom('g', 'h')
const anySubscription: fc.Arbitrary<Subscription> = fc.record({
  topicFilter: anyTopicFilter,
  qos: fc.constantFrom<Qos>(0, 1, 2),
  noLocal: fc.boolean(),
  retainAsPublished: fc.boolean(),
  subscriptionIdentifier: fc.constantFrom(0, 0, 1, 2, 300),
})
type Step = (world: World) => boolean
const anyChange: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(anySubscriber, anySubscription).map(
    ([subscriber, subscription]) =>
      (w: World) =>
        w.subscribe({ subscriber, subscription }),
  ),
  fc.tuple(anySubscriber, anyTopicFilter).map(
    ([s, f]) =>
      (w: World) =>
        w.unsubscribe(s, f),
  ),
  fc.nat().map((n) => (w: World) => {
    const held = w.held[n % Math.max(1, w.held.length)]
    return held === undefined || w.unsubscribe(held.subscriber, held.subscription.topicFilter)
  }),
  fc.tuple(anyTopicFilter, anyGroup).map(
    ([f, g]) =>
      (w: World) =>
        w.addGroup(f, g),
  ),
  fc.tuple(anyTopicFilter, anyGroup).map(
    ([f, g]) =>
      (w: World) =>
        w.removeGroup(f, g),
  ),
)
const anyRun = fc.array(fc.tuple(anyChange, fc.array(anyTopicName, { maxLength: 3 })), {
  maxLength: 40,
})

const titles: [string, MatchCacheLimits | undefined][] = [
  ['the trie and its cache', undefined],
  ['the trie and a cache that overflows all the time', { entriesMax: 3, receiverReferencesMax: 4 }],
]
for (const [subject, limits] of titles) {
  test(`${subject} find whom the rules of section 4.7 name`, (t) => {
    fc.assert(
      fc.property(anyRun, (run) => {
        const world = new World(limits)
        for (const [change, topicNames] of run) {
          t.true(change(world))
          for (const topicName of [...topicNames, 'a/b', 'a', '$s/a']) {
            const expected = world.expected(topicName)
            t.deepEqual(plain(world.trie.match(topicName)), expected)
            t.deepEqual(plain(world.cache.receiversOf(topicName)), expected)
            t.deepEqual(plain(world.cache.receiversOf(topicName)), expected)
          }
          t.is(world.trie.subscriptionCount, world.held.length)
        }
      }),
      { numRuns: 150 },
    )
  })
}

test('nothing is left of a trie from which everything was removed', (t) => {
  fc.assert(
    fc.property(fc.array(anyChange, { maxLength: 40 }), (changes) => {
      const world = new World()
      for (const change of changes) change(world)

      for (const { subscriber, subscription } of world.held) {
        t.true(world.cache.unsubscribe(subscription.topicFilter, subscriber))
      }
      for (const { topicFilter, group } of world.groups) {
        t.true(world.cache.removeGroup(topicFilter, group))
      }
      t.deepEqual([world.trie.subscriptionCount, world.trie.nodeCount], [0, 0])
    }),
  )
})
