/** `noctule certs`: what it makes is taken by OpenSSL, and by clients against a broker with the lines it prints. */

import { X509Certificate } from 'node:crypto'
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { loadX509 } from '../../lib/cli/certs/x509.ts'
import { createBroker } from '../../lib/index.ts'
import { spawnStart } from '../support/broker-process.ts'
import { type CliResult, run, temporaryDirectory } from '../support/processes.ts'
import { type Exit, Program, requireProgram } from '../support/programs.ts'

interface Folder {
  readonly path: string
  readonly certs: (...words: readonly string[]) => Promise<CliResult>
  readonly file: (name: string) => string
}

function folderOf(t: ExecutionContext): Folder {
  const path = join(temporaryDirectory(t), 'certs')
  return {
    path,
    certs: (...words) => run(t, ['certs', ...words, '--dir', path]),
    file: (name) => join(path, name),
  }
}

async function initiated(t: ExecutionContext, ...words: readonly string[]): Promise<Folder> {
  const folder = folderOf(t)
  const { code, stderr } = await folder.certs('init', ...words)
  t.is(code, 0, stderr)
  return folder
}

function certificateIn(path: string): X509Certificate {
  return new X509Certificate(readFileSync(path))
}

/** Runs OpenSSL's strictest verification; undefined if there is no openssl. */
async function verify(
  t: ExecutionContext,
  { file }: Folder,
  purpose: 'sslserver' | 'sslclient',
  name: string,
): Promise<Exit | undefined> {
  const openssl = requireProgram(t, 'openssl', 'openssl')
  if (openssl === undefined) return undefined
  const trust = ['-CAfile', file('ca.crt'), '-CRLfile', file('ca.crl'), '-crl_check_all']
  const words = ['verify', '-x509_strict', '-check_ss_sig', '-purpose', purpose, ...trust]
  return new Program(t, openssl, [...words, file(name)]).exited
}

test('an authority, a server and a device are valid to OpenSSL, for what they are made for', async (t) => {
  const folder = await initiated(t)
  await folder.certs('device', 'meter-7')

  const server = await verify(t, folder, 'sslserver', 'server.crt')
  if (server === undefined) return
  const device = await verify(t, folder, 'sslclient', 'meter-7.crt')

  t.is(server.code, 0, server.stderr)
  t.is(device?.code, 0, device?.stderr)
  t.not((await verify(t, folder, 'sslclient', 'server.crt'))?.code, 0)
  t.not((await verify(t, folder, 'sslserver', 'meter-7.crt'))?.code, 0)
})

test('keys are readable for their owner alone', async (t) => {
  const { certs, file } = await initiated(t)
  await certs('device', 'meter-7')

  for (const name of ['ca.key', 'server.key', 'meter-7.key']) {
    t.is(statSync(file(name)).mode & 0o777, 0o600, name)
  }
  t.is(statSync(file('..')).isDirectory(), true)
})

test('the server is this machine by default, or who --host says', async (t) => {
  const own = await initiated(t)
  const named = await initiated(t, '--host', 'broker.example', '--host', '192.0.2.1')

  const ownNames = certificateIn(own.file('server.crt'))
  const names = certificateIn(named.file('server.crt'))

  for (const name of ['localhost', hostname()]) t.truthy(ownNames.checkHost(name), name)
  for (const address of ['127.0.0.1', '::1']) t.truthy(ownNames.checkIP(address), address)
  t.is(names.subjectAltName, 'DNS:broker.example, IP Address:192.0.2.1')
  t.is(names.subject, 'CN=broker.example')
})

test('days are those that are asked for, and end with the authority', async (t) => {
  const { certs, file } = await initiated(t, '--ca-days', '100', '--days', '10')
  await certs('device', 'short', '--days', '20')
  await certs('device', 'long')

  const daysOf = (name: string) =>
    Math.round((Date.parse(certificateIn(file(name)).validTo) - Date.now()) / 86_400_000)

  t.deepEqual(
    ['ca.crt', 'server.crt', 'short.crt', 'long.crt'].map((name) => daysOf(name)),
    [100, 10, 20, 100],
  )
})

