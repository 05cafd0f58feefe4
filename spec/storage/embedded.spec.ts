import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import test from 'ava'
import { openEmbeddedForReading } from '../../lib/storage/embedded/embedded-reader.ts'
import { type SessionRef, type Store, StoreError } from '../../lib/storage/storage.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'
import { ManualClock } from '../support/clock.ts'
import { until } from '../support/turns.ts'
import { storageContract } from './contract.ts'
import {
  claim,
  NEVER,
  noEvents,
  queueOf,
  Recorder,
  release,
  replay,
  retainedOf,
  sessionsOf,
  subscriptionTo,
  targetOf,
  unitOf,
  waiting,
  willTo,
  write,
  writeEach,
} from './contract-support.ts'
import { makeEmbedded, openEmbedded, storeDirectory } from './embedded-support.ts'

storageContract('embedded', (t, clock) => openEmbedded(t, storeDirectory(t), { clock }))

/** Writes so many messages to a session at once. */
async function fill(store: Store, ref: SessionRef, count: number): Promise<void> {
  const sink = new Recorder()
  const units = Array.from({ length: Math.ceil(count / 1_000) }, (_, i) =>
    unitOf(
      `fill ${i}`,
      Array.from({ length: Math.min(1_000, count - i * 1_000) }, () => targetOf(ref)),
    ),
  )
  const settled = units.map((unit) => sink.settled(unit))
  for (const unit of units) store.write(unit, sink)
  await Promise.all(settled)
}

test('a store that is closed while it is opened leaves its directory to others', async (t) => {
  const directory = storeDirectory(t)
  const store = makeEmbedded(directory)
  const opening = store.open(noEvents)
  await store.close()

  await t.throwsAsync(opening, { instanceOf: StoreError })
  await openEmbedded(t, directory)
})

test('everything is there when the store is opened again', async (t) => {
  const directory = storeDirectory(t)
  const first = await openEmbedded(t, directory)
  const options = { cleanStart: false, expirySeconds: 70, will: willTo('gone') }
  const { ref } = await first.claim('c', options)
  await first.update(ref, { subscribe: [subscriptionTo('a'), subscriptionTo('$share/g/b')] })
  await writeEach(first, ref, 'x', 'y', 'z')
  await write(first, unitOf('q', [], { publisher: { session: ref, packetIdentifier: 7 } }))
  await write(first, unitOf('kept', [], { retain: 'set' }))
  await first.markReleased(ref, [3])
  first.acknowledgeTo(ref, 1)
  const before = await replay(first)
  await first.close()

  const second = await openEmbedded(t, directory)

  t.deepEqual(await replay(second), before)
  const claimed = await claim(second)
  t.true(claimed.ref.epoch > ref.epoch)
  t.is(claimed.ref.incarnation, ref.incarnation)
  t.deepEqual(await waiting(second, claimed.ref), ['2:y', '3:z'])
  t.like(claimed, { lowWaterMark: 1, lastSeq: 3, queued: 2, released: [3], inbound: [7] })
})

test('a number is not given out again after a restart, whatever became of its message', async (t) => {
  const directory = storeDirectory(t)
  const first = await openEmbedded(t, directory)
  const { ref: a } = await claim(first, 'a')
  const { ref: b } = await claim(first, 'b')
  await writeEach(first, a, 'w', 'x', 'y')
  await writeEach(first, b, 'w', 'x', 'y')
  first.acknowledgeTo(a, 3)
  first.discard(b, [2, 3])
  await first.close()

  const second = await openEmbedded(t, directory)

  t.deepEqual(await write(second, unitOf('z', [targetOf(a), targetOf(b)])), [4, 4])
  t.deepEqual(await waiting(second, b), ['1:w', '4:z'])
})

test('an incarnation is not given out again after a restart, though its session is gone', async (t) => {
  const directory = storeDirectory(t)
  const seen = new Set<number>()
  for (let i = 0; i < 3; i++) {
    const store = await openEmbedded(t, directory)
    const { ref } = await claim(store)
    await release(store, ref, 0)
    seen.add(ref.incarnation)
    await store.close()
  }

  t.is(seen.size, 3)
})

