import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import type { Subscription } from '../../lib/protocol/subscription.ts'
import { MatchCache } from '../../lib/router/match-cache.ts'
import type { Receiver, Receivers } from '../../lib/router/receivers.ts'
import { TopicTrie } from '../../lib/router/topic-trie.ts'

/** A filter against a topic, level by level. */
function matches([level, ...rest]: string[], topic: string[]): boolean {
  if (level === undefined) return topic.length === 0
  if (level === '#') return true
  return topic.length > 0 && (level === '+' || level === topic[0]) && matches(rest, topic.slice(1))
}

function matchesNaively(topicFilter: string, topicName: string): boolean {
  if (topicName.startsWith('$') && /^[+#]/.test(topicFilter)) return false
  return matches(topicFilter.split('/'), topicName.split('/'))
}

/** A receiver in a form that can be compared: identifiers sorted, `own` spelled out. */
interface Plain {
  readonly subscriber: string
  readonly qos: number
  readonly retainAsPublished: boolean
  readonly identifiers: number[] | undefined
  readonly own: Plain | undefined
}

function plain(receiver: Receiver<string>): Plain {
  const { subscriber, qos, retainAsPublished, identifiers, own } = receiver
  return {
    subscriber,
    qos,
    retainAsPublished,
    identifiers: identifiers?.toSorted((a, b) => a - b),
    own: own === undefined || own === receiver ? undefined : plain(own),
  }
}

function plainReceivers({ single, groups }: Receivers<string, string>): unknown {
  const receivers = single.map((receiver) => [
    plain(receiver),
    receiver.own === receiver ? 'gets its own' : receiver.own === undefined ? 'no own' : 'some own',
  ])
  return { single: receivers.toSorted(bySubscriber), groups: groups.toSorted() }
}

function bySubscriber(a: unknown[], b: unknown[]): number {
  return JSON.stringify(a) < JSON.stringify(b) ? -1 : 1
}

/** The subscriptions as a list: what the tree must be equal to. */
class Model {
  readonly subscriptions = new Map<string, { subscriber: string; subscription: Subscription }>()
  readonly groups = new Map<string, { topicFilter: string; group: string }>()

  match(topicName: string): unknown {
    const bySubscribers = new Map<string, Subscription[]>()
    for (const { subscriber, subscription } of this.subscriptions.values()) {
      if (!matchesNaively(subscription.topicFilter, topicName)) continue
      bySubscribers.set(subscriber, [...(bySubscribers.get(subscriber) ?? []), subscription])
    }
    const single = Array.from(bySubscribers, ([subscriber, all]) => {
      const foreign = all.filter(({ noLocal }) => !noLocal)
      if (foreign.length === all.length) return [merge(subscriber, all, undefined), 'gets its own']
      if (foreign.length === 0) return [merge(subscriber, all, undefined), 'no own']
      return [merge(subscriber, all, merge(subscriber, foreign, undefined)), 'some own']
    })
    const groups = [...this.groups.values()]
      .filter(({ topicFilter }) => matchesNaively(topicFilter, topicName))
      .map(({ group }) => group)
    return { single: single.toSorted(bySubscriber), groups: groups.toSorted() }
  }
}

function merge(subscriber: string, all: Subscription[], own: Plain | undefined): Plain {
  const identifiers = all.map((each) => each.subscriptionIdentifier).filter((each) => each > 0)
  return {
    subscriber,
    qos: Math.max(...all.map(({ qos }) => qos)),
    retainAsPublished: all.some(({ retainAsPublished }) => retainAsPublished),
    identifiers: identifiers.length === 0 ? undefined : identifiers.toSorted((a, b) => a - b),
    own,
  }
}

const level = fc.constantFrom('', 'a', 'b', '$x')
const topicName = fc
  .array(level, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join('/'))
  .filter((topic) => topic !== '')
const topicFilter = fc
  .tuple(
    fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 4 }),
    fc.constantFrom([], [], ['#']),
  )
  .map(([levels, end]) => [...levels, ...end].join('/'))
  .filter((filter) => filter !== '')
const name = fc.constantFrom('A', 'B', 'C')
const subscription: fc.Arbitrary<Subscription> = fc.record({
  topicFilter,
  qos: fc.constantFrom(0, 1, 2),
  noLocal: fc.boolean(),
  retainAsPublished: fc.boolean(),
  subscriptionIdentifier: fc.constantFrom(0, 0, 1, 2, 3),
})

