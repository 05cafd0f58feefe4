/** What becomes of a Redis store whose Redis comes back without what it kept. */

import type { ExecutionContext } from 'ava'
import type { RedisStore } from '../../lib/storage/redis/redis-store.ts'
import type { Target, Unit } from '../../lib/storage/storage.ts'
import { RedisServer } from '../support/redis-server.ts'
import { openStore } from '../support/redis-store.ts'
import { redisTest } from '../support/redis-test.ts'
import {
  claim,
  queueOf,
  retainedOf,
  targetOf,
  unitOf,
  waiting,
  write,
  writeEach,
} from './contract-support.ts'
import { listen } from './redis-support.ts'

async function startServer(t: ExecutionContext): Promise<RedisServer> {
  const server = await RedisServer.start()
  t.teardown(() => server.remove())
  return server
}

redisTest(
  'a Redis that comes back empty is given back what the broker knows, before anything that waited',
  async (t) => {
    const server = await startServer(t)
    const { events, down } = listen()
    const stores: RedisStore[] = []
    const emptied = async (): Promise<void> => {
      const store = stores[0]!
      const adopted = await store.adopt(stood)
      t.deepEqual(adopted, stood.ref)
      await store.adoptQueue(adopted, kept)
      await write(store, unitOf('r', [], { retain: 'set', isGivenBack: true }))
    }
    const store = await openStore(t, server.url, { events: { ...events, emptied } })
    stores.push(store)
    const { ref, present: _, ...claimed } = await claim(store)
    await writeEach(store, ref, 'a', 'b', 'c')
    const kept = await queueOf(store, ref, 1)
    const stood = { ...claimed, ref, lastSeq: 2, lowWaterMark: 1 }

    await server.kill()
    await down
    const written = write(store, unitOf('d', [targetOf(ref)]))
    await server.start()

    // The store knows itself that 3 was given out.
    t.deepEqual(await written, [4])
    t.deepEqual(await waiting(store, ref), ['2:b', '3:c', '4:d'])
    t.deepEqual(
      (await retainedOf(store)).map(({ topic }) => topic),
      ['r'],
    )
    const another = await claim(store, 'another')
    t.true(another.ref.incarnation > ref.incarnation)
  },
)

redisTest(
  'what is published while an empty Redis is given back comes behind what waited before',
  async (t) => {
    const server = await startServer(t)
    const { events, down } = listen()
    const stores: RedisStore[] = []
    const retainedIs = (text: string, targets: readonly Target[]): Unit =>
      unitOf('r', targets, { retain: 'set', body: Buffer.from(text) })
    let newer: Promise<number[]> | undefined
    const emptied = async (): Promise<void> => {
      const store = stores[0]!
      newer = write(store, retainedIs('newer', []))
      await write(store, { ...retainedIs('newer', []), isGivenBack: true })
    }
    const store = await openStore(t, server.url, { events: { ...events, emptied } })
    stores.push(store)
    const { ref } = await claim(store)
    await server.kill()
    await down
    const older = write(store, retainedIs('older', [targetOf(ref)]))

    await server.start()
    await Promise.all([older, newer])

    t.deepEqual(
      (await retainedOf(store)).map(({ body }) => String(body)),
      ['newer'],
    )
  },
)

redisTest('a Redis that comes back empty ends the store where that is refused', async (t) => {
  const server = await startServer(t)
  const { events, lost, down } = listen()
  const store = await openStore(t, server.url, { events, onEmpty: 'refuse' })
  await claim(store)

  await server.kill()
  await down
  await server.start()

  t.is((await lost).code, 'unusable')
  await t.throwsAsync(claim(store), { code: 'closed' })
})
