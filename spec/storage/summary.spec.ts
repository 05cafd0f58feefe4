import test from 'ava'
import { summarize } from '../../lib/storage/summary.ts'
import { NEVER, subscriptionTo, targetOf, unitOf, willTo, write } from './contract-support.ts'
import { memoryStore } from './export-support.ts'

test('a summary counts all that a store keeps', async (t) => {
  const store = memoryStore()
  const claim = async (client: string, expirySeconds: number) => {
    const options = { cleanStart: false, expirySeconds, will: willTo('w') }
    return (await store.claim(client, options)).ref
  }
  const [a, b, c, d] = [
    await claim('a', 60),
    await claim('b', 60),
    await claim('c', 60),
    await claim('d', 0),
  ]
  await store.update(a, { subscribe: [subscriptionTo('x'), subscriptionTo('y')], will: null })
  const publisher = { session: b, packetIdentifier: 7 }
  const [seq = 0] = await write(store, unitOf('x', [targetOf(a, { qos: 2 })], { publisher }))
  await write(store, unitOf('x', [targetOf(a), targetOf(b)], { retain: 'set' }))
  await store.markReleased(a, [seq])
  await store.release(b, { expiresAt: 9_000, willAt: undefined, sentTo: 0 })
  await store.release(c, { expiresAt: 8_000, willAt: undefined, sentTo: 0 })
  await store.release(d, { expiresAt: NEVER, willAt: 7_000, sentTo: 0 })

  const summary = await summarize(store, 10)

  const bodyBytes = 'body of x'.length
  t.deepEqual(summary, {
    sessions: { connected: 1, offline: 2, willOnly: 1 },
    subscriptions: 2,
    queued: { messages: 3, bytes: 3 * bodyBytes },
    retained: { messages: 1, bytes: bodyBytes },
    wills: 3,
    inbound: 1,
    released: 1,
    firstToEnd: { clientIdentifier: 'c', at: 8_000 },
    longestQueues: [
      { clientIdentifier: 'a', messages: 2, bytes: 2 * bodyBytes },
      { clientIdentifier: 'b', messages: 1, bytes: bodyBytes },
    ],
  })
})

test('only the longest queues are named, the longest first', async (t) => {
  const store = memoryStore()
  for (const [index, length] of [2, 5, 1, 4, 3].entries()) {
    const options = { cleanStart: false, expirySeconds: 60, will: undefined }
    const { ref } = await store.claim(`c${index}`, options)
    for (let i = 0; i < length; i++) await write(store, unitOf('x', [targetOf(ref)]))
  }

  const { longestQueues } = await summarize(store, 3)

  t.deepEqual(
    longestQueues.map(({ messages }) => messages),
    [5, 4, 3],
  )
})
