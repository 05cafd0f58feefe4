import { Buffer } from 'node:buffer'
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import test from 'ava'
import { ScramLogin } from '../../lib/cli/scram-login.ts'
import type { AuthenticationStep } from '../../lib/index.ts'
import { parsePasswordHash } from '../../lib/security/password-hash.ts'
import { ScramExchange, type ScramUsers } from '../../lib/security/scram/exchange.ts'
import {
  hashForScram,
  type ScramKeys,
  type ScramMethod,
  scramMethods,
} from '../../lib/security/scram/keys.ts'
import { MESSAGE_BYTES_MAX } from '../../lib/security/scram/messages.ts'
import { saslprep } from '../../lib/security/scram/saslprep.ts'

const pencil = Buffer.from('pencil')
const clientNonce = 'rOprNGfwEbeRWgbNEkqO'
const serverNonce = '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
const bothNonces = `${clientNonce}${serverNonce}`
const clientFirst = `n,,n=user,r=${clientNonce}`
const serverFirst = `r=${bothNonces},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`

/** The messages of RFC 7677, section 3; for SHA-512 the same inputs, worked out with hashlib of Python 3. */
const vectors: Readonly<Record<ScramMethod, { line: string; proof: string; verifier: string }>> = {
  'SCRAM-SHA-256': {
    line: '$scram-sha-256$i=4096$W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=$wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
    proof: 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    verifier: '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
  },
  'SCRAM-SHA-512': {
    line: '$scram-sha-512$i=4096$W22ZaJ0SNY7soEsUEjb6gQ==$6AAub3065EYRmyFpM2RNwqK+eGnrkYuEWbXn19LsEmBqzu8QaCXNc1FwpnX9NhH2hK/60dzj9DoO5DvVkOHbvg==$jZHbYjC1aHh0/hKbxyBuGFjDrgjgKTT1esA7awWiKcRZ0o/0b1yWEebBeSVkkCFewf91nLDfKF24mvD5nmE6rA==',
    proof:
      'gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==',
    verifier:
      'ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==',
  },
}

function keysOf(line: string): ScramKeys {
  return parsePasswordHash(line, undefined).scram as ScramKeys
}

/** Users as a file has them; they may be changed during a test. */
function usersOf(lines: Record<string, string>): ScramUsers & { lines: Record<string, string> } {
  const users = {
    lines,
    scramKeysOf(userName: string, method: ScramMethod) {
      const line = users.lines[userName]
      const keys = line === undefined ? undefined : keysOf(line)
      return keys?.method === method ? keys : undefined
    },
    scramExample(method: ScramMethod) {
      return Object.values(users.lines)
        .map(keysOf)
        .find((keys) => keys.method === method)
    },
  }
  return users
}

const known = usersOf({ user: vectors['SCRAM-SHA-256'].line })

function exchange(users: ScramUsers = known, method: ScramMethod = 'SCRAM-SHA-256') {
  const own = new ScramExchange(method, users, () => serverNonce)
  return (text: string | Buffer | undefined): Promise<AuthenticationStep> =>
    own.next(typeof text === 'string' ? Buffer.from(text) : text)
}

function textOf(step: AuthenticationStep): string {
  return step.data?.toString() ?? ''
}

for (const method of scramMethods) {
  const { line, proof, verifier } = vectors[method]

  test(`${method}: the broker says what the fixed vector has`, async (t) => {
    const next = exchange(usersOf({ user: line }), method)

    t.is(textOf(await next(clientFirst)), serverFirst)
    const last = await next(`c=biws,r=${bothNonces},p=${proof}`)

    t.like(last, { kind: 'success', userName: 'user' })
    t.is(textOf(last), `v=${verifier}`)
  })

  test(`${method}: noctule pub says what the fixed vector has`, async (t) => {
    const credentials = { method, userName: 'user', password: pencil }
    const login = await ScramLogin.of(credentials, () => clientNonce)

    t.is(String(login.begin()), clientFirst)
    t.is(String(await login.answer(Buffer.from(serverFirst))), `c=biws,r=${bothNonces},p=${proof}`)
    t.true(login.isProven(Buffer.from(`v=${verifier}`)))
    t.false(login.isProven(Buffer.from(`v=${verifier.replace(/^./, 'x')}`)))
    t.false(login.isProven(undefined))
  })

  test(`${method}: a line of the password file serves a password in plain too`, async (t) => {
    const hash = parsePasswordHash(line, undefined)

    t.true(await hash.matches(pencil))
    t.false(await hash.matches(Buffer.from('pencil ')))
    t.false(await hash.matches(randomBytes(6)))
  })
}

