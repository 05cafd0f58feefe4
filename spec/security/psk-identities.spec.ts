import test from 'ava'
import { FileProblem } from '../../lib/security/file-problem.ts'
import {
  IDENTITIES_MAX,
  IDENTITY_BYTES_MAX,
  KEY_BYTES_MAX,
  PskIdentities,
  parsePreSharedKeys,
} from '../../lib/security/psk-identities.ts'

test('a line is an identity and its key, with comments between', (t) => {
  const keys = parsePreSharedKeys('# sensors\n\na:00ff\r\nurn:dev:b:ABCD\n')

  t.deepEqual(
    [...keys].map(([identity, key]) => [identity, key.toString('hex')]),
    [
      ['a', '00ff'],
      ['urn:dev:b', 'abcd'],
    ],
  )
})

for (const [name, text, expected] of [
  ['a line without a colon', 'a:00\nb\n', /^keys:2: not IDENTITY:HEXKEY$/],
  ['a line without an identity', ':00\n', /^keys:1: not IDENTITY:HEXKEY$/],
  ['half a byte', 'a:000\n', /^keys:1: the key is not pairs of hexadecimal digits$/],
  ['no key', 'a:\n', /not pairs of hexadecimal digits$/],
  ['a key with a prefix', 'a:0x00\n', /not pairs of hexadecimal digits$/],
  ['an identity twice', 'a:00\n\na:01\n', /^keys:3: "a" stands there twice$/],
  [
    'too long an identity',
    `${'ä'.repeat(IDENTITY_BYTES_MAX / 2 + 1)}:00\n`,
    /^keys:1: the identity has more than 128 bytes$/,
  ],
  ['too long a key', `a:${'00'.repeat(KEY_BYTES_MAX + 1)}\n`, /the key has more than 64 bytes$/],
] as const) {
  test(`${name} is told with its line`, (t) => {
    const error = t.throws(() => parsePreSharedKeys(text), { instanceOf: FileProblem })

    t.regex(error?.at('keys') ?? '', expected)
  })
}

test('there is a limit to how many', (t) => {
  const lines = Array.from({ length: IDENTITIES_MAX + 1 }, (_, i) => `${i}:00`)

  t.is(parsePreSharedKeys(lines.slice(1).join('\n')).size, IDENTITIES_MAX)
  t.throws(() => parsePreSharedKeys(lines.join('\n')), { message: /more than 100000 identities/ })
})

test('a changed file tells whose key is gone or another, and a broken one changes nothing', (t) => {
  const identities = new PskIdentities()

  t.deepEqual([...identities.use('a:00\nb:01\nc:02\n')], [])
  t.deepEqual([...identities.use('a:00\nb:ff\nd:03\n')].toSorted(), ['b', 'c'])
  t.throws(() => identities.use('a\n'))
  t.is(identities.keyOf('b').toString('hex'), 'ff')
})

test('an identity that nobody has gets a key of its own, always the same, never twice', (t) => {
  const identities = new PskIdentities()

  t.deepEqual(identities.keyOf('x'), identities.keyOf('x'))
  t.notDeepEqual(identities.keyOf('x'), identities.keyOf('y'))
  t.notDeepEqual(identities.keyOf('x'), new PskIdentities().keyOf('x'))
  t.is(identities.keyOf('__proto__').length, 32)
})
