/** Tokens as passwords, at the door of a broker. */

import { createHmac, createPrivateKey, type KeyObject } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { JWTPayload } from 'jose'
import type { Broker, CreateBrokerOptions } from '../../lib/index.ts'
import { startBroker, type TestBroker } from '../support/broker.ts'
import { certificates } from '../support/certificates.ts'
import {
  type AnyPacket,
  type ConnectOptions,
  connectClient,
  openClient,
} from '../support/client.ts'
import { temporaryDirectory } from '../support/processes.ts'
import { connectOf, text } from '../support/raw-packets.ts'
import { type RecordingLogger, recordingLogger } from '../support/recording-logger.ts'
import {
  ec,
  ec384,
  ec521,
  ed,
  forge,
  type KeyPair,
  pemOf,
  rsa,
  START_SECONDS,
  secret,
  secretText,
  sign,
} from '../support/tokens.ts'

type JwtOptions = NonNullable<NonNullable<CreateBrokerOptions['security']>['jwt']>

interface House extends TestBroker {
  readonly log: RecordingLogger
}

/** A broker whose tokens are verified with what the files hold. */
async function open(
  t: ExecutionContext,
  files: Record<string, string>,
  jwt: JwtOptions,
  security: CreateBrokerOptions['security'] = {},
): Promise<House> {
  const folder = temporaryDirectory(t)
  const paths = Object.entries(files).map(([option, content]) => {
    const path = join(folder, option)
    writeFileSync(path, content)
    return [option, path]
  })
  const log = recordingLogger()
  const house = await startBroker(t, {
    security: { jwt: { ...Object.fromEntries(paths), ...jwt }, ...security },
    logger: log,
  })
  return { ...house, log }
}

const openHs = (t: ExecutionContext, jwt: JwtOptions = {}, security = {}) =>
  open(t, { secretFile: `${secretText}\n` }, { algorithms: ['HS256'], ...jwt }, security)

/** Connects and returns CONNACK, and what comes before the connection is closed. */
async function knock(
  t: ExecutionContext,
  broker: Broker,
  options: ConnectOptions,
): Promise<AnyPacket> {
  const client = openClient(broker)
  client.connect({ username: '', ...options })
  return client.expect(t, 'connack')
}

async function refused(
  t: ExecutionContext,
  { broker, log }: House,
  options: ConnectOptions,
  rule: RegExp,
  reasonCode = 0x86,
): Promise<void> {
  t.is((await knock(t, broker, options))['reasonCode'], reasonCode)
  const { rule: said, hint } = await log.next('connection refused')
  t.regex(String(said), rule)
  t.is(typeof hint, 'string')
  const everything = JSON.stringify(log.lines)
  const { username = '' } = options
  if (username.includes('.')) t.false(everything.includes(username), 'the log has the token')
  const secretPart = options.password?.split('.').at(-1) ?? ''
  if (secretPart.length > 20) t.false(everything.includes(secretPart), 'the log has the token')
}

for (const [alg, key] of [
  ['RS256', rsa],
  ['RS384', rsa],
  ['RS512', rsa],
  ['PS256', rsa],
  ['PS384', rsa],
  ['PS512', rsa],
  ['ES256', ec],
  ['ES384', ec384],
  ['ES512', ec521],
  ['EdDSA', ed],
  ['Ed25519', ed],
] as [string, KeyPair][]) {
  test(`a token signed with ${alg} lets its user in, and one that was changed nobody`, async (t) => {
    const house = await open(t, { publicKeyFile: pemOf(key) }, { algorithms: [alg] })
    const token = await sign(key.privateKey, alg)

    const client = await connectClient(t, house.broker, {
      username: '',
      password: token,
      clientId: 'c',
    })

    t.deepEqual(await client.settled(), [])
    t.like(house.log.find('client connected')[0]?.fields, { user: 'alice' })
    const [header, , signature] = token.split('.')
    const claims = Buffer.from(JSON.stringify({ sub: 'admin', exp: START_SECONDS + 60 }))
    const changed = [header, claims.toString('base64url'), signature].join('.')
    await refused(t, house, { password: changed }, /signature is not by a key that is known/)
  })
}