for (const [what, line] of [
  ['too few iterations', '$scram-sha-256$i=4095$W22ZaJ0SNY7soEsUEjb6gQ$AAAA$AAAA'],
  ['too many', '$scram-sha-256$i=10000001$W22ZaJ0SNY7soEsUEjb6gQ$AAAA$AAAA'],
  ['keys of another length', '$scram-sha-256$i=4096$W22ZaJ0SNY7soEsUEjb6gQ$AAAA$AAAA'],
  ['a field too few', '$scram-sha-256$i=4096$W22ZaJ0SNY7soEsUEjb6gQ$AAAA'],
  ['what is no Base64', '$scram-sha-256$i=4096$?$AAAA$AAAA'],
  ['another hash function', '$scram-sha-1$i=4096$W22ZaJ0SNY7soEsUEjb6gQ$AAAA$AAAA'],
] as const) {
  test(`a line with ${what} is refused`, (t) => {
    t.throws(() => parsePasswordHash(line, undefined))
  })
}

const final = `c=biws,r=${bothNonces},p=${vectors['SCRAM-SHA-256'].proof}`

for (const [what, messages, code, reasonCode] of [
  ['nothing', [undefined], 'invalid-encoding', 0x87],
  ['an empty message', [''], 'invalid-encoding', 0x87],
  ['no SCRAM', ['\0user\0pencil'], 'invalid-encoding', 0x87],
  ['what is not UTF-8', [Buffer.from([0x6e, 0x2c, 0x2c, 0xff])], 'invalid-encoding', 0x87],
  ['a long message', [`n,,n=user,r=${'x'.repeat(MESSAGE_BYTES_MAX)}`], 'invalid-encoding', 0x87],
  ['a short nonce', ['n,,n=user,r=abc'], 'invalid-encoding', 0x87],
  ['no name', [`n,,n=,r=${clientNonce}`], 'invalid-username-encoding', 0x87],
  ['a name with a bare =', [`n,,n=us=er,r=${clientNonce}`], 'invalid-username-encoding', 0x87],
  [
    'a name with a control character',
    [`n,,n=u\u0007,r=${clientNonce}`],
    'invalid-username-encoding',
    0x87,
  ],
  [
    'channel binding',
    [`p=tls-unique,,n=user,r=${clientNonce}`],
    'channel-binding-not-supported',
    0x87,
  ],
  ['a mandatory extension', [`n,,m=x,n=user,r=${clientNonce}`], 'extensions-not-supported', 0x87],
  ['the wish to act for another', [`n,a=root,n=user,r=${clientNonce}`], 'other-error', 0x87],
  ['no proof', [clientFirst, `c=biws,r=${bothNonces}`], 'invalid-encoding', 0x87],
  ['a second beginning', [clientFirst, clientFirst], 'invalid-encoding', 0x87],
  [
    'the nonce of another exchange',
    [clientFirst, final.replace(bothNonces, `${clientNonce}other`)],
    'other-error',
    0x87,
  ],
  [
    'another binding than at the beginning',
    [clientFirst, final.replace('c=biws', 'c=eSws')],
    'channel-bindings-dont-match',
    0x87,
  ],
  ['a wrong proof', [clientFirst, final.replace('p=d', 'p=e')], 'invalid-proof', 0x86],
  [
    'a proof of another length',
    [clientFirst, final.replace(/p=.*/, 'p=AAAA')],
    'invalid-proof',
    0x86,
  ],
  ['an unknown user', [`n,,n=nobody,r=${clientNonce}`, final], 'invalid-proof', 0x86],
  ['a third message', [clientFirst, final, final], 'other-error', 0x87],
  ['more after a failure', [undefined, clientFirst], 'other-error', 0x87],
] as const) {
  test(`an exchange with ${what} fails with e=${code}`, async (t) => {
    const next = exchange()
    let last: AuthenticationStep | undefined
    for (const message of messages) last = await next(message)

    t.like(last, { kind: 'failure', reasonCode })
    t.is(textOf(last as AuthenticationStep), `e=${code}`)
    t.regex((last as { rule: string }).rule, /^SCRAM: /)
  })
}

