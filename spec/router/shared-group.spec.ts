import { Buffer } from 'node:buffer'
import test from 'ava'
import { Message } from '../../lib/protocol/message.ts'
import type { Subscription } from '../../lib/protocol/subscription.ts'
import {
  SharedGroup,
  type SharedStrategy,
  sharedStrategies,
} from '../../lib/router/shared-group.ts'
import type { Subscriber } from '../../lib/router/subscriber.ts'
import { seededRandom } from '../../lib/util/random.ts'

/** A subscriber that only stands there. */
class Member implements Subscriber {
  readonly clientIdentifier: string
  readonly durable = undefined
  isOnline = true
  inFlightCount = 0

  constructor(clientIdentifier: string) {
    this.clientIdentifier = clientIdentifier
  }

  deliver(): void {}
  deliverStored(): void {}
  giveAway(): () => void {
    return () => {}
  }

  admits(): boolean {
    return true
  }
}

const subscription: Subscription = {
  topicFilter: '$share/g/#',
  qos: 1,
  noLocal: false,
  retainAsPublished: false,
  subscriptionIdentifier: 0,
}

/** A group of members called A, B, C, D, as many as are asked for. */
function groupOf(
  strategy: SharedStrategy,
  size: number,
): { group: SharedGroup; A: Member; B: Member; C: Member; D: Member } {
  const group = new SharedGroup('$share/g/#', '#', strategy, seededRandom(1))
  const all = { A: new Member('A'), B: new Member('B'), C: new Member('C'), D: new Member('D') }
  for (const member of Object.values(all).slice(0, size)) group.join(member, subscription)
  return { group, ...all }
}

function messageTo(topic: string): Message {
  return new Message(topic, 1, false, Number.POSITIVE_INFINITY, Buffer.alloc(0))
}

const message = messageTo('t')

interface Sent {
  readonly topic?: (i: number) => string
  readonly publisher?: (i: number) => string
}

/** The names of those chosen for `count` messages. */
function picks(group: SharedGroup, count: number, { topic, publisher }: Sent = {}): string[] {
  return Array.from({ length: count }, (_, i) => {
    const sent = topic === undefined ? message : messageTo(topic(i))
    return group.pick(sent, publisher?.(i))?.subscriber.clientIdentifier ?? 'nobody'
  })
}

