/** Who a client is, by its certificate or pre-shared key, in real handshakes; and what is said of those that fail. */

import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import test, { type ExecutionContext } from 'ava'
import { Authority } from '../../lib/cli/certs/authority.ts'
import { PskIdentities } from '../../lib/security/psk-identities.ts'
import { namesOf, userNameIn } from '../../lib/transport/client-certificate.ts'
import { listenTls, type TlsListener, type TlsOptions } from '../../lib/transport/tls.ts'
import type { Peer } from '../../lib/transport/transport.ts'
import { makeAuthority, type TestAuthority } from '../support/authority.ts'
import { certificates, type KeyAndCertificate, ODD_NAME } from '../support/certificates.ts'
import { temporaryDirectory } from '../support/processes.ts'
import { Program, requireProgram } from '../support/programs.ts'
import { Acceptor, closeAfter, connectTo, whereOf } from '../support/transports.ts'

interface Door {
  readonly listener: TlsListener
  readonly acceptor: Acceptor
  readonly notices: { readonly peer: Peer; readonly sentence: string }[]
  readonly authority: TestAuthority
}

type Own = Partial<TlsOptions> & { readonly crl?: readonly string[] }

const authorityMade = makeAuthority('test CA')

async function listen(t: ExecutionContext, { crl, ...options }: Own = {}): Promise<Door> {
  const authority = await authorityMade
  const acceptor = new Acceptor()
  const notices: Door['notices'] = []
  const credentials = { ...(await authority.server()), ca: authority.ca.cert, crl }
  const listener = await listenTls(
    {
      name: 'door',
      host: '127.0.0.1',
      port: 0,
      credentials,
      refused: acceptor.refused,
      noticed: (peer, sentence) => void notices.push({ peer, sentence }),
      ...options,
    },
    acceptor.accept,
  )
  closeAfter(t, listener, acceptor)
  return { listener, acceptor, notices, authority }
}

/** Begins a handshake; what becomes of it is the server's to tell. */
function knock(
  t: ExecutionContext,
  { listener, authority }: Door,
  own: ConnectionOptions,
): TLSSocket {
  const socket = connect({ ...whereOf(listener), ca: authority.ca.cert, ...own })
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  return socket
}

for (const [field, userName] of [
  ['commonName', 'client-3'],
  ['dns', 'client-3.example'],
  ['email', 'c3@example.org'],
  ['uri', 'urn:client:3'],
] as const) {
  test(`the field ${field} of a verified certificate is the user name`, async (t) => {
    const { ca, namedClient, server } = await certificates()
    const credentials = { ...server, ca: ca.cert }
    const door = await listen(t, { requireCert: true, userNameFrom: field, credentials })

    knock(t, door, { ...namedClient, ca: ca.cert })
    const { transport } = await door.acceptor.next()

    t.is(transport.peer.userName, userName)
    t.like(transport.peer.certificate, {
      commonName: 'client-3',
      dnsNames: ['client-3.example', 'c3.example'],
      emailAddresses: ['c3@example.org'],
      uris: ['urn:client:3'],
    })
  })
}

test('a certificate without the field that is the user name is refused', async (t) => {
  const door = await listen(t, { requestCert: true, userNameFrom: 'email' })

  knock(t, door, await door.authority.device('meter-7'))
  const { sentence } = await door.acceptor.nextRefusal()

  t.regex(
    sentence,
    /"meter-7", serial \w+ has no field email, which userNameFromCertificate wants$/,
  )
  t.is(door.acceptor.accepted.length, 0)
})

test('a name that MQTT does not allow is no user name', (t) => {
  const certificate = {
    ...namesOf('DNS:""'),
    commonName: 'a\0b',
    fingerprint256: '',
    serialNumber: '',
  }

  t.is(userNameIn(certificate, 'commonName'), undefined)
  t.is(userNameIn(certificate, 'dns'), undefined)
  t.is(userNameIn(certificate, 'uri'), undefined)
})

