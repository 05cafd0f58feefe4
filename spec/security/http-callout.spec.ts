/** A service that is asked over HTTP who may connect and do what: a real server, good and bad. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { CreateBrokerOptions } from '../../lib/index.ts'
import { hashPassword } from '../../lib/security/password-hash.ts'
import { startBroker, type TestBroker } from '../support/broker.ts'
import { certificates } from '../support/certificates.ts'
import {
  type AnyPacket,
  type ConnectOptions,
  connectClient,
  type MemoryClient,
  openClient,
} from '../support/client.ts'
import { defer, turns } from '../support/deferred.ts'
import { type HttpReply, startHttpServer, type TestHttpServer } from '../support/http-server.ts'
import { temporaryDirectory } from '../support/processes.ts'
import { type RecordingLogger, recordingLogger } from '../support/recording-logger.ts'

type HttpOptions = NonNullable<NonNullable<CreateBrokerOptions['security']>['http']>

interface House extends TestBroker {
  readonly log: RecordingLogger
  readonly server: TestHttpServer
}

const urls = {
  clients: (url: string) => ({ authenticateUrl: `${url}/connect` }),
  topics: (url: string) => ({ authorizeUrl: `${url}/acl` }),
  both: (url: string) => ({ authenticateUrl: `${url}/connect`, authorizeUrl: `${url}/acl` }),
}

async function open(
  t: ExecutionContext,
  asks: keyof typeof urls,
  answer: TestHttpServer['answer'],
  http: HttpOptions = {},
  parts: CreateBrokerOptions = {},
): Promise<House> {
  const server = await startHttpServer(t, answer)
  const log = recordingLogger()
  const { security, ...others } = parts
  const house = await startBroker(t, {
    security: { http: { ...urls[asks](server.url), ...http }, ...security },
    logger: log,
    ...others,
  })
  return { ...house, log, server }
}

async function knock(
  t: ExecutionContext,
  { broker }: House,
  options: ConnectOptions = { username: 'alice', password: 'pass' },
): Promise<AnyPacket> {
  const client = openClient(broker, options.version ?? 5)
  client.connect(options)
  return client.expect(t, 'connack')
}

async function codeOf(t: ExecutionContext, house: House): Promise<number> {
  return (await knock(t, house))['reasonCode']
}

/** Publishes at QoS 1 and returns the reason code of PUBACK. */
async function publish(t: ExecutionContext, client: MemoryClient, topic: string): Promise<number> {
  client.publish(topic, 'x', { qos: 1, messageId: 1 })
  return (await client.expect(t, 'puback'))['reasonCode'] ?? 0
}

const allow: HttpReply = { body: { result: 'allow' } }
const deny: HttpReply = { body: { result: 'deny' } }
const ignore: HttpReply = { body: { result: 'ignore' } }

test('the service is told who wants to connect, with the headers of the configuration', async (t) => {
  const house = await open(t, 'clients', () => allow, {
    headers: ['X-Api-Key: hush', 'Authorization: Bearer a:b'],
  })

  const options = { clientId: 'c', username: 'alice', password: 'päss' }
  t.is((await knock(t, house, options))['reasonCode'], 0)
  t.is((await knock(t, house, { clientId: 'd', version: 4 }))['returnCode'], 0)

  const [first, second] = house.server.questions
  t.is(first?.path, '/connect')
  t.like(first?.headers, {
    'x-api-key': 'hush',
    authorization: 'Bearer a:b',
    'content-type': 'application/json',
  })
  t.deepEqual(first?.body, {
    action: 'connect',
    client: 'c',
    user: 'alice',
    password: 'päss',
    address: 'memory',
    listener: 'memory',
    certificateCommonName: null,
    protocolVersion: 5,
  })
  t.like(second?.body, { client: 'd', user: null, password: null, protocolVersion: 4 })
  t.false(JSON.stringify(house.log.lines).includes('päss'))
  t.false(JSON.stringify(house.log.lines).includes('hush'))
})

test('a password that is no text is sent as base64', async (t) => {
  const house = await open(t, 'clients', () => allow)
  const password = Buffer.from([0xff, 0x00, 0xfe])
  const client = openClient(house.broker)

  client.send({
    cmd: 'connect',
    protocolVersion: 5,
    clientId: 'c',
    clean: true,
    keepalive: 0,
    username: 'alice',
    password,
  })
  await client.expect(t, 'connack')

  t.like(house.server.questions[0]?.body, { password: null, passwordBase64: '/wD+' })
})