test('every certificate has a serial number and a key of its own', async (t) => {
  const { certs, file } = await initiated(t)
  await certs('device', 'a')
  await certs('device', 'b')

  const made = ['ca.crt', 'server.crt', 'a.crt', 'b.crt'].map((name) => certificateIn(file(name)))

  t.is(new Set(made.map(({ serialNumber }) => serialNumber)).size, 4)
  t.is(
    new Set(made.map(({ publicKey }) => publicKey.export({ type: 'spki', format: 'pem' }))).size,
    4,
  )
})

test('nothing is overwritten without --force', async (t) => {
  const { certs, file } = await initiated(t)
  await certs('device', 'meter-7')
  const before = readFileSync(file('ca.key'), 'utf8') + readFileSync(file('meter-7.key'), 'utf8')

  const init = await certs('init')
  const device = await certs('device', 'meter-7')
  const server = await certs('server')
  rmSync(file('ca.crt'))
  const half = await certs('init')

  t.is(init.stderr, `${file('ca.key')} is there already; --force replaces it.\n`)
  t.is(device.stderr, `${file('meter-7.key')} is there already; --force replaces it.\n`)
  t.is(server.stderr, `${file('server.key')} is there already; --force replaces it.\n`)
  t.deepEqual([init.code, device.code, server.code, half.code], [1, 1, 1, 1])
  t.is(readFileSync(file('ca.key'), 'utf8') + readFileSync(file('meter-7.key'), 'utf8'), before)
})

test('the broker gets another certificate of the same authority', async (t) => {
  const folder = await initiated(t)
  const before = certificateIn(folder.file('server.crt'))
  const ca = readFileSync(folder.file('ca.crt'), 'utf8')

  const { code, stdout } = await folder.certs('server', '--force', '--host', 'new.example')
  const exit = await verify(t, folder, 'sslserver', 'server.crt')

  t.is(code, 0)
  t.regex(stdout, /^The broker is new\.example until \d{4}-\d\d-\d\d: /)
  t.is(readFileSync(folder.file('ca.crt'), 'utf8'), ca)
  t.not(certificateIn(folder.file('server.crt')).serialNumber, before.serialNumber)
  if (exit !== undefined) t.is(exit.code, 0, exit.stderr)
})

test('a device is revoked by its name or by its serial number, once', async (t) => {
  const folder = await initiated(t)
  await folder.certs('device', 'stolen')
  await folder.certs('device', 'replaced')
  const { serialNumber } = certificateIn(folder.file('replaced.crt'))
  await folder.certs('device', 'replaced', '--force')

  const byName = await folder.certs('revoke', 'stolen')
  const bySerial = await folder.certs('revoke', '--serial', serialNumber)
  const again = await folder.certs('revoke', 'stolen')
  const exit = await verify(t, folder, 'sslclient', 'stolen.crt')
  if (exit === undefined) return
  const openssl = requireProgram(t, 'openssl', 'openssl') ?? ''
  const words = ['crl', '-in', folder.file('ca.crl'), '-noout', '-text']
  const { stdout } = await new Program(t, openssl, words).exited

  t.is(byName.code, 0, byName.stderr)
  t.is(bySerial.code, 0, bySerial.stderr)
  t.is(again.stderr, 'stolen is revoked already.\n')
  t.regex(exit.stderr, /certificate revoked/)
  t.is((await verify(t, folder, 'sslclient', 'replaced.crt'))?.code, 0)
  t.is(stdout.match(/Serial Number/g)?.length, 2)
  t.regex(stdout, new RegExp(`Serial Number: ${serialNumber}`))
})

for (const [words, expected] of [
  [['device', 'a/b'], /^A device cannot be called "a\/b": 1 to 64 letters/],
  [['device', '..'], /^A device cannot be called "\.\."/],
  [['device', 'ca'], /^A device cannot be called ca: the files of that name are others/],
  [['init', '--host', 'a b'], /^--host "a b" is neither a host name nor an address/],
  [['init', '--days', '0'], /^Days are a whole number from 1 to 36500/],
  [['init', '--ca-days', 'x'], /^Days are a whole number from 1 to 36500/],
  [['revoke'], /^Name the device, or give --serial/],
  [['revoke', '--serial', 'xyz'], /^--serial wants hexadecimal digits/],
  [['revoke', 'a', '--serial', '0a'], /^Name the device, or give --serial/],
] as const) {
  test(`certs ${words.join(' ')} is a mistake, in a sentence`, async (t) => {
    const folder = words[0] === 'revoke' ? await initiated(t) : folderOf(t)

    const { code, stderr } = await folder.certs(...words)

    t.is(code, 2)
    t.regex(stderr, expected)
    t.true(words[0] === 'revoke' || !existsSync(folder.path))
  })
}