test('names of a certificate that look like several are one each', async (t) => {
  const { ca, oddClient, server } = await certificates()
  const credentials = { ...server, ca: ca.cert }
  const door = await listen(t, { requireCert: true, userNameFrom: 'dns', credentials })

  knock(t, door, { ...oddClient, ca: ca.cert })
  const { transport } = await door.acceptor.next()

  t.is(transport.peer.userName, ODD_NAME)
  t.like(transport.peer.certificate, {
    dnsNames: [ODD_NAME, 'b'],
    emailAddresses: ['"a\\@b'],
    uris: ['urn:\u00c3\u00a4'],
  })
})

test('what cannot be read of the names is left out', (t) => {
  t.deepEqual(namesOf('DNS:"\\x", DNS:b').dnsNames, ['b'])
  t.deepEqual(namesOf('').dnsNames, [])
})

test('a name that looks like several is one', (t) => {
  const names = namesOf(
    'DNS:"a, DNS:admin", email:x@y, URI:"urn:\\"a, b", IP Address:127.0.0.1, DNS:b',
  )

  t.deepEqual(names, {
    dnsNames: ['a, DNS:admin', 'b'],
    emailAddresses: ['x@y'],
    uris: ['urn:"a, b'],
  })
})

type Make = (authority: TestAuthority) => Promise<KeyAndCertificate>

function withChain({ key, cert }: KeyAndCertificate, above: KeyAndCertificate): KeyAndCertificate {
  return { key, cert: cert + above.cert }
}

/** What is shown, and what the log says of it. */
const notValid: Readonly<Record<string, readonly [Make, RegExp]>> = {
  'has expired': [
    (authority) => authority.device('meter-7', [-9, -2]),
    /^"meter-7", serial \w+ has expired$/,
  ],
  'is not valid yet': [
    (authority) => authority.device('meter-7', [2, 9]),
    /^"meter-7", serial \w+ is not valid yet; are both clocks right\?$/,
  ],
  'is made for servers': [
    (authority) => authority.server(),
    /^"localhost", serial \w+ is not made for clients \(its key usage\)$/,
  ],
  'is of another authority': [
    async () => (await makeAuthority('another CA')).device('meter-7'),
    /^"meter-7", serial \w+ is signed by nobody in caFile$/,
  ],
  'is of another authority of the same name': [
    async () => (await makeAuthority('test CA')).device('meter-7'),
    /^"meter-7", serial \w+ is signed by nobody in caFile$/,
  ],
  'comes with its authority, which is not ours': [
    async () => {
      const { ca, device } = await makeAuthority('another CA')
      return withChain(await device('meter-7'), ca)
    },
    /^"meter-7", serial \w+ is signed by nobody in caFile$/,
  ],
  'is signed by a device': [
    async (authority) => {
      const device = await authority.device('meter-6')
      const signer = await Authority.from({ key: device.key, certificate: device.cert })
      const now = Date.now()
      const made = await signer.signDevice('meter-7', { from: now - 1000, until: now + 100_000 })
      return withChain({ key: made.key, cert: made.certificate }, device)
    },
    /^"meter-7", serial \w+ is not valid; openssl verify -CAfile tells why$/,
  ],
  'is signed by itself': [
    async () => (await certificates()).otherCa,
    /^"other-ca", serial \w+ is signed by itself, not by one of caFile$/,
  ],
}

for (const [name, [make, expected]] of Object.entries(notValid)) {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`a certificate that ${name} is refused where one is required (${version})`, async (t) => {
      const door = await listen(t, { requireCert: true })

      knock(t, door, { ...(await make(door.authority)), maxVersion: version })
      const { sentence } = await door.acceptor.nextRefusal()

      t.regex(sentence.replace('the client certificate ', ''), expected)
      t.is(door.acceptor.accepted.length, 0)
    })
  }

  test(`a certificate that ${name} counts as none where it is optional, and the log says why`, async (t) => {
    const door = await listen(t, { requestCert: true, userNameFrom: 'commonName' })

    knock(t, door, await make(door.authority))
    const { transport } = await door.acceptor.next()

    t.like(transport.peer, { certificate: undefined, userName: undefined })
    t.regex(door.notices[0]?.sentence.replace('the client certificate ', '') ?? '', expected)
    t.is(door.notices.length, 1)
  })
}

