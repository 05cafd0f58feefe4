/** Who has a session, and who no longer: claims, epochs and incarnations. */

import {
  type ContractTest,
  claim,
  entryOf,
  handOver,
  queueOf,
  release,
  sessionsOf,
  subscriptionTo,
  targetOf,
  unitOf,
  waiting,
  willTo,
  write,
  writeEach,
} from './contract-support.ts'

export const claiming: Record<string, ContractTest> = {
  'a session that is claimed for the first time is empty': async (t, store) => {
    const { ref, ...rest } = await claim(store)

    t.is(ref.clientIdentifier, 'c')
    t.deepEqual(rest, {
      present: false,
      subscriptions: [],
      will: undefined,
      expirySeconds: 0,
      left: undefined,
      lastSeq: 0,
      lowWaterMark: 0,
      sentTo: 0,
      released: [],
      inbound: [],
      queued: 0,
      queuedBytes: 0,
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
    await release(store, first.ref, 0)
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
    await release(store, former, 0)

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
    t.deepEqual(await handOver(store, earlier, [1], targetOf(other)), [])
    t.deepEqual(await queueOf(store, earlier), [])
    t.deepEqual(await waiting(store, ref), ['1:new'])
  },

  'a session that is claimed is told as its last owner left it, and who did not leave it said nothing':
    async (t, store, clock) => {
      const will = willTo('gone')
      const left = { expiresAt: clock.now() + 50_000, willAt: clock.now() + 2_000 }
      const options = { cleanStart: false, expirySeconds: 50, will }
      const first = await store.claim('c', options)
      await writeEach(store, first.ref, 'x', 'y', 'z')
      await store.release(first.ref, { ...left, sentTo: 2 })

      const second = await claim(store)
      t.like(second, { will, expirySeconds: 50, left, sentTo: 2, lastSeq: 3, queued: 3 })
      t.is(second.queuedBytes, 3 * 'body of x'.length)

      const third = await claim(store)
      t.like(third, { will: undefined, expirySeconds: 100, left: undefined, sentTo: undefined })

      await store.update(third.ref, { sentTo: 3 })
      t.like((await sessionsOf(store))[0], { left: undefined, sentTo: 3 })
    },

  'a will is kept until it is changed, deleted, or published by the owner': async (t, store) => {
    const options = { cleanStart: false, expirySeconds: 50, will: willTo('first') }
    const { ref } = await store.claim('c', options)
    t.deepEqual((await sessionsOf(store))[0]?.will, willTo('first'))

    await store.update(ref, { will: willTo('second') })
    t.deepEqual((await sessionsOf(store))[0]?.will, willTo('second'))

    await write(store, unitOf('second', [], { willOf: { ...ref, epoch: ref.epoch - 1 } }))
    t.deepEqual((await sessionsOf(store))[0]?.will, willTo('second'))
    await write(store, unitOf('second', [], { willOf: ref }))
    t.is((await sessionsOf(store))[0]?.will, undefined)

    await store.update(ref, { will: willTo('third'), expirySeconds: 7 })
    await store.update(ref, { will: null })
    t.like((await sessionsOf(store))[0], { will: undefined, expirySeconds: 7 })
  },

  'a session is adopted just as it stood elsewhere, in place of what was there': async (
    t,
    store,
    clock,
  ) => {
    const former = await claim(store)
    await writeEach(store, former.ref, 'gone')
    const stood = {
      subscriptions: [subscriptionTo('a/+', { qos: 2, subscriptionIdentifier: 3 })],
      will: willTo('gone'),
      expirySeconds: 70,
      left: { expiresAt: clock.now() + 70_000, willAt: undefined },
      lastSeq: 70_009,
      lowWaterMark: 70_001,
      sentTo: 70_006,
      released: [70_003],
      inbound: [5, 65_535],
    }
    const entries = [70_003, 70_004, 70_008].map((seq) => ({
      ...entryOf('kept'),
      seq,
      qos: 2 as const,
    }))

    const ref = await store.adopt({ ...stood, ref: former.ref, queued: 3, queuedBytes: 0 })
    await store.adoptQueue(ref, entries)

    t.deepEqual(await queueOf(store, former.ref), [])
    t.deepEqual(await queueOf(store, ref), entries)
    const [session] = await sessionsOf(store)
    const queuedBytes = 3 * entries[0]!.body.length
    t.deepEqual(session, { ...stood, ref, queued: 3, queuedBytes })
    const claimed = await claim(store)
    t.is(claimed.ref.incarnation, ref.incarnation)
    t.deepEqual(await write(store, unitOf('next', [targetOf(claimed.ref)])), [70_010])
  },
}
