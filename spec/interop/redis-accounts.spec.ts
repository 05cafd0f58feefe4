/** Accounts in a real Redis, shared by brokers that MQTT.js connects to. */

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import type { IClientOptions } from 'mqtt'
import { ScramLogin } from '../../lib/cli/scram-login.ts'
import { type Broker, ConfigurationError, type CreateBrokerOptions } from '../../lib/index.ts'
import { hashPassword } from '../../lib/security/password-hash.ts'
import { hashForScram } from '../../lib/security/scram/keys.ts'
import { openTcpClient } from '../support/client.ts'
import {
  connectMqttJs,
  type MqttJsClient,
  speaking,
  startListeningBroker,
} from '../support/mqtt-js.ts'
import { temporaryDirectory } from '../support/processes.ts'
import { type RecordingLogger, recordingLogger } from '../support/recording-logger.ts'
import { PASSWORD, RedisAccounts } from '../support/redis-accounts.ts'
import { RedisCluster, SentinelSetup } from '../support/redis-cluster.ts'
import { RedisServer } from '../support/redis-server.ts'
import { redisTest, serialRedisTest, shared } from '../support/redis-test.ts'

const server = shared(() => RedisServer.start())

/** A server of a test's own, to be killed. */
async function ownServer(t: ExecutionContext): Promise<RedisServer> {
  const own = await RedisServer.start(['--appendonly', 'yes'])
  t.teardown(() => own.remove())
  return own
}

interface House {
  readonly broker: Broker
  readonly url: string
  readonly log: RecordingLogger
  readonly enter: (userName: string, options?: IClientOptions) => Promise<MqttJsClient>
}

async function open(
  t: ExecutionContext,
  accounts: RedisAccounts,
  security: CreateBrokerOptions['security'] = {},
): Promise<House> {
  const log = recordingLogger()
  const { broker, urls } = await startListeningBroker(t, {
    security: {
      redisUrl: accounts.url,
      redisKeyPrefix: accounts.keyPrefix,
      redisTimeoutMs: 10_000,
      ...security,
    },
    logger: log,
  })
  const enter = async (userName: string, options: IClientOptions = {}) => {
    const account = { username: userName, password: PASSWORD }
    const { client } = await connectMqttJs(t, urls.tcp, { ...speaking(5), ...account, ...options })
    return client
  }
  return { broker, url: urls.tcp, log, enter }
}

/** Publishes at QoS 1; the reason code of the answer, `allowed` if there is no other. */
function publish({ client }: MqttJsClient, topic: string): Promise<number> {
  return new Promise((resolve) => {
    const take = (packet: { cmd: string; reasonCode?: number }) => {
      if (packet.cmd !== 'puback') return
      client.off('packetreceive', take)
      const { reasonCode = 0 } = packet
      resolve(reasonCode < 0x80 ? allowed : reasonCode)
    }
    client.on('packetreceive', take)
    client.publish(topic, 'x', { qos: 1 }, () => {})
  })
}

/** Subscribes at QoS 1; the code of the answer. */
function subscribe({ client }: MqttJsClient, topicFilter: string): Promise<number> {
  return new Promise((resolve, reject) =>
    client.subscribe(topicFilter, { qos: 1 }, (error, _granted, packet) => {
      const code = packet?.granted[0]
      if (code === undefined) reject(error ?? new Error('no SUBACK'))
      else resolve(code as number)
    }),
  )
}

/** The reason code of the DISCONNECT that comes. */
function ended({ client }: MqttJsClient): Promise<number | undefined> {
  return new Promise((resolve) => {
    client.once('disconnect', ({ reasonCode }) => resolve(reasonCode))
  })
}

/** The code with which a CONNECT is refused. */
async function refusal(entering: Promise<unknown>): Promise<number | undefined> {
  return entering.then(
    () => undefined,
    (error: { code: number }) => error.code,
  )
}

/** Enters as soon as the broker has heard of it: a moment after Redis. */
async function enterSoon({ enter }: Pick<House, 'enter'>, userName: string): Promise<MqttJsClient> {
  for (;;) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- Until it is let in.
      return await enter(userName)
    } catch (error) {
      if ((error as { code?: number }).code === 0x88) throw error
    }
  }
}