test('a client without a certificate causes no notice where it is optional', async (t) => {
  const door = await listen(t, { requestCert: true })

  knock(t, door, {})
  await door.acceptor.next()

  t.deepEqual(door.notices, [])
})

for (const request of ['requestCert', 'requireCert'] as const) {
  test(`a revoked client is refused (${request}), others are not`, async (t) => {
    const authority = await authorityMade
    const [stolen, other] = await Promise.all([
      authority.device('stolen'),
      authority.device('other'),
    ])
    const foreign = await makeAuthority('another CA')
    const crl = [await foreign.revoke([]), await authority.revoke([stolen])]
    const door = await listen(t, { [request]: true, crl, userNameFrom: 'commonName' })

    knock(t, door, other)
    const { transport } = await door.acceptor.next()
    knock(t, door, stolen)
    const { sentence } = await door.acceptor.nextRefusal()

    t.is(transport.peer.userName, 'other')
    t.regex(sentence, /^the client certificate "stolen", serial \w+ is revoked by crlFile$/)
    t.is(door.acceptor.accepted.length, 1)
  })
}

test('a revocation list that is too old lets nobody in', async (t) => {
  const authority = await authorityMade
  const crl = [await authority.revoke([], [-9, -2])]
  const door = await listen(t, { requireCert: true, crl })

  knock(t, door, await authority.device('meter-7'))
  const { sentence } = await door.acceptor.nextRefusal()

  t.regex(sentence, /the revocation list in crlFile has expired, get a new one$/)
})

test('a revocation list of tomorrow lets nobody in', async (t) => {
  const authority = await authorityMade
  const door = await listen(t, { requireCert: true, crl: [await authority.revoke([], [1, 9])] })

  knock(t, door, await authority.device('meter-7'))
  const { sentence } = await door.acceptor.nextRefusal()

  t.regex(sentence, /cannot be checked: the revocation list in crlFile is not valid yet$/)
})

test('an authority without a revocation list lets nobody in where there are lists', async (t) => {
  const foreign = await makeAuthority('another CA')
  const door = await listen(t, { requireCert: true, crl: [await foreign.revoke([])] })

  knock(t, door, await door.authority.device('meter-7'))
  const { sentence } = await door.acceptor.nextRefusal()

  t.regex(sentence, /crlFile has no list of its authority, or of one above it$/)
})

/** Sends the ClientHello of a real client, and an alert in the place of what would come next. */
async function answerByAlert(t: ExecutionContext, door: Door, description: number): Promise<void> {
  const socket = await connectTo(t, door.listener)
  const hello = new Promise<Buffer>((resolve) => {
    const stream = new Duplex({ read() {}, write: (chunk: Buffer) => resolve(chunk) })
    const client = connect({ socket: stream, maxVersion: 'TLSv1.2' })
    client.on('error', () => {})
    t.teardown(() => client.destroy())
  })
  socket.write(await hello)
  await once(socket, 'data')
  const fatal = 2
  socket.write(Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, fatal, description]))
}

const NOT_TRUSTED = 'the client does not trust our certificate'

for (const [name, description, expected] of [
  ['handshake_failure', 40, 'the client found nothing in our offer that it accepts'],
  ['bad_certificate', 42, NOT_TRUSTED],
  ['unsupported_certificate', 43, NOT_TRUSTED],
  ['certificate_expired', 45, 'the client says that our certificate has expired'],
  ['certificate_unknown', 46, NOT_TRUSTED],
  ['unknown_ca', 48, NOT_TRUSTED],
  ['protocol_version', 70, 'the client accepts none of our TLS versions'],
  ['internal_error', 80, 'the TLS handshake failed: tlsv1 alert internal error'],
] as const) {
  test(`the alert ${name} of a client becomes a sentence`, async (t) => {
    const door = await listen(t)

    await answerByAlert(t, door, description)
    const { sentence } = await door.acceptor.nextRefusal()

    t.is(sentence, expected)
  })
}