for (const [what, reply, code] of [
  ['{"result":"allow"}', allow, 0],
  ['204', { status: 204 }, 0],
  ['{"result":"deny"}', deny, 0x86],
  ['401', { status: 401 }, 0x86],
  ['403', { status: 403, body: 'no JSON' }, 0x86],
  // Nobody else is asked.
  ['{"result":"ignore"}', ignore, 0x86],
  ['404', { status: 404, body: 'Not found' }, 0x86],
  ['500', { status: 500 }, 0x88],
  ['200 without a result', { body: {} }, 0x88],
  ['200 with another result', { body: { result: 'ALLOW' } }, 0x88],
  ['200 without a body', {}, 0x88],
  ['a list', { body: ['allow'] }, 0x88],
  ['a page', { body: '<html>' }, 0x88],
  ['202', { status: 202, body: { result: 'allow' } }, 0x88],
  ['a name that is none', { body: { result: 'allow', userName: 7 } }, 0x88],
  ['an end in milliseconds', { body: { result: 'allow', expiresAt: 1_700_000_060_000 } }, 0x88],
  ['an end that is past', { body: { result: 'allow', expiresAt: 1 } }, 0x87],
  ['rules that are none', { body: { result: 'allow', acl: ['permit all #'] } }, 0x88],
] as [string, HttpReply, number][]) {
  test(`a service that answers ${what} makes CONNACK 0x${code.toString(16)}`, async (t) => {
    const house = await open(t, 'clients', () => reply)

    t.is(await codeOf(t, house), code)
    if (code === 0) return
    const { rule, hint } = await house.log.next('connection refused')
    t.is(typeof rule, 'string')
    t.is(typeof hint, 'string')
  })
}

for (const [version, code] of [
  [3, 3],
  [4, 3],
] as const) {
  test(`when the service fails, a client of version ${version} is told return code ${code}`, async (t) => {
    const house = await open(t, 'clients', () => ({ status: 500 }))

    const options = { version, clientId: 'c', username: 'u', password: 'p' }
    t.is((await knock(t, house, options))['returnCode'], code)
  })
}

test('the reason of a service reaches an MQTT 5.0 client and the log', async (t) => {
  const house = await open(t, 'clients', () => ({ body: { result: 'deny', reason: 'unpaid' } }))

  t.like((await knock(t, house))['properties'], { reasonString: 'unpaid' })
  t.regex(
    String((await house.log.next('connection refused'))['rule']),
    /\/connect denies it: unpaid$/,
  )
})

test('users of the password file are let in unasked, and what the service leaves open is refused', async (t) => {
  const passwordFile = join(temporaryDirectory(t), 'passwords')
  writeFileSync(passwordFile, `alice:${await hashPassword(Buffer.from('pass'), 10)}\n`)
  const security = { passwordFile, allowAnonymous: true }
  const house = await open(t, 'clients', () => ignore, {}, { security })

  t.is(await codeOf(t, house), 0)
  t.is(house.server.questions.length, 0)
  t.is((await knock(t, house, { username: 'mallory', password: 'pass' }))['reasonCode'], 0x86)
  t.is((await knock(t, house, { clientId: 'nobody' }))['reasonCode'], 0)
  t.is(house.server.questions.length, 2)
})

test('a service may say who the client is, until when, and what it may', async (t) => {
  const expiresAt = 1_700_000_060
  const acl = { publish: ['home/%u'], subscribe: [] }
  const body = { result: 'allow', userName: 'bob', expiresAt, acl }
  const { broker, clock, log } = await open(t, 'clients', () => ({ body }))
  const client = await connectClient(t, broker, { username: 'alice', password: 'p' })

  t.is(await publish(t, client, 'home/bob'), 0x10)
  t.is(await publish(t, client, 'home/alice'), 0x87)
  t.like(log.find('client connected')[0]?.fields, { user: 'bob' })
  await clock.advance(60_000)
  await client.expect(t, 'disconnect', { reasonCode: 0xa0 })
})

