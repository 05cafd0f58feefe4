/** What a hook of the host program grants with its yes: a name, an end, and rules for that client alone. */

import { once } from 'node:events'
import test from 'ava'
import type { AccessHooks, Admission, AuthenticationStep } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { type ConnectOptions, connectClient, openClient } from '../support/client.ts'
import { defer, turns } from '../support/deferred.ts'
import { recordingLogger } from '../support/recording-logger.ts'

/** A hook that grants what the password names. */
const granting = (grants: Record<string, Partial<Admission>>): AccessHooks => ({
  authenticate: ({ password }) => ({ isAllowed: true, ...grants[String(password)] }),
})

const as = (password: string, options: ConnectOptions = {}): ConnectOptions => ({
  username: 'someone',
  password,
  ...options,
})

const forEver = { clean: false, properties: { sessionExpiryInterval: 0xffff_ffff } }

test('a hook that answers authenticate names the user for rules, events and the log', async (t) => {
  const seen: (string | undefined)[] = []
  const hooks: AccessHooks = {
    ...granting({ token: { userName: 'alice' } }),
    authorizePublish: ({ userName }) => {
      seen.push(userName)
      return true
    },
  }
  const logger = recordingLogger()
  const { broker } = await startBroker(t, { hooks, logger })
  broker.on('connected', ({ userName }) => seen.push(userName))

  const client = await connectClient(t, broker, as('token', { will: { topic: 'will' } }))
  client.publish('a', 'x')
  await client.settled()

  t.deepEqual(seen, ['alice', 'alice', 'alice'])
  t.is(logger.find('client connected')[0]?.fields['user'], 'alice')
})

for (const version of [4, 5] as const) {
  test(`what a hook grants for a while ends the connection then, in version ${version}`, async (t) => {
    const logger = recordingLogger()
    const expiresAt = 1_700_000_060_000
    const { broker, clock } = await startBroker(t, {
      hooks: granting({ token: { expiresAt } }),
      logger,
    })
    const client = await connectClient(t, broker, as('token', { version }))

    await clock.advance(59_999)
    t.deepEqual(await client.settled(), [])
    await clock.advance(1)

    const packets = await client.closed()
    t.deepEqual(
      packets.map(({ cmd, reasonCode }) => [cmd, reasonCode]),
      version === 5 ? [['disconnect', 0xa0]] : [],
    )
    t.regex(String(logger.find('client disconnected')[0]?.fields['rule']), /has expired/)
  })
}

test('who left is not ended by what it was granted, nor who came in its place', async (t) => {
  const grants = { short: { expiresAt: 1_700_000_001_000 }, long: {} }
  const { broker, clock } = await startBroker(t, { hooks: granting(grants) })
  await connectClient(t, broker, as('short', { clientId: 'c' }))
  const second = await connectClient(t, broker, as('long', { clientId: 'c' }))

  await clock.advance(10_000)

  t.deepEqual(await second.settled(), [])
})

for (const expiresAt of [1_700_000_000_000, Number.NaN]) {
  test(`a grant that ends at ${expiresAt} lets nobody in`, async (t) => {
    const { broker } = await startBroker(t, { hooks: granting({ token: { expiresAt } }) })
    const client = openClient(broker)
    client.connect(as('token'))

    await client.expect(t, 'connack', { reasonCode: 0x87 })
  })
}

for (const [form, acl] of [
  ['filters', { publish: ['home/%u/#', 'say "it"/x', 'two\\n/\t'], subscribe: ['home/#'] }],
  [
    'rules',
    [
      'deny write home/%u/key',
      'allow write home/%u/#',
      'allow write "say \\"it\\"/x"',
      'allow write two\\n/"\t"',
      'allow read home/#',
    ],
  ],
] as const) {
  test(`a client with ${form} of its own may do that, and nothing else`, async (t) => {
    const hooks = granting({ token: { userName: 'alice', acl }, other: {} })
    const { broker } = await startBroker(t, { hooks })
    const client = await connectClient(t, broker, as('token'))
    const heard: string[] = []
    broker.subscribe('#', ({ topic }) => heard.push(topic))

    for (const topic of ['home/alice/x', 'say "it"/x', 'home/bob/x', 'twon/t', 'two\\n/\t'])
      client.publish(topic, 'x')
    t.like(await client.subscribe(t, 'home/+/x'), { granted: [0] })
    t.like(await client.subscribe(t, 'garden/#'), { granted: [0x87] })
    t.like(await client.subscribe(t, '#'), { granted: [0x87] })
    t.like(await client.subscribe(t, '$SYS/#'), { granted: [0x87] })

    t.deepEqual(heard, ['home/alice/x', 'say "it"/x', 'two\\n/\t'])
    const other = await connectClient(t, broker, as('other'))
    t.like(await other.subscribe(t, '#'), { granted: [0] })
  })
}

