/** Redis that consists of several servers: one dies, slots move, a broker dies in the middle of a step. */

import type { ExecutionContext } from 'ava'
import type { RedisStore } from '../../lib/storage/redis/redis-store.ts'
import type { StoreEvents } from '../../lib/storage/storage.ts'
import { RedisCluster, SentinelSetup, untilReply } from '../support/redis-cluster.ts'
import { RedisServer } from '../support/redis-server.ts'
import { freshPrefix, makeStore, openStore } from '../support/redis-store.ts'
import { redisTest, shared } from '../support/redis-test.ts'
import {
  claim,
  handOver,
  queueOf,
  sessionsOf,
  targetOf,
  unitOf,
  waiting,
  write,
} from './contract-support.ts'
import { Load, listen } from './redis-support.ts'

const shareCluster = shared(() => RedisCluster.start())

/** The key of a client's queue, wherever it is. */
async function queueKeyOf(servers: readonly RedisServer[], prefix: string, client: string) {
  for (const server of servers) {
    const found = await server.command('KEYS', `${prefix}*:q:${client}`)
    const key = found.split('\r\n').find((line) => line.startsWith(prefix))
    if (key !== undefined) return key
  }
  throw new Error(`no queue of ${client}`)
}

redisTest(
  'after a failover the replica that Sentinels have chosen is written to, and nothing comes twice',
  async (t) => {
    const setup = await SentinelSetup.start()
    t.teardown(() => setup.remove())
    const { events, health, up } = listen()
    const keyPrefix = freshPrefix()
    const store = await openStore(t, setup.url, { events, keyPrefix })
    const { ref } = await claim(store)
    t.deepEqual(await write(store, unitOf('x', [targetOf(ref)])), [1])
    const queue = await queueKeyOf([setup.master], keyPrefix, 'c')
    await untilReply(setup.replica, ['XLEN', queue], (reply) => reply === ':1\r\n')

    await setup.master.kill()
    t.deepEqual(await write(store, unitOf('y', [targetOf(ref)])), [2])
    await up

    t.deepEqual(health, [false, true])
    t.deepEqual(await waiting(store, ref), ['1:x', '2:y'])
  },
)

redisTest('a message is reported when so many replicas have it, and not before', async (t) => {
  const master = await RedisServer.start()
  t.teardown(() => master.remove())
  await t.throwsAsync(makeStore(master.url, { waitReplicas: 1 }).open(listen().events), {
    code: 'unavailable',
    message: 'Redis has 0 replicas; store.waitReplicas wants 1.',
  })
  const replica = await RedisServer.start(['--replicaof', `127.0.0.1 ${master.port}`])
  t.teardown(() => replica.remove())
  await untilReply(master, ['INFO', 'replication'], (reply) => reply.includes('state=online'))
  const { events, down, up } = listen()
  const store = makeStore(master.url, { waitReplicas: 1 })
  const opened = await store.open(events)
  t.teardown(() => store.close())
  t.is(opened.durability, 'replicated')
  const { ref } = await claim(store)
  t.deepEqual(await write(store, unitOf('x', [targetOf(ref)])), [1])

  replica.pause()
  let isDone = false
  const written = write(store, unitOf('y', [targetOf(ref)])).then((seqs) => {
    isDone = true
    return seqs
  })
  await down
  t.false(isDone)

  replica.continue()
  t.deepEqual(await written, [2])
  await up
})

redisTest('while a slot of a Cluster moves under load nothing is lost or doubled', async (t) => {
  const keyPrefix = freshPrefix()
  const cluster = await shareCluster()
  const store = await openStore(t, cluster.url, { keyPrefix })
  const load = await Load.to(store, ['a', 'b', 'c'])
  load.start()
  await load.untilDone(500)

  const { source, target, slot } = await placeOf(await queueKeyOf(cluster.servers, keyPrefix, 'a'))
  await cluster.moveSlot(slot, source, target)
  await load.untilDone(load.doneCount + 500)
  await cluster.moveSlot(slot, target, source)
  await load.stop()

  t.true(load.doneCount > 1_000)
  await load.assertWhole(t)
})

/** Who has the slot of a key, and somebody else. */
async function placeOf(
  key: string,
): Promise<{ source: RedisServer; target: RedisServer; slot: string }> {
  const { servers } = await shareCluster()
  const slot = (await servers[0]!.command('CLUSTER', 'KEYSLOT', key)).slice(1).trim()
  const index = Math.min(Math.floor((Number(slot) * 3) / 16_384), 2)
  return { source: servers[index]!, target: servers[(index + 1) % 3]!, slot }
}

/** Sessions that lie on different servers. */
async function apart(
  t: ExecutionContext,
  keyPrefix: string,
): Promise<{ store: RedisStore; names: [string, string] }> {
  const store = await openStore(t, (await shareCluster()).url, { keyPrefix })
  const names = Array.from({ length: 8 }, (_, i) => `client ${i}`)
  const slots = new Map<RedisServer, string>()
  for (const name of names) {
    await claim(store, name)
    const { source } = await placeOf(
      await queueKeyOf((await shareCluster()).servers, keyPrefix, name),
    )
    slots.set(source, name)
  }
  return { store, names: [...slots.values()].slice(0, 2) as [string, string] }
}