async function accountsOf(t: ExecutionContext, url?: string): Promise<RedisAccounts> {
  const accounts = await RedisAccounts.open(t, url ?? (await server()).url)
  await accounts.add('alice', ['operators'])
  await accounts.add('bob')
  await accounts.setRole('operators', 'deny write plant/secret\nallow all plant/#\n')
  await accounts.setRulesForEverybody('allow read plant/public\nallow all home/%u/#\n')
  return accounts
}

/** Whatever says yes: 0x10 does too, where nobody has subscribed. */
const allowed = 0

redisTest('two brokers share users, their roles and the rules for everybody', async (t) => {
  const accounts = await accountsOf(t)
  const houses = [await open(t, accounts), await open(t, accounts)]

  for (const { enter, log } of houses) {
    const [alice, bob] = [await enter('alice'), await enter('bob')]
    t.is(await publish(alice, 'plant/x'), allowed)
    t.is(await publish(alice, 'plant/secret'), 0x87)
    t.is(await publish(alice, 'home/alice/x'), allowed)
    t.is(await publish(bob, 'plant/x'), 0x87)
    t.is(await publish(bob, 'home/alice/x'), 0x87)
    t.is(await subscribe(bob, 'plant/public'), 1)
    t.is(await subscribe(bob, 'plant/#'), 0x87)
    t.is(await refusal(enter('alice', { password: 'wrong' })), 0x86)
    t.is(await refusal(enter('mallory')), 0x86)
    const rules = log.find('publish denied').map(({ fields }) => fields['rule'])
    t.deepEqual(rules, [
      'role operators line 1',
      'Redis: no rule allows it',
      'Redis: no rule allows it',
    ])
  }
})

for (const [what, change] of [
  ['gets another password', (accounts) => setOther(accounts)],
  ['is disabled', (accounts) => accounts.setEnabled('alice', false)],
  ['is removed', (accounts) => accounts.remove('alice')],
] as [string, (accounts: RedisAccounts) => Promise<void>][]) {
  redisTest(`a user who ${what} is disconnected from every broker at once`, async (t) => {
    const accounts = await accountsOf(t)
    const houses = [await open(t, accounts), await open(t, accounts)]
    const clients = await Promise.all(houses.map(({ enter }) => enter('alice')))
    const bob = await (houses[0] as House).enter('bob')
    const ends = clients.map(ended)

    await change(accounts)

    t.deepEqual(await Promise.all(ends), [0x87, 0x87])
    t.is(await publish(bob, 'home/bob/x'), allowed)
    for (const { enter } of houses) t.not(await refusal(enter('alice')), undefined)
  })
}

async function setOther(accounts: RedisAccounts): Promise<void> {
  await accounts.setPassword('alice', await hashPassword(Buffer.from('other'), 10))
}

redisTest(
  'a user who was refused as unknown or disabled may come in the moment this changes',
  async (t) => {
    const accounts = await accountsOf(t)
    const { enter, log } = await open(t, accounts)
    await accounts.setEnabled('bob', false)
    t.is(await refusal(enter('carol')), 0x86)

    await accounts.add('carol')
    await accounts.setEnabled('bob', true)

    const carol = await enter('carol')
    await enterSoon({ enter }, 'bob')
    // What the broker read was the newest already: the news of it disturb nobody.
    t.is(await publish(carol, 'home/carol/x'), allowed)
    t.deepEqual(log.find('client disconnected'), [])
  },
)

redisTest(
  'changed roles and rules are in force at once, for running subscriptions too, on every broker',
  async (t) => {
    const accounts = await accountsOf(t)
    const houses = [await open(t, accounts), await open(t, accounts)]
    const clients = await Promise.all(houses.map(({ enter }) => enter('bob')))
    for (const bob of clients) t.is(await publish(bob, 'plant/x'), 0x87)

    const granted = houses.map(({ enter }) => enter('alice'))
    const alices = await Promise.all(granted)
    for (const alice of alices) t.is(await subscribe(alice, 'plant/public'), 1)
    for (const alice of alices) t.is(await subscribe(alice, 'plant/x'), 1)
    const gone = houses.map(({ broker }) => once(broker, 'unsubscribed'))
    await accounts.setRoles('alice', [])
    for (const one of gone) t.is((await one)[1], 'plant/x')
    for (const alice of alices) t.is(await publish(alice, 'plant/y'), 0x87)

    await accounts.setRoles('bob', ['operators'])
    await accounts.setRole('operators', 'allow all factory/#\n')
    const closed = houses.map(({ broker }) => once(broker, 'unsubscribed'))
    await accounts.setRulesForEverybody('allow all home/%u/#\n')
    for (const one of closed) t.is((await one)[1], 'plant/public')
    for (const bob of clients) {
      t.is(await publish(bob, 'factory/x'), allowed)
      t.is(await publish(bob, 'plant/x'), 0x87)
    }
  },
)

