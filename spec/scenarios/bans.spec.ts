/** Who tries passwords, or comes and goes without end, is kept out for a while; nobody else is. */

import test, { type ExecutionContext } from 'ava'
import type { AuthenticationExchange, Broker } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { type AnyPacket, type ConnectOptions, openClient } from '../support/client.ts'

const WRONG = 0x86
const BANNED = 0x8a

async function codeFor(
  t: ExecutionContext,
  broker: Broker,
  address: string,
  options: ConnectOptions = {},
): Promise<number> {
  const client = openClient(broker, options.version ?? 5, { address })
  client.connect(options)
  const { reasonCode, returnCode } = await client.expect(t, 'connack')
  if ((reasonCode ?? returnCode) === 0) {
    client.send({ cmd: 'disconnect' })
    await client.closed()
  }
  return reasonCode ?? returnCode
}

test('an address that guesses the password of a user may not be that user, who comes in from elsewhere', async (t) => {
  let asked = 0
  const authenticate = ({ password }: { password: Buffer | undefined }) => {
    asked++
    return password?.toString() === 'right'
  }
  const { broker, clock } = await startBroker(t, {
    hooks: { authenticate },
    bans: { failedLoginsMax: 3 },
  })
  const guess = { username: 'alice', password: 'wrong' }
  const right = { username: 'alice', password: 'right' }
  const [attacker, home] = ['2001:db8::66', '192.0.2.1']
  for (let i = 0; i < 4; i++) t.is(await codeFor(t, broker, attacker, guess), WRONG)

  t.is(await codeFor(t, broker, attacker, right), BANNED)
  t.is(await codeFor(t, broker, '2001:db8::67', { ...right, version: 4 }), 5)
  t.is(asked, 4)
  t.is(await codeFor(t, broker, home, right), 0)
  t.is(await codeFor(t, broker, attacker, { username: 'bob', password: 'right' }), 0)
  t.is(broker.counters.limitsReached.bans, 2)
  await clock.advance(300_000)
  t.is(await codeFor(t, broker, attacker, right), 0)
})

test('an address that guesses for many users is not even read, whatever it says', async (t) => {
  const { broker } = await startBroker(t, {
    hooks: { authenticate: () => false },
    bans: { failedLoginsPerAddressMax: 5 },
  })
  for (let i = 0; i < 6; i++) await codeFor(t, broker, '192.0.2.1', { username: `user-${i}` })

  const client = openClient(broker, 5, { address: '192.0.2.1' })

  t.deepEqual(await client.closed(), [])
  t.is(broker.counters.socketsOpened, 6)
})

test('a password that could not be compared is no wrong one', async (t) => {
  const { broker } = await startBroker(t, {
    hooks: { authenticate: () => ({ isAllowed: false, reasonCode: 0x89 }) },
    bans: { failedLoginsMax: 1 },
  })
  for (let i = 0; i < 5; i++)
    t.is(await codeFor(t, broker, '192.0.2.1', { username: 'alice' }), 0x89)
})

test('who has no user name where one is needed has guessed nothing', async (t) => {
  const { broker } = await startBroker(t, {
    hooks: { authenticate: () => undefined },
    bans: { failedLoginsMax: 1, failedLoginsPerAddressMax: 1 },
  })
  for (let i = 0; i < 5; i++) t.is(await codeFor(t, broker, '192.0.2.1'), 0x87)
})

test('failures of an enhanced authentication count as well', async (t) => {
  const next = () => ({ kind: 'failure' as const })
  const { broker } = await startBroker(t, {
    hooks: { authenticationMethods: { X: () => ({ next }) } },
    bans: { failedLoginsMax: 1 },
  })
  const options = { username: 'alice', properties: { authenticationMethod: 'X' } }
  const codes = []
  for (let i = 0; i < 3; i++) codes.push(await codeFor(t, broker, '192.0.2.1', options))

  t.deepEqual(codes, [0x87, 0x87, BANNED])
})

test('who is banned as the user of an exchange is not told whether its next guess is right', async (t) => {
  const begin = (): AuthenticationExchange => {
    let isFirst = true
    return {
      next(data) {
        const isChallenge = isFirst
        isFirst = false
        if (isChallenge) return { kind: 'continue', userName: 'alice' }
        const kind = String(data) === 'right' ? 'success' : 'failure'
        return { kind, userName: 'alice' }
      },
    }
  }
  const { broker } = await startBroker(t, {
    hooks: { authenticationMethods: { X: begin } },
    bans: { failedLoginsMax: 1 },
  })
  const answers: unknown[] = []
  for (const guess of ['a', 'b', 'wrong', 'right']) {
    const client = openClient(broker, 5, { address: '192.0.2.1' })
    client.connect({ properties: { authenticationMethod: 'X' } })
    const first = (await client.next()) as AnyPacket
    if (first.cmd === 'auth') {
      const properties = { authenticationMethod: 'X', authenticationData: Buffer.from(guess) }
      client.send({ cmd: 'auth', reasonCode: 0x18, properties })
      answers.push((await client.expect(t, 'connack'))['reasonCode'])
    } else answers.push([first.cmd, first['reasonCode']])
  }

  t.deepEqual(answers, [0x87, 0x87, ['connack', BANNED], ['connack', BANNED]])
})

test('a client that comes and goes without end is kept out where it does so', async (t) => {
  const { broker, clock } = await startBroker(t, { bans: { flappingMax: 3, durationSeconds: 30 } })
  const codes = []
  for (let i = 0; i < 5; i++)
    codes.push(await codeFor(t, broker, '192.0.2.1', { clientId: 'pump' }))

  t.deepEqual(codes, [0, 0, 0, BANNED, BANNED])
  t.is(await codeFor(t, broker, '192.0.2.2', { clientId: 'pump' }), 0)
  t.is(await codeFor(t, broker, '192.0.2.1', { clientId: 'other' }), 0)
  await clock.advance(30_000)
  t.is(await codeFor(t, broker, '192.0.2.1', { clientId: 'pump' }), 0)
})

test('who does not get in cannot have somebody else banned for flapping', async (t) => {
  const { broker } = await startBroker(t, {
    hooks: { authenticate: ({ userName }) => userName === 'alice' },
    bans: { flappingMax: 3 },
  })
  for (let i = 0; i < 10; i++) {
    await codeFor(t, broker, '192.0.2.1', { clientId: 'pump', username: 'mallory' })
  }

  t.is(await codeFor(t, broker, '192.0.2.1', { clientId: 'pump', username: 'alice' }), 0)
})

test('local tools and test suites are never banned', async (t) => {
  const { broker } = await startBroker(t, {
    hooks: { authenticate: () => false },
    bans: { failedLoginsMax: 1, failedLoginsPerAddressMax: 1, flappingMax: 1 },
  })
  for (const address of ['127.0.0.1', '::1', 'unix', 'memory']) {
    for (let i = 0; i < 5; i++) t.is(await codeFor(t, broker, address, { username: 'a' }), WRONG)
  }
})

test('the ban of an address for guessing leaves alone who is connected from there', async (t) => {
  const { broker } = await startBroker(t, {
    hooks: { authenticate: ({ userName }) => userName === 'alice' },
    bans: { failedLoginsPerAddressMax: 1 },
  })
  const alice = openClient(broker, 5, { address: '192.0.2.1' })
  alice.connect({ username: 'alice' })
  await alice.expect(t, 'connack', { reasonCode: 0 })

  for (let i = 0; i < 2; i++) await codeFor(t, broker, '192.0.2.1', { username: 'mallory' })

  await alice.settled()
  t.false(alice.isClosed)
})
