/** Who has a session, and who no longer: claims, epochs and incarnations. */

import {
  type ContractTest,
  claim,
  queueOf,
  subscriptionTo,
  targetOf,
  unitOf,
  waiting,
  write,
  writeEach,
} from './contract-support.ts'

export const claiming: Record<string, ContractTest> = {
  'a session that is claimed for the first time is empty': async (t, store) => {
    const { ref, ...rest } = await claim(store)

    t.is(ref.clientIdentifier, 'c')
    t.deepEqual(rest, {
      present: false,
      lastSeq: 0,
      lowWaterMark: 0,
      released: [],
      inbound: [],
      subscriptions: [],
    })
  },

  'a session that is claimed again goes on with what it had, in a new epoch': async (t, store) => {
    const first = await claim(store)
    await store.update(first.ref, { subscribe: [subscriptionTo('a')] })
    await writeEach(store, first.ref, 'x', 'y')

    const second = await claim(store)

    t.true(second.present)
    t.is(second.ref.incarnation, first.ref.incarnation)
    t.true(second.ref.epoch > first.ref.epoch)
    t.is(second.lastSeq, 2)
    t.deepEqual(second.subscriptions, [subscriptionTo('a')])
    t.deepEqual(await waiting(store, second.ref), ['1:x', '2:y'])
  },

  '[MQTT-3.1.2-4] Clean Start discards all that was there, for good': async (t, store) => {
    const incarnations = new Set<number>()
    for (let i = 0; i < 3; i++) {
      const { ref, present, lastSeq, subscriptions, inbound } = await claim(store, 'c', true)
      t.deepEqual([present, lastSeq, subscriptions, inbound], [false, 0, [], []])
      t.deepEqual(await waiting(store, ref), [])
      incarnations.add(ref.incarnation)

      await store.update(ref, { subscribe: [subscriptionTo('a')] })
      const publisher = { session: ref, packetIdentifier: 7 }
      await write(store, unitOf('x', [targetOf(ref)], { publisher }))
    }

    t.is(incarnations.size, 3)
  },

  'an incarnation never comes again, not even when the session was removed in between': async (
    t,
    store,
  ) => {
    const first = await claim(store)
    await store.release(first.ref, { expiresAt: 0 })
    const second = await claim(store)

    t.not(second.ref.incarnation, first.ref.incarnation)
  },

  'sessions of other Client Identifiers are left alone': async (t, store) => {
    const other = await claim(store, 'other')
    await writeEach(store, other.ref, 'x')
    await claim(store, 'c', true)

    t.deepEqual(await waiting(store, other.ref), ['1:x'])
  },

  'what a former owner changes has no effect': async (t, store) => {
    const { ref: former } = await claim(store)
    const publisher = { session: former, packetIdentifier: 1 }
    await write(store, unitOf('x', [targetOf(former)], { publisher }))
    const { ref } = await claim(store)

    await store.update(former, { subscribe: [subscriptionTo('a')] })
    await store.markReleased(former, [1])
    await store.forgetInbound(former, 1)
    const late = { session: former, packetIdentifier: 2 }
    await write(store, unitOf('y', [], { publisher: late }))
    await store.release(former, { expiresAt: 0 })

    t.deepEqual(await waiting(store, ref), ['1:x'])
    const { subscriptions, released, inbound, present } = await claim(store)
    t.deepEqual([present, subscriptions, released, inbound], [true, [], [], [1]])
  },

  'a message for a session that was claimed again meanwhile is stored': async (t, store) => {
    const { ref: former } = await claim(store)
    const { ref } = await claim(store)

    t.deepEqual(await write(store, unitOf('x', [targetOf(former)])), [1])
    t.deepEqual(await waiting(store, ref), ['1:x'])
  },

  'an earlier life of a session touches nothing of the present one': async (t, store) => {
    const { ref: earlier } = await claim(store)
    await writeEach(store, earlier, 'old')
    const { ref } = await claim(store, 'c', true)
    const { ref: other } = await claim(store, 'other')
    await writeEach(store, ref, 'new')

    t.deepEqual(await write(store, unitOf('late', [targetOf(earlier)])), [])
    store.acknowledgeTo(earlier, 1)
    store.discard(earlier, [1])
    t.deepEqual(await store.handOver(earlier, [1], targetOf(other)), [])
    t.deepEqual(await queueOf(store, earlier), [])
    t.deepEqual(await waiting(store, ref), ['1:new'])
  },
}
