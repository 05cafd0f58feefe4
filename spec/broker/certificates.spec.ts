/** Certificates that change while the broker runs, those that are about to end, and who may come in by them. */

import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import {
  ConfigurationError,
  createBroker,
  ListenError,
  type ListenerInput,
} from '../../lib/index.ts'
import { revocationLists } from '../../lib/transport/crl.ts'
import { startBroker } from '../support/broker.ts'
import { connectClient } from '../support/client.ts'
import { ManualClock } from '../support/clock.ts'
import { certificateFiles, shownBy, startEncrypted, testAuthority } from '../support/encrypted.ts'
import { connectMqttJs, openMqttJs, speaking } from '../support/mqtt-js.ts'
import { type RecordingLogger, recordingLogger } from '../support/recording-logger.ts'

const IN_FORCE = 'changed certificates are in force'
const NOT_USED = 'changed certificates cannot be used: the old ones stay'

test('another certificate is served as soon as its key fits, and connections stay', async (t) => {
  const files = await certificateFiles(t)
  const { ca, server } = await testAuthority
  const { port, url, log } = await startEncrypted(t, files)
  const { client: old } = await connectMqttJs(t, url, { ...speaking(5), ca: ca.cert })
  const before = await shownBy(port)
  const renewed = await server()

  files.write('server.key', renewed.key)
  const { rule } = await log.next(NOT_USED)
  const between = await shownBy(port)
  files.write('server.crt', renewed.cert)
  await log.next(IN_FORCE)
  const after = await shownBy(port)

  t.regex(String(rule), /^Cannot use the certificates of the listener "tls-0": .*mismatch/)
  t.is(between.serialNumber, before.serialNumber)
  t.not(after.serialNumber, before.serialNumber)
  t.is(log.find(NOT_USED).length, 1)
  t.deepEqual(await old.settled(), [])
})

test('a pair that is written at once causes no complaint', async (t) => {
  const files = await certificateFiles(t)
  const { server } = await testAuthority
  const { log } = await startEncrypted(t, files)

  files.writeServer(await server())
  await log.next(IN_FORCE)

  t.deepEqual(log.find(NOT_USED), [])
})

test('files that Kubernetes exchanges by a link are noticed', async (t) => {
  const { folder } = await certificateFiles(t)
  const { server } = await testAuthority
  const put = async (version: string): Promise<void> => {
    mkdirSync(join(folder, version))
    const { key, cert } = await server()
    writeFileSync(join(folder, version, 'tls.key'), key)
    writeFileSync(join(folder, version, 'tls.crt'), cert)
    symlinkSync(version, join(folder, '..data_tmp'))
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
  }
  await put('..2026_1')
  const link = (name: string): string => {
    symlinkSync(join('..data', name), join(folder, name))
    return join(folder, name)
  }
  const linked = { keyFile: link('tls.key'), certFile: link('tls.crt') }
  const { port, log } = await startEncrypted(t, linked)
  const before = await shownBy(port)

  await put('..2026_2')
  await log.next(IN_FORCE)

  t.not((await shownBy(port)).serialNumber, before.serialNumber)
  t.deepEqual(log.find(NOT_USED), [])
})

test('who is revoked while the broker runs is refused from then on, and a broken list changes nothing', async (t) => {
  const { caFile, crlFile, ...files } = await certificateFiles(t)
  const { ca, device, revoke } = await testAuthority
  const own = { caFile, crlFile, requestClientCertificate: 'required' } as const
  const { url, log } = await startEncrypted(t, files, own)
  const meter = { ...speaking(5), ca: ca.cert, ...(await device('meter-7')) }
  const { client: connected } = await connectMqttJs(t, url, meter)

  writeFileSync(crlFile, 'no list')
  const broken = await log.next(NOT_USED)
  await t.notThrowsAsync(connectMqttJs(t, url, meter))
  writeFileSync(crlFile, await revoke([meter]))
  await log.next(IN_FORCE)
  const { client } = openMqttJs(t, url, meter)
  client.on('error', () => {})
  const { rule } = await log.next('connection refused')

  t.regex(String(broken['rule']), /crlFile .*ca\.crl: there is no revocation list in it/)
  t.regex(String(rule), /^the client certificate "meter-7", serial \w+ is revoked by crlFile$/)
  t.deepEqual(await connected.settled(), [])
})