type Tree = Pick<
  TopicTrie<string, string>,
  'subscribe' | 'unsubscribe' | 'addGroup' | 'removeGroup'
>
interface Pair {
  readonly tree: Tree
  readonly model: Model
  readonly match: (topic: string) => Receivers<string, string>
}
type Step = (t: ExecutionContext, pair: Pair) => void

const subscribe = fc.tuple(name, subscription).map(([subscriber, wanted]): Step => {
  return (t, { tree, model }) => {
    const key = `${subscriber} ${wanted.topicFilter}`
    const existed = tree.subscribe(wanted.topicFilter, subscriber, wanted)
    t.is(existed, model.subscriptions.has(key))
    model.subscriptions.set(key, { subscriber, subscription: wanted })
  }
})
const unsubscribe = fc.tuple(name, topicFilter).map(([subscriber, filter]): Step => {
  return (t, { tree, model }) => {
    const existed = tree.unsubscribe(filter, subscriber)
    t.is(existed, model.subscriptions.delete(`${subscriber} ${filter}`))
  }
})
const unsubscribeKnown = fc.nat().map((n): Step => {
  return (t, { tree, model }) => {
    const [key, known] = [...model.subscriptions][n % (model.subscriptions.size || 1)] ?? []
    if (key === undefined || known === undefined) return
    t.true(tree.unsubscribe(known.subscription.topicFilter, known.subscriber))
    model.subscriptions.delete(key)
  }
})
const addGroup = fc.tuple(name, topicFilter).map(([share, filter]): Step => {
  return (_, { tree, model }) => {
    const group = `$share/${share}/${filter}`
    tree.addGroup(filter, group)
    model.groups.set(group, { topicFilter: filter, group })
  }
})
const removeGroup = fc.nat().map((n): Step => {
  return (_, { tree, model }) => {
    const known = [...model.groups.values()][n % (model.groups.size || 1)]
    if (known === undefined) return
    tree.removeGroup(known.topicFilter, known.group)
    model.groups.delete(known.group)
  }
})
const match = topicName.map((topic): Step => {
  return (t, pair) => {
    t.deepEqual(plainReceivers(pair.match(topic)), pair.model.match(topic), topic)
  }
})
const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: subscribe },
    { weight: 1, arbitrary: unsubscribe },
    { weight: 2, arbitrary: unsubscribeKnown },
    { weight: 1, arbitrary: addGroup },
    { weight: 1, arbitrary: removeGroup },
    { weight: 6, arbitrary: match },
  ),
  { maxLength: 80, size: 'max' },
)

function removeAll({ tree, model }: Pair): void {
  for (const { subscriber, subscription: known } of model.subscriptions.values()) {
    tree.unsubscribe(known.topicFilter, subscriber)
  }
  for (const { topicFilter: filter, group } of model.groups.values())
    tree.removeGroup(filter, group)
}

test('[MQTT-4.7.2-1] [MQTT-4.7.3-4] [MQTT-3.3.4-2] [MQTT-3.3.4-3] [MQTT-3.3.4-4] the topic tree finds what a list of filters finds, and keeps no node too many', (t) => {
  fc.assert(
    fc.property(steps, (plan) => {
      const trie = new TopicTrie<string, string>()
      const pair = { tree: trie, model: new Model(), match: (topic: string) => trie.match(topic) }
      for (const run of plan) {
        run(t, pair)
        t.is(trie.subscriptionCount, pair.model.subscriptions.size)
      }

      removeAll(pair)
      t.is(trie.countNodes(), 1)
      t.is(trie.subscriptionCount, 0)
    }),
    { numRuns: 400 },
  )
})

test('the match cache never differs from the tree, whatever is subscribed in between', (t) => {
  // So small that it forgets all the time.
  const limits = { receiverReferencesMax: 6, topicsMax: 4, seenOnceMax: 3, topicLengthMax: 6 }

  fc.assert(
    fc.property(steps, fc.boolean(), (plan, isSmall) => {
      const cache = new MatchCache<string, string>(new TopicTrie(), isSmall ? limits : undefined)
      const pair = {
        tree: cache,
        model: new Model(),
        match: (topic: string) => cache.receiversOf(topic),
      }
      for (const run of plan) {
        run(t, pair)
        if (!isSmall) continue
        t.true(cache.topicCount <= limits.topicsMax)
        t.true(cache.referenceCount <= limits.receiverReferencesMax)
      }
    }),
    { numRuns: 600 },
  )
})
