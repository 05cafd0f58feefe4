import test from 'ava'
import fc from 'fast-check'
import {
  type Ban,
  formatBan,
  parseBan,
  parseBanFile,
  subjectOf,
  withBans,
  withoutBans,
} from '../../lib/security/bans/ban-file.ts'
import { FileProblem } from '../../lib/security/file-problem.ts'

const NOW = Date.parse('2026-11-26T00:00:00Z')

test('a line says who, until when and why', (t) => {
  const ban = parseBan(
    'user=alice address=2001:DB8::1/64 until=2026-11-27T10:00:00Z by=broker reason="wrong passwords"',
  )

  t.like(ban, {
    user: 'alice',
    client: undefined,
    until: Date.parse('2026-11-27T10:00:00Z'),
    isAutomatic: true,
    reason: 'wrong passwords',
  })
  t.is(
    formatBan(ban),
    'address=2001:db8::/64 user=alice until=2026-11-27T10:00:00Z by=broker reason="wrong passwords"',
  )
})

for (const [line, sentence] of [
  ['192.0.2.1', /not KEY=VALUE/],
  ['address=192.0.2.999', /192\.0\.2\.999 is neither an IP address nor a range/],
  ['adress=192.0.2.1', /there is no adress=; did you mean address\?/],
  ['reason=why', /nobody is named/],
  ['user=a user=b', /user= stands there twice/],
  ['user=a until=tomorrow', /until= wants a time/],
  ['user=a until=2026-13-99T00:00:00Z', /until= wants a time/],
  ['user="a', /not KEY=VALUE/],
  ['user="\\q"', /not a text in quotes/],
  ['user=a by=me', /by= is hand or broker/],
] as const) {
  test(`${line}: wrong, and it is said what`, (t) => {
    const error = t.throws(() => parseBanFile(`# first\n${line}\n`), { instanceOf: FileProblem })
    t.regex(error?.message ?? '', sentence)
    t.is(error?.line, 2)
  })
}

test('whatever names strangers choose, a line is one line, and is read as it was meant', (t) => {
  const name = fc.string({ unit: 'grapheme', minLength: 1 })
  fc.assert(
    fc.property(name, name, name, (user, client, reason) => {
      const ban: Ban = {
        address: undefined,
        user,
        client,
        until: Number.POSITIVE_INFINITY,
        isAutomatic: false,
        reason,
      }
      const line = formatBan(ban)
      t.notRegex(line, /[\p{Cc}\u2028\u2029\p{Bidi_Control}]/u)
      t.like(parseBan(line), { user, client, reason })
    }),
  )
  t.is(subjectOf(parseBan('user="a\\nb\\u001b[31m\\u2028"')), 'user="a\\nb\\u001b[31m\\u2028"')
})

test('bans are added in their places, and what people wrote stays', (t) => {
  const text =
    '# ours\naddress=192.0.2.1\nwrong line\nuser=old until=2020-01-01T00:00:00Z by=broker\n'
  const added = ['address=192.0.2.1 reason=again', 'client=new'].map(parseBan)

  const after = withBans(text, added, NOW)

  t.is(after, '# ours\naddress=192.0.2.1 reason=again\nwrong line\nclient=new\n')
  t.is(
    withoutBans(after, ({ client }) => client === 'new'),
    '# ours\naddress=192.0.2.1 reason=again\nwrong line\n',
  )
})
