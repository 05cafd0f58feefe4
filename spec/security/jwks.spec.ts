/** Key sets of tokens: from a file, and from a real server that changes them, fails, and is attacked through us. */

import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { Broker, CreateBrokerOptions } from '../../lib/index.ts'
import { systemClock } from '../../lib/util/clock.ts'
import { startBroker, type TestBroker } from '../support/broker.ts'
import { certificates } from '../support/certificates.ts'
import { connectClient, openClient } from '../support/client.ts'
import { type HttpReply, startHttpServer, type TestHttpServer } from '../support/http-server.ts'
import { temporaryDirectory } from '../support/processes.ts'
import { type RecordingLogger, recordingLogger } from '../support/recording-logger.ts'
import { ec, ed, forge, jwkOf, rsa, secret, secretText, sign } from '../support/tokens.ts'

type JwtOptions = NonNullable<NonNullable<CreateBrokerOptions['security']>['jwt']>

interface House extends TestBroker {
  readonly log: RecordingLogger
}

/** A listener keeps the process alive while a file is waited for. */
const inRealTime = { clock: systemClock, listeners: [{ type: 'tcp', port: 0 }] } as const

const signing = (kid: string) => sign(ec.privateKey, 'ES256', {}, { kid })
const setOf = (...keys: readonly object[]): HttpReply => ({ body: { keys } })

async function open(
  t: ExecutionContext,
  jwt: JwtOptions,
  parts: CreateBrokerOptions = {},
): Promise<House> {
  const log = recordingLogger()
  const house = await startBroker(t, {
    security: { jwt: { algorithms: ['ES256'], ...jwt } },
    logger: log,
    ...parts,
  })
  return { ...house, log }
}

/** The reason code of CONNACK for a client with that token. */
async function knock(t: ExecutionContext, broker: Broker, password: string): Promise<number> {
  const client = openClient(broker)
  client.connect({ username: '', password })
  return (await client.expect(t, 'connack'))['reasonCode']
}

test('a token is verified with the key that it names', async (t) => {
  const server = await startHttpServer(t, () =>
    setOf(
      jwkOf(rsa, { kid: 'a' }),
      jwkOf(ed, { kid: 'b' }),
      jwkOf(ec, { kid: 'c', use: 'sig', alg: 'ES256' }),
    ),
  )
  const { broker } = await open(t, {
    jwksUrl: server.url,
    algorithms: ['ES256', 'RS256', 'EdDSA'],
  })

  t.is(await knock(t, broker, await signing('c')), 0)
  t.is(await knock(t, broker, await sign(rsa.privateKey, 'RS256', {}, { kid: 'a' })), 0)
  t.is(await knock(t, broker, await sign(ed.privateKey, 'EdDSA', {}, {})), 0)
  t.is(await knock(t, broker, await sign(rsa.privateKey, 'RS256', {}, { kid: 'c' })), 0x86)
  t.is(server.questions.length, 1)
})

test('a key that is new at the server is fetched when a token names it, and the old one goes', async (t) => {
  const server = await startHttpServer(t, () => setOf(jwkOf(rsa, { kid: 'old' })))
  const { broker, clock } = await open(t, {
    jwksUrl: server.url,
    algorithms: ['ES256', 'RS256'],
    jwksCooldownSeconds: 30,
  })
  server.answer = () => setOf(jwkOf(ec, { kid: 'new' }))
  await clock.advance(30_000)

  t.is(await knock(t, broker, await signing('new')), 0)
  t.is(await knock(t, broker, await sign(rsa.privateKey, 'RS256', {}, { kid: 'old' })), 0x86)
  t.is(server.questions.length, 2)
})

test('tokens that name unknown keys by the hundred make one question in each cooldown', async (t) => {
  const server = await startHttpServer(t, () => setOf(jwkOf(ec, { kid: 'a' })))
  const { broker, clock, log } = await open(t, { jwksUrl: server.url, jwksCooldownSeconds: 30 })
  const flood = () =>
    Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        knock(t, broker, forge({ alg: 'ES256', kid: `k${i}` }, { sub: 'a' }, 'AAAA')),
      ),
    )

  t.deepEqual(new Set(await flood()), new Set([0x86]))
  t.is(server.questions.length, 1)
  await clock.advance(30_000)
  t.deepEqual(new Set(await flood()), new Set([0x86]))
  t.is(server.questions.length, 2)
  t.is(await knock(t, broker, await signing('a')), 0)
  t.like(log.find('connection refused')[0]?.fields, { rule: 'token: its key "k0" is unknown' })
})

test('while the server is away the last set stays in force, and when it is back the next one', async (t) => {
  const server = await startHttpServer(t, () => setOf(jwkOf(ec, { kid: 'a' })))
  const { broker, clock, log } = await open(t, { jwksUrl: server.url, jwksRefreshSeconds: 600 })
  const token = await sign(ec.privateKey, 'ES256', { exp: 2_000_000_000 }, { kid: 'a' })
  server.answer = () => ({ status: 500, body: 'no' })

  await clock.advance(600_000)
  t.is(await knock(t, broker, token), 0)
  t.like(await log.next('keys of tokens cannot be fetched: those fetched before stay in force'), {
    option: 'security.jwt.jwksUrl',
    rule: 'it answered with status 500',
  })
  server.answer = () => setOf(jwkOf(ec, { kid: 'b' }))
  await clock.advance(30_000)
  t.is(await knock(t, broker, token), 0)
  await log.next('keys of tokens fetched')
  await log.next('keys of tokens fetched')
  t.is(await knock(t, broker, token), 0x86)
})

