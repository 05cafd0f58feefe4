import { Buffer } from 'node:buffer'
import test from 'ava'
import { loadArgon2 } from '../../lib/security/argon2.ts'
import {
  hashOfNobody,
  hashPassword,
  isArgon2,
  type PasswordHash,
  parsePasswordHash,
} from '../../lib/security/password-hash.ts'

/** Made by others: whose it is, the password, the hash. */
const vectors = [
  [
    'RFC 7914, section 12',
    'password',
    '$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2DYMvfoswGQA',
  ],
  [
    'mosquitto_passwd 2.0.11',
    'grüß dich',
    '$7$101$u8ETiJ6QJceWJfAg$tio19SwAI78tke4Zi8HuijWcVwjjDKIn3JYym2e3MkebnAodS2peaxVCBJrtuWGZU3GzpHQU8E1YHbVPW82Y1A==',
  ],
  [
    'mosquitto_passwd -H sha512',
    'old secret',
    '$6$y5nF7VcEECRRnrfU$/MJDLt8Y+0+OiVpF79zJCrDqRQDkUIDWqICCoz7MQA7FWN3SUGOBpcL5xSRgYvednWQ2N79Nzz232DqaSHDDlg==',
  ],
  [
    'the tests of the reference implementation of argon2',
    'password',
    '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
  ],
] as const

async function parse(text: string): Promise<PasswordHash> {
  return parsePasswordHash(text, isArgon2(text) ? await loadArgon2() : undefined)
}

for (const [origin, password, text] of vectors) {
  test(`a hash of ${origin} matches its password and no other`, async (t) => {
    const hash = await parse(text)

    t.true(await hash.matches(Buffer.from(password)))
    t.false(await hash.matches(Buffer.from(`${password} `)))
    t.false(await hash.matches(Buffer.alloc(0)))
  })
}

test('what noctule user writes can be read, has its parameters in it, and another salt each time', async (t) => {
  const password = Buffer.from('open, sesame')

  const [one, other] = await Promise.all([hashPassword(password), hashPassword(password)])

  t.regex(one, /^\$scrypt\$ln=14,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  t.not(one, other)
  t.true(await (await parse(one)).matches(password))
  t.false(await (await parse(other)).matches(Buffer.from('open')))
})

test('the cost is that of the line, whatever new lines cost', async (t) => {
  const cheap = await hashPassword(Buffer.from('x'), 10)

  t.true(cheap.startsWith('$scrypt$ln=10,'))
  t.true(await (await parse(cheap)).matches(Buffer.from('x')))
})

test('the hash of nobody matches nothing', async (t) => {
  t.false(await hashOfNobody().matches(Buffer.from('')))
})

for (const [text, words] of [
  ['secret', /not hashed/],
  ['$5$salt$key', /no password format \$5\$/],
  ['$scrypt$ln=14,r=8$AAAA$AAAA', /not \$scrypt\$/],
  ['$scrypt$ln=40,r=8,p=1$AAAA$AAAA', /cannot work with ln=40/],
  ['$scrypt$ln=14,r=8,p=1$AAAA$', /not Base64/],
  ['$7$0$AAAA$AAAA', /not \$7\$/],
  ['$7$99999999$AAAA$AAAA', /not \$7\$/],
  ['$7$101$A*AA$AAAA', /not Base64/],
  ['$6$AAAA$AAAA', /64 bytes/],
  ['$argon2id$v=19$m=99999999,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y', /too much/],
  ['$argon2id$v=16$m=64,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y', /not \$argon2id\$/],
] as const) {
  test(`${text} is refused in a sentence`, async (t) => {
    await t.throwsAsync(async () => parse(text), { message: words })
  })
}

test('without the package for argon2id a sentence says what to install', async (t) => {
  const missing = () => Promise.reject(new Error('Cannot find package'))

  await t.throwsAsync(loadArgon2(missing), { message: /npm install @node-rs\/argon2/ })
})