for (const name of ['x:y', '*', '{accounts}:roles', '__proto__', 'constructor', '#', 'a b', 'ü']) {
  redisTest(`a user may be called ${name}, and is none but that one`, async (t) => {
    const accounts = await accountsOf(t)
    await accounts.setRulesForEverybody('allow write news user=bob\n')
    const { enter } = await open(t, accounts)
    t.is(await refusal(enter(name)), 0x86)

    await accounts.add(name)
    const client = await enter(name)

    t.is(await publish(client, 'news'), 0x87)
    t.is(await publish(client, 'plant/x'), 0x87)
    const gone = ended(client)
    await accounts.remove(name)
    t.is(await gone, 0x87)
    await enter('alice')
  })
}

redisTest(
  'while Redis is away, those in memory go on, others are told that the server is unavailable',
  async (t) => {
    const own = await ownServer(t)
    const accounts = await accountsOf(t, own.url)
    const { enter, log } = await open(t, accounts)
    const alice = await enter('alice')
    t.is(await publish(alice, 'plant/x'), allowed)

    await own.kill()
    await log.next('Redis with the accounts is away: users that are not in memory are refused')

    t.is(await publish(alice, 'plant/x'), allowed)
    t.is(await publish(alice, 'plant/secret'), 0x87)
    const again = await enter('alice')
    t.is(await subscribe(again, 'plant/#'), 1)
    t.is(await refusal(enter('alice', { password: 'wrong' })), 0x86)
    t.is(await refusal(enter('bob')), 0x88)
    t.is(await refusal(enter('bob', speaking(4))), 3)
    const { rule, hint } = await log.next('connection refused')
    t.is(rule, 'account in Redis: wrong password')
    const unavailable = await log.next('connection refused')
    t.regex(String(unavailable['rule']), /^accounts: Redis at 127\.0\.0\.1:\d+ is away$/)
    t.truthy(hint)

    await own.start()
    await log.next('Redis with the accounts is back')
    const gone = ended(alice)
    await enter('bob')
    await accounts.remove('alice')
    t.is(await gone, 0x87)
    t.is(log.lines.filter(({ level }) => level === 'error').length, 1)
  },
)

serialRedisTest('a Redis that says nothing keeps no CONNECT waiting', async (t) => {
  const own = await ownServer(t)
  const { enter, log } = await open(t, await accountsOf(t, own.url), { redisTimeoutMs: 1000 })
  const alice = await enter('alice')
  own.pause()
  t.teardown(() => own.continue())

  const begin = performance.now()
  t.is(await refusal(enter('bob')), 0x88)
  t.true(performance.now() - begin < 10_000)
  t.is(await publish(alice, 'plant/x'), allowed)
  await log.next('Redis with the accounts is away: users that are not in memory are refused')

  own.continue()
  await log.next('Redis with the accounts is back')
  await enter('bob')
})

redisTest(
  'a Redis that has lost the accounts is as one that is away, until it has them again',
  async (t) => {
    const own = await ownServer(t)
    const accounts = await accountsOf(t, own.url)
    const { enter, log } = await open(t, accounts)
    const alice = await enter('alice')
    const { users, roles, changes } = accounts.keys
    const kept = `${accounts.keyPrefix}kept`
    for (const key of [users, roles, changes]) await own.command('RENAME', key, `${kept}${key}`)

    const { rule } = await log.next(
      'Redis with the accounts is away: users that are not in memory are refused',
    )
    t.regex(String(rule), /^there are no accounts in Redis at .* under .*\{accounts\}:users$/)
    t.is(await publish(alice, 'plant/x'), allowed)
    t.is(await refusal(enter('bob')), 0x88)

    for (const key of [users, roles, changes]) await own.command('RENAME', `${kept}${key}`, key)
    await log.next('Redis with the accounts is back')
    await enter('bob')
    t.is(await publish(alice, 'plant/x'), allowed)
  },
)