test('the service is told who wants to publish and subscribe, and decides', async (t) => {
  const { broker, server, log } = await open(t, 'both', ({ body }) =>
    (body as { topic?: string }).topic?.startsWith('no') === true ? deny : allow,
  )
  const client = await connectClient(t, broker, { clientId: 'c', username: 'alice' })

  t.is(await publish(t, client, 'yes'), 0x10)
  t.is(await publish(t, client, 'no'), 0x87)
  t.like(await client.subscribe(t, 'yes/#', { qos: 1 }), { granted: [1] })
  t.like(await client.subscribe(t, 'no/#'), { granted: [0x87] })

  const about = {
    client: 'c',
    user: 'alice',
    address: 'memory',
    listener: 'memory',
    certificateCommonName: null,
    protocolVersion: 5,
  }
  t.deepEqual(
    server.questions.slice(1).map(({ path, body }) => [path, body]),
    [
      ['/acl', { action: 'publish', topic: 'yes', qos: 1, retain: false, ...about }],
      ['/acl', { action: 'publish', topic: 'no', qos: 1, retain: false, ...about }],
      ['/acl', { action: 'subscribe', topic: 'yes/#', qos: 1, ...about }],
      ['/acl', { action: 'subscribe', topic: 'no/#', qos: 0, ...about }],
    ],
  )
  t.regex(String((await log.next('publish denied'))['rule']), /\/acl denies it$/)
})

test('a will is asked about before its client is let in', async (t) => {
  const house = await open(t, 'topics', ({ body }) =>
    (body as { topic: string }).topic === 'mine' ? allow : deny,
  )

  t.is((await knock(t, house, { will: { topic: 'mine' } }))['reasonCode'], 0)
  t.is((await knock(t, house, { will: { topic: 'yours' } }))['reasonCode'], 0x87)
})

test('the service is asked before the file of rules, which decides where it does not', async (t) => {
  const aclFile = join(temporaryDirectory(t), 'acl')
  writeFileSync(aclFile, 'allow write file\nallow write denied\n')
  const answer = ({ body }: { body: unknown }) =>
    ({ denied: deny, service: allow })[(body as { topic: string }).topic] ?? ignore
  const { broker } = await open(t, 'topics', answer, {}, { security: { aclFile } })
  const client = await connectClient(t, broker)

  t.is(await publish(t, client, 'service'), 0x10)
  t.is(await publish(t, client, 'denied'), 0x87)
  t.is(await publish(t, client, 'file'), 0x10)
  t.is(await publish(t, client, 'nobody'), 0x87)
})

test('an answer is known for a while, a denial for a shorter one, and not beyond the connection', async (t) => {
  const { broker, server, clock } = await open(
    t,
    'topics',
    ({ body }) => ((body as { topic: string }).topic === 'yes' ? allow : deny),
    { cacheAllowSeconds: 60, cacheDenySeconds: 10 },
  )
  const client = await connectClient(t, broker)
  const askedFor = async (topic: string) => {
    const before = server.questions.length
    await publish(t, client, topic)
    return server.questions.length - before
  }

  t.deepEqual([await askedFor('yes'), await askedFor('yes')], [1, 0])
  t.deepEqual([await askedFor('no'), await askedFor('no')], [1, 0])
  await clock.advance(10_000)
  t.deepEqual([await askedFor('yes'), await askedFor('no')], [0, 1])
  await clock.advance(50_000)
  t.is(await askedFor('yes'), 1)
  const other = await connectClient(t, broker)
  const before = server.questions.length
  await publish(t, other, 'yes')
  t.is(server.questions.length, before + 1)
})

test('of the answers about a client so many are known, and none when the cache is off', async (t) => {
  for (const [http, count] of [
    [{ cacheMax: 2 }, 4],
    [{ cacheMax: 0 }, 5],
    [{ cacheAllowSeconds: 0 }, 5],
  ] as const) {
    const { broker, server } = await open(t, 'topics', () => allow, http)
    const client = await connectClient(t, broker)

    for (const topic of ['a', 'b', 'b', 'c', 'a']) await publish(t, client, topic)

    t.is(server.questions.length, count)
  }
})

test('what is known is answered in the same turn, so that nothing waits', async (t) => {
  const { broker } = await open(t, 'topics', () => allow)
  const client = await connectClient(t, broker)
  const heard: string[] = []
  broker.subscribe('#', ({ topic }) => heard.push(topic))
  client.publish('a', 'x')
  await client.settled()
  t.is(heard.length, 1)

  for (let i = 0; i < 10; i++) client.publish('a', 'x')
  await turns(2)

  t.is(heard.length, 11)
})

