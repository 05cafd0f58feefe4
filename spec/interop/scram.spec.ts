/** SCRAM over real sockets: a client that says what it is told, MQTT.js, and `noctule pub`. */

import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { callbackify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import type { IConnackPacket, MqttClient } from 'mqtt'
import { ScramLogin } from '../../lib/cli/scram-login.ts'
import type { Broker, CreateBrokerOptions } from '../../lib/index.ts'
import { ConfigurationError } from '../../lib/index.ts'
import { hashPassword } from '../../lib/security/password-hash.ts'
import { hashForScram, type ScramMethod, scramMethods } from '../../lib/security/scram/keys.ts'
import { startBroker } from '../support/broker.ts'
import { type AnyPacket, openClient, openTcpClient, type TestClient } from '../support/client.ts'
import { connectMqttJs, openMqttJs, startListeningBroker } from '../support/mqtt-js.ts'
import { run, temporaryDirectory } from '../support/processes.ts'
import { type RecordingLogger, recordingLogger } from '../support/recording-logger.ts'
import { startScriptedBroker, welcome } from '../support/scripted-broker.ts'

type AuthPacket = Parameters<MqttClient['handleAuth']>[0]

const pencil = Buffer.from('pencil')
const sha256: ScramMethod = 'SCRAM-SHA-256'
const lines = {
  alice: await hashForScram(pencil, sha256, 12),
  alicia: await hashForScram(pencil, sha256, 12),
  bob: await hashForScram(pencil, 'SCRAM-SHA-512', 12),
  carol: await hashPassword(pencil, 10),
}

interface House {
  readonly broker: Broker
  readonly port: number
  readonly url: string
  readonly log: RecordingLogger
  readonly passwordFile: string
  readonly options: CreateBrokerOptions
}

function optionsFor(t: ExecutionContext): House['options'] & { readonly passwordFile: string } {
  const passwordFile = join(temporaryDirectory(t), 'passwords')
  writeFileSync(passwordFile, textOf(lines))
  return { passwordFile, security: { passwordFile, scram: [...scramMethods] } }
}

function textOf(users: Readonly<Record<string, string>>): string {
  return Object.entries(users)
    .map(([name, line]) => `${name}:${line}\n`)
    .join('')
}

async function open(t: ExecutionContext): Promise<House> {
  const { passwordFile, ...options } = optionsFor(t)
  const log = recordingLogger()
  const { broker, urls } = await startListeningBroker(t, { ...options, logger: log })
  const { port } = new URL(urls.tcp)
  return { broker, port: Number(port), url: urls.tcp, log, passwordFile, options }
}

function loginOf(userName: string, password = 'pencil', method = sha256): Promise<ScramLogin> {
  return ScramLogin.of({ method, userName, password: Buffer.from(password) })
}

function auth(reasonCode: number, login: ScramLogin, authenticationData: Buffer) {
  const properties = { authenticationMethod: login.method, authenticationData }
  return { cmd: 'auth', reasonCode, properties }
}

/** Goes through a whole exchange; returns how it was answered at last. */
async function logIn(
  t: ExecutionContext,
  client: TestClient,
  login: ScramLogin,
  clientId = 'c',
): Promise<AnyPacket> {
  const properties = { authenticationMethod: login.method, authenticationData: login.begin() }
  client.connect({ clientId, properties })
  return answer(t, client, login)
}

async function logInAgain(
  t: ExecutionContext,
  client: TestClient,
  login: ScramLogin,
): Promise<AnyPacket> {
  client.send(auth(0x19, login, login.begin()))
  return answer(t, client, login)
}

async function answer(
  t: ExecutionContext,
  client: TestClient,
  login: ScramLogin,
): Promise<AnyPacket> {
  const challenge = await client.expect(t, 'auth', { reasonCode: 0x18 })
  t.is(challenge['properties'].authenticationMethod, login.method)
  const proof = await login.answer(challenge['properties'].authenticationData)
  client.send(auth(0x18, login, proof))
  return (await client.next()) as AnyPacket
}

for (const [userName, method] of [
  ['alice', 'SCRAM-SHA-256'],
  ['bob', 'SCRAM-SHA-512'],
] as const) {
  test(`${method}: who proves to know the password is that user`, async (t) => {
    const { broker, port } = await open(t)
    const login = await loginOf(userName, 'pencil', method)
    const client = await openTcpClient(t, port)
    const connected = once(broker, 'connected')

    const connack = await logIn(t, client, login)

    t.like(connack, { cmd: 'connack', reasonCode: 0 })
    t.true(login.isProven(connack['properties'].authenticationData))
    t.like((await connected)[0], { userName, clientIdentifier: 'c' })
    client.publish('x', 'y', { qos: 1, messageId: 1 })
    await client.expect(t, 'puback')
  })
}

test('a wrong password, an unknown user, and one with another hash fail in the same words', async (t) => {
  const { port, log } = await open(t)

  for (const [userName, password, rule] of [
    ['alice', 'pen', 'wrong password'],
    ['mallory', 'pencil', 'no user of that name with SCRAM keys'],
    ['carol', 'pencil', 'no user of that name with SCRAM keys'],
  ] as const) {
    const client = await openTcpClient(t, port)
    const connack = await logIn(t, client, await loginOf(userName, password))

    t.like(connack, { cmd: 'connack', reasonCode: 0x86 })
    t.is(String(connack['properties'].authenticationData), 'e=invalid-proof')
    t.is(connack['properties'].reasonString, undefined)
    t.deepEqual(await client.closed(), [])
    t.like(await log.next('connection refused'), {
      client: 'c',
      user: userName,
      packet: 'CONNECT',
      rule: `enhanced authentication failed: SCRAM: ${rule}`,
      hint: 'noctule user passwd --scram sets a new password',
    })
  }
})

test('a method that is not on is refused', async (t) => {
  const { passwordFile } = optionsFor(t)
  const { broker } = await startBroker(t, { security: { passwordFile, scram: [sha256] } })
  const client = openClient(broker)

  client.connect({ properties: { authenticationMethod: 'SCRAM-SHA-512' } })

  await client.expect(t, 'connack', { reasonCode: 0x8c })
})

test('one line serves SCRAM and a password in plain, in every version', async (t) => {
  const { url } = await open(t)

  for (const protocolVersion of [4, 5] as const) {
    const account = { protocolVersion, username: 'alice' }
    await connectMqttJs(t, url, { ...account, password: 'pencil' })
    await t.throwsAsync(connectMqttJs(t, url, { ...account, password: 'pen' }))
  }
})

test('the same user may authenticate again, as often as it likes', async (t) => {
  const { port } = await open(t)
  const client = await openTcpClient(t, port)
  const login = await loginOf('alice')
  await logIn(t, client, login)

  for (let i = 0; i < 3; i++) {
    const last = await logInAgain(t, client, login)
    t.like(last, { cmd: 'auth', reasonCode: 0 })
    t.true(login.isProven(last['properties'].authenticationData))
  }
})

test('another user may not, and neither may a wrong password', async (t) => {
  const { port, log } = await open(t)

  for (const [login, rule] of [
    [await loginOf('alicia'), 'a re-authentication as another user'],
    [await loginOf('alice', 'pen'), 'SCRAM: wrong password'],
  ] as const) {
    const client = await openTcpClient(t, port)
    await logIn(t, client, await loginOf('alice'))

    t.like(await logInAgain(t, client, login), { cmd: 'disconnect', reasonCode: 0x87 })
    t.deepEqual(await client.closed(), [])
    t.like(await log.next('client disconnected'), {
      user: 'alice',
      rule: `enhanced authentication failed: ${rule}`,
    })
  }
})

test('a re-authentication that does not go on ends the connection in time, one that does stays', async (t) => {
  const { passwordFile: _, ...options } = optionsFor(t)
  const { broker, clock } = await startBroker(t, {
    ...options,
    connection: { connectTimeoutMs: 3000 },
  })
  const [slow, quick] = [openClient(broker), openClient(broker)]
  const login = await loginOf('alice')
  for (const [client, id] of [
    [slow, 'slow'],
    [quick, 'quick'],
  ] as const) {
    t.like(await logIn(t, client, login, id), { reasonCode: 0 })
  }
  t.like(await logInAgain(t, quick, login), { cmd: 'auth', reasonCode: 0 })
  slow.send(auth(0x19, login, login.begin()))
  await slow.expect(t, 'auth', { reasonCode: 0x18 })

  await clock.advance(3000)

  await slow.expect(t, 'disconnect', { reasonCode: 0x87 })
  t.deepEqual(await quick.settled(), [])
  t.false(quick.isClosed)
})

test('an exchange in CONNECT that does not go on is ended in time', async (t) => {
  const { passwordFile: _, ...options } = optionsFor(t)
  const { broker, clock } = await startBroker(t, {
    ...options,
    connection: { connectTimeoutMs: 3000 },
  })
  const client = openClient(broker)
  const login = await loginOf('alice')
  const properties = { authenticationMethod: login.method, authenticationData: login.begin() }
  client.connect({ properties })
  await client.expect(t, 'auth')

  await clock.advance(3000)

  t.deepEqual(await client.closed(), [])
})

test('whose user is removed is disconnected, and one in the middle of an exchange is refused', async (t) => {
  const { port, passwordFile, log } = await open(t)
  const [inside, between] = [await openTcpClient(t, port), await openTcpClient(t, port)]
  const login = await loginOf('alice')
  await logIn(t, inside, login, 'inside')
  const properties = { authenticationMethod: login.method, authenticationData: login.begin() }
  between.connect({ clientId: 'between', properties })
  const challenge = await between.expect(t, 'auth')

  writeFileSync(passwordFile, textOf({ carol: lines.carol }))
  await log.next('a changed file is in force')

  await inside.expect(t, 'disconnect', { reasonCode: 0x87 })
  const proof = await login.answer(challenge['properties'].authenticationData)
  between.send(auth(0x18, login, proof))
  await between.expect(t, 'connack', { reasonCode: 0x86 })
})

test('MQTT.js authenticates by its handleAuth', async (t) => {
  const { url, broker } = await open(t)
  const login = await loginOf('alice')
  const connected = once(broker, 'connected')
  const { client } = openMqttJs(t, url, {
    protocolVersion: 5,
    properties: { authenticationMethod: login.method, authenticationData: login.begin() },
  })
  client.handleAuth = callbackify(async ({ properties }: AuthPacket) =>
    auth(0x18, login, await login.answer(properties?.authenticationData)),
  ) as never

  const connack = await new Promise<IConnackPacket>((resolve) => client.once('connect', resolve))

  t.true(login.isProven(connack.properties?.authenticationData))
  t.like((await connected)[0], { userName: 'alice' })
})

test('noctule pub proves its password, and says so if it is wrong', async (t) => {
  const { port, broker } = await open(t)
  const flags = ['pub', '-p', String(port), '-t', 'x', '-m', 'y', '--auth-method', sha256]
  const published = once(broker, 'published')

  const right = await run(t, [...flags, '-u', 'alice', '-P', 'pencil', '-q', '1'])
  const wrong = await run(t, [...flags, '-u', 'alice', '-P', 'pen'])
  const nobody = await run(t, flags)

  t.deepEqual({ code: right.code, stderr: right.stderr }, { code: 0, stderr: '' })
  t.like((await published)[1], { userName: 'alice' })
  t.is(wrong.code, 1)
  t.regex(wrong.stderr, /user name or password/i)
  t.is(nobody.code, 2)
  t.regex(nobody.stderr, /--auth-method needs a user name \(-u\) and a password \(-P\)/)
})

test('noctule pub does not trust a broker that accepts without proof', async (t) => {
  const { port, received } = await startScriptedBroker(t, (packet, peer) => {
    if (packet.cmd === 'connect') peer.send(welcome)
  })
  const flags = ['-p', String(port), '-t', 'x', '-m', 'y', '--auth-method', sha256]

  const { code, stderr } = await run(t, ['pub', ...flags, '-u', 'alice', '-P', 'pencil'])

  t.is(code, 1)
  t.regex(stderr, /did not prove that it knows the password/)
  const [connect] = received as readonly AnyPacket[]
  t.is(connect?.['password'], undefined)
  t.regex(String(connect?.['properties'].authenticationData), /^n,,n=alice,r=[\w+/]{24}$/)
})

test('noctule user add --scram makes a user that SCRAM knows, live', async (t) => {
  const { port, passwordFile, log } = await open(t)
  const words = ['add', 'dora', '--file', passwordFile, '--cost=12', '--scram']

  const { code } = await run(t, ['user', ...words], { input: 'geheim\n' })
  await log.next('a changed file is in force')
  const client = await openTcpClient(t, port)

  t.is(code, 0)
  t.regex(readFileSync(passwordFile, 'utf8'), /^dora:\$scram-sha-256\$i=4096\$/m)
  t.like(await logIn(t, client, await loginOf('dora', 'geheim')), { reasonCode: 0 })
})

for (const [words, sentence] of [
  [['--scram', 'md5'], /--scram is SCRAM-SHA-256 or SCRAM-SHA-512, not "md5"/],
  [['--scram', 'SCRAM-SHA-512', '--cost=11'], /from 12 to 20 with SCRAM-SHA-512/],
] as const) {
  test(`noctule user add ${words.join(' ')} is refused in one sentence`, async (t) => {
    const file = join(temporaryDirectory(t), 'passwords')
    const args = ['user', 'add', 'dora', '--file', file, ...words]

    const { code, stderr } = await run(t, args, { input: 'geheim\n' })

    t.is(code, 2)
    t.regex(stderr, sentence)
  })
}

test('SCRAM without users to serve is a mistake in the configuration', async (t) => {
  const error = await t.throwsAsync(startBroker(t, { security: { scram: [sha256] } }), {
    instanceOf: ConfigurationError,
  })

  t.regex(error?.message ?? '', /security\.passwordFile must be a file, since scram is on/)
})
