import test from 'ava'
import { FileProblem } from '../../lib/security/file-problem.ts'
import {
  findUserNameFault,
  parsePasswordFile,
  userNamesIn,
  withoutUser,
  withUser,
} from '../../lib/security/password-file.ts'

const HASH =
  '$7$101$u8ETiJ6QJceWJfAg$tio19SwAI78tke4Zi8HuijWcVwjjDKIn3JYym2e3MkebnAodS2peaxVCBJrtuWGZU3GzpHQU8E1YHbVPW82Y1A=='

test('comments and empty lines are passed over, line ends may be those of Windows', async (t) => {
  const users = await parsePasswordFile(`# people\r\n\r\nalice:${HASH}\r\nbob smith:${HASH}`)

  t.deepEqual([...users.keys()], ['alice', 'bob smith'])
})

for (const [text, line, words] of [
  [`alice:${HASH}\nbob\n`, 2, /USER:HASH/],
  [`:${HASH}\n`, 1, /USER:HASH/],
  [`alice:${HASH}\n\nalice:${HASH}\n`, 3, /"alice" stands there twice/],
  ['# x\nalice:secret\n', 2, /not hashed: set it with noctule user passwd/],
] as const) {
  test(`the first wrong line is named: ${JSON.stringify(text)}`, async (t) => {
    const error = await t.throwsAsync(parsePasswordFile(text), { instanceOf: FileProblem })

    t.is(error.line, line)
    t.regex(error.message, words)
  })
}

test('a line with argon2id is wrong where its package is not installed', async (t) => {
  const text = `alice:${HASH}\nbob:$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y\n`
  const load = () => Promise.reject(new Error('install it'))

  const error = await t.throwsAsync(parsePasswordFile(text, load), { instanceOf: FileProblem })

  t.is(error.at('passwords'), 'passwords:2: install it')
})

test('a user is changed in its line, added at the end, and removed without a trace', (t) => {
  const text = `# people\nalice:old\nbob:${HASH}`

  t.is(withUser(text, 'alice', 'new'), `# people\nalice:new\nbob:${HASH}\n`)
  t.is(withUser(text, 'carol', 'new'), `# people\nalice:old\nbob:${HASH}\ncarol:new\n`)
  t.is(withUser('', 'carol', 'new'), 'carol:new\n')
  t.is(withoutUser(text, 'alice'), `# people\nbob:${HASH}\n`)
  t.deepEqual(userNamesIn(text), ['alice', 'bob'])
})

test('names that would break the file, or that no client could send, are refused', (t) => {
  for (const name of ['', 'a:b', '#a', 'a\nb', ' a', 'x'.repeat(70_000)]) {
    t.is(typeof findUserNameFault(name), 'string', JSON.stringify(name.slice(0, 10)))
  }
  for (const name of ['a', 'bob smith', 'grüß', 'a@b.example'])
    t.is(findUserNameFault(name), undefined)
})
