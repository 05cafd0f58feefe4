/** What becomes of a Redis store when Redis, the network or another broker does what it should not. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ExecutionContext } from 'ava'
import { StoreError } from '../../lib/storage/storage.ts'
import { seededRandom } from '../../lib/util/random.ts'
import { certificates } from '../support/certificates.ts'
import { ManualClock } from '../support/clock.ts'
import { freePort, temporaryDirectory } from '../support/processes.ts'
import { Program } from '../support/programs.ts'
import { RedisProxy } from '../support/redis-proxy.ts'
import { RedisServer } from '../support/redis-server.ts'
import { freshPrefix, makeStore, openStore } from '../support/redis-store.ts'
import { redisTest } from '../support/redis-test.ts'
import {
  claim,
  noEvents,
  Recorder,
  release,
  sessionsOf,
  targetOf,
  unitOf,
  waiting,
  write,
  writeEach,
} from './contract-support.ts'
import { Load, listen } from './redis-support.ts'

const append = ['--appendonly', 'yes']

async function startServer(
  t: ExecutionContext,
  settings: readonly string[] = [],
): Promise<RedisServer> {
  const server = await RedisServer.start(settings)
  t.teardown(() => server.remove())
  return server
}

redisTest('a batch whose reply is lost is answered, and not applied again', async (t) => {
  const server = await startServer(t)
  const proxy = await RedisProxy.start(t, server.port)
  const store = await openStore(t, proxy.url)
  const { ref } = await claim(store)
  let lost = 0
  proxy.losesReply = () => lost++ === 0

  const seqs = await write(store, unitOf('x', [targetOf(ref), targetOf(ref)]))

  t.true(lost > 1)
  t.deepEqual(seqs, [1, 2])
  t.deepEqual(await waiting(store, ref), ['1:x', '2:x'])
})

redisTest('a claim whose reply is lost is made once', async (t) => {
  const server = await startServer(t)
  const proxy = await RedisProxy.start(t, server.port)
  const store = await openStore(t, proxy.url)
  const first = await claim(store)
  let lost = 0
  proxy.losesReply = () => lost++ === 0

  const second = await claim(store)

  t.true(lost > 1)
  t.is(second.ref.epoch, first.ref.epoch + 1)
  t.true(second.present)
})

redisTest(
  'while Redis is away nothing is acknowledged and claims are refused in time; what waited is written when it is back',
  async (t) => {
    const server = await startServer(t, append)
    const { events, health, reasons, down, up } = listen()
    const store = await openStore(t, server.url, { events, timeoutMs: 1_000 })
    const { ref } = await claim(store)
    await server.kill()
    await down
    const sink = new Recorder()
    const units = ['x', 'y'].map((topic) => unitOf(topic, [targetOf(ref)]))
    const settled = units.map((unit) => sink.settled(unit))
    for (const unit of units) store.write(unit, sink)

    await t.throwsAsync(claim(store, 'other', true), { code: 'unavailable' })
    await t.throwsAsync(store.update(ref, { expirySeconds: 3 }), { code: 'unavailable' })
    t.deepEqual(sink.events, [])
    t.like(store.pressure(), { pendingUnits: 2, isHealthy: false })

    await server.start()
    await Promise.all([...settled, up])
    t.deepEqual(await waiting(store, ref), ['1:x', '2:y'])
    t.deepEqual(health, [false, true])
    t.regex(
      reasons[0]!,
      /^Redis at 127\.0\.0\.1:\d+ cannot be used: .+\. Messages wait until it is back\.$/,
    )
    const sessions = await sessionsOf(store)
    t.deepEqual(
      sessions.map((session) => [session.ref.clientIdentifier, session.expirySeconds]),
      [['c', 100]],
    )
  },
)

redisTest('a Redis that stands still is noticed, and goes on where it was', async (t) => {
  const server = await startServer(t)
  const { events } = listen()
  const store = await openStore(t, server.url, { events, timeoutMs: 1_000 })
  const { ref } = await claim(store)

  server.pause()
  await t.throwsAsync(store.update(ref, { expirySeconds: 3 }), { code: 'unavailable' })
  const written = write(store, unitOf('x', [targetOf(ref)]))
  server.continue()

  t.deepEqual(await written, [1])
})

for (const policy of ['always', 'everysec']) {
  redisTest(
    `no message that was reported is lost or doubled when Redis is killed (appendfsync ${policy})`,
    async (t) => {
      const seed = Date.now() % 1e6
      t.log(`seed ${seed}`)
      const random = seededRandom(seed)
      const server = await startServer(t, [...append, '--appendfsync', policy])
      const store = await openStore(t, server.url)
      const load = await Load.to(store, ['a', 'b', 'c'])

      load.start()
      for (let kill = 0; kill < 4; kill++) {
        await load.untilDone(load.doneCount + 50 + random.below(400))
        await server.kill()
        await server.start()
      }
      await load.stop()

      t.true(load.doneCount > 200)
      await load.assertWhole(t)
    },
  )
}

redisTest('nothing is lost or doubled when replies are lost again and again', async (t) => {
  const seed = Date.now() % 1e6
  t.log(`seed ${seed}`)
  const random = seededRandom(seed)
  const server = await startServer(t)
  const proxy = await RedisProxy.start(t, server.port)
  const store = await openStore(t, proxy.url)
  const load = await Load.to(store, ['a', 'b', 'c'])
  let lostCount = 0
  proxy.losesReply = () => {
    const isLost = random.below(10) === 0
    if (isLost) lostCount++
    return isLost
  }

  load.start()
  await load.untilDone(3_000)
  await load.stop()

  t.true(lostCount > 0)
  await load.assertWhole(t)
})

redisTest(
  'what a broker had reported before it was killed is there once, and its store can be had soon after',
  async (t) => {
    const server = await startServer(t)
    const keyPrefix = freshPrefix()
    const program = fileURLToPath(new URL('../support/redis-writer.js', import.meta.url))
    const writer = new Program(t, process.execPath, [program, server.url, keyPrefix])
    for (let i = 0; i < 500; i++) await writer.nextLine()
    writer.kill()
    const reported = (await writer.exited).stdout.split('\n').slice(0, -1).map(Number)

    const store = await openStore(t, server.url, { keyPrefix })
    const { ref } = await claim(store)

    const kept = (await store.readQueue(ref, 0, 1e6, 1e9)).map(
      ({ seq, body }) => `${seq} ${String(body)}`,
    )
    t.deepEqual(
      kept,
      kept.map((_, i) => `${i + 1} body of ${i + 1}`),
    )
    t.true(kept.length >= Math.max(...reported))
  },
)

redisTest(
  'when Redis is out of memory messages are refused, and queues drain until there is room again',
  async (t) => {
    const server = await startServer(t)
    const keyPrefix = freshPrefix()
    const former = await openStore(t, server.url, { keyPrefix })
    const { ref: claimed } = await claim(former)
    await writeEach(former, claimed, 'a', 'b', 'c', 'd')
    await server.command('CONFIG', 'SET', 'maxmemory', '1')
    await former.close()
    const store = await openStore(t, server.url, { keyPrefix })
    const { ref } = await claim(store)
    const sink = new Recorder()
    const [grows, clears] = [unitOf('x', [targetOf(ref)]), unitOf('r', [], { retain: 'clear' })]
    const settled = [grows, clears].map((unit) => sink.settled(unit))

    store.write(grows, sink)
    store.write(clears, sink)
    store.discard(ref, [3])
    await store.markReleased(ref, [2])
    await Promise.all(settled)
    t.deepEqual(sink.events, ['x failed: full', 'r done'])
    store.acknowledgeTo(ref, 1)
    const second = await claim(store)
    t.deepEqual([second.released, second.lowWaterMark], [[2], 1])
    await t.throwsAsync(claim(store, 'new'), { code: 'full' })
    // Discarded in the turn of what was refused: both or neither.
    t.deepEqual(await waiting(store, ref), ['2:b', '3:c', '4:d'])
    store.discard(ref, [3])
    t.deepEqual(await waiting(store, ref), ['2:b', '4:d'])

    await server.command('CONFIG', 'SET', 'maxmemory', '0')
    t.deepEqual(await write(store, unitOf('y', [targetOf(ref)])), [5])
  },
)

redisTest('a Redis that evicts keys is refused in one clear line', async (t) => {
  const server = await startServer(t, ['--maxmemory-policy', 'allkeys-lru'])

  await t.throwsAsync(makeStore(server.url).open(listen().events), {
    code: 'unusable',
    message:
      'Redis may throw away what it keeps: set its maxmemory-policy to noeviction, it is allkeys-lru.',
  })
})

redisTest('what the promises of a Redis survive is said as it opens', async (t) => {
  const server = await startServer(t)
  const durabilityWith = async (...settings: string[]): Promise<string> => {
    for (let i = 0; i < settings.length; i += 2)
      await server.command('CONFIG', 'SET', settings[i]!, settings[i + 1]!)
    const store = makeStore(server.url)
    const { durability } = await store.open(listen().events)
    await store.close()
    return durability
  }

  t.is(await durabilityWith('save', '60 1'), 'volatile')
  t.is(await durabilityWith('appendonly', 'yes', 'appendfsync', 'everysec'), 'process')
  t.is(await durabilityWith('appendfsync', 'no'), 'process')
  t.is(await durabilityWith('appendfsync', 'always'), 'disk')
})

redisTest('a Redis that says nothing about itself promises nothing', async (t) => {
  const server = await startServer(t, append)
  await server.command('ACL', 'SETUSER', 'kept', 'on', '>word', '~*', '+@all', '-info', '-config')
  const store = makeStore(server.url.replace('//', '//kept:word@'))
  const opened = await store.open(listen().events)
  await store.close()

  t.is(opened.durability, 'volatile')
  t.regex(opened.detail, /INFO is forbidden/)
})

redisTest('a Redis that is not there, or refuses the password, is told apart', async (t) => {
  const server = await startServer(t, ['--requirepass', 'right'])
  const open = (url: string): Promise<unknown> =>
    makeStore(url, { timeoutMs: 1_000 }).open(listen().events)
  await t.throwsAsync(open(server.url.replace('//', '//:wrong@')), { code: 'unusable' })
  await server.kill()

  const error = await t.throwsAsync(open(server.url), { code: 'unavailable' })

  t.regex(error.message, /^Redis at 127\.0\.0\.1:\d+ cannot be reached: .*ECONNREFUSED.*\.$/)
})

redisTest('over TLS a Redis is used whose authority is known, and no other', async (t) => {
  const { ca, server: own } = await certificates()
  const directory = temporaryDirectory(t)
  const files = Object.entries({ ca: ca.cert, cert: own.cert, key: own.key }).map(([name, pem]) => {
    writeFileSync(join(directory, name), pem)
    return join(directory, name)
  })
  const [caFile = '', certFile = '', keyFile = ''] = files
  const port = String(await freePort())
  const tls = ['--tls-port', port, '--tls-cert-file', certFile, '--tls-key-file', keyFile]
  await startServer(t, [...tls, '--tls-ca-cert-file', caFile, '--tls-auth-clients', 'no'])
  const url = `rediss://127.0.0.1:${port}`

  const opening = makeStore(url, { timeoutMs: 1_000 }).open(listen().events)
  await t.throwsAsync(opening, { code: 'unavailable', message: /certificate/ })

  const program = fileURLToPath(new URL('../support/redis-writer.js', import.meta.url))
  const words = [`NODE_EXTRA_CA_CERTS=${caFile}`, process.execPath, program, url, freshPrefix()]
  t.is(await new Program(t, '/usr/bin/env', words).nextLine(), '1')
})

redisTest('a store that is closed while it is opened is left to others', async (t) => {
  const server = await startServer(t)
  const keyPrefix = freshPrefix()
  const store = makeStore(server.url, { keyPrefix })
  const opening = store.open(noEvents)
  await store.close()

  await t.throwsAsync(opening, { instanceOf: StoreError })
  await openStore(t, server.url, { keyPrefix })
})

redisTest(
  'a second broker is refused while the first has the store, and may have it when that is closed',
  async (t) => {
    const server = await startServer(t)
    const keyPrefix = freshPrefix()
    const first = await openStore(t, server.url, { keyPrefix })
    const { ref } = await claim(first)
    await writeEach(first, ref, 'x')

    await t.throwsAsync(makeStore(server.url, { keyPrefix }).open(listen().events), {
      code: 'in use',
      message: /^Another broker uses this Redis with the key prefix .*\.$/,
    })
    await first.close()
    const second = await openStore(t, server.url, { keyPrefix })

    t.like((await sessionsOf(second))[0], { queued: 1, lastSeq: 1 })
    t.deepEqual(await waiting(second, (await claim(second)).ref), ['1:x'])
  },
)

redisTest('the lease of a broker that was killed is waited for', async (t) => {
  const server = await startServer(t)
  const keyPrefix = freshPrefix()
  await server.command('SET', `${keyPrefix}node`, 'killed', 'PX', '1000')

  const store = await openStore(t, server.url, { keyPrefix })

  t.false((await claim(store)).present)
})

redisTest(
  'a broker that was replaced learns it with its next write, and reports nothing more',
  async (t) => {
    const server = await startServer(t)
    const keyPrefix = freshPrefix()
    const { events, lost } = listen()
    // Its time stands: it would learn of it from its lease as well, as soon as it renews that.
    const clock = new ManualClock()
    const first = await openStore(t, server.url, { keyPrefix, events, clock })
    const { ref } = await claim(first)
    await server.command('DEL', `${keyPrefix}node`)
    const second = await openStore(t, server.url, { keyPrefix })
    const { ref: claimed } = await claim(second)

    const sink = new Recorder()
    const unit = unitOf('x', [targetOf(ref)])
    const settled = sink.settled(unit)
    first.write(unit, sink)

    t.is((await lost).code, 'in use')
    await settled
    t.deepEqual(sink.events, ['x failed: in use'])
    t.deepEqual(await waiting(second, claimed), [])
  },
)

redisTest(
  'a Redis that has lost what it had confirmed does not give out a number again',
  async (t) => {
    const server = await startServer(t)
    const keyPrefix = freshPrefix()
    const store = await openStore(t, server.url, { keyPrefix })
    const { ref } = await claim(store)
    await writeEach(store, ref, 'a', 'b', 'c')
    const group = (await server.command('KEYS', `${keyPrefix}*:q:c`)).match(/\{(\d+)\}/)![1]
    const queue = `${keyPrefix}{${group}}:q:c`
    await server.command('XTRIM', queue, 'MAXLEN', '0')
    await server.command('XSETID', queue, `${ref.incarnation}-1`)
    await server.command('HSET', `${keyPrefix}{0}:lane`, 'n', '1')

    t.deepEqual(await write(store, unitOf('d', [targetOf(ref)])), [4])
  },
)

redisTest(
  'when every session has ended nothing remains but what belongs to the store itself',
  async (t) => {
    const server = await startServer(t)
    const keyPrefix = freshPrefix()
    const store = await openStore(t, server.url, { keyPrefix })
    for (const name of ['a', 'b']) {
      const { ref } = await claim(store, name)
      await store.update(ref, { subscribe: [], expirySeconds: 3 })
      const publisher = { session: ref, packetIdentifier: 7 }
      await write(store, unitOf('x', [targetOf(ref)], { publisher, retain: 'set' }))
      await store.markReleased(ref, [1])
      await release(store, ref, 0)
    }
    await write(store, unitOf('x', [], { retain: 'clear' }))

    for (const key of ['meta', 'node', '{0}:lane'])
      await server.command('DEL', `${keyPrefix}${key}`)
    t.is(await server.command('DBSIZE'), ':0\r\n')
  },
)