for (const alg of ['HS256', 'HS384', 'HS512']) {
  test(`a token signed with ${alg} and the secret lets its user in`, async (t) => {
    const house = await openHs(t, { algorithms: [alg] })

    t.is((await knock(t, house.broker, { password: await sign(secret, alg) }))['reasonCode'], 0)
  })
}

test('a file may have several public keys, certificates among them', async (t) => {
  const { server } = await certificates()
  const signer = createPrivateKey(server.key)
  const isRsa = signer.asymmetricKeyType === 'rsa'
  const publicKeyFile = [pemOf(ed), server.cert, pemOf(ec384)].join('')
  const algorithms = ['EdDSA', 'ES384', isRsa ? 'RS256' : 'ES256']
  const { broker } = await open(t, { publicKeyFile }, { algorithms })

  for (const [key, alg] of [
    [signer, algorithms[2]],
    [ed.privateKey, 'EdDSA'],
    [ec384.privateKey, 'ES384'],
  ] as [KeyObject, string][]) {
    t.is((await knock(t, broker, { password: await sign(key, alg) }))['reasonCode'], 0)
  }
})

test('a public key is never the secret of a token', async (t) => {
  const house = await open(t, { publicKeyFile: pemOf(rsa) }, { algorithms: ['RS256', 'HS256'] })
  for (const bytes of [pemOf(rsa), pemOf(rsa).trim()]) {
    const unsigned = forge({ alg: 'HS256' }, { sub: 'admin', exp: START_SECONDS + 60 }).slice(0, -1)
    const signature = createHmac('sha256', bytes).update(unsigned).digest('base64url')

    const password = `${unsigned}.${signature}`
    await refused(t, house, { password }, /no key is known for HS256/)
  }
})

for (const alg of ['none', 'None', 'nOnE', '', 'RS256', 'HS512']) {
  test(`a token that says it is signed with "${alg}" is refused where that is not allowed`, async (t) => {
    const house = await openHs(t)
    const password = forge({ alg }, { sub: 'admin', exp: START_SECONDS + 60 })

    await refused(t, house, { password }, new RegExp(`it is signed with "${alg}"`))
  })
}

test('a key that a token brings itself counts for nothing', async (t) => {
  const house = await open(t, { publicKeyFile: pemOf(rsa) }, { algorithms: ['ES256', 'RS256'] })
  const jwk = ec.publicKey.export({ format: 'jwk' })
  const password = await sign(ec.privateKey, 'ES256', {}, { jwk, jku: 'http://127.0.0.1:9/' })

  await refused(t, house, { password }, /no key is known for ES256/)
})

for (const [what, claims, jwt, rule] of [
  ['has expired', { exp: START_SECONDS - 6 }, {}, /^token: it expired at 2023-11-14T22:13:14/],
  ['never expires', { exp: undefined }, {}, /^token: it has no exp/],
  ['is not valid yet', { nbf: START_SECONDS + 60 }, {}, /not valid before 2023-11-14T22:14:20/],
  [
    'comes from another issuer',
    { iss: 'https://b' },
    { issuers: ['https://a'] },
    /issuer is "https:\/\/b"/,
  ],
  ['has no issuer', {}, { issuers: ['https://a'] }, /its issuer is nothing/],
  [
    'is for somebody else',
    { aud: ['b', 'c'] },
    { audiences: ['a'] },
    /its audience is \["b","c"\]/,
  ],
  ['names no user', { sub: undefined }, {}, /its claim sub is nothing/],
  ['names a user that is no text', { sub: 7 }, {}, /its claim sub is 7/],
  ['has an exp that is no number', { exp: 'tomorrow' }, {}, /its exp is not what it has to be/],
] as [string, object, JwtOptions, RegExp][]) {
  test(`a token that ${what} is refused, and the log says so`, async (t) => {
    const house = await openHs(t, jwt)

    await refused(t, house, { password: await signAny(claims) }, rule)
  })
}

/** Also claims that jose would not write. */
async function signAny(claims: object): Promise<string> {
  const all = { sub: 'alice', exp: START_SECONDS + 3600, ...claims }
  const unsigned = forge({ alg: 'HS256' }, all).slice(0, -1)
  return `${unsigned}.${createHmac('sha256', secretText).update(unsigned).digest('base64url')}`
}

