import { Buffer } from 'node:buffer'
import { tmpdir } from 'node:os'
import test from 'ava'
import type { Batch } from '../../lib/storage/embedded/batch.ts'
import { Committer, type CommitterHooks } from '../../lib/storage/embedded/committer.ts'
import type { Database } from '../../lib/storage/embedded/database.ts'
import type { StoreError } from '../../lib/storage/storage.ts'
import { ManualClock } from '../support/clock.ts'
import { type Deferred, defer } from '../support/deferred.ts'
import { nextTurn } from '../support/turns.ts'

/** A committer on a database whose transactions end as the test says. */
function makeCommitter(): {
  committer: Committer
  clock: ManualClock
  transactions: Deferred<Error | undefined>[]
  told: string[]
} {
  const transactions: Deferred<Error | undefined>[] = []
  const told: string[] = []
  const database = {
    batch: async (write: () => void) => {
      write()
      const transaction = defer<Error | undefined>()
      transactions.push(transaction)
      const error = await transaction.promise
      if (error !== undefined) throw error
    },
    put: () => {},
    remove: () => {},
    resetReadTxn: () => {},
  }
  const hooks: CommitterHooks = {
    beforeCommit: () => {},
    beforeReport: () => {},
    afterCommit: () => {},
    relieve: () => {},
    healthChanged: (isHealthy) => void told.push(`healthy ${isHealthy}`),
    lost: (error) => void told.push(`lost: ${error.message}`),
  }
  const clock = new ManualClock()
  // Of the database these alone are used.
  const committer = new Committer(database as unknown as Database, tmpdir(), clock, hooks)
  return { committer, clock, transactions, told }
}

function settled(batch: Batch): Promise<StoreError | undefined> {
  batch.remove(Buffer.from('key'))
  return new Promise((resolve) => batch.onSettled(resolve))
}

/** As lmdb fails: what went wrong is said by a promise that rejects of its own. */
function failure(code: number): Error {
  const reason = Object.assign(new Error('Input/output error'), { code })
  return Object.assign(new Error('Commit failed'), { commitError: Promise.reject(reason) })
}

test('a failure that is not for want of room fails what is pending, and all that comes', async (t) => {
  const { committer, transactions, told } = makeCommitter()
  const first = settled(committer.gather())
  await nextTurn()
  const second = settled(committer.gather())
  transactions[0]?.resolve(failure(5))

  t.is((await first)?.code, 'unavailable')
  t.is((await second)?.code, 'unavailable')
  t.is((await settled(committer.gather()))?.code, 'unavailable')
  t.is(transactions.length, 1)
  t.regex(told.join(), /^lost: The store in .* could not be written \(Input\/output error\)/)
  await committer.close()
})

test('a map that cannot grow is want of room, and the batch is tried again after a second', async (t) => {
  const { committer, clock, transactions, told } = makeCommitter()
  const first = settled(committer.gather())
  await nextTurn()
  transactions[0]?.resolve(failure(-30_792))
  while (committer.isHealthy) await nextTurn()
  while (transactions.length < 2) await clock.advance(1_000)
  transactions[1]?.resolve(undefined)

  t.is(await first, undefined)
  t.deepEqual(told, ['healthy false', 'healthy true'])
  await committer.close()
})

test('a disk that does not answer is told of, and that it answers again', async (t) => {
  const { committer, clock, transactions, told } = makeCommitter()
  const first = settled(committer.gather())
  await nextTurn()

  await clock.advance(9_999)
  t.deepEqual(told, [])
  await clock.advance(1)
  t.deepEqual(told, ['healthy false'])
  transactions[0]?.resolve(undefined)

  t.is(await first, undefined)
  t.deepEqual(told, ['healthy false', 'healthy true'])
  await committer.close()
})

test('what turns gather while a batch is on its way leaves as the next one', async (t) => {
  const { committer, transactions } = makeCommitter()
  const first = settled(committer.gather())
  await nextTurn()
  const others = [settled(committer.gather())]
  await nextTurn()
  others.push(settled(committer.gather()))
  t.is(transactions.length, 1)
  transactions[0]?.resolve(undefined)
  await first
  while (transactions.length < 2) await nextTurn()
  transactions[1]?.resolve(undefined)

  t.deepEqual(await Promise.all(others), [undefined, undefined])
  t.is(transactions.length, 2)
  await committer.close()
})