test('reload forgets what is known, and has running subscriptions judged again', async (t) => {
  const house = await open(t, 'topics', () => allow)
  const { broker, server, log } = house
  const client = await connectClient(t, broker)
  for (const filter of ['a', 'b']) await client.subscribe(t, filter)
  server.answer = ({ body }) => ((body as { topic: string }).topic === 'a' ? deny : allow)

  await broker.reload(broker.configuration)
  t.like(await log.next('subscription ended by the rules'), { topic: 'a' })
  await broker.publish({ topic: 'a', payload: 'x' })
  await broker.publish({ topic: 'b', payload: 'x' })

  await client.expect(t, 'publish', { topic: 'b' })
  server.answer = () => ({ status: 500 })
  await broker.reload(broker.configuration)
  await log.next('the service gave no answer that can be used')
  await turns()
  await broker.publish({ topic: 'b', payload: 'y' })
  await client.expect(t, 'publish', { topic: 'b', payload: Buffer.from('y') })
})

test('a SUBSCRIBE that is judged while rules change is judged again', async (t) => {
  const answer = defer<HttpReply>()
  const house = await open(t, 'topics', () => answer.promise)
  const { broker, server, log } = house
  const client = await connectClient(t, broker)
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 1 }] })
  await server.asked(1)

  await broker.reload(broker.configuration)
  server.answer = () => deny
  answer.resolve(allow)

  await client.expect(t, 'suback', { granted: [0x87] })
  t.is(server.questions.length, 2)
  t.like(await log.next('subscribe denied'), { topic: 'a' })
})

test('rules that change each time a SUBSCRIBE is judged do not have it judged for ever', async (t) => {
  const house = await open(t, 'topics', async () => {
    await house.broker.reload(house.broker.configuration)
    return allow
  })
  const client = await connectClient(t, house.broker)
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 1 }] })

  await client.expect(t, 'suback', { granted: [0x83] })
  t.is(house.server.questions.length, 5)
  t.regex(String((await house.log.next('subscribe denied'))['hint']), /stay as they are/)
})

test('a will that is judged while rules change is judged again', async (t) => {
  const answer = defer<HttpReply>()
  const { broker, server, log } = await open(t, 'topics', () => answer.promise)
  const client = openClient(broker)
  client.connect({ will: { topic: 'a', payload: Buffer.from('gone'), qos: 0, retain: true } })
  await server.asked(1)

  await broker.reload(broker.configuration)
  server.answer = () => deny
  answer.resolve(allow)
  await client.expect(t, 'connack', { reasonCode: 0 })
  t.like(await log.next('publish denied'), { topic: 'a' })
  client.destroy()

  server.answer = () => allow
  const other = await connectClient(t, broker)
  await other.subscribe(t, 'a')
  t.deepEqual(await other.settled(), [])
})

test('a session that cannot be judged is not taken up, and keeps its subscriptions', async (t) => {
  const { broker, server } = await open(t, 'topics', () => allow)
  const options = { clientId: 'c', clean: false, properties: { sessionExpiryInterval: 1000 } }
  const first = await connectClient(t, broker, options)
  await first.subscribe(t, 'a')
  first.destroy()
  server.answer = () => ({ status: 500 })

  const second = await connectClient(t, broker, options)
  await second.expect(t, 'disconnect', { reasonCode: 0x89 })

  server.answer = () => allow
  const third = await connectClient(t, broker, options)
  await third.settled()
  await broker.publish({ topic: 'a', payload: 'x' })
  await third.expect(t, 'publish', { topic: 'a' })
})

test('a slow service makes its own client wait, in order, and nobody else', async (t) => {
  const slow = defer<HttpReply>()
  const { broker, server } = await open(t, 'topics', ({ body }) =>
    (body as { topic: string }).topic === 'slow' ? slow.promise : allow,
  )
  const waiting = await connectClient(t, broker, { clientId: 'waiting' })
  const other = await connectClient(t, broker, { clientId: 'other' })
  const heard: string[] = []
  broker.subscribe('#', ({ topic }) => heard.push(topic))

  for (const topic of ['first', 'slow', 'last']) waiting.publish(topic, 'x')
  await server.asked(2)
  t.is(await publish(t, other, 'other'), 0)
  t.deepEqual(heard, ['first', 'other'])
  slow.resolve(allow)
  await waiting.settled()

  t.deepEqual(heard, ['first', 'other', 'slow', 'last'])
})

