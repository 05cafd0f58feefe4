import test from 'ava'
import { openEmbeddedForReading } from '../../lib/storage/embedded/embedded-reader.ts'
import type { SessionRef } from '../../lib/storage/storage.ts'
import { seededRandom } from '../../lib/util/random.ts'
import { NEVER } from './contract-support.ts'
import { openEmbedded, storeDirectory } from './embedded-support.ts'
import { Account, Writer } from './writer-process.ts'

const SEED = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
const ROUNDS = Number(process.env['ROUNDS'] ?? 6)

test(`whatever was reported is there after the process was killed, and numbers go on (SEED=${SEED})`, async (t) => {
  t.log(`SEED=${SEED}`)
  const directory = storeDirectory(t)
  const account = new Account()
  const random = seededRandom(SEED)

  for (let round = 0; round < ROUNDS; round++) {
    const count = account.count + 1 + random.below(3_000)
    const writer = new Writer(t, account, [directory, 10, 200, 200])
    await writer.written(count)
    await writer.kill()

    const store = await openEmbedded(t, directory)
    t.deepEqual(await account.compare(store), [])
    t.deepEqual(await store.check({ repair: false }), [])
    await store.close()
  }
})

test('a tool reads what a broker in another process has made durable, while its file grows', async (t) => {
  const directory = storeDirectory(t)
  const account = new Account()
  const writer = new Writer(t, account, [directory, 2, 100, 2_000])
  await writer.written(100)
  const reader = await openEmbeddedForReading(directory)
  t.teardown(() => reader.close())
  const sessions = new Map<string, SessionRef>()
  reader.replay((item) => {
    if (item.kind === 'session') sessions.set(item.session.ref.clientIdentifier, item.session.ref)
  }, 0)

  for (const count of [500, 2_000, 6_000]) {
    await writer.written(count)
    const done = [...(account.done.get('0') ?? [])]
    const entries = reader.readQueue(sessions.get('s0')!, 0, NEVER, NEVER)
    const numbers = new Map(entries.map(({ seq, body }) => [seq, body.readDoubleBE(0)]))
    t.deepEqual(
      done.filter(([seq, number]) => numbers.get(seq) !== number),
      [],
    )
  }
  t.is(reader.damagedRecords, 0)
})

test(`a broker that was killed leaves the directory free at once (SEED=${SEED})`, async (t) => {
  const directory = storeDirectory(t)
  const account = new Account()
  const writer = new Writer(t, account, [directory, 1, 1, 8])
  await writer.written(1)
  await t.throwsAsync(openEmbedded(t, directory), {
    code: 'in use',
    message: new RegExp(`process ${writer.child.pid}`),
  })
  await writer.kill()

  const store = await openEmbedded(t, directory)
  t.deepEqual(await account.compare(store), [])
})