test('a listener whose files are missing or wrong is not opened, and says which', async (t) => {
  const { caFile, crlFile, write, ...files } = await certificateFiles(t)
  const own = { caFile, crlFile, requestClientCertificate: 'required' } as const
  const messageOf = async (changed: object): Promise<string> => {
    const error = await t.throwsAsync(startEncrypted(t, files, { ...own, ...changed }))
    t.true(error instanceof ListenError || error instanceof ConfigurationError)
    return error.message
  }

  t.regex(
    await messageOf({ crlFile: '/no/ca.crl' }),
    /crlFile \/no\/ca\.crl: there is no such file/,
  )
  t.regex(await messageOf({ caFile: write('empty', '') }), /caFile .*there is no certificate in it/)
  const cut = '-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n'
  t.regex(
    await messageOf({ crlFile: write('cut', cut) }),
    /a revocation list in it is damaged|crlFile/,
  )
  t.regex(await messageOf({ pskFile: '/no/keys' }), /pskFile \/no\/keys/)
  t.regex(await messageOf({ pskFile: write('keys', 'a\n') }), /keys:1.*IDENTITY:HEXKEY/s)
})

test('options that do not go together are told', async (t) => {
  const problemOf = async (listener: object): Promise<string> => {
    const options = { listeners: [{ type: 'tls', port: 0, ...listener } as ListenerInput] }
    const error = await t.throwsAsync(createBroker(options), { instanceOf: ConfigurationError })
    return error?.message ?? ''
  }
  const pair = { keyFile: 'k', certFile: 'c' }

  t.regex(await problemOf({}), /keyFile[^]*certFile/)
  t.regex(await problemOf({ pskFile: 'p', keyFile: 'k' }), /certFile/)
  t.regex(
    await problemOf({ ...pair, crlFile: 'l' }),
    /requestClientCertificate.*since there is a crlFile/,
  )
  t.regex(
    await problemOf({ ...pair, userNameFromCertificate: 'dns' }),
    /requestClientCertificate.*since userNameFromCertificate is dns/,
  )
  t.regex(await problemOf({ ...pair, pskHint: 'h' }), /pskFile.*since there is a pskHint/)
  t.regex(
    await problemOf({ pskFile: 'p', minTlsVersion: 'TLSv1.3' }),
    /minTlsVersion.*pre-shared keys/,
  )
})

test('a listener of clients with certificates or keys may be reached by other machines', async (t) => {
  const { caFile, write, ...files } = await certificateFiles(t)
  const open = { host: '0.0.0.0', caFile, requestClientCertificate: 'optional' } as const
  const pskFile = write('keys', '')

  await t.notThrowsAsync(
    startEncrypted(t, files, { ...open, userNameFromCertificate: 'commonName' }),
  )
  await t.notThrowsAsync(startEncrypted(t, files, { host: '0.0.0.0', pskFile }))
  const error = await t.throwsAsync(startEncrypted(t, files, open), {
    instanceOf: ConfigurationError,
  })

  t.regex(error?.message ?? '', /userNameFromCertificate: commonName/)
})

const DAY_MS = 86_400_000

/** What the log says of files that end, in order. */
function told(log: RecordingLogger): string[] {
  return log.lines
    .filter(({ fields }) => 'endsAt' in fields)
    .map(({ level, fields }) => [level, fields['option'], fields['days']].join(' '))
}

