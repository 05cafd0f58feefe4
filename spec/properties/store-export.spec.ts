import { Buffer } from 'node:buffer'
import test from 'ava'
import fc from 'fast-check'
import { composeBody } from '../../lib/protocol/message.ts'
import type { Subscription } from '../../lib/protocol/subscription.ts'
import type { QueueEntry, Store, StoredSession, StoredWill } from '../../lib/storage/storage.ts'
import { unitOf, write } from '../storage/contract-support.ts'
import { exportText, importText, kept, memoryStore } from '../storage/export-support.ts'

const qos = fc.constantFrom(0 as const, 1 as const, 2 as const)
const topic = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 12 })
  .filter((text) => !/[+#]|\p{Surrogate}/u.test(text))
const time = fc.oneof(
  fc.constant(Number.POSITIVE_INFINITY),
  fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
)
const seconds = fc.integer({ min: 0, max: 0xffff_ffff })
const identifier = fc.integer({ min: 1, max: 268_435_455 })

function bodyOf(name: string): fc.Arbitrary<Buffer> {
  return fc
    .uint8Array({ maxLength: 40 })
    .map((payload) => composeBody(name, Buffer.alloc(0), Buffer.from(payload)))
}

const message = topic.chain((name) =>
  fc.record({ topic: fc.constant(name), body: bodyOf(name), qos, expiresAt: time }),
)

const will: fc.Arbitrary<StoredWill> = topic.chain((name) =>
  fc.record({
    topic: fc.constant(name),
    body: bodyOf(name),
    qos,
    retain: fc.boolean(),
    delaySeconds: seconds,
    expirySeconds: fc.option(seconds, { nil: undefined }),
  }),
)

const subscription: fc.Arbitrary<Subscription> = fc.record(
  {
    topicFilter: topic.map((name) => `${name.replaceAll('/', '')}/#`),
    qos,
    noLocal: fc.boolean(),
    retainAsPublished: fc.boolean(),
    subscriptionIdentifier: fc.oneof(fc.constant(0), identifier),
    isPlain: fc.constant(true as const),
  },
  {
    requiredKeys: ['topicFilter', 'qos', 'noLocal', 'retainAsPublished', 'subscriptionIdentifier'],
  },
)

const entry: fc.Arbitrary<Omit<QueueEntry, 'seq'>> = fc.record({
  qos,
  retain: fc.boolean(),
  subscriptionIdentifiers: fc.option(fc.array(identifier), { nil: undefined }),
  share: fc.option(fc.string(), { nil: undefined }),
  expiresAt: time,
  body: topic.chain(bodyOf),
})

interface Kept {
  readonly session: StoredSession
  readonly queue: readonly QueueEntry[]
}

/** A session whose queue has gaps, and begins anywhere. */
const session: fc.Arbitrary<Kept> = fc
  .record({
    clientIdentifier: fc.string({ unit: 'binary', maxLength: 9 }),
    steps: fc.array(
      fc.record({ step: fc.integer({ min: 1, max: 5 }), entry, isReleased: fc.boolean() }),
    ),
    lowWaterMark: fc.integer({ min: 0, max: 2 ** 40 }),
    unused: fc.nat(3),
    isSentKnown: fc.boolean(),
    inbound: fc.uniqueArray(fc.integer({ min: 1, max: 65_535 })),
    expirySeconds: seconds,
    left: fc.option(fc.record({ expiresAt: time, willAt: fc.option(time, { nil: undefined }) }), {
      nil: undefined,
    }),
    will: fc.option(will, { nil: undefined }),
    subscriptions: fc.uniqueArray(subscription, { selector: ({ topicFilter }) => topicFilter }),
  })
  .map(({ clientIdentifier, steps, unused, isSentKnown, ...rest }) => {
    let seq = rest.lowWaterMark
    const queue = steps.map(({ step, entry: content }) => ({ ...content, seq: (seq += step) }))
    const released = queue.filter((_, index) => steps[index]!.isReleased).map((item) => item.seq)
    const ref = { clientIdentifier, incarnation: 0, epoch: 0 }
    const numbers = { lastSeq: seq + unused, sentTo: isSentKnown ? seq : undefined }
    return {
      session: { ...rest, ref, ...numbers, released, queued: 0, queuedBytes: 0 },
      queue,
    }
  })

const state = fc.record({
  sessions: fc.uniqueArray(session, {
    selector: (item) => item.session.ref.clientIdentifier,
    maxLength: 5,
  }),
  retained: fc.uniqueArray(message, { selector: (item) => item.topic, maxLength: 5 }),
})

async function fill(
  store: Store,
  {
    sessions,
    retained,
  }: { sessions: readonly Kept[]; retained: readonly { topic: string; body: Buffer }[] },
): Promise<void> {
  for (const { session: stored, queue } of sessions) {
    await store.adoptQueue(await store.adopt(stored), queue)
  }
  for (const item of retained)
    await write(store, unitOf(item.topic, [], { ...item, retain: 'set' }))
}

test('a store that took what another exported tells the same', async (t) => {
  const property = fc.asyncProperty(state, async (content) => {
    const first = memoryStore()
    const second = memoryStore()
    await fill(first, content)

    await importText(second, await exportText(first))

    t.deepEqual(await kept(second), await kept(first))
    t.is(await exportText(second), await exportText(first))
  })
  await fc.assert(property)
})

test('an export that lacks any of its lines is refused', async (t) => {
  const property = fc.asyncProperty(state, fc.nat(), async (content, chosen) => {
    const store = memoryStore()
    await fill(store, content)
    const lines = (await exportText(store)).split('\n').slice(0, -1)

    const rest = lines.toSpliced(chosen % lines.length, 1)

    await t.throwsAsync(importText(memoryStore(), rest.join('\n')), { name: 'ImportError' })
  })
  await fc.assert(property)
})
