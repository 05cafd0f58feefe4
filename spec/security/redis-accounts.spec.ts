/** What is kept of accounts in memory, with a Redis that answers when a test says so. */

import test from 'ava'
import type { ClientInfo } from '../../lib/index.ts'
import type { Account } from '../../lib/security/redis/account.ts'
import { Accounts } from '../../lib/security/redis/accounts.ts'
import { AccountKeys } from '../../lib/security/redis/keys.ts'
import type { AccountsLink } from '../../lib/security/redis/link.ts'
import { parseRoles, RoleRules } from '../../lib/security/redis/role-rules.ts'
import { defer } from '../support/deferred.ts'
import { passwordHash } from '../support/redis-accounts.ts'

interface FakeRedis {
  /** User name → record. */
  readonly users: Map<string, object>
  /** How often it was asked. */
  asked: number
  /** An answer is read at once, and arrives when this resolves. */
  delay: Promise<void>
  readonly link: AccountsLink
}

function fakeRedis(users: Readonly<Record<string, object>>): FakeRedis {
  const redis = {
    users: new Map(Object.entries(users)),
    asked: 0,
    delay: Promise.resolve(),
  }
  const read = (name: string) => {
    const record = redis.users.get(name)
    return record === undefined ? null : JSON.stringify(record)
  }
  const client = {
    hget: async (_: string, name: string) => read(name),
    hmget: async (_: string, ...names: string[]) => names.map(read),
  }
  const ask = async (command: (one: typeof client) => Promise<unknown>) => {
    redis.asked++
    const { delay } = redis
    const answer = await command(client)
    await delay
    return answer
  }
  const link = { ask, keys: new AccountKeys('') } as unknown as AccountsLink
  return Object.assign(redis, { link })
}

const record = (roles: readonly string[] = []) => ({ password: passwordHash, roles })

function open(redis: FakeRedis, usersMax = 10): Accounts {
  return new Accounts({ link: redis.link, usersMax, complain() {} })
}

test('an account is asked for once, however many ask at once, and then is in memory', async (t) => {
  const redis = fakeRedis({ alice: record(['a']) })
  const accounts = open(redis)

  const found = await Promise.all([1, 2, 3].map(() => accounts.find('alice')))

  t.deepEqual(found[0]?.roles, ['a'])
  t.is(await accounts.find('alice'), found[0] as Account)
  t.is(redis.asked, 1)
})

test('names that there are not are not kept, unless their clients are connected', async (t) => {
  const redis = fakeRedis({})
  const accounts = open(redis, 2)
  for (let i = 0; i < 10; i++) t.is(await accounts.find(`stranger-${i}`), null)
  t.is(accounts.peek('stranger-9'), undefined)

  t.is(await accounts.findConnected('guest'), null)

  t.is(accounts.peek('guest'), null)
})

test('an answer that is on its way while the account changes is not used', async (t) => {
  const redis = fakeRedis({ alice: record(['old']) })
  const accounts = open(redis)
  const late = defer<void>()
  redis.delay = late.promise
  const finding = accounts.find('alice')
  await Promise.resolve()

  redis.users.set('alice', record(['new']))
  redis.delay = Promise.resolve()
  t.deepEqual([...(await accounts.refresh(new Set(['alice'])))], [])
  late.resolve()

  t.deepEqual((await finding)?.roles, ['new'])
  t.deepEqual(accounts.peek('alice')?.roles, ['new'])
})

test('whose credentials have changed has to go; other roles alone end nothing', async (t) => {
  const other = passwordHash.replace(/.{4}$/, 'AAAA')
  const redis = fakeRedis({ a: record(), b: record(), c: record(), d: record(), e: record() })
  const accounts = open(redis)
  for (const name of redis.users.keys()) await accounts.find(name)
  redis.users.set('a', record(['role']))
  redis.users.set('b', { ...record(), password: other })
  redis.users.set('c', { ...record(), enabled: false })
  redis.users.delete('d')

  t.deepEqual([...(await accounts.refreshAll())], ['b', 'c', 'd'])
  t.deepEqual([...(await accounts.refreshAll())], [])
  t.is(accounts.peek('d'), null)
})

test('once accounts had to make room, a change ends all clients of its user', async (t) => {
  const redis = fakeRedis({ alice: record(), bob: record() })
  const accounts = open(redis, 1)
  await accounts.find('alice')
  await accounts.find('bob')

  t.is(accounts.peek('alice'), undefined)
  t.deepEqual([...(await accounts.refresh(new Set(['alice'])))], ['alice'])
})

const alice: ClientInfo = {
  clientIdentifier: 'c',
  userName: 'alice',
  protocolVersion: 5,
  listener: 'tcp-0',
  address: '10.0.0.1',
  port: 1,
  certificateCommonName: undefined,
}

test('about a client whose account is in memory the answer is there at once', async (t) => {
  const redis = fakeRedis({ alice: record(['writers']) })
  const accounts = open(redis)
  const known = {
    peek: (name: string) => accounts.peek(name),
    find: (name: string) => accounts.findConnected(name),
  }
  const rules = new RoleRules(known, 'refuse')
  rules.use(parseRoles(new Map([['writers', 'allow write news/#']])))
  const publish = (topic: string) =>
    rules.authorizePublish(alice, { topic, qos: 0, retain: false, payload: Buffer.alloc(0) })

  t.true(publish('news/a') instanceof Promise)
  t.like(await publish('news/a'), { isAllowed: true, rule: 'role writers line 1' })
  t.like(publish('news/b'), { isAllowed: true })
  t.like(publish('x'), { isAllowed: false, rule: 'Redis: no rule allows it' })
  t.is(
    rules.authorizeSubscribe({ ...alice, userName: undefined }, { topicFilter: 'x', qos: 0 }),
    undefined,
  )
  t.is(redis.asked, 1)
})

test('of a subscription that roles allow in part each message is judged, once the account is in memory', async (t) => {
  const accounts = open(fakeRedis({ alice: record(['readers']) }))
  const known = {
    peek: (name: string) => accounts.peek(name),
    find: (name: string) => accounts.findConnected(name),
  }
  const rules = new RoleRules(known, 'filter')
  rules.use(parseRoles(new Map([['readers', 'deny read news/secret\nallow read news/#']])))
  const receive = (topic: string) => rules.authorizeReceive(alice, { topic, qos: 0 })

  t.is(receive('news/a'), false)
  t.like(await rules.authorizeSubscribe(alice, { topicFilter: 'news/#', qos: 0 }), {
    isAllowed: true,
    isFiltered: true,
  })
  t.like(receive('news/a'), { isAllowed: true })
  t.like(receive('news/secret'), { isAllowed: false, rule: 'role readers line 1' })
})

for (const [what, texts, sentence] of [
  ['a wrong line', [['a', 'allow read x\nallow']], /^role a line 2: /],
  ['a wrong line for everybody', [['*', 'alow read x']], /^rules for everybody line 1: /],
  ['too many rules', [['a', 'allow read x\n'.repeat(10_001)]], /more than 10000 rules/],
  ['too many roles', Array.from({ length: 1001 }, (_, i) => [`r${i}`, '']), /more than 1000 roles/],
] as [string, [string, string][], RegExp][]) {
  test(`${what} is refused in one sentence`, (t) => {
    t.throws(() => parseRoles(new Map(texts)), { name: 'RulesFault', message: sentence })
  })
}