test('what is about to end is told once a day, and at once when it has ended', async (t) => {
  const { writeServer, ...files } = await certificateFiles(t)
  const { keyFile, certFile, caFile, crlFile } = files
  const { server, revoke } = await testAuthority
  // Certificates know whole seconds only.
  const start = Math.floor(Date.now() / 1000) * 1000
  class Clock extends ManualClock {
    override now = (): number => super.now() - 1_700_000_000_000 + start
  }
  // Hours apart in all that follows, however long it takes to make them.
  writeServer(await server([-1, 3.4]))
  writeFileSync(crlFile, await revoke([], [-1, 1.5]))
  const pems = { keyFile, certFile, caFile, crlFile }
  const own = { type: 'tls', port: 0, ...pems, requestClientCertificate: 'required' }
  const log = recordingLogger()
  const clock = new Clock()
  const security = { certificateWarningDays: 2 }
  const broker = await createBroker({
    listeners: [own as ListenerInput],
    clock,
    logger: log,
    security,
  })
  t.teardown(async () => {
    const closed = broker.close()
    await clock.advance(60_000)
    await closed
  })

  t.deepEqual(told(log).splice(0), ['warn crlFile 1'])
  await clock.advance(DAY_MS)
  t.deepEqual(told(log).slice(1), ['warn crlFile 0'])
  await clock.advance(DAY_MS)
  t.deepEqual(told(log).slice(2), ['warn certFile 1', 'error crlFile 0'])
  await clock.advance(2 * DAY_MS)
  t.true(told(log).includes('error certFile 0'))
  t.is(told(log).filter((line) => line.startsWith('error crlFile')).length, 3)
})

test('$SYS tells the days that are left, for what there is', async (t) => {
  const { keyFile, certFile, caFile, crlFile, writeServer } = await certificateFiles(t)
  const { server } = await testAuthority
  writeServer(await server([-1, 12.5]))
  const own = {
    keyFile,
    certFile,
    caFile,
    crlFile,
    requestClientCertificate: 'required',
    name: 'door',
  } as const
  const listeners = [
    { type: 'tls', port: 0, ...own },
    { type: 'tcp', port: 0 },
  ] as ListenerInput[]
  const clock = { now: Date.now, after: () => () => {} }
  const { broker } = await startBroker(t, { listeners, clock })
  const client = await connectClient(t, broker)

  await client.subscribe(t, '$SYS/brokers/+/listeners/#')
  const packets = await client.settled()

  const days = packets.map(({ topic, payload }) => `${topic} ${payload}`).toSorted()
  t.deepEqual(days, [
    '$SYS/brokers/noctule/listeners/door/ca/days 3649',
    '$SYS/brokers/noctule/listeners/door/certificate/days 12',
    '$SYS/brokers/noctule/listeners/door/crl/days 99',
  ])
})

test('a changed certificate ends the warnings of the old one', async (t) => {
  const files = await certificateFiles(t)
  const { server } = await testAuthority
  files.writeServer(await server([-1, 3.5]))
  const { broker, log } = await startEncrypted(t, files)

  files.writeServer(await server([-1, 60]))
  await log.next(IN_FORCE)
  const first = told(log)
  await broker.reload(broker.configuration)

  t.deepEqual(first, ['warn certFile 3'])
  t.deepEqual(told(log), first)
})

test('a revocation list is read one by one, with or without an end', async (t) => {
  const { revoke } = await testAuthority
  const [first, second] = [await revoke([], [-1, 5]), await revoke([], [-1, 9])]

  const lists = revocationLists(`comment\n${first}\n${second}`)

  t.deepEqual(
    lists.map(({ pem }) => pem),
    [first, second],
  )
  t.deepEqual(
    lists.map(({ nextUpdateAt = 0 }) => Math.round((nextUpdateAt - Date.now()) / DAY_MS)),
    [5, 9],
  )
  t.throws(() => revocationLists('-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----'), {
    message: 'a revocation list in it is damaged',
  })
})

test('a file that goes is told, and the broker goes on with what it had', async (t) => {
  const files = await certificateFiles(t)
  const { port, log } = await startEncrypted(t, files)
  const before = await shownBy(port)

  rmSync(files.certFile)
  const { rule } = await log.next(NOT_USED)

  t.regex(String(rule), /certFile .*server\.crt: there is no such file/)
  t.is((await shownBy(port)).serialNumber, before.serialNumber)
})