test('without any set nobody is let in, and the broker runs', async (t) => {
  const server = await startHttpServer(t, () => ({ status: 503 }))
  const { broker, clock, log } = await open(t, { jwksUrl: server.url })

  t.is(await knock(t, broker, await signing('a')), 0x88)
  t.like(await log.next('connection refused'), {
    rule: 'there are no keys to verify tokens with yet',
  })
  server.answer = () => setOf(jwkOf(ec, { kid: 'a' }))
  await clock.advance(30_000)
  t.is(await knock(t, broker, await signing('a')), 0)
})

const bad: readonly (readonly [string, (server: TestHttpServer) => HttpReply, RegExp])[] = [
  ['is huge', () => ({ body: ' '.repeat(600_000) }), /more than 524288 bytes/],
  ['is no JSON', () => ({ body: 'hello' }), /no JSON Web Key Set/],
  ['has no keys', () => setOf(), /no key for ES256/],
  ['has secrets', () => setOf({ kty: 'oct', k: 'x'.repeat(90) }), /no key for/],
  ['has a hundred keys and one', () => setOf(...Array(101).fill(jwkOf(ec))), /more than 100 keys/],
  [
    'sends us elsewhere',
    ({ url }) => ({ status: 302, headers: { Location: `${url}/other` } }),
    /status 302/,
  ],
  [
    'breaks off',
    () => (response) => {
      response.writeHead(200, { 'Content-Length': 1000 })
      response.write('{', () => response.destroy())
    },
    /closed the connection amid its answer/,
  ],
]
for (const [what, answer, rule] of bad) {
  test(`a set that ${what} is not used, and the log says why`, async (t) => {
    const server = await startHttpServer(t, () => answer(server))
    const { log, broker } = await open(t, { jwksUrl: server.url, algorithms: ['ES256', 'HS256'] })

    const { rule: said } = await log.next('keys of tokens cannot be fetched: no token is accepted')
    t.regex(String(said), rule)
    t.is(server.questions.length, 1)
    t.is(await knock(t, broker, await signing('a')), 0x88)
  })
}

test('a server that does not answer holds up nobody beyond the time-out', async (t) => {
  const server = await startHttpServer(t, () => setOf(jwkOf(ec, { kid: 'a' })))
  const { broker, clock, log } = await open(t, { jwksUrl: server.url, jwksTimeoutMs: 2000 })
  server.answer = () => () => {}
  await clock.advance(30_000)
  const waiting = signing('b').then((token) => knock(t, broker, token))
  await server.asked(2)

  t.is(await knock(t, broker, await signing('a')), 0)
  await clock.advance(2000)
  t.is(await waiting, 0x86)
  t.like(log.find('keys of tokens cannot be fetched: those fetched before stay in force')[0], {
    fields: { rule: 'no answer within 2000 ms' },
  })
})

test('a set is fetched over TLS from a server whose authority is known, and from no other', async (t) => {
  const { ca, otherCa, server: serverCertificate } = await certificates()
  const server = await startHttpServer(t, () => setOf(jwkOf(ec, { kid: 'a' })), serverCertificate)
  const folder = temporaryDirectory(t)
  for (const [authority, code] of [
    [ca, 0],
    [otherCa, 0x88],
  ] as const) {
    const jwksCaFile = join(folder, `ca-${code}.pem`)
    writeFileSync(jwksCaFile, authority.cert)
    const { broker } = await open(t, { jwksUrl: server.url, jwksCaFile })

    t.is(await knock(t, broker, await signing('a')), code)
  }
})

test('a changed file of keys is in force at once, one with a mistake never, and who is in stays', async (t) => {
  const folder = temporaryDirectory(t)
  const jwksFile = join(folder, 'keys.json')
  const write = (text: string) => {
    writeFileSync(`${jwksFile}.new`, text)
    renameSync(`${jwksFile}.new`, jwksFile)
  }
  write(JSON.stringify({ keys: [jwkOf(ec, { kid: 'a' })] }))
  const { broker, log } = await open(t, { jwksFile }, inRealTime)
  const exp = Math.floor(Date.now() / 1000) + 60
  const token = await sign(ec.privateKey, 'ES256', { exp }, { kid: 'a' })
  const client = await connectClient(t, broker, { username: '', password: token })

  write('{')
  await log.next('a changed file cannot be used: what was in force before stays')
  t.is(await knock(t, broker, token), 0)
  write(JSON.stringify({ keys: [jwkOf(ec, { kid: 'b' })] }))
  await log.next('a changed file is in force')
  t.is(await knock(t, broker, token), 0x86)

  t.deepEqual(await client.settled(), [])
})

test('a file of keys may have secrets, of which each is good for what its length allows', async (t) => {
  const jwksFile = join(temporaryDirectory(t), 'keys.json')
  const k = Buffer.from(secretText).toString('base64url')
  writeFileSync(jwksFile, JSON.stringify({ keys: [{ kty: 'oct', k, alg: 'HS256' }] }))
  const { broker } = await open(t, { jwksFile, algorithms: ['HS256', 'HS512'] })

  t.is(await knock(t, broker, await sign(secret, 'HS256')), 0)
  t.is(await knock(t, broker, await sign(secret, 'HS512')), 0x86)
})

test('reload fetches the set', async (t) => {
  const server = await startHttpServer(t, () => setOf(jwkOf(rsa, { kid: 'a' })))
  const { broker } = await open(t, { jwksUrl: server.url, algorithms: ['ES256', 'RS256'] })
  server.answer = () => setOf(jwkOf(ec, { kid: 'b' }))

  await broker.reload(broker.configuration)

  t.is(await knock(t, broker, await signing('b')), 0)
})