redisTest('a broker that may have missed changes reads everything again', async (t) => {
  const accounts = await accountsOf(t)
  const { enter, log } = await open(t, accounts)
  const [alice, bob] = [await enter('alice'), await enter('bob')]
  const gone = ended(alice)
  const { users, roles, changes } = accounts.keys

  // What others did meanwhile, of which the stream has only the end.
  const script = `
    redis.call('HDEL', KEYS[1], 'alice')
    redis.call('HSET', KEYS[2], '*', 'allow write plant/#')
    for i = 1, 3 do redis.call('XADD', KEYS[3], '*', 'change', 'credentials', 'name', 'nobody') end
    redis.call('XTRIM', KEYS[3], 'MAXLEN', '=', 1)`
  await (await server()).command('EVAL', script, '3', users, roles, changes)

  t.is(await gone, 0x87)
  await log.next('all accounts of Redis were read again')
  t.is(await refusal(enter('alice')), 0x86)
  t.is(await publish(bob, 'plant/x'), allowed)
})

redisTest(
  'rules that are wrong change nothing and are told; an account that is wrong keeps its user out',
  async (t) => {
    const accounts = await accountsOf(t)
    const { enter, log } = await open(t, accounts)
    const [alice, bob] = [await enter('alice'), await enter('bob')]
    const redis = await server()
    const { roles, users, changes } = accounts.keys
    const note = (change: string, name: string) =>
      redis.command('XADD', changes, '*', 'change', change, 'name', name)

    await redis.command('HSET', roles, 'operators', 'allow all plant/#\nalow read x')
    await note('rules', 'operators')
    const { rule } = await log.next('changed rules in Redis cannot be used: those before stay')

    t.is(rule, 'role operators line 2: a rule begins with allow or deny; did you mean allow?')
    t.is(await publish(alice, 'plant/secret'), 0x87)
    t.is(await publish(alice, 'plant/x'), allowed)

    const gone = ended(bob)
    await redis.command('HSET', users, 'bob', '{"password":"pencil"}')
    await note('credentials', 'bob')

    t.is(await gone, 0x87)
    t.is(await refusal(enter('bob')), 0x86)
    t.like(await log.next('an account in Redis cannot be read'), {
      user: 'bob',
      rule: 'the password is not hashed: set it with noctule user passwd',
    })

    await accounts.setRole('operators', 'allow all plant/#\n')
    await accounts.setPassword('bob', await hashPassword(Buffer.from(PASSWORD), 10))
    await enterSoon({ enter }, 'bob')
    t.is(await publish(alice, 'plant/secret'), allowed)
  },
)

redisTest('clients whose accounts have no place in memory are served all the same', async (t) => {
  const accounts = await accountsOf(t)
  const { enter, broker } = await open(t, accounts, { redisUsersMax: 1 })
  const clients = [await enter('alice'), await enter('bob'), await enter('alice')]
  await accounts.setRulesForEverybody('allow all home/%u/#\nallow write news\n')

  for (const [i, name] of ['alice', 'bob', 'alice'].entries()) {
    const client = clients[i] as MqttJsClient
    t.is(await publish(client, `home/${name}/x`), allowed)
    t.is(await publish(client, 'plant/x'), name === 'alice' ? allowed : 0x87)
  }
  const [alice, bob] = clients as [MqttJsClient, MqttJsClient]
  t.is(await subscribe(alice, 'plant/x'), 1)
  t.is(await publish(bob, 'home/bob/y'), allowed)
  const gone = once(broker, 'unsubscribed')
  await accounts.setRoles('alice', [])
  t.is((await gone)[1], 'plant/x')
  t.is(await publish(alice, 'plant/y'), 0x87)
  const ends = clients.filter((_, i) => i !== 1).map(ended)
  await accounts.remove('alice')
  t.deepEqual(await Promise.all(ends), [0x87, 0x87])
})

redisTest(
  'a client that is asked about message by message goes on, though its account has no place in memory',
  async (t) => {
    const accounts = await accountsOf(t)
    await accounts.setRulesForEverybody('deny read news/secret\nallow read news/#\n')
    const security = { redisUsersMax: 1, aclPartlyReadable: 'filter' } as const
    const { enter, broker } = await open(t, accounts, security)
    const bob = await enter('bob')
    t.is(await subscribe(bob, 'news/#'), 1)
    const alice = await enter('alice')
    const gone = ended(alice)
    await accounts.remove('alice')
    await gone

    const received: string[] = []
    bob.client.on('message', (topic) => received.push(topic))
    for (let i = 0; i < 1000 && received.length === 0; i++) {
      await broker.publish({ topic: 'news/a', payload: '' })
      await new Promise((resolve) => setImmediate(resolve))
    }
    t.is(received[0], 'news/a')
  },
)

