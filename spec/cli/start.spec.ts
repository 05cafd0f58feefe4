import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import test, { type ExecutionContext } from 'ava'
import { spawnStart, startProcess } from '../support/broker-process.ts'
import { certificates } from '../support/certificates.ts'
import { type ConnectOptions, openTcpClient } from '../support/client.ts'
import { temporaryDirectory } from '../support/processes.ts'

function temporaryFile(t: ExecutionContext, name: string, content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'noctule-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

test('start says where it listens and how to try it', async (t) => {
  const broker = await startProcess(t)

  const output = broker.output()
  t.regex(output, /^Noctule listens on mqtt:\/\/127\.0\.0\.1:\d+$/m)
  t.true(output.includes(`  npx noctule sub -p ${broker.port} -t 'hello/#' -v\n`))
  t.true(output.includes(`  npx noctule pub -p ${broker.port} -t hello/world -m 'Hi there'\n`))
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} says 0x8B to clients and ends with exit code 0`, async (t) => {
    const broker = await startProcess(t)
    const client = await openTcpClient(t, broker.port)
    client.connect()
    await client.expect(t, 'connack')

    broker.child.kill(signal)

    await client.expect(t, 'disconnect', { reasonCode: 0x8b })
    t.is(await broker.exited, 0)
  })
}

test('a port that is taken is one line on the error output and exit code 3', async (t) => {
  const first = await startProcess(t)

  const second = spawnStart(t, [
    '--port',
    String(first.port),
    '--ws-port',
    '0',
    '--log-level',
    'error',
  ])

  t.is(await second.exited, 3)
  t.is(
    second.output(),
    `Cannot listen on 127.0.0.1:${first.port}: the port is taken by another program. Stop it or choose another with --port.\n`,
  )
})

test('all mistakes of a configuration are told at once, with their lines, and exit code 2', async (t) => {
  const file = temporaryFile(
    t,
    'noctule.yaml',
    'session:\n  queueMesagesMax: 5\nlog:\n  level: loud\n',
  )

  const broker = spawnStart(t, ['--config', file])

  t.is(await broker.exited, 2)
  t.regex(broker.output(), /noctule\.yaml:2: .*queueMesagesMax.*queueMessagesMax/)
  t.regex(broker.output(), /noctule\.yaml:4: log\.level/)
  t.notRegex(broker.output(), /\n\s+at /)
})

for (const [args, words] of [
  [['--config', '/nowhere/noctule.yaml'], /\/nowhere\/noctule\.yaml/],
  [['--port', 'abc'], /--port must be a whole number from 0 to 65535/],
  [['--prot', '5'], /no flag --prot|Unknown argument/],
  [['--store', 'cupboard:'], /store\.url must be a store that exists: disk, memory/],
] as const) {
  test(`start ${args.join(' ')} is a mistake, told in one sentence`, async (t) => {
    const broker = spawnStart(t, args)

    t.is(await broker.exited, 2)
    t.regex(broker.output(), words)
    t.notRegex(broker.output(), /\n\s+at /)
  })
}

test('a certificate that is not there is told with its path and exit code 3', async (t) => {
  const file = temporaryFile(
    t,
    'noctule.yaml',
    'listeners:\n  - { type: tls, port: 0, keyFile: /no/key.pem, certFile: /no/cert.pem }\n',
  )

  const broker = spawnStart(t, ['--config', file, '--log-level', 'error'])

  t.is(await broker.exited, 3)
  t.regex(
    broker.output(),
    /^Cannot open listener tls-0: keyFile \/no\/key\.pem: there is no such file\./,
  )
})

test('the lines to try it with have a user where somebody asks for one', async (t) => {
  const flags = ['--security.http.authenticateUrl', 'http://127.0.0.1:1/', '--log-level', 'info']
  const broker = await startProcess(t, flags)
  const open = await startProcess(t, [...flags, '--allow-anonymous'])

  t.regex(broker.output(), /noctule sub -p \d+ -u USER -P PASSWORD -t/)
  t.regex(open.output(), /noctule sub -p \d+ -t/)
})

test('flags win over the environment, the environment over the file', async (t) => {
  const file = temporaryFile(
    t,
    'noctule.yaml',
    'connection: { receiveMaximum: 11, topicAliasMaximum: 11, maximumPacketSizeBytes: 1111 }\n',
  )
  const broker = await startProcess(t, ['--config', file, '--connection.receiveMaximum', '33'], {
    NOCTULE_CONNECTION_RECEIVE_MAXIMUM: '22',
    NOCTULE_CONNECTION_TOPIC_ALIAS_MAXIMUM: '22',
  })
  const client = await openTcpClient(t, broker.port)
  client.connect()

  const { properties } = await client.expect(t, 'connack')

  t.like(properties, { receiveMaximum: 33, topicAliasMaximum: 22, maximumPacketSize: 1111 })
})

test('SIGHUP takes over what may change, keeps clients, and names what needs a restart', async (t) => {
  const file = temporaryFile(t, 'noctule.yaml', 'connection: { receiveMaximum: 11 }\n')
  const broker = await startProcess(t, ['--config', file])
  const before = await openTcpClient(t, broker.port)
  before.connect()
  await before.expect(t, 'connack')

  writeFileSync(file, 'connection: { receiveMaximum: 12 }\nsession: { inflightMax: 7 }\n')
  broker.child.kill('SIGHUP')
  await broker.waitFor(/configuration and certificates read again/)
  const after = await openTcpClient(t, broker.port)
  after.connect()

  t.is((await after.expect(t, 'connack')).properties.receiveMaximum, 12)
  t.regex(broker.output(), /"needsRestart":\["session\.inflightMax"\]/)
  await before.settled()
  t.false(before.isClosed)
})

test('SIGHUP with a broken file changes nothing and says why', async (t) => {
  const file = temporaryFile(t, 'noctule.yaml', 'connection: { receiveMaximum: 11 }\n')
  const broker = await startProcess(t, ['--config', file])

  writeFileSync(file, 'connection: { receiveMaximum: lots }\n')
  broker.child.kill('SIGHUP')
  await broker.waitFor(/nothing was changed/)
  const client = await openTcpClient(t, broker.port)
  client.connect()

  t.is((await client.expect(t, 'connack')).properties.receiveMaximum, 11)
})

test('a listener beyond this machine is not opened before something says who may connect', async (t) => {
  const refused = spawnStart(t, ['--host', '0.0.0.0', '--port', '0', '--ws-port', '0'])

  t.is(await refused.exited, 2)
  const lines = ['passwordFile: ./passwords', 'allowAnonymous: true', 'host: 127.0.0.1']
  for (const line of lines) t.true(refused.output().includes(line), line)
  t.notRegex(refused.output(), /Noctule listens|\n\s+at /)
})

test('--allow-anonymous opens it, for everybody', async (t) => {
  const args = ['--host', '0.0.0.0', '--port', '0', '--ws-port', '0', '--allow-anonymous']
  const open = spawnStart(t, args)
  const [, port] = await open.waitFor(/mqtt:\/\/0\.0\.0\.0:(\d+)/)
  const client = await openTcpClient(t, Number(port))
  client.connect()

  await client.expect(t, 'connack', { reasonCode: 0 })
})

test('the first start makes an administrator with a password that is shown once, and kept as a hash', async (t) => {
  const passwordFile = join(temporaryDirectory(t), 'passwords')
  const environment = {
    NOCTULE_SECURITY_PASSWORD_FILE: passwordFile,
    NOCTULE_SECURITY_FIRST_ADMINISTRATOR: 'true',
  }
  const args = ['--host', '0.0.0.0', '--port', '0', '--ws-port', '0']
  const first = spawnStart(t, args, environment)
  const [, port] = await first.waitFor(/mqtt:\/\/0\.0\.0\.0:(\d+)/)
  const [, password = ''] = await first.waitFor(/User "admin" has the password (\S{24})\n/)
  const knock = async (options: ConnectOptions, reasonCode: number) => {
    const client = await openTcpClient(t, Number(port))
    client.connect(options)
    await client.expect(t, 'connack', { reasonCode })
  }

  await knock({ username: 'admin', password }, 0)
  await knock({ username: 'admin', password: 'guess' }, 0x86)
  await knock({}, 0x87)
  t.regex(first.output(), /noctule sub -p \d+ -u USER -P PASSWORD -t/)
  t.regex(readFileSync(passwordFile, 'utf8'), /^admin:\$scrypt\$[^\n]*\n$/)
  t.is(statSync(passwordFile).mode & 0o777, 0o600)
  t.is(first.output().split(password).length, 2)

  const second = spawnStart(t, args, environment)
  await second.waitFor(/Noctule listens/)
  t.false(second.output().includes('password'))
})

test('firstAdministrator needs a file to put it in', async (t) => {
  const refused = spawnStart(t, ['--security.firstAdministrator', 'true'])

  t.is(await refused.exited, 2)
  t.regex(
    refused.output(),
    /security\.passwordFile must be a file, since firstAdministrator is true/,
  )
})

test('a password file that is not there, or has a wrong line, is told with what to do, and exit code 2', async (t) => {
  const missing = spawnStart(t, ['--security.passwordFile', '/nowhere/passwords'])
  const file = temporaryFile(t, 'passwords', '# people\nalice:secret\n')
  const broken = spawnStart(t, ['--security.passwordFile', file])

  t.is(await missing.exited, 2)
  t.regex(missing.output(), /\/nowhere\/passwords.*no such file.*noctule user add NAME --file/)
  t.is(await broken.exited, 2)
  t.is(broken.output(), `${file}:2: the password is not hashed: set it with noctule user passwd\n`)
})

test('SIGHUP reads certificates again: who is connected stays, who comes is shown the new one', async (t) => {
  const first = await certificates()
  const key = temporaryFile(t, 'key.pem', first.server.key)
  const cert = temporaryFile(t, 'cert.pem', first.server.cert)
  const file = temporaryFile(
    t,
    'noctule.yaml',
    `listeners:\n  - { type: tls, port: 0, keyFile: ${key}, certFile: ${cert} }\n`,
  )
  const broker = spawnStart(t, ['--config', file])
  const [, port] = await broker.waitFor(/mqtts:\/\/127\.0\.0\.1:(\d+)/)
  const before = await handshake(t, Number(port))

  writeFileSync(key, first.renewedServer.key)
  writeFileSync(cert, first.renewedServer.cert)
  broker.child.kill('SIGHUP')
  await broker.waitFor(/read again/)
  const after = await handshake(t, Number(port))

  t.not(after.getPeerCertificate().fingerprint256, before.getPeerCertificate().fingerprint256)
  t.false(before.destroyed)
})

async function handshake(t: ExecutionContext, port: number): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  t.teardown(() => socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}