for (const [what, claims, jwt] of [
  ['within the tolerance of clocks', { exp: START_SECONDS - 4 }, {}],
  ['that never expires where that is allowed', { exp: undefined }, { requireExpiry: false }],
  ['for one of several audiences', { aud: ['b', 'a'] }, { audiences: ['a', 'z'] }],
  ['by one of several issuers', { iss: 'b' }, { issuers: ['a', 'b'] }],
] as [string, object, JwtOptions][]) {
  test(`a token ${what} lets its user in`, async (t) => {
    const { broker } = await openHs(t, jwt)

    t.is((await knock(t, broker, { password: await signAny(claims) }))['reasonCode'], 0)
  })
}

test('a token ends the connection when it expires', async (t) => {
  const { broker, clock } = await openHs(t, { clockToleranceSeconds: 0 })
  const password = await sign(secret, 'HS256', { exp: START_SECONDS + 60 })
  const clients = [
    await connectClient(t, broker, { username: '', password }),
    await connectClient(t, broker, { password, version: 4, username: 'alice' }),
  ]

  await clock.advance(59_999)
  for (const client of clients) t.deepEqual(await client.settled(), [])
  await clock.advance(1)

  t.like((await clients[0]?.closed())?.[0], { cmd: 'disconnect', reasonCode: 0xa0 })
  t.deepEqual(await clients[1]?.closed(), [])
})

test('a client that brings a new token by the method JWT in time stays, as the same user', async (t) => {
  const { broker, clock, log } = await openHs(t, { clockToleranceSeconds: 0 })
  const bring = async (claims: JWTPayload) => ({
    authenticationMethod: 'JWT',
    authenticationData: Buffer.from(await sign(secret, 'HS256', claims)),
  })
  const properties = await bring({ exp: START_SECONDS + 60 })
  const client = await connectClient(t, broker, { properties })

  client.send({
    cmd: 'auth',
    reasonCode: 0x19,
    properties: await bring({ exp: START_SECONDS + 120 }),
  })
  await client.expect(t, 'auth', { reasonCode: 0 })
  await clock.advance(119_000)
  t.deepEqual(await client.settled(), [])

  client.send({ cmd: 'auth', reasonCode: 0x19, properties: await bring({ sub: 'bob' }) })
  await client.expect(t, 'disconnect', { reasonCode: 0x87 })
  t.like(await log.next('client disconnected'), {
    user: 'alice',
    rule: 'enhanced authentication failed: token: it is for user "bob"',
  })
})

test('by the method JWT, what is no token is refused', async (t) => {
  const house = await openHs(t)
  const properties = { authenticationMethod: 'JWT', authenticationData: Buffer.from('hello') }

  await refused(t, house, { properties }, /there is none in the Authentication Data/)
})

test('the user name beside a token must be the one in it, unless it need not', async (t) => {
  const password = await sign(secret, 'HS256')
  const strict = await openHs(t)
  await refused(t, strict, { username: 'bob', password }, /^token: it is for user "alice"/)
  t.is((await knock(t, strict.broker, { username: 'alice', password }))['reasonCode'], 0)

  const lax = await openHs(t, { requireSameUserName: false })
  t.is((await knock(t, lax.broker, { username: 'bob', password }))['reasonCode'], 0)
  t.like(lax.log.find('client connected')[0]?.fields, { user: 'alice' })
})

test('other claims can be the user name, and must be the Client Identifier', async (t) => {
  const jwt = { userNameClaim: 'email', clientIdentifierClaim: 'device' }
  const house = await openHs(t, jwt)
  const password = await sign(secret, 'HS256', { email: 'a@example.org', device: 'd1' })

  t.is((await knock(t, house.broker, { password, clientId: 'd1' }))['reasonCode'], 0)
  t.like(house.log.find('client connected')[0]?.fields, { user: 'a@example.org' })
  await refused(t, house, { password, clientId: 'd2' }, /its claim device is "d1"/, 0x87)
})

test('a token may stand in the user name where that is allowed', async (t) => {
  const username = await sign(secret, 'HS256')
  const allowed = await openHs(t, { allowInUserName: true })
  t.is((await knock(t, allowed.broker, { username }))['reasonCode'], 0)
  t.like(allowed.log.find('client connected')[0]?.fields, { user: 'alice' })

  const expired = await sign(secret, 'HS256', { exp: 1 })
  await refused(t, allowed, { username: expired }, /^token: it expired/)
  await refused(t, await openHs(t), { username }, /no user of that name/)
})