test('a client that knows other signatures than ours is told apart', async (t) => {
  const door = await listen(t)

  knock(t, door, { sigalgs: 'rsa_pss_rsae_sha256', minVersion: 'TLSv1.3' })
  const { sentence } = await door.acceptor.nextRefusal()

  t.is(sentence, 'the client offered no signature algorithm we accept')
})

test('a client that is told an expired certificate says so', async (t) => {
  const openssl = requireProgram(t, 'openssl', 'openssl')
  if (openssl === undefined) return
  const authority = await authorityMade
  const door = await listen(t, { credentials: await authority.server([-9, -2]) })
  const { host, port } = whereOf(door.listener)
  const caFile = join(temporaryDirectory(t), 'ca.crt')
  writeFileSync(caFile, authority.ca.cert)

  const verifying = ['-verify_return_error', '-CAfile', caFile]
  const client = new Program(t, openssl, ['s_client', '-connect', `${host}:${port}`, ...verifying])
  const { sentence } = await door.acceptor.nextRefusal()
  await client.exited

  t.is(sentence, 'the client says that our certificate has expired')
})

test('a client cannot begin another handshake on its connection', async (t) => {
  const openssl = requireProgram(t, 'openssl', 'openssl')
  if (openssl === undefined) return
  const door = await listen(t)
  const { host, port } = whereOf(door.listener)
  const client = new Program(t, openssl, ['s_client', '-tls1_2', '-connect', `${host}:${port}`])
  const server = await door.acceptor.next()

  client.feed('R\n')
  const { stderr } = await client.exited

  t.regex(stderr, /no renegotiation/)
  t.deepEqual(server.chunks, [])
})

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  for (const isKnown of [true, false]) {
    const name = isKnown ? 'a certificate' : 'one that does not verify'
    test(`a session that is resumed has who it began with, ${name} (${version})`, async (t) => {
      const door = await listen(t, { requestCert: true, userNameFrom: 'commonName' })
      const authority = isKnown ? door.authority : await makeAuthority('another CA')
      const device = { ...(await authority.device('meter-7')), maxVersion: version }
      const first = knock(t, door, device)
      const tickets = once(first, 'session')
      const { transport } = await door.acceptor.next()
      const [session] = (await tickets) as [Buffer]

      const again = knock(t, door, { ...device, session })
      const { transport: resumed } = await door.acceptor.next()

      t.true(again.isSessionReused())
      t.deepEqual(resumed.peer.userName, transport.peer.userName)
      t.is(resumed.peer.userName, isKnown ? 'meter-7' : undefined)
    })
  }
}

const KEY = '00112233445566778899aabbccddeeff'

function pskDoor(t: ExecutionContext, options: Own = {}): Promise<Door> {
  const identities = new PskIdentities()
  identities.use(`meter-7:${KEY}\n`)
  return listen(t, {
    preSharedKeys: { hint: 'noctule', keyOf: (identity) => identities.keyOf(identity) },
    ...options,
  })
}

const keyOnly = { credentials: {} }

for (const [name, options] of [
  ['that has nothing else', keyOnly],
  ['that has certificates too', {}],
  ['that requires a certificate or a key', { requireCert: true }],
] as const) {
  test(`openssl s_client shows its pre-shared key to a listener ${name}`, async (t) => {
    const openssl = requireProgram(t, 'openssl', 'openssl')
    if (openssl === undefined) return
    const door = await pskDoor(t, options)
    const { host, port } = whereOf(door.listener)
    const identity = ['-psk_identity', 'meter-7', '-psk', KEY]

    const client = new Program(t, openssl, ['s_client', '-connect', `${host}:${port}`, ...identity])
    const server = await door.acceptor.next()
    client.feed('hello\n')
    await server.untilBytes(6)
    server.transport.close()
    const { stdout } = await client.exited

    t.like(server.transport.peer, { userName: 'meter-7', certificate: undefined })
    t.regex(stdout, /PSK identity hint: noctule/)
    t.regex(stdout, /Cipher is ECDHE-PSK-CHACHA20-POLY1305/)
  })
}

