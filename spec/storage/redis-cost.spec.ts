/** How many commands the store costs Redis: those that it sends, and those inside of its scripts. */

import type { ExecutionContext } from 'ava'
import type { RedisStore } from '../../lib/storage/redis/redis-store.ts'
import { ManualClock } from '../support/clock.ts'
import { RedisServer } from '../support/redis-server.ts'
import { openStore } from '../support/redis-store.ts'
import { serialRedisTest, shared } from '../support/redis-test.ts'
import { claim, Recorder, release, replay, targetOf, unitOf } from './contract-support.ts'

const shareServer = shared(() => RedisServer.start())

/** Commands that `work` causes, but for those that look at it. Scripts count as `script`. */
async function countCommands(work: () => Promise<unknown>): Promise<Record<string, number>> {
  const server = await shareServer()
  await server.command('CONFIG', 'RESETSTAT')
  await work()
  const stats = await server.command('INFO', 'commandstats')
  const counts: Record<string, number> = {}
  for (const [, name, calls] of stats.matchAll(/cmdstat_([^:]+):calls=(\d+)/g)) {
    if (/^(?:config|info|ping|client|command)/.test(name!)) continue
    const key = name!.startsWith('eval') ? 'script' : name!
    counts[key] = (counts[key] ?? 0) + Number(calls)
  }
  return counts
}

async function open(t: ExecutionContext): Promise<RedisStore> {
  // A clock that stands: nothing is sent by itself.
  return openStore(t, (await shareServer()).url, { clock: new ManualClock() })
}

async function writeAtOnce(store: RedisStore, units: readonly ReturnType<typeof unitOf>[]) {
  const sink = new Recorder()
  const settled = units.map((unit) => sink.settled(unit))
  for (const unit of units) store.write(unit, sink)
  await Promise.all(settled)
}

// One counter for all of the server.
serialRedisTest(
  'a turn is one script call, and each message one command inside of it',
  async (t) => {
    const store = await open(t)
    const refs = await Promise.all(['a', 'b'].map(async (name) => (await claim(store, name)).ref))
    const units = Array.from({ length: 100 }, (_, i) => unitOf(`${i}`, [targetOf(refs[i % 2]!)]))

    const counts = await countCommands(() => writeAtOnce(store, units))

    t.deepEqual(counts, { script: 1, hmget: 1, xadd: 100, hset: 1 })
  },
)

serialRedisTest(
  'a QoS 2 message costs three commands more than its queues, all in the same call',
  async (t) => {
    const store = await open(t)
    const { ref } = await claim(store)
    const publisher = { session: ref, packetIdentifier: 1 }
    const unit = unitOf('x', [targetOf(ref)], { publisher, qos: 2 })

    const counts = await countCommands(async () => {
      await writeAtOnce(store, [unit])
      await store.forgetInbound(ref, 1)
    })

    t.deepEqual(counts, { script: 2, hmget: 4, xadd: 1, hset: 3, hdel: 1 })
  },
)

serialRedisTest('acknowledgements leave sixty-four at once, as one trim', async (t) => {
  const store = await open(t)
  const { ref } = await claim(store)
  await writeAtOnce(
    store,
    Array.from({ length: 128 }, (_, i) => unitOf(`${i}`, [targetOf(ref)])),
  )

  const counts = await countCommands(async () => {
    for (let mark = 1; mark <= 127; mark++) store.acknowledgeTo(ref, mark)
    // Behind it in the lane.
    await store.markReleased(ref, [])
  })

  t.deepEqual(counts, { script: 1, hmget: 3, xtrim: 1, zremrangebyscore: 1, hset: 2 })
})

serialRedisTest(
  'sessions are replayed many to a call, and their queues are not read',
  async (t) => {
    const store = await open(t)
    const names = Array.from({ length: 640 }, (_, i) => `client ${i}`)
    const claimed = await Promise.all(names.map((name) => claim(store, name)))
    await writeAtOnce(
      store,
      claimed.map(({ ref }) => unitOf('x', [targetOf(ref)])),
    )

    const counts = await countCommands(async () => t.is((await replay(store)).length, 640))

    t.true(counts['script']! <= 64)
    t.is(counts['xrange'], undefined)
    for (const { ref } of claimed) void release(store, ref, 0)
  },
)