test('MQTT 5.0 lets a token come without any user name', async (t) => {
  const { broker, log } = await openHs(t)
  const client = openClient(broker)
  const password = Buffer.from(await sign(secret, 'HS256'))

  client.sendBytes(connectOf({ flags: 0x42, payload: [text('c'), text(password)] }))

  await client.expect(t, 'connack', { reasonCode: 0 })
  t.like(log.find('client connected')[0]?.fields, { user: 'alice' })
})

test('rules in a token are asked before the file of rules, and for its client alone', async (t) => {
  const aclFile = join(temporaryDirectory(t), 'acl')
  writeFileSync(aclFile, 'allow all all/#\n')
  const { broker, log } = await openHs(t, {}, { aclFile })
  const acl = { publish: ['own/%u/%c'], subscribe: ['own/#'] }
  const own = await connectClient(t, broker, {
    clientId: 'c',
    username: '',
    password: await sign(secret, 'HS256', { acl }),
  })
  const other = await connectClient(t, broker, {
    username: 'alice',
    password: await sign(secret, 'HS256'),
  })

  for (const [client, topic, code] of [
    [own, 'own/alice/c', 0x10],
    [own, 'own/alice/d', 0x87],
    [own, 'all/x', 0x87],
    [other, 'all/x', 0x10],
    [other, 'own/alice/c', 0x87],
  ] as const) {
    client.publish(topic, 'x', { qos: 1, messageId: 1 })
    await client.expect(t, 'puback', { reasonCode: code })
  }
  t.like(await own.subscribe(t, 'own/+/x'), { granted: [0] })
  t.like(await own.subscribe(t, 'all/#'), { granted: [0x87] })
  t.like(log.find('publish denied')[0]?.fields, { rule: "the client's own acl no rule allows it" })
})

for (const acl of ['all', { publish: '#' }, { publish: ['a'], write: ['b'] }, ['allow a']]) {
  test(`a token whose acl is ${JSON.stringify(acl)} is refused`, async (t) => {
    const house = await openHs(t)
    const password = await sign(secret, 'HS256', { acl })

    await refused(t, house, { password }, /what the client may cannot be understood/, 0x87)
  })
}

for (const password of ['a.b.c', 'secret', '', 'eyJhbGciOiJIUzI1NiJ9', 'bnVsbA.bnVsbA.x']) {
  test(`"${password}" is no token, and is left to the next who is asked`, async (t) => {
    const house = await openHs(t)

    await refused(t, house, { username: 'alice', password: password }, /no user of that name/)
  })
}

test('a token that is too long is not looked at', async (t) => {
  const house = await openHs(t)
  const password = await sign(secret, 'HS256', { filler: 'x'.repeat(20_000) })

  await refused(t, house, { password }, /more than 16384 characters/)
})

for (const [files, jwt, sentence] of [
  [{ secretFile: 'short' }, { algorithms: ['HS256'] }, /the secret has 5 bytes, HS256 needs 32/],
  [
    { secretFile: 'not base64!' },
    { algorithms: ['HS256'], secretEncoding: 'base64' },
    /this is not base64/,
  ],
  [{ publicKeyFile: 'nothing' }, { algorithms: ['RS256'] }, /it has no public key in PEM/],
  [
    { publicKeyFile: pemOf(ec) },
    { algorithms: ['RS256'] },
    /good for ES256, and algorithms allows none/,
  ],
  [
    {
      publicKeyFile: ed.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    },
    { algorithms: ['EdDSA'] },
    /it has a private key/,
  ],
  [{ jwksFile: '{}' }, { algorithms: ['RS256'] }, /it is no JSON Web Key Set/],
  [
    { jwksFile: '{"keys":[{"kty":"oct","k":"AA"}]}' },
    { algorithms: ['HS256'] },
    /it has no key for HS256/,
  ],
] as [Record<string, string>, JwtOptions, RegExp][]) {
  test(`the broker does not start with ${JSON.stringify(files).slice(0, 40)} for ${String(jwt.algorithms)}`, async (t) => {
    await t.throwsAsync(open(t, files, jwt), { message: sentence })
  })
}
