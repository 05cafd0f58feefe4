import test from 'ava'
import { seededRandom } from '../../lib/util/random.ts'
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