test('the same question is under way once', async (t) => {
  const reply = defer<HttpReply>()
  const house = await open(t, 'clients', () => reply.promise)
  const options = { clientId: 'c', username: 'alice', password: 'p' }
  const both = [knock(t, house, options), knock(t, house, options)]
  await house.server.asked(1)
  await turns(20)

  reply.resolve(deny)

  for (const connack of await Promise.all(both)) t.is(connack['reasonCode'], 0x86)
  t.is(house.server.questions.length, 1)
})

test('so many questions are under way, so many wait, and the next is told that we are busy', async (t) => {
  const reply = defer<HttpReply>()
  const house = await open(t, 'clients', () => reply.promise, { connectionsMax: 2, waitingMax: 1 })
  const ask = (clientId: string) => knock(t, house, { clientId, username: 'u', password: 'p' })
  const first = ['a', 'b', 'c'].map(ask)
  await house.server.asked(2)

  t.is((await ask('d'))['reasonCode'], 0x89)
  t.regex(String((await house.log.next('connection refused'))['rule']), /security.http.waitingMax/)
  t.is(house.server.questions.length, 2)
  reply.resolve(allow)

  for (const connack of await Promise.all(first)) t.is(connack['reasonCode'], 0)
  t.is(house.server.connections(), 2)
})

const bad: readonly (readonly [string, (server: TestHttpServer) => HttpReply, RegExp])[] = [
  ['a huge one', () => ({ body: ' '.repeat(100_000) }), /more than 65536 bytes/],
  [
    'an endless one',
    () => (response) => {
      response.writeHead(200)
      const pour = (): void => {
        if (!response.destroyed) response.write('x'.repeat(10_000), pour)
      }
      pour()
    },
    /more than 65536 bytes/,
  ],
  ['half of one', () => (response) => void response.write('{', () => response.destroy()), /amid/],
  ['none at all', () => (response) => void response.destroy(), /socket hang up/],
  [
    'one that leads elsewhere',
    ({ url }) => ({ status: 307, headers: { Location: `${url}/connect?2` } }),
    /status 307/,
  ],
]
for (const [what, answer, rule] of bad) {
  test(`an answer that is ${what} is a failure`, async (t) => {
    const house = await open(t, 'clients', () => answer(house.server))

    t.is(await codeOf(t, house), 0x88)
    t.regex(String((await house.log.next('connection refused'))['rule']), rule)
    t.is(house.server.questions.length, 1)
  })
}

test('a service that does not answer in time has failed', async (t) => {
  const house = await open(t, 'both', ({ path }) => (path === '/acl' ? () => {} : allow), {
    timeoutMs: 500,
  })
  const client = await connectClient(t, house.broker, { username: 'alice' })
  const puback = publish(t, client, 'a')
  await house.server.asked(2)

  await house.clock.advance(500)

  t.is(await puback, 0x87)
  t.regex(String((await house.log.next('publish denied'))['rule']), /no answer within 500 ms/)
})

test('a service that begins an answer and does not end it in time has failed', async (t) => {
  const house = await open(t, 'clients', () => (response) => {
    response.writeHead(200)
    response.write('{"result":')
  })
  const code = codeOf(t, house)
  await house.server.asked(1)

  await house.clock.advance(3000)

  t.is(await code, 0x88)
  t.regex(String((await house.log.next('connection refused'))['rule']), /no answer within 3000 ms/)
})

test('a service that is not there lets nobody in', async (t) => {
  const house = await open(t, 'clients', () => allow)
  await house.server.close()

  t.is(await codeOf(t, house), 0x88)
  t.regex(String((await house.log.next('connection refused'))['rule']), /ECONNREFUSED/)
})

test('a connection that the service closed while nothing was asked is made anew', async (t) => {
  let count = 0
  const house = await open(t, 'clients', () => (response) => {
    count++
    response.writeHead(204)
    // Without a word about it, as servers that are restarted do.
    response.end(() => response.socket?.resetAndDestroy())
  })

  for (let i = 0; i < 5; i++) t.is(await codeOf(t, house), 0)
  t.is(count, 5)
})

