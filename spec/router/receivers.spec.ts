import test from 'ava'
import { ReceiverBuilder } from '../../lib/router/receivers.ts'

const plain = { topicFilter: 'a', qos: 0, noLocal: false, retainAsPublished: false } as const

test('[MQTT-3.3.4-2] a receiver has the highest QoS of its subscriptions, in whatever order they come', (t) => {
  for (const order of [[0, 1, 2] as const, [2, 1, 0] as const, [1, 2, 0] as const]) {
    const builder = new ReceiverBuilder('me')
    for (const qos of order) builder.add({ ...plain, qos, subscriptionIdentifier: 0 })

    t.is(builder.build().qos, 2)
  }
})

test('[MQTT-3.3.4-3] [MQTT-3.3.4-4] a receiver has the identifiers of all its subscriptions that have one', (t) => {
  const builder = new ReceiverBuilder('me')
  for (const subscriptionIdentifier of [3, 0, 1, 3])
    builder.add({ ...plain, subscriptionIdentifier })

  t.deepEqual(builder.build().identifiers, [3, 1, 3])
})

test('a receiver may have more subscriptions than a list of arguments can hold', (t) => {
  const builder = new ReceiverBuilder('me')
  for (let i = 0; i < 300_000; i++) builder.add({ ...plain, qos: 1, subscriptionIdentifier: 0 })

  t.is(builder.build().qos, 1)
})