function countsOf(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

/** Says whether each of `names` was chosen about as often as any other. */
function isEven(chosen: readonly string[], names: readonly string[]): boolean {
  const counts = countsOf(chosen)
  const share = chosen.length / names.length
  const isNear = names.every((name) => Math.abs((counts[name] ?? 0) - share) < share * 0.15)
  return isNear && Object.keys(counts).length === names.length
}

for (const strategy of sharedStrategies) {
  test(`${strategy}: nobody is chosen where nobody is, or nobody but the one excepted`, (t) => {
    const { group, A } = groupOf(strategy, 1)

    t.is(group.pick(message, 'p', A), undefined)
    t.is(group.pickOnline(message, A), undefined)

    group.leave(A)
    t.is(group.pick(message, 'p'), undefined)
    t.is(group.size, 0)
  })

  test(`${strategy}: members that are offline are passed over while another is online`, (t) => {
    const { group, A, B, C, D } = groupOf(strategy, 4)
    A.isOnline = false
    C.isOnline = false
    const various = { topic: (i: number) => `t/${i}`, publisher: (i: number) => `p${i}` }

    const chosen = countsOf(picks(group, 200, various))
    t.deepEqual(
      Object.keys(chosen).filter((name) => name === 'A' || name === 'C'),
      [],
    )

    B.isOnline = false
    D.isOnline = false
    t.not(group.pick(message, 'p'), undefined)
    t.is(group.pickOnline(message, undefined), undefined)
  })

  test(`${strategy}: the one excepted is not chosen, and those who leave are not chosen any more`, (t) => {
    const { group, A, B } = groupOf(strategy, 3)
    const without = Array.from({ length: 50 }, (_, i) => group.pick(messageTo(`${i}`), `${i}`, B))
    t.false(without.some((member) => member?.subscriber === B))

    t.true(group.leave(A))
    t.false(group.leave(A))
    const various = { topic: (i: number) => `t/${i}`, publisher: (i: number) => `p${i}` }
    t.false(picks(group, 100, various).includes('A'))
  })
}

test('members who join again keep their place and get their new options', (t) => {
  const { group, A } = groupOf('round-robin', 2)

  t.true(group.join(A, { ...subscription, qos: 2, subscriptionIdentifier: 9 }))

  const member = group.pick(message, undefined)
  t.is(member?.subscriber, A)
  t.is(member?.qos, 2)
  t.deepEqual(member?.identifiers, [9])
  t.is(group.size, 2)
})

test('round-robin: members take turns', (t) => {
  const { group } = groupOf('round-robin', 3)

  t.deepEqual(picks(group, 7), ['A', 'B', 'C', 'A', 'B', 'C', 'A'])
})

test('round-robin: the turn order stays right whoever leaves or joins', (t) => {
  const { group, A, B, C } = groupOf('round-robin', 4)
  t.deepEqual(picks(group, 2), ['A', 'B'])

  group.leave(B) // Had the last turn.
  t.deepEqual(picks(group, 1), ['C'])

  group.leave(A) // Stands before it.
  t.deepEqual(picks(group, 1), ['D'])

  group.join(A, subscription)
  t.deepEqual(picks(group, 3), ['A', 'C', 'D'])

  group.leave(C) // Is next but one.
  t.deepEqual(picks(group, 3), ['A', 'D', 'A'])
})

test('round-robin: those online take even turns around one that is offline', (t) => {
  const { group, B } = groupOf('round-robin', 3)
  B.isOnline = false

  t.deepEqual(picks(group, 4), ['A', 'C', 'A', 'C'])
})

test('random: members are chosen about as often as each other', (t) => {
  const { group } = groupOf('random', 4)

  t.true(isEven(picks(group, 8_000), ['A', 'B', 'C', 'D']))
})

test('random: those online share evenly what one that is offline does not get', (t) => {
  const { group, B } = groupOf('random', 4)
  B.isOnline = false

  t.true(isEven(picks(group, 6_000), ['A', 'C', 'D']))
})

test('random: the same seed chooses the same members', (t) => {
  const [first, second] = [groupOf('random', 3), groupOf('random', 3)]

  t.deepEqual(picks(first.group, 50), picks(second.group, 50))
})

test('sticky: one member gets everything until it goes offline, then another does', (t) => {
  const { group, A } = groupOf('sticky', 3)
  t.deepEqual(countsOf(picks(group, 20)), { A: 20 })

  A.isOnline = false
  t.deepEqual(countsOf(picks(group, 20)), { B: 20 })

  A.isOnline = true
  t.deepEqual(countsOf(picks(group, 20)), { B: 20 })
})

test('sticky: a member that leaves changes nothing unless it was the one', (t) => {
  const { group, A, B, C } = groupOf('sticky', 3)
  A.isOnline = false
  t.deepEqual(picks(group, 2), ['B', 'B'])

  group.leave(A)
  t.deepEqual(picks(group, 2), ['B', 'B'])

  group.leave(C)
  t.deepEqual(picks(group, 2), ['B', 'B'])

  group.join(A, subscription)
  A.isOnline = true
  group.leave(B)
  t.deepEqual(picks(group, 2), ['A', 'A'])
})

const names = ['A', 'B', 'C', 'D']

test('hash-client: a client always gets the same member, and many clients are spread evenly', (t) => {
  const { group } = groupOf('hash-client', 4)
  const byClient: Sent = { publisher: (i) => `sensor-${i}` }

  const chosen = picks(group, 4_000, byClient)

  t.true(isEven(chosen, names))
  t.deepEqual(picks(group, 4_000, { ...byClient, topic: (i) => `${i}` }), chosen)
})

test('hash-topic: a topic always gets the same member, and many topics are spread evenly', (t) => {
  const { group } = groupOf('hash-topic', 4)
  const byTopic: Sent = { topic: (i) => `site/${i % 50}/sensor/${i}` }

  const chosen = picks(group, 4_000, byTopic)

  t.true(isEven(chosen, names))
  t.deepEqual(picks(group, 4_000, { ...byTopic, publisher: (i) => `${i}` }), chosen)
})

test('hash-topic: topics that say the same thing twice are spread as evenly as others', (t) => {
  const { group } = groupOf('hash-topic', 2)

  t.true(isEven(picks(group, 4_000, { topic: (i) => `room/${i}/lamp/${i}` }), ['A', 'B']))
})

for (const strategy of ['hash-client', 'hash-topic'] as const) {
  test(`${strategy}: a member that is offline moves nobody but those it had`, (t) => {
    const { group, C } = groupOf(strategy, 4)
    const various = { topic: (i: number) => `t/${i}`, publisher: (i: number) => `t/${i}` }
    const before = picks(group, 500, various)

    C.isOnline = false
    const meanwhile = picks(group, 500, various)
    C.isOnline = true

    t.deepEqual(
      meanwhile.filter((name, i) => before[i] !== 'C' && name !== before[i]),
      [],
    )
    t.deepEqual(picks(group, 500, various), before)
  })
}

test('least-in-flight: the member with the fewest messages in flight is chosen', (t) => {
  const { group, A, B, C } = groupOf('least-in-flight', 3)
  A.inFlightCount = 5
  B.inFlightCount = 2
  C.inFlightCount = 3
  t.deepEqual(picks(group, 2), ['B', 'B'])

  B.isOnline = false
  t.deepEqual(picks(group, 1), ['C'])
})

test('least-in-flight: equals take turns', (t) => {
  const { group, B } = groupOf('least-in-flight', 3)
  B.inFlightCount = 1

  t.deepEqual(picks(group, 4), ['A', 'C', 'A', 'C'])
})

test('least-in-flight: messages that stay in flight are spread evenly', (t) => {
  const { group } = groupOf('least-in-flight', 3)
  for (let i = 0; i < 300; i++) {
    const { subscriber } = group.pick(message, undefined) ?? {}
    if (subscriber instanceof Member) subscriber.inFlightCount++
  }

  t.deepEqual(
    group.members.map(({ subscriber }) => subscriber.inFlightCount),
    [100, 100, 100],
  )
})