for (const acl of [
  'home/#',
  { publish: 'home/#' },
  { publish: ['a/#/b'] },
  { write: ['a'] },
  ['permit read a'],
  ['role admins = someone'],
  ['allow read a\nallow all #'],
  Array.from({ length: 257 }, () => 'allow read a'),
] as never[]) {
  test(`an acl such as ${JSON.stringify(acl).slice(0, 40)} lets nobody in`, async (t) => {
    const logger = recordingLogger()
    const { broker } = await startBroker(t, { hooks: granting({ token: { acl } }), logger })
    const client = openClient(broker)
    client.connect(as('token'))

    await client.expect(t, 'connack', { reasonCode: 0x87 })
    t.regex(String(logger.find('connection refused')[0]?.fields['rule']), /what the client may/)
  })
}

test('a will is judged by the rules of the client that leaves it', async (t) => {
  const hooks = granting({ token: { acl: { publish: ['mine'] } } })
  const { broker } = await startBroker(t, { hooks })
  await connectClient(t, broker, as('token', { will: { topic: 'mine' } }))
  const client = openClient(broker)

  client.connect(as('token', { will: { topic: 'yours' } }))

  await client.expect(t, 'connack', { reasonCode: 0x87 })
})

test('hooks of the host are asked before the rules of a client', async (t) => {
  const hooks: AccessHooks = {
    ...granting({ token: { acl: { subscribe: ['a', 'b'] } } }),
    authorizeSubscribe: (_, { topicFilter }) => (topicFilter === 'a' ? false : undefined),
  }
  const { broker } = await startBroker(t, { hooks })
  const client = await connectClient(t, broker, as('token'))

  t.like(await client.subscribe(t, 'a'), { granted: [0x87] })
  t.like(await client.subscribe(t, 'b'), { granted: [0] })
  t.like(await client.subscribe(t, 'c'), { granted: [0x87] })
})

test('a session is taken up with what its client may now', async (t) => {
  const hooks = granting({ wide: {}, narrow: { acl: { subscribe: ['a'] } } })
  const { broker } = await startBroker(t, { hooks })
  const first = await connectClient(t, broker, as('wide', { clientId: 'c', ...forEver }))
  for (const filter of ['a', 'b']) await first.subscribe(t, filter)
  first.destroy()

  const second = await connectClient(t, broker, as('narrow', { clientId: 'c', ...forEver }))
  await second.settled()
  await broker.publish({ topic: 'a', payload: 'x' })
  await broker.publish({ topic: 'b', payload: 'x' })

  const packets = await second.settled()
  t.deepEqual(
    packets.map(({ topic }) => topic),
    ['a'],
  )
})

test('who comes back with rules of its own is not sent what waited and it may not read now', async (t) => {
  const hooks = granting({ wide: {}, narrow: { acl: { subscribe: ['a'] } } })
  const { broker } = await startBroker(t, { hooks })
  const first = await connectClient(t, broker, as('wide', { clientId: 'c', ...forEver }))
  await first.subscribe(t, '+', { qos: 1 })
  const gone = once(broker, 'disconnected')
  first.destroy()
  await gone
  for (const topic of ['b', 'a']) await broker.publish({ topic, payload: 'x', qos: 1 })

  const second = await connectClient(t, broker, as('narrow', { clientId: 'c', ...forEver }))

  const packets = await second.settled()
  t.deepEqual(
    packets.map(({ topic }) => topic),
    ['a'],
  )
})

/** Who reads `#` in part: not what is secret. */
const inPart = (judge: () => void | Promise<void> = () => {}): AccessHooks => ({
  authorizePublish: () => true,
  authorizeSubscribe: async () => {
    await judge()
    return { isAllowed: true, isFiltered: true }
  },
  authorizeReceive: (_, { topic }) => topic !== 'secret',
})

test('a subscription that hooks grant in part stays so when its client comes back', async (t) => {
  const { broker } = await startBroker(t, { hooks: inPart() })
  const first = await connectClient(t, broker, { clientId: 'c', ...forEver })
  await first.subscribe(t, '#', { qos: 1 })
  first.destroy()
  await first.closed()
  await broker.publish({ topic: 'secret', qos: 1 })

  const second = await connectClient(t, broker, { clientId: 'c', ...forEver })
  await second.settled()
  for (const topic of ['secret', 'a']) await broker.publish({ topic, qos: 1 })

  await second.expect(t, 'publish', { topic: 'a' })
  t.deepEqual(await second.settled(), [])
})

test('a client that comes back is sent nothing until it is known what it may have', async (t) => {
  const answer = defer<void>()
  let judge: () => void | Promise<void> = () => {}
  const { broker } = await startBroker(t, { hooks: inPart(() => judge()) })
  const first = await connectClient(t, broker, { clientId: 'c', ...forEver })
  await first.subscribe(t, '#', { qos: 1 })
  first.destroy()
  await first.closed()
  judge = () => answer.promise

  const second = await connectClient(t, broker, { clientId: 'c', ...forEver })
  for (const qos of [0, 1] as const) {
    for (const topic of ['secret', 'a']) await broker.publish({ topic, qos })
  }
  await turns()
  t.deepEqual(second.packets, [])
  answer.resolve()

  await second.expect(t, 'publish', { topic: 'a', qos: 1 })
  t.deepEqual(await second.settled(), [])
})