redisTest(
  'a QoS 2 message across slots that a broker has queued in part is queued once when its client sends it again',
  async (t) => {
    const keyPrefix = freshPrefix()
    const { store, names } = await apart(t, keyPrefix)
    const [from, to] = await Promise.all(names.map((name) => claim(store, name)))
    const publisher = { session: from!.ref, packetIdentifier: 9 }
    const unit = unitOf('x', [targetOf(to!.ref, { qos: 2 })], { publisher, qos: 2 })
    await write(store, unit)
    // As if the broker had died before the last step.
    const inbound = (await queueKeyOf((await shareCluster()).servers, keyPrefix, names[0])).replace(
      ':q:',
      ':i:',
    )
    const tokens = (await queueKeyOf((await shareCluster()).servers, keyPrefix, names[1])).replace(
      ':q:',
      ':d:',
    )
    const [{ source: of }, { source: at }] = [await placeOf(inbound), await placeOf(tokens)]
    await store.close()
    await of.command('HSET', inbound, '9', '1')
    await at.command('HSET', tokens, `${from!.ref.incarnation}:1`, '1')

    const second = await openStore(t, (await shareCluster()).url, { keyPrefix })
    const resumed = await claim(second, names[0])
    t.deepEqual(resumed.inbound, [])
    const again = { ...unit, publisher: { session: resumed.ref, packetIdentifier: 9 } }

    t.deepEqual(await write(second, again), [1])
    t.deepEqual((await claim(second, names[0])).inbound, [9])
    t.deepEqual(await waiting(second, to!.ref), ['1:x'])
  },
)

redisTest(
  'a hand-over between slots that a broker did not finish is finished at the next start',
  async (t) => {
    const keyPrefix = freshPrefix()
    const { store, names } = await apart(t, keyPrefix)
    const [from, to] = await Promise.all(names.map((name) => claim(store, name)))
    await write(store, unitOf('x', [targetOf(from!.ref)]))
    await write(store, unitOf('y', [targetOf(from!.ref)]))
    t.is((await handOver(store, from!.ref, [1], targetOf(to!.ref))).length, 1)
    t.deepEqual(await waiting(store, from!.ref), ['2:y'])
    // As if `y` had been handed over too, but for its removal.
    await write(store, unitOf('y', [targetOf(to!.ref)]))
    const tokens = (await queueKeyOf((await shareCluster()).servers, keyPrefix, names[1])).replace(
      ':q:',
      ':d:',
    )
    const { source: at } = await placeOf(tokens)
    await store.close()
    await at.command('HSET', tokens, `h:${from!.ref.incarnation}:2:${names[0]}`, '2')

    const second = await openStore(t, (await shareCluster()).url, { keyPrefix })
    await sessionsOf(second)

    t.deepEqual(await waiting(second, from!.ref), [])
    t.deepEqual(await waiting(second, to!.ref), ['1:x', '2:y'])
    t.is(await at.command('EXISTS', tokens), ':0\r\n')
  },
)

redisTest(
  'while a server of a Cluster is away all wait, and nothing is lost or doubled',
  async (t) => {
    const own = await RedisCluster.start(['--appendonly', 'yes'])
    t.teardown(() => own.remove())
    const { events, down, up } = listen()
    const store = await openStore(t, own.url, { events })
    const load = await Load.to(store, ['a', 'b', 'c', 'd', 'e', 'f'])
    load.start()
    await load.untilDone(300)

    await own.servers[1]!.kill()
    await down
    await own.servers[1]!.start()
    await up
    await load.untilDone(load.doneCount + 300)
    await load.stop()

    await load.assertWhole(t)
  },
)

redisTest(
  'the sessions of a Cluster server that came back empty are given back, the others stay',
  async (t) => {
    const own = await RedisCluster.start()
    t.teardown(() => own.remove())
    const keyPrefix = freshPrefix()
    const known: RedisStore[] = []
    const emptied: StoreEvents['emptied'] = async (isLost) => {
      for (const { present: _, ...session } of claimed)
        if (isLost(session.ref.clientIdentifier)) await known[0]!.adopt(session)
    }
    const store = await openStore(t, own.url, { keyPrefix, events: { emptied } })
    known.push(store)
    const claimed = await Promise.all(
      Array.from({ length: 12 }, (_, i) => claim(store, `client ${i}`)),
    )
    for (const { ref } of claimed) await write(store, unitOf('x', [targetOf(ref)]))

    await own.servers[1]!.command('FLUSHALL')
    const seqs = await Promise.all(
      claimed.map(({ ref }) => write(store, unitOf('y', [targetOf(ref)]))),
    )

    t.deepEqual(
      seqs,
      claimed.map(() => [2]),
    )
    const lengths = await Promise.all(
      claimed.map(async ({ ref }) => (await queueOf(store, ref)).length),
    )
    t.true(lengths.includes(1) && lengths.includes(2))
  },
)
