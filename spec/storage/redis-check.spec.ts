/** What `check` finds in a Redis where something else has been at work, and what it leaves. */

import { RedisServer } from '../support/redis-server.ts'
import { freshPrefix, openStore } from '../support/redis-store.ts'
import { redisTest, shared } from '../support/redis-test.ts'
import {
  claim,
  queueOf,
  retainedOf,
  sessionsOf,
  targetOf,
  unitOf,
  write,
} from './contract-support.ts'

const shareServer = shared(() => RedisServer.start())

/** The part that the keys of a client's session begin with. */
async function groupOf(server: RedisServer, prefix: string, client: string): Promise<string> {
  const keys = await server.command('KEYS', `${prefix}*:m:${client}`)
  return keys
    .split('\r\n')
    .find((line) => line.startsWith(prefix))!
    .slice(0, -`m:${client}`.length)
}

redisTest('in a store as the broker left it nothing is found', async (t) => {
  const server = await shareServer()
  const store = await openStore(t, server.url)
  const { ref } = await claim(store)
  const publisher = { session: ref, packetIdentifier: 7 }
  await write(store, unitOf('x', [targetOf(ref)], { publisher, retain: 'set' }))
  await store.markReleased(ref, [1])

  t.deepEqual(await store.check({ repair: false }), [])
})

redisTest(
  'what should not be there is found, counted, and removed if that is asked for',
  async (t) => {
    const server = await shareServer()
    const keyPrefix = freshPrefix()
    const store = await openStore(t, server.url, { keyPrefix })
    const { ref } = await claim(store)
    await claim(store, 'broken')
    await claim(store, 'unlisted')
    await write(store, unitOf('x', [targetOf(ref)], { retain: 'set' }))
    const group = await groupOf(server, keyPrefix, 'c')
    await server.command('XADD', `${group}q:c`, `${ref.incarnation}-*`, 'm', 'no frame')
    await server.command('ZADD', `${group}r:c`, '9', '9')
    await server.command('ZADD', `${group}sessions`, 'inf', 'nobody')
    await server.command('HSET', `${group}retained`, 'y', 'no frame')
    await server.command('HSET', `${group}i:nobody`, '1', 'd')
    await server.command('HSET', `${await groupOf(server, keyPrefix, 'broken')}m:broken`, 'v', '99')
    await server.command(
      'ZREM',
      `${await groupOf(server, keyPrefix, 'unlisted')}sessions`,
      'unlisted',
    )

    const found = [
      { what: 'sessions that cannot be read', count: 1 },
      { what: 'keys of sessions that do not exist', count: 1 },
      { what: 'sessions that are missing in the list of their group', count: 1 },
      { what: 'entries in the list of a group whose session does not exist', count: 1 },
      { what: 'marks of received messages that are no longer in their queue', count: 1 },
      { what: 'messages in queues that cannot be read', count: 1 },
      { what: 'retained messages that cannot be read', count: 1 },
    ]
    // `nobody` goes with its entry in the list.
    const repaired = found.filter(({ what }) => !what.startsWith('keys'))
    t.deepEqual(await store.check({ repair: false }), found)
    t.deepEqual(await store.check({ repair: true }), repaired)

    t.deepEqual(await store.check({ repair: false }), [])
    t.deepEqual(
      (await sessionsOf(store))
        .map((session) => session.ref.clientIdentifier)
        .toSorted((a, b) => (a < b ? -1 : 1)),
      ['c', 'unlisted'],
    )
    t.is((await queueOf(store, ref)).length, 1)
    t.is((await retainedOf(store)).length, 1)
  },
)