for (const header of ['n,,', 'y,,', 'n,a=user,', 'y,a=user,']) {
  test(`a client that begins with ${header} is let in, if its proof says the same`, async (t) => {
    const next = exchange()
    await next(`${header}n=user,r=${clientNonce}`)

    t.like(await next(proofWith(header)), { kind: 'success', userName: 'user' })
  })
}

test('an unknown user is challenged as a known one, each time alike, and not as others are', async (t) => {
  const saltOf = async (userName: string, users: ScramUsers) => {
    const step = await exchange(users)(`n,,n=${userName},r=${clientNonce}`)
    return /s=([^,]+),i=(\d+)$/.exec(textOf(step))?.slice(1) ?? []
  }
  const afterRestart = usersOf({ ...known.lines })

  const [salt, iterations] = await saltOf('nobody', known)

  t.is(Buffer.from(salt ?? '', 'base64').length, 16)
  t.is(iterations, '4096')
  t.deepEqual(await saltOf('nobody', afterRestart), [salt, iterations])
  t.notDeepEqual(await saltOf('nobody2', known), [salt, iterations])
})

test('a user with another kind of hash, or of another method, is unknown to SCRAM', async (t) => {
  const users = usersOf({ user: vectors['SCRAM-SHA-512'].line })
  const next = exchange(users)

  t.is((await next(clientFirst)).kind, 'continue')
  t.is(textOf(await next(final)), 'e=invalid-proof')
})

test('a user that is changed while the client computes is not let in', async (t) => {
  for (const line of [undefined, await hashForScram(pencil, 'SCRAM-SHA-256', 12)]) {
    const users = usersOf({ user: vectors['SCRAM-SHA-256'].line })
    const next = exchange(users)
    await next(clientFirst)

    users.lines = line === undefined ? {} : { user: line }

    t.is(textOf(await next(final)), 'e=invalid-proof')
  }
})

test('names and passwords are the same however they were typed', async (t) => {
  const line = await hashForScram(Buffer.from('\u00c5ngstr\u00f6m\u00a0x'), 'SCRAM-SHA-256', 12)
  const users = usersOf({ 'a,b=\u00c5': line })
  const login = await ScramLogin.of({
    method: 'SCRAM-SHA-256',
    userName: 'a,b=\u212b',
    password: Buffer.from('A\u030angstro\u0308m x'),
  })
  const own = new ScramExchange('SCRAM-SHA-256', users)

  const challenge = await own.next(login.begin())
  const last = await own.next(await login.answer(challenge.data))

  t.like(last, { kind: 'success', userName: 'a,b=\u00c5' })
  t.true(login.isProven(last.data))
})

for (const [what, text, prepared] of [
  ['a soft hyphen', 'I\u00adX', 'IX'],
  ['case', 'USER', 'USER'],
  ['a feminine ordinal', '\u00aa', 'a'],
  ['a Roman numeral', '\u2168', 'IX'],
  ['a control character', '\u0007', undefined],
  ['both directions', '\u0627\u0031', undefined],
] as const) {
  test(`SASLprep: ${what}, as RFC 4013 has it in its examples`, async (t) => {
    if (prepared === undefined) await t.throwsAsync(saslprep(text))
    else t.is(await saslprep(text), prepared)
  })
}

/** What a client says last that began with `header`. */
function proofWith(header: string): string {
  const { salt, iterations } = keysOf(vectors['SCRAM-SHA-256'].line)
  const salted = pbkdf2Sync(pencil, salt, iterations, 32, 'sha256')
  const unproven = `c=${Buffer.from(header).toString('base64')},r=${bothNonces}`
  const signed = `n=user,r=${clientNonce},${serverFirst},${unproven}`
  const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest()
  const clientKey = hmac(salted, 'Client Key')
  const signature = hmac(createHash('sha256').update(clientKey).digest(), signed)
  const proof = Buffer.from(clientKey.map((byte, i) => byte ^ (signature[i] ?? 0)))
  return `${unproven},p=${proof.toString('base64')}`
}