redisTest(
  'beside a password file and an ACL file, Redis decides about what it knows',
  async (t) => {
    const accounts = await RedisAccounts.open(t, (await server()).url)
    await accounts.add('alice', ['operators'])
    await accounts.add('bob')
    await accounts.setRole('operators', 'allow all plant/#\n')
    const folder = temporaryDirectory(t)
    const [passwordFile, aclFile] = [join(folder, 'passwords'), join(folder, 'acl.conf')]
    writeFileSync(passwordFile, `dora:${await hashPassword(Buffer.from('own'), 10)}\n`)
    writeFileSync(aclFile, 'allow all file/#\n')
    const { enter } = await open(t, accounts, { passwordFile, aclFile, allowAnonymous: true })

    for (const [userName, options, topic] of [
      ['alice', {}, 'plant/x'],
      ['bob', {}, 'file/x'],
      ['dora', { password: 'own' }, 'file/x'],
    ] as const) {
      const client = await enter(userName, options)
      t.is(await publish(client, topic), allowed, userName)
      t.is(await publish(client, topic === 'file/x' ? 'plant/x' : 'file/x'), 0x87, userName)
    }
    t.is(await refusal(enter('mallory')), 0x86)
  },
)

redisTest('a dry run logs what the rules of Redis would refuse, and refuses nothing', async (t) => {
  const accounts = await accountsOf(t)
  const { enter, log } = await open(t, accounts, { aclDryRun: true })
  const bob = await enter('bob')

  t.is(await publish(bob, 'plant/x'), allowed)
  t.like(await log.next('would be refused'), { user: 'bob', topic: 'plant/x' })
})

/** Goes through an exchange of SCRAM; the challenge, and the code of the last answer. */
async function scram(
  t: ExecutionContext,
  { url }: Pick<House, 'url'>,
  userName: string,
): Promise<{ readonly challenge: string; readonly reasonCode: number }> {
  const password = Buffer.from(PASSWORD)
  const login = await ScramLogin.of({ method: 'SCRAM-SHA-256', userName, password })
  const authenticationMethod = login.method
  const client = await openTcpClient(t, Number(new URL(url).port))
  client.connect({ properties: { authenticationMethod, authenticationData: login.begin() } })
  const first = await client.next()
  if (first?.cmd !== 'auth') return { challenge: '', reasonCode: first?.['reasonCode'] as number }
  const challenge = first['properties'].authenticationData as Buffer
  const authenticationData = await login.answer(challenge)
  client.send({
    cmd: 'auth',
    reasonCode: 0x18,
    properties: { authenticationMethod, authenticationData },
  })
  const { reasonCode } = await client.expect(t, 'connack')
  return { challenge: String(challenge), reasonCode: reasonCode as number }
}

redisTest(
  'SCRAM serves accounts in Redis; every broker challenges an unknown user alike',
  async (t) => {
    const accounts = await accountsOf(t)
    await accounts.add('dora', [], await hashForScram(Buffer.from(PASSWORD), 'SCRAM-SHA-256', 12))
    const challenges: string[] = []
    for (let i = 0; i < 2; i++) {
      const house = await open(t, accounts, { scram: ['SCRAM-SHA-256'] })
      t.is((await scram(t, house, 'dora')).reasonCode, 0)
      const { challenge, reasonCode } = await scram(t, house, 'mallory')
      t.is(reasonCode, 0x86)
      challenges.push(/s=.*$/.exec(challenge)?.[0] ?? '')
    }
    t.regex(challenges[0] ?? '', /^s=[^,]+,i=4096$/)
    t.is(challenges[0], challenges[1])
  },
)

redisTest(
  'by SCRAM too, the first that knows a user decides, and an away Redis is told of',
  async (t) => {
    const own = await ownServer(t)
    const accounts = await accountsOf(t, own.url)
    for (const name of ['dora', 'emil']) {
      await accounts.add(name, [], await hashForScram(Buffer.from(PASSWORD), 'SCRAM-SHA-256', 12))
    }
    const passwordFile = join(temporaryDirectory(t), 'passwords')
    writeFileSync(passwordFile, `dora:${await hashPassword(Buffer.from('own'), 10)}\n`)
    const house = await open(t, accounts, { passwordFile, scram: ['SCRAM-SHA-256'] })
    const answerTo = async (userName: string) => (await scram(t, house, userName)).reasonCode

    t.is(await answerTo('emil'), 0)
    t.is(await answerTo('dora'), 0x86)
    await own.kill()
    await house.log.next(
      'Redis with the accounts is away: users that are not in memory are refused',
    )
    t.is(await answerTo('emil'), 0)
    t.is(await answerTo('nobody'), 0x88)
  },
)