test('what cannot be used is told in a sentence', async (t) => {
  const empty = folderOf(t)
  const { certs, file } = await initiated(t)
  const other = await initiated(t)
  await other.certs('device', 'foreign')
  writeFileSync(file('foreign.crt'), readFileSync(other.file('foreign.crt')))

  const none = await empty.certs('device', 'a')
  const unknown = await certs('revoke', 'nobody')
  const foreign = await certs('revoke', 'foreign')
  writeFileSync(file('ca.crl'), readFileSync(other.file('ca.crl')))
  const list = await certs('revoke', '--serial', '0a')
  writeFileSync(file('ca.key'), readFileSync(other.file('ca.key')))
  const mixed = await certs('device', 'a')

  t.is(
    none.stderr,
    `There is no authority in ${empty.path}: noctule certs init makes one, --dir names another folder.\n`,
  )
  t.is(unknown.stderr, `Cannot read ${file('nobody.crt')}: there is no such file.\n`)
  t.is(foreign.stderr, `${file('foreign.crt')} cannot be used: another authority has signed it.\n`)
  t.is(list.stderr, `${file('ca.crl')} cannot be used: another authority has signed it.\n`)
  t.is(
    mixed.stderr,
    `The authority ${file('ca.crt')} cannot be used: its key belongs to another one.\n`,
  )
  for (const { code } of [none, unknown, foreign, list, mixed]) t.is(code, 1)
})

test('without its package the command says what to install', async (t) => {
  const load = () => Promise.reject(new Error('Cannot find package'))

  await t.throwsAsync(loadX509(load), {
    message: /^Certificates are made by the optional packages .* npm install @peculiar\/x509/,
  })
})

test('the lines and commands that are printed work as they are', async (t) => {
  const { certs } = folderOf(t)
  const { stdout: printed } = await certs('init')
  const { stdout: forDevice } = await certs('device', 'meter-7')
  const listener = /^listeners:\n(?: .*\n)*/m.exec(printed)?.[0] ?? ''
  const config = join(temporaryDirectory(t), 'noctule.yaml')
  writeFileSync(config, listener.replace('port: 8883', 'port: 0'))

  const broker = spawnStart(t, ['--config', config])
  const [, port = ''] = await broker.waitFor(/mqtts:\/\/[^:]+:(\d+)/)
  const commands = forDevice.split('\n').filter((line) => / (mosquitto_)?pub/.test(line))
  const [mosquitto = '', noctule = ''] = commands.map((line) => line.trim().replace('8883', port))

  t.true(printed.includes(commands.join('\n')))
  const own = await run(t, wordsOf(noctule).slice(1))
  t.is(own.code, 0, own.stderr)
  const [program = '', ...words] = wordsOf(mosquitto)
  const path = requireProgram(t, program, 'mosquitto-clients')
  if (path === undefined) return
  const theirs = await new Program(t, path, words).exited
  t.is(theirs.code, 0, theirs.stderr)
})

test('curl trusts the secure WebSocket door', async (t) => {
  const curl = requireProgram(t, 'curl', 'curl')
  if (curl === undefined) return
  const { file } = await initiated(t)
  const listener = {
    type: 'wss',
    port: 0,
    keyFile: file('server.key'),
    certFile: file('server.crt'),
  } as const
  const broker = await createBroker({ listeners: [listener] })
  t.teardown(() => broker.close())

  const url = (broker.urls[0] ?? '').replace('wss:', 'https:').replace('127.0.0.1', 'localhost')
  const trust = ['--silent', '--show-error', '--noproxy', '*', '--cacert', file('ca.crt')]
  const { stdout, stderr } = await new Program(t, curl, [...trust, url]).exited

  t.is(stderr, '')
  t.regex(stdout, /^This is the WebSocket door of an MQTT broker/)
})

/** The words of a command as a shell would give them. */
function wordsOf(command: string): string[] {
  return [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '')
}
