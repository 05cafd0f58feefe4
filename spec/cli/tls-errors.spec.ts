/** What `noctule pub` says when TLS does not come about, with the real peers that it does not come about with. */

import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { ListenerInput } from '../../lib/index.ts'
import { makeAuthority } from '../support/authority.ts'
import type { KeyAndCertificate } from '../support/certificates.ts'
import {
  type CertificateFiles,
  certificateFiles,
  startEncrypted,
  testAuthority,
} from '../support/encrypted.ts'
import { freePort, Process, run } from '../support/processes.ts'
import { requireProgram } from '../support/programs.ts'

async function publish(
  t: ExecutionContext,
  port: number,
  flags: readonly string[],
): Promise<string> {
  const { code, stderr } = await run(t, ['pub', '-p', String(port), ...flags, '-t', 'a', '-m', 'x'])
  t.is(code, 1)
  return stderr.trim().replace(/^Cannot connect to \w+:\/\/[\w.:/]+: /, '')
}

function trusting({ caFile }: CertificateFiles): string[] {
  return ['--cafile', caFile]
}

function showing({ write }: CertificateFiles, { key, cert }: KeyAndCertificate): string[] {
  return ['--cert', write('c.crt', cert), '--key', write('c.key', key)]
}

const INSECURE = '--insecure connects without verifying it'

for (const [name, days, hosts, expected] of [
  [
    'has expired',
    [-9, -2],
    ['127.0.0.1'],
    `the broker's certificate has expired: it has to be renewed there. ${INSECURE}`,
  ],
  [
    'is not valid yet',
    [2, 9],
    ['127.0.0.1'],
    `the broker's certificate is not valid yet. Are the clocks right? ${INSECURE}`,
  ],
  [
    'is made out to others',
    [-1, 9],
    ['broker.example', '192.0.2.1'],
    `the broker's certificate is made out to other names than this: broker.example, 192.0.2.1. Connect by one of them (-h). ${INSECURE}`,
  ],
] as const) {
  test(`a broker whose certificate ${name}`, async (t) => {
    const files = await certificateFiles(t)
    const { server } = await testAuthority
    files.writeServer(await server(days, hosts))
    const { port } = await startEncrypted(t, files)

    t.is(await publish(t, port, trusting(files)), expected)
    const insecure = ['--insecure', '-t', 'a', '-m', 'x']
    const { code } = await run(t, ['pub', '-p', String(port), ...trusting(files), ...insecure])
    t.is(code, 0)
  })
}

test('a broker whose authority is not ours', async (t) => {
  const files = await certificateFiles(t)
  const { port } = await startEncrypted(t, files)
  const other = files.write('other.crt', (await makeAuthority('another CA')).ca.cert)
  const sameName = files.write('same.crt', (await makeAuthority('broker CA')).ca.cert)

  const untrusted =
    "nobody we trust has signed the broker's certificate. Name its authority with --cafile"
  t.is(await publish(t, port, ['--tls']), untrusted)
  t.is(await publish(t, port, ['--cafile', other]), untrusted)
  t.is(await publish(t, port, ['--cafile', sameName]), untrusted)
})

test('a server that shows the certificate of a device', async (t) => {
  const files = await certificateFiles(t)
  const { device } = await testAuthority
  files.writeServer(await device('meter-7'))
  const { port } = await startEncrypted(t, files)

  t.is(
    await publish(t, port, trusting(files)),
    `the broker's certificate is not made for servers. ${INSECURE}`,
  )
})

for (const type of ['tls', 'wss'] as const) {
  test(`a broker that wants a certificate from us, and does not accept each (${type})`, async (t) => {
    const files = await certificateFiles(t)
    const own = { type, caFile: files.caFile, requestClientCertificate: 'required' }
    const { port } = await startEncrypted(t, files, own as Partial<ListenerInput>)
    const foreign = await (await makeAuthority('another CA')).device('meter-7')
    const flags = [...trusting(files), ...(type === 'wss' ? ['--ws'] : [])]

    t.is(await publish(t, port, flags), 'the broker wants a certificate from us: --cert and --key')
    t.is(
      await publish(t, port, [...flags, ...showing(files, foreign)]),
      'the other side hung up. Does this port speak TLS? Does it want a certificate (--cert), or refuse ours? Its log says why',
    )
  })
}

test('a broker that knows pre-shared keys alone', async (t) => {
  const files = await certificateFiles(t)
  const pskFile = files.write('keys', '')
  const none = { keyFile: undefined, certFile: undefined } as never
  const { port } = await startEncrypted(t, none, { pskFile })

  t.is(
    await publish(t, port, trusting(files)),
    'the TLS handshake failed: perhaps the broker wants a certificate from us: --cert and --key, or a pre-shared key',
  )
})

test('a port that does not speak TLS, and one that speaks it unasked', async (t) => {
  const files = await certificateFiles(t)
  const chatty = createServer((socket) => socket.end('220 mail.example ESMTP\r\n'))
  chatty.listen(0, '127.0.0.1')
  await once(chatty, 'listening')
  t.teardown(() => chatty.close())
  const { port } = await startEncrypted(t, files)

  const { port: chattyPort } = chatty.address() as AddressInfo
  t.is(await publish(t, chattyPort, trusting(files)), 'what listens there does not speak TLS')
  t.is(
    await publish(t, port, []),
    'the other side hung up. Does this port speak MQTT, and with or without TLS?',
  )
})

/** OpenSSL's own server, for what other brokers send. */
async function startServer(
  t: ExecutionContext,
  files: CertificateFiles,
  flags: readonly string[],
): Promise<number | undefined> {
  const openssl = requireProgram(t, 'openssl', 'openssl')
  if (openssl === undefined) return undefined
  const port = await freePort()
  const pair = ['-key', files.keyFile, '-cert', files.certFile]
  const where = ['-accept', `127.0.0.1:${port}`]
  const server = new Process(t, openssl, ['s_server', ...where, ...pair, ...flags])
  await server.waitForLine(/^ACCEPT/)
  return port
}

test('a server that says by an alert what it does not like about our certificate', async (t) => {
  const files = await certificateFiles(t)
  const { device } = await testAuthority
  const verifying = ['-Verify', '1', '-verify_return_error', '-CAfile', files.caFile]
  const port = await startServer(t, files, verifying)
  if (port === undefined) return
  const foreign = await (await makeAuthority('another CA')).device('meter-7')

  t.is(
    await publish(t, port, [...trusting(files), ...showing(files, foreign)]),
    'the broker does not trust our certificate (--cert)',
  )
  t.is(
    await publish(t, port, [...trusting(files), ...showing(files, await device('old', [-9, -2]))]),
    'the broker refuses our certificate (--cert)',
  )
})

test('a server that speaks only what is too old', async (t) => {
  const files = await certificateFiles(t)
  const old = ['-tls1_1', '-cipher', 'DEFAULT@SECLEVEL=0']
  const port = await startServer(t, files, old)
  if (port === undefined) return

  t.is(
    await publish(t, port, ['--cafile', join(files.folder, 'ca.crt')]),
    'the broker speaks no version of TLS that we do',
  )
})