test('64 acknowledgements of a session are removed together, fewer after a second', async (t) => {
  const clock = new ManualClock()
  const store = await openEmbedded(t, storeDirectory(t), { clock })
  const { ref } = await claim(store)
  await fill(store, ref, 100)
  const reader = await openEmbeddedForReading(store.directory)
  t.teardown(() => reader.close())
  const entries = () => reader.countRecords().Entry

  store.acknowledgeTo(ref, 63)
  await clock.advance(999)
  t.is(entries(), 100)
  store.acknowledgeTo(ref, 64)
  await until(() => entries() === 36)

  store.acknowledgeTo(ref, 65)
  await clock.advance(1_000)
  await until(() => entries() === 35)
  t.pass()
})

test('names of 65,535 bytes are kept, and told apart', async (t) => {
  const directory = storeDirectory(t)
  const [a, b] = ['a', 'b'].map((end) => 'x/'.repeat(32_767) + end) as [string, string]
  const first = await openEmbedded(t, directory)
  for (const name of [a, b]) {
    const { ref } = await claim(first, name)
    await first.update(ref, { subscribe: [subscriptionTo(a), subscriptionTo(b, { qos: 2 })] })
    await first.update(ref, { unsubscribe: [a] })
    await write(first, unitOf(name, [], { retain: 'set', body: Buffer.from(name.slice(-1)) }))
  }
  await first.close()

  const second = await openEmbedded(t, directory)
  const sessions = await sessionsOf(second)
  t.deepEqual(sessions.map(({ ref }) => ref.clientIdentifier).toSorted(), [a, b])
  for (const { subscriptions } of sessions) {
    t.deepEqual(subscriptions, [subscriptionTo(b, { qos: 2 })])
  }
  const retained = await retainedOf(second)
  t.deepEqual(
    retained.map(({ topic, body }) => topic.endsWith(body.toString())),
    [true, true],
  )
})

test('messages of many megabytes are kept, and are not what is read after them', async (t) => {
  const store = await openEmbedded(t, storeDirectory(t))
  const { ref } = await claim(store)
  const bodies = [40_000_000, 5_000_000, 100_000, 3_000_000, 10].map((size) => randomBytes(size))
  for (const body of bodies) await write(store, unitOf('x', [targetOf(ref)], { body }))

  const first = await store.readQueue(ref, 0, 2, NEVER)
  const rest = await store.readQueue(ref, 2, 10, NEVER)
  for (let i = 0; i < 50; i++) await store.readQueue(ref, 1, 10, NEVER)

  const read = [...first, ...rest].map(({ body }) => body)
  t.true(bodies.every((body, i) => body.equals(read[i]!)))
})

test('the memory of sessions is counted until they end', async (t) => {
  const budget = new MemoryBudget(1e9)
  const store = await openEmbedded(t, storeDirectory(t), { budget })
  const { ref } = await claim(store, 'a')
  await claim(store, 'b')
  const both = budget.usedBytes
  t.true(both > 0)

  await release(store, ref, 0)
  t.is(budget.usedBytes, both / 2)
  await store.close()
  t.is(budget.usedBytes, 0)
})

test('with durability process nothing waits for the disk, and the store says so', async (t) => {
  const directory = storeDirectory(t)
  const store = makeEmbedded(directory, { durability: 'process' })
  const { durability, detail } = await store.open(noEvents)
  t.teardown(() => store.close())

  t.is(durability, 'process')
  t.regex(detail, /power cut/)
  const { ref } = await claim(store)
  await writeEach(store, ref, 'x')
  t.deepEqual(await waiting(store, ref), ['1:x'])
})

test('a directory is made where it is missing, for its owner alone, and may be relative', async (t) => {
  const directory = join(storeDirectory(t), 'a', 'b.c')
  const store = makeEmbedded(relative(process.cwd(), directory))
  const { durability, detail } = await store.open(noEvents)
  t.teardown(() => store.close())

  t.is(durability, 'disk')
  t.true(detail.includes(directory))
  t.is(statSync(directory).mode & 0o777, 0o700)
  t.true(existsSync(join(directory, 'data.mdb')))
})

test('a directory that cannot be used is refused in a sentence that names it', async (t) => {
  const parent = storeDirectory(t)
  writeFileSync(join(parent, 'file'), '')
  for (const path of [join(parent, 'file'), join(parent, 'file', 'below')]) {
    const error = await t.throwsAsync(makeEmbedded(path).open(noEvents), { code: 'unusable' })
    t.true(error.message.includes(path))
    t.regex(error.message, /is a file/)
  }
  t.throws(() => makeEmbedded(''), { code: 'unusable', message: /name a directory/ })
})