test('a service that fails again and again is left alone for a while, then tried with one question', async (t) => {
  const house = await open(t, 'clients', () => ({ status: 500 }), {
    failuresMax: 3,
    retryAfterSeconds: 10,
  })
  const { server, clock, log } = house

  for (let i = 0; i < 5; i++) t.is(await codeOf(t, house), 0x88)
  t.is(server.questions.length, 3)
  await log.next('the service has failed too often: it is not asked for a while')
  t.regex(String(log.find('connection refused')[4]?.fields['rule']), /retryAfterSeconds/)

  const reply = defer<HttpReply>()
  server.answer = () => reply.promise
  await clock.advance(10_000)
  const trial = codeOf(t, house)
  await server.asked(4)
  t.is(await codeOf(t, house), 0x88)
  reply.resolve({ status: 500 })
  t.is(await trial, 0x88)
  t.is(await codeOf(t, house), 0x88)
  t.is(server.questions.length, 4)

  server.answer = () => allow
  await clock.advance(10_000)
  t.is(await codeOf(t, house), 0)
  t.is(await codeOf(t, house), 0)
  await log.next('the service answers again')
})

test('a question that the service does not take is a no, and keeps nobody else out', async (t) => {
  const answer: TestHttpServer['answer'] = ({ body }) =>
    (body as { user: string }).user === 'mallory' ? { status: 413 } : allow
  const house = await open(t, 'clients', answer, { failuresMax: 2 })
  const mallory = { username: 'mallory', password: 'x'.repeat(60_000) }

  for (let i = 0; i < 3; i++) t.is((await knock(t, house, mallory))['reasonCode'], 0x88)

  t.is(await codeOf(t, house), 0)
})

test('a service that says it is busy has failed', async (t) => {
  const house = await open(t, 'clients', () => ({ status: 429 }), { failuresMax: 2 })

  for (let i = 0; i < 3; i++) t.is(await codeOf(t, house), 0x88)

  t.is(house.server.questions.length, 2)
})

test('failures that are not in a row do not count', async (t) => {
  let count = 0
  const answer = () => (++count % 2 === 0 ? allow : { status: 500 })
  const house = await open(t, 'clients', answer, { failuresMax: 2 })

  for (let i = 0; i < 4; i++) {
    t.is(await codeOf(t, house), 0x88)
    t.is(await codeOf(t, house), 0)
  }
})

test('the service is asked over TLS if its authority is known, and not otherwise', async (t) => {
  const { ca, otherCa, server: serverCertificate } = await certificates()
  const server = await startHttpServer(t, () => allow, serverCertificate)
  for (const [authority, code] of [
    [ca, 0],
    [otherCa, 0x88],
  ] as const) {
    const caFile = join(temporaryDirectory(t), 'ca.pem')
    writeFileSync(caFile, authority.cert)
    const security = { http: { authenticateUrl: server.url, caFile } }
    const { broker } = await startBroker(t, { security })
    const client = openClient(broker)
    client.connect({ username: 'alice', password: 'p' })

    await client.expect(t, 'connack', { reasonCode: code })
  }
  const caFile = join(temporaryDirectory(t), 'ca.pem')
  writeFileSync(caFile, 'no certificate')
  await t.throwsAsync(
    startBroker(t, { security: { http: { authenticateUrl: server.url, caFile } } }),
    {
      message: /it has no certificate in PEM/,
    },
  )
})

for (const [authenticateUrl, isWarned] of [
  ['http://auth.example/connect?key=hush', true],
  ['http://127.0.0.2.example/', true],
  ['http://localhost:9/', false],
  ['http://[::1]:9/', false],
  ['https://auth.example/', false],
] as const) {
  test(`the log warns of ${authenticateUrl}: ${isWarned}`, async (t) => {
    const logger = recordingLogger()
    await startBroker(t, { security: { http: { authenticateUrl } }, logger })

    const message = 'passwords go to the service without TLS, and answers come so: use https'
    t.is(logger.find(message).length, isWarned ? 1 : 0)
    t.false(JSON.stringify(logger.lines).includes('hush'))
  })
}

test('a broker that closes does not wait for the service', async (t) => {
  const house = await open(t, 'clients', () => () => {})
  const client = openClient(house.broker)
  client.connect({ username: 'alice', password: 'p' })
  await house.server.asked(1)

  await house.broker.close()

  t.deepEqual(await client.closed(), [])
})