redisTest('several who change the same account at once all succeed', async (t) => {
  const accounts = await accountsOf(t)
  const roles = Array.from({ length: 10 }, (_, i) => `role-${i}`)

  await Promise.all(
    roles.map((role) =>
      accounts.administration.changeAccount('bob', 'roles', (record) => ({
        password: '',
        enabled: true,
        ...record,
        roles: [...(record?.roles ?? []), role],
      })),
    ),
  )

  const { roles: granted = [], password } = (await accounts.administration.account('bob')) ?? {}
  t.deepEqual(granted.toSorted(), roles)
  t.regex(password ?? '', /^\$scrypt\$/)
})

redisTest('accounts in a Redis Cluster', async (t) => {
  const cluster = await RedisCluster.start()
  t.teardown(() => cluster.remove())
  const accounts = await accountsOf(t, cluster.url)
  const houses = [await open(t, accounts), await open(t, accounts)]
  const clients = await Promise.all(houses.map(({ enter }) => enter('alice')))

  for (const alice of clients) t.is(await publish(alice, 'plant/x'), allowed)
  await accounts.setRole('operators', 'allow all factory/#\n')
  const ends = clients.map(ended)
  await accounts.remove('alice')

  t.deepEqual(await Promise.all(ends), [0x87, 0x87])
})

redisTest('accounts behind Sentinels outlive their server', async (t) => {
  const setup = await SentinelSetup.start()
  t.teardown(() => setup.remove())
  const accounts = await accountsOf(t, setup.url)
  const { enter, log } = await open(t, accounts)
  const alice = await enter('alice')
  while (!(await setup.replica.command('HEXISTS', accounts.keys.roles, '*')).includes(':1')) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }

  await setup.master.kill()
  await setup.untilMaster(setup.replica)
  await log.next('Redis with the accounts is back')

  t.is(await publish(alice, 'plant/x'), allowed)
  await enter('bob')
  const gone = ended(alice)
  await removeOnceBack(accounts)
  t.is(await gone, 0x87)
})

/** Its own connection finds the new server in its own time. */
async function removeOnceBack(accounts: RedisAccounts): Promise<void> {
  for (;;) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- Until it is back.
      await accounts.remove('alice')
      return
    } catch {
      // oxlint-disable-next-line no-await-in-loop -- As above.
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

redisTest(
  'a broker does not start without its accounts, and says why in one sentence',
  async (t) => {
    const { url } = await server()
    const accounts = await RedisAccounts.open(t, url)
    const start = (security: CreateBrokerOptions['security']) =>
      t.throwsAsync(startListeningBroker(t, { security: { redisTimeoutMs: 500, ...security } }), {
        instanceOf: ConfigurationError,
      })
    const redisKeyPrefix = accounts.keyPrefix

    t.regex(
      (await start({ redisUrl: 'redis://:geheim@127.0.0.1:1' }))?.message ?? '',
      /^security\.redisUrl: Redis at 127\.0\.0\.1:1 cannot be reached: connect ECONNREFUSED/,
    )
    t.regex(
      (await start({ redisUrl: url, redisKeyPrefix }))?.message ?? '',
      /^security\.redisUrl: there are no accounts in Redis at .* Make the first with: noctule user add NAME --redis URL$/,
    )
    await accounts.add('alice')
    await (await server()).command('HSET', accounts.keys.roles, 'operators', 'alow x')
    t.regex(
      (await start({ redisUrl: url, redisKeyPrefix }))?.message ?? '',
      /^security\.redisUrl: role operators line 1: a rule begins with allow or deny/,
    )
    t.regex(
      (await start({ redisUrl: 'http://x' }))?.message ?? '',
      /redisUrl must be a Redis: redis, /,
    )
  },
)

redisTest('a broker without a rule in Redis says that users may do nothing', async (t) => {
  const accounts = await RedisAccounts.open(t, (await server()).url)
  await accounts.add('alice')

  const { enter, log } = await open(t, accounts)

  t.is(log.lines.filter(({ message }) => message.startsWith('there is no rule in Redis')).length, 1)
  t.is(await publish(await enter('alice'), 'x'), 0x87)
})