test('a second broker on the same directory is refused in a sentence, however it is called', async (t) => {
  const parent = storeDirectory(t)
  const directory = join(parent, 'real')
  mkdirSync(directory)
  symlinkSync(directory, join(parent, 'link'))
  const store = await openEmbedded(t, directory)

  for (const path of [directory, join(parent, 'link')]) {
    const error = await t.throwsAsync(makeEmbedded(path).open(noEvents), {
      instanceOf: StoreError,
      code: 'in use',
    })
    t.is(
      error.message,
      `The store in ${path} is in use by another broker (process ${process.pid}): stop it, or name another directory in store.url.`,
    )
  }
  await store.close()
  await (await openEmbedded(t, join(parent, 'link'))).close()
})

test('of many brokers that start at the same moment one gets the directory', async (t) => {
  // Longer than an address of a socket may be.
  const directory = join(storeDirectory(t), 'd'.repeat(120))
  for (let round = 0; round < 3; round++) {
    const stores = Array.from({ length: 6 }, () => makeEmbedded(directory))
    const opened = await Promise.allSettled(stores.map((store) => store.open(noEvents)))
    const reasons = opened.flatMap((one) => (one.status === 'rejected' ? one.reason.code : []))

    t.deepEqual(
      reasons,
      Array.from({ length: 5 }, () => 'in use'),
    )
    await Promise.all(stores.map((store) => store.close()))
  }
})

test('a session that ended is swept in the background, and nothing is left but what the store says of itself', async (t) => {
  const store = await openEmbedded(t, storeDirectory(t))
  const empty = await store.countRecords()
  const { ref } = await claim(store)
  await store.update(ref, { subscribe: [subscriptionTo('a'), subscriptionTo('b')] })
  await fill(store, ref, 5_000)
  await store.markReleased(ref, [1, 2])
  await write(store, unitOf('q', [], { publisher: { session: ref, packetIdentifier: 7 } }))
  store.acknowledgeTo(ref, 1)

  await release(store, ref, 0)
  t.true((await store.countRecords()).Entry > 3_000)
  t.false((await claim(store, 'd')).present)

  await release(store, (await claim(store, 'd')).ref, 0)
  for (;;) {
    const { Session, Discarded } = await store.countRecords()
    if (Session + Discarded === 0) break
  }
  t.deepEqual({ ...empty, Meta: 2 }, await store.countRecords())
})

test('what was not swept before a restart is swept after it', async (t) => {
  const directory = storeDirectory(t)
  const first = await openEmbedded(t, directory)
  const { ref } = await claim(first)
  const { ref: kept } = await claim(first, 'kept')
  await fill(first, ref, 5_000)
  await fill(first, kept, 2_000)
  first.acknowledgeTo(kept, 1_500)
  await release(first, ref, 0)
  t.true((await first.countRecords()).Entry > 4_000)
  await first.close()

  const second = await openEmbedded(t, directory)
  for (;;) {
    const { Entry, Discarded } = await second.countRecords()
    if (Entry === 500 && Discarded === 0) break
  }
  t.like((await sessionsOf(second))[0], { queued: 500, lowWaterMark: 1_500 })
})

test('a reader sees what a broker has made durable, while it runs', async (t) => {
  const store = await openEmbedded(t, storeDirectory(t))
  const { ref } = await claim(store)
  await store.update(ref, { subscribe: [subscriptionTo('a')] })
  const reader = await openEmbeddedForReading(store.directory)
  t.teardown(() => reader.close())
  await writeEach(store, ref, 'x', 'y')
  await write(store, unitOf('kept', [], { retain: 'set' }))

  const items: unknown[] = []
  reader.replay((item) => items.push(item), 0)

  t.deepEqual(items, await replay(store))
  t.deepEqual(reader.readQueue(ref, 0, 10, 1e9), await queueOf(store, ref))
  t.deepEqual(reader.readQueue({ ...ref, clientIdentifier: 'nobody' }, 0, 10, 1e9), [])
  t.deepEqual(reader.readQueue({ ...ref, incarnation: ref.incarnation + 1 }, 0, 10, 1e9), [])
  t.deepEqual(reader.check(), [])
  t.is(reader.damagedRecords, 0)
})

test('there is nothing to read where there is no store', async (t) => {
  const directory = storeDirectory(t)
  const error = await t.throwsAsync(openEmbeddedForReading(directory), { code: 'unusable' })
  t.true(error.message.includes(directory))
  t.false(existsSync(join(directory, 'data.mdb')))
})