const psk = (identity: string, key: string): ConnectionOptions => ({
  ciphers: 'PSK',
  maxVersion: 'TLSv1.2',
  checkServerIdentity: () => undefined,
  pskCallback: () => ({ psk: Buffer.from(key, 'hex'), identity }),
})

/** Since 3.2 OpenSSL takes its short tags for too weak. */
const hasShortTags = Number(process.versions.openssl.split('.')[1]) < 2

for (const cipher of [
  'PSK-AES128-GCM-SHA256',
  'PSK-AES128-CBC-SHA256',
  ...(hasShortTags ? ['PSK-AES128-CCM8'] : []),
]) {
  test(`small devices may use ${cipher}`, async (t) => {
    const door = await pskDoor(t, keyOnly)

    const client = knock(t, door, { ...psk('meter-7', KEY), ciphers: `${cipher}@SECLEVEL=0` })
    const { transport } = await door.acceptor.next()

    t.is(transport.peer.userName, 'meter-7')
    t.is(client.getCipher().name, cipher)
  })
}

test('an unknown identity fails as a wrong key does', async (t) => {
  const door = await pskDoor(t, keyOnly)
  const outcomeOf = async (identity: string, key: string): Promise<unknown[]> => {
    const client = connect({ ...whereOf(door.listener), ...psk(identity, key) })
    const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException]
    const { sentence } = await door.acceptor.nextRefusal()
    return [error.code, error.message.replace(/^\w+:/, ''), sentence]
  }

  const [code, message, wrongKey] = await outcomeOf('meter-7', 'ff'.repeat(16))
  const unknown = await outcomeOf('nobody', KEY)

  t.is(wrongKey, 'the client has another key for "meter-7" than pskFile, which may have none')
  t.deepEqual(unknown, [code, message, String(wrongKey).replace('meter-7', 'nobody')])
  t.is(door.acceptor.accepted.length, 0)
})

test('a client with a certificate is served beside pre-shared keys', async (t) => {
  const door = await pskDoor(t, { requestCert: true, userNameFrom: 'commonName' })

  const client = knock(t, door, await door.authority.device('meter-8'))
  const { transport } = await door.acceptor.next()

  t.is(transport.peer.userName, 'meter-8')
  t.is(client.getProtocol(), 'TLSv1.2')
})

test('a client with neither is nobody, or refused where a certificate or a key is required', async (t) => {
  const open = await pskDoor(t)
  const closed = await pskDoor(t, { requireCert: true })

  knock(t, open, {})
  const { transport } = await open.acceptor.next()
  knock(t, closed, {})
  const { sentence } = await closed.acceptor.nextRefusal()

  t.is(transport.peer.userName, undefined)
  t.is(sentence, 'the client sent no certificate, and this listener requires one')
})

test('a client that knows only certificates cannot agree with a listener of keys alone', async (t) => {
  const door = await pskDoor(t, keyOnly)

  knock(t, door, {})
  const { sentence } = await door.acceptor.nextRefusal()

  t.is(sentence, 'the client offered no cipher we accept')
})

test('a session with a pre-shared key is not taken up again without the key', async (t) => {
  const door = await pskDoor(t, keyOnly)
  const first = knock(t, door, psk('meter-7', KEY))
  await door.acceptor.next()
  const session = first.getSession()

  const again = knock(t, door, { ...psk('meter-7', KEY), ...(session && { session }) })
  const { transport } = await door.acceptor.next()

  t.false(again.isSessionReused())
  t.is(transport.peer.userName, 'meter-7')
})
