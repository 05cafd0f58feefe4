/** What is kept for later: subscriptions, retained messages, and sessions until they end. */

import { Buffer } from 'node:buffer'
import {
  type ContractTest,
  claim,
  NEVER,
  queueOf,
  release,
  replay,
  retainedOf,
  subscriptionTo,
  targetOf,
  unitOf,
  waiting,
  write,
  writeEach,
} from './contract-support.ts'

export const keeping: Record<string, ContractTest> = {
  'subscriptions are added, replaced and removed by their filter': async (t, store) => {
    const { ref } = await claim(store)
    await store.update(ref, {
      subscribe: [subscriptionTo('a'), subscriptionTo('b'), subscriptionTo('$share/g/c')],
    })
    const changed = subscriptionTo('a', {
      qos: 2,
      noLocal: true,
      retainAsPublished: true,
      subscriptionIdentifier: 9,
    })
    await store.update(ref, { subscribe: [changed], unsubscribe: ['b', 'unknown'] })

    const { subscriptions } = await claim(store)
    t.deepEqual(
      subscriptions.toSorted((a, b) => (a.topicFilter < b.topicFilter ? -1 : 1)),
      [subscriptionTo('$share/g/c'), changed],
    )
  },

  'what a subscription says is given back': async (t, store) => {
    const { ref } = await claim(store)
    const plain = subscriptionTo('$share/g/a', { qos: 0, isPlain: true, owesRetained: true })
    await store.update(ref, { subscribe: [plain] })

    t.deepEqual((await claim(store)).subscriptions, [plain])
  },

  'replay tells each session with its subscriptions, its end and what waits for it': async (
    t,
    store,
    clock,
  ) => {
    const { ref: a } = await claim(store, 'a')
    await store.update(a, { subscribe: [subscriptionTo('x')] })
    await writeEach(store, a, 'x', 'y')
    store.acknowledgeTo(a, 1)
    const { ref: b } = await claim(store, 'b')
    const left = { expiresAt: clock.now() + 5_000, willAt: clock.now() + 1_000 }
    await store.release(b, { ...left, sentTo: 0 })
    const { ref: gone } = await claim(store, 'gone')
    await release(store, gone, 0)

    const items = (await replay(store)).toSorted((x, y) =>
      JSON.stringify(x) < JSON.stringify(y) ? -1 : 1,
    )

    const plain = { will: undefined, expirySeconds: 100, released: [], inbound: [] }
    t.deepEqual(items, [
      {
        kind: 'session',
        session: {
          ...plain,
          ref: a,
          subscriptions: [subscriptionTo('x')],
          left: undefined,
          lastSeq: 2,
          lowWaterMark: 1,
          sentTo: undefined,
          queued: 1,
          queuedBytes: Buffer.byteLength('body of y'),
        },
      },
      {
        kind: 'session',
        session: {
          ...plain,
          ref: b,
          subscriptions: [],
          left: { expiresAt: clock.now() + 5_000, willAt: clock.now() + 1_000 },
          lastSeq: 0,
          lowWaterMark: 0,
          sentTo: 0,
          queued: 0,
          queuedBytes: 0,
        },
      },
    ])
  },

  '[MQTT-3.3.1-5] [MQTT-3.3.1-6] the retained message of a topic is set, replaced and cleared':
    async (t, store, clock) => {
      const expiresAt = clock.now() + 60_000
      await write(store, unitOf('a', [], { retain: 'set' }))
      await write(
        store,
        unitOf('a', [], { retain: 'set', body: Buffer.from('new'), qos: 2, expiresAt }),
      )
      await write(store, unitOf('b', [], { retain: 'set' }))
      await write(store, unitOf('b', [], { retain: 'clear', body: Buffer.from('clears') }))
      await write(store, unitOf('c', []))
      const large = Buffer.from(Uint8Array.from({ length: 9_000 }, (_, i) => i))
      await write(store, unitOf('d', [], { retain: 'set', body: large, qos: 0 }))

      t.deepEqual(
        await retainedOf(store),
        [
          { topic: 'd', body: large, qos: 0, expiresAt: NEVER },
          { topic: 'a', body: Buffer.from('new'), qos: 2, expiresAt },
        ].toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
      )
    },

  'a retained message that has expired is not replayed': async (t, store, clock) => {
    await write(store, unitOf('a', [], { retain: 'set', expiresAt: clock.now() + 1_000 }))
    await clock.advance(999)
    t.is((await retainedOf(store)).length, 1)

    await clock.advance(1)
    t.deepEqual(await retainedOf(store), [])
  },

  'a session that is released for good leaves nothing': async (t, store) => {
    const { ref } = await claim(store)
    await store.update(ref, { subscribe: [subscriptionTo('a')] })
    await writeEach(store, ref, 'x')

    await release(store, ref, 0)

    t.deepEqual(await replay(store), [])
    t.deepEqual(await queueOf(store, ref), [])
    t.deepEqual(await write(store, unitOf('y', [targetOf(ref)])), [])
    t.false((await claim(store)).present)
  },

  '[MQTT-3.1.2-23] a session that was released is resumed before its end, and not from then on':
    async (t, store, clock) => {
      const first = await claim(store)
      await writeEach(store, first.ref, 'x')
      await release(store, first.ref, clock.now() + 1_000)
      await clock.advance(999)
      const second = await claim(store)
      t.true(second.present)

      await release(store, second.ref, clock.now() + 1_000)
      await clock.advance(1_000)
      const third = await claim(store)
      t.false(third.present)
      t.not(third.ref.incarnation, first.ref.incarnation)
      t.deepEqual(await waiting(store, third.ref), [])
    },

  'a session that is claimed does not expire, and one released for ever does not either': async (
    t,
    store,
    clock,
  ) => {
    const first = await claim(store)
    await release(store, first.ref, clock.now() + 1_000)
    const second = await claim(store)
    await clock.advance(10_000)
    t.deepEqual(await write(store, unitOf('x', [targetOf(second.ref)])), [1])

    await release(store, second.ref, NEVER)
    await clock.advance(100 * 365 * 86_400_000)
    t.true((await claim(store)).present)
  },

  'messages for a released session are kept for it': async (t, store, clock) => {
    const { ref } = await claim(store)
    await release(store, ref, clock.now() + 1_000)

    await writeEach(store, ref, 'x')

    t.deepEqual(await waiting(store, (await claim(store)).ref), ['1:x'])
  },
}
