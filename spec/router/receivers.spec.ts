import test from 'ava'
import type { Subscription } from '../../lib/protocol/subscription.ts'
import { mergeReceivers, type Receiver, receiverOf } from '../../lib/router/receivers.ts'

function receiver(options: Partial<Subscription>): Receiver<string> {
  return receiverOf('client', {
    topicFilter: 'a/#',
    qos: 0,
    noLocal: false,
    retainAsPublished: false,
    subscriptionIdentifier: 0,
    ...options,
  })
}

test('a receiver carries what its subscription asks for', (t) => {
  const { subscriber, qos, retainAsPublished, identifiers } = receiver({
    qos: 1,
    retainAsPublished: true,
    subscriptionIdentifier: 7,
  })

  t.deepEqual(
    { subscriber, qos, retainAsPublished, identifiers },
    { subscriber: 'client', qos: 1, retainAsPublished: true, identifiers: [7] },
  )
  t.is(receiver({}).identifiers, undefined)
})

test('[MQTT-3.3.4-2] overlapping subscriptions deliver at the highest QoS among them', (t) => {
  t.is(mergeReceivers([receiver({ qos: 0 }), receiver({ qos: 2 }), receiver({ qos: 1 })]).qos, 2)
})

test('[MQTT-3.3.4-3] [MQTT-3.3.4-4] overlapping subscriptions deliver all their identifiers', (t) => {
  const parts = [7, 0, 300, 7].map((id) => receiver({ subscriptionIdentifier: id }))

  t.deepEqual(mergeReceivers(parts).identifiers, [7, 300, 7])
})

test('one of the overlapping subscriptions is enough for Retain As Published', (t) => {
  const parts = [receiver({}), receiver({ retainAsPublished: true })]

  t.true(mergeReceivers(parts).retainAsPublished)
  t.false(mergeReceivers([receiver({}), receiver({})]).retainAsPublished)
})

test('[MQTT-3.8.3-3] a client gets its own messages by its subscriptions without No Local only', (t) => {
  const mixed = mergeReceivers([
    receiver({ qos: 2, noLocal: true, subscriptionIdentifier: 1 }),
    receiver({ qos: 1, subscriptionIdentifier: 2 }),
    receiver({ qos: 0, subscriptionIdentifier: 3 }),
  ])

  t.deepEqual([mixed.qos, mixed.identifiers], [2, [1, 2, 3]])
  t.deepEqual([mixed.own?.qos, mixed.own?.identifiers], [1, [2, 3]])
  t.is(receiver({ noLocal: true }).own, undefined)
  t.is(mergeReceivers([receiver({ noLocal: true }), receiver({ noLocal: true })]).own, undefined)
})

test('a receiver without No Local is its own receiver for its own messages', (t) => {
  const single = receiver({})
  const merged = mergeReceivers([single, receiver({ qos: 1 })])

  t.is(single.own, single)
  t.is(merged.own, merged)
})
