import test from 'ava'
import { type Account, AccountTable, IDLE_ACCOUNTS_MAX } from '../../lib/connection/account.ts'
import { AccountGroup } from '../../lib/connection/account-group.ts'
import { TokenBucket } from '../../lib/util/token-bucket.ts'
import { ManualClock } from '../support/clock.ts'

const limits = {
  connectionsPerSecond: 1,
  messagesInPerSecond: 0,
  bytesInPerSecond: 0,
  messagesOutPerSecond: 0,
  bytesOutPerSecond: 0,
  retainedMessagesMax: 0,
  retainedBytesMax: 0,
}

test('a bucket is full at first, is never fuller, and pays off what was taken too much', (t) => {
  const bucket = new TokenBucket(10, 2, 0)
  t.is(bucket.refill(60_000), 0)
  bucket.take(20)
  t.true(bucket.isEmpty)
  t.is(bucket.refill(60_000), 100)
  bucket.take(10)
  t.is(bucket.refill(60_500), 600)
  t.is(bucket.refill(61_100), 0)
  t.true(bucket.tryTake(61_100))
  t.false(bucket.tryTake(61_100))
})

test('so many accounts that have nothing are remembered; who has something is never forgotten', (t) => {
  const table = new AccountTable('address', limits, 5, new ManualClock())
  const groups = Array.from({ length: 100 }, (_, i) => {
    const group = new AccountGroup()
    group.add(table.of(`connected ${i}`))
    return group
  })
  const before = Array.from({ length: 100 }, (_, i) => table.of(`connected ${i}`))

  for (let i = 0; i < 3 * IDLE_ACCOUNTS_MAX; i++) table.of(`passing ${i}`)

  t.true(table.size <= IDLE_ACCOUNTS_MAX + 200, `${table.size}`)
  t.deepEqual(
    Array.from({ length: 100 }, (_, i) => table.of(`connected ${i}`)).map(
      (account, i) => account === before[i],
    ),
    before.map(() => true),
  )
  for (const group of groups) group.leave()
  t.true(before.every((account: Account) => account.isIdle))
})

test('a group leaves its accounts once, however often it is told to', (t) => {
  const account = new AccountTable('user', limits, 5, new ManualClock()).of('alice')
  const group = new AccountGroup()
  group.add(account)
  group.connect()
  group.connect()
  t.is(account.connections, 1)

  group.leave()
  group.leave()
  group.add(account)
  group.connect()

  t.is(account.connections, 0)
  t.is(account.users, 0)
})