const steps: Record<string, AuthenticationStep> = {
  hour: { kind: 'success', userName: 'alice', expiresAt: 1_700_003_600_000 },
  day: {
    kind: 'success',
    userName: 'alice',
    expiresAt: 1_700_086_400_000,
    acl: { subscribe: ['a'] },
  },
  past: { kind: 'success', expiresAt: 1 },
  unlimited: { kind: 'success', userName: 'alice' },
}
const byTicket: AccessHooks = {
  authenticationMethods: { ticket: () => ({ next: (data) => steps[String(data)]! }) },
}
const ticket = (name: string) => ({
  authenticationMethod: 'ticket',
  authenticationData: Buffer.from(name),
})

test('who authenticates again in time stays, with the rules it was granted then', async (t) => {
  const { broker, clock } = await startBroker(t, { hooks: byTicket })
  const client = await connectClient(t, broker, { properties: ticket('hour') })
  for (const filter of ['a', 'b']) await client.subscribe(t, filter)

  client.send({ cmd: 'auth', reasonCode: 0x19, properties: ticket('day') })
  await client.expect(t, 'auth', { reasonCode: 0 })
  await clock.advance(3_600_000)
  await broker.publish({ topic: 'b', payload: 'x' })
  await broker.publish({ topic: 'a', payload: 'x' })

  await client.expect(t, 'publish', { topic: 'a' })
  await clock.advance(86_400_000)
  await client.expect(t, 'disconnect', { reasonCode: 0xa0 })
})

test('an authentication that has expired already ends the connection', async (t) => {
  const { broker } = await startBroker(t, { hooks: byTicket })
  const client = await connectClient(t, broker, { properties: ticket('hour') })

  client.send({ cmd: 'auth', reasonCode: 0x19, properties: ticket('past') })

  await client.expect(t, 'disconnect', { reasonCode: 0x87 })
})

test('who authenticates again and is not limited any more is sent what it subscribed to', async (t) => {
  const { broker } = await startBroker(t, { hooks: byTicket })
  const client = await connectClient(t, broker, { properties: ticket('hour') })
  for (const filter of ['a', 'b']) await client.subscribe(t, filter)

  for (const name of ['day', 'unlimited']) {
    client.send({ cmd: 'auth', reasonCode: 0x19, properties: ticket(name) })
    await client.expect(t, 'auth', { reasonCode: 0 })
  }
  await client.subscribe(t, 'c')
  for (const topic of ['a', 'c']) await broker.publish({ topic, payload: 'x' })

  t.deepEqual(
    (await client.settled()).map(({ topic }) => topic),
    ['a', 'c'],
  )
})

for (const qos of [1, 2] as const) {
  test(`[3.1.1: MQTT-3.3.5-2] a message of MQTT 3.1.1 that nobody could be asked about is not acknowledged, QoS ${qos}`, async (t) => {
    const hooks: AccessHooks = {
      authorizePublish: () => ({ isAllowed: false, reasonCode: 0x88, rule: 'the service is away' }),
    }
    const { broker, clock } = await startBroker(t, { hooks })
    const client = await connectClient(t, broker, { version: 4 })

    client.publish('a', 'x', { qos, messageId: 1 })
    client.publish('a', 'y', { qos, messageId: 2 })
    await turns()
    t.false(client.isClosed)
    await clock.advance(10_000)

    t.deepEqual(await client.closed(), [])
  })
}
test('where methods alone know users, a user name without one is not believed, even if anybody may come', async (t) => {
  const open = await startBroker(t, { hooks: byTicket, security: { allowAnonymous: true } })
  const liar = openClient(open.broker)
  liar.connect({ username: 'alice' })
  await liar.expect(t, 'connack', { reasonCode: 0x87 })
  await connectClient(t, open.broker)

  const closed = await startBroker(t, { hooks: byTicket })
  const stranger = openClient(closed.broker)
  stranger.connect()
  await stranger.expect(t, 'connack', { reasonCode: 0x87 })
  await connectClient(t, closed.broker, { properties: ticket('hour') })
})

test('a login forgives the wrong passwords of whom it let in, not of whom it called itself', async (t) => {
  const { broker } = await startBroker(t, {
    bans: { failedLoginsMax: 2 },
    hooks: {
      authenticate: ({ password }) =>
        String(password) === 'token' ? { isAllowed: true, userName: 'mallory' } : false,
    },
  })
  const knock = async (password: string) => {
    const client = openClient(broker, 5, { address: '192.0.2.1' })
    client.connect({ username: 'alice', password })
    return (await client.expect(t, 'connack'))['reasonCode'] as number
  }

  const codes: number[] = []
  for (const password of ['a', 'b', 'token', 'c', 'd']) codes.push(await knock(password))

  t.deepEqual(codes, [0x86, 0x86, 0, 0x86, 0x8a])
})
