import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { run, temporaryDirectory } from '../support/processes.ts'

const rules = `role crew = alice
allow write home/%u/# qos<=1 retain=no
deny  read  home/safe
allow read  home/#    role=crew address=10.0.0.0/8
allow all   certs/%cn listener=tls-1
allow all   id/%c
allow all   a         dns=a.example email=a@* uri=urn:*
`

function aclFile(t: ExecutionContext, text = rules): string {
  const path = join(temporaryDirectory(t), 'acl.conf')
  writeFileSync(path, text)
  return path
}

for (const [words, code, answer] of [
  [['-u', 'alice', '-t', 'home/alice/x', '-a', 'publish'], 0, 'yes: acl.conf line 2'],
  [['-u', 'alice', '-t', 'home/bob/x', '-a', 'publish'], 1, 'no: acl.conf no rule allows it'],
  [
    ['-u', 'alice', '-t', 'home/alice/x', '-a', 'publish', '-q', '2'],
    1,
    'no: acl.conf no rule allows it',
  ],
  [
    ['-u', 'alice', '-t', 'home/alice/x', '-a', 'publish', '-r'],
    1,
    'no: acl.conf no rule allows it',
  ],
  [
    ['-u', 'alice', '-t', 'home/x', '-a', 'receive', '--address', '10.1.2.3'],
    0,
    'yes: acl.conf line 4',
  ],
  [
    ['-u', 'alice', '-t', 'home/safe', '-a', 'receive', '--address', '10.1.2.3'],
    1,
    'no: acl.conf line 3',
  ],
  [
    ['-u', 'alice', '-t', 'home/+', '-a', 'subscribe', '--address', '10.1.2.3'],
    1,
    'no: acl.conf line 3 denies a part of what it could receive',
  ],
  [
    ['-t', 'certs/m7', '-a', 'subscribe', '--cn', 'm7', '--listener', 'tls-1'],
    0,
    'yes: acl.conf line 5',
  ],
  [
    ['-t', 'a', '-a', 'publish', '--dns', 'a.example', '--email', 'a@b', '--uri', 'urn:a'],
    0,
    'yes: acl.conf line 7',
  ],
  [['-t', 'a', '-a', 'publish', '--dns', 'a.example'], 1, 'no: acl.conf no rule allows it'],
  [['-i', 'c1', '-t', '$share/g/id/c1', '-a', 'subscribe'], 0, 'yes: acl.conf line 6'],
] as const) {
  test(`acl check ${words.join(' ')} says ${answer}`, async (t) => {
    const result = await run(t, ['acl', 'check', '--acl', aclFile(t), ...words])

    t.is(result.stdout, `${answer}\n`)
    t.is(result.code, code)
  })
}

test('the file of the configuration is asked', async (t) => {
  const configuration = join(temporaryDirectory(t), 'noctule.yaml')
  writeFileSync(configuration, `security: { aclFile: ${aclFile(t)} }\n`)
  const words = ['--config', configuration, '-t', 'id/c1', '-i', 'c1', '-a', 'publish']

  t.is((await run(t, ['acl', 'check', ...words])).stdout, 'yes: acl.conf line 6\n')
})

for (const [words, sentence] of [
  [['-t', 'a', '-a', 'publish'], /Name the ACL file: --acl FILE/],
  [['-t', 'a', '-a', 'publish', '--acl', '/nowhere'], /Cannot read \/nowhere/],
  [['-t', 'a/+', '-a', 'publish', '--acl', 'FILE'], /"a\/\+" is not a Topic Name/],
  [['-t', 'a+', '-a', 'subscribe', '--acl', 'FILE'], /"a\+" is not a Topic Filter/],
  [['-t', 'a', '-a', 'look', '--acl', 'FILE'], /action/],
  [['-a', 'publish', '--acl', 'FILE'], /topic/],
] as const) {
  test(`acl check ${words.join(' ')} is a mistake, told in a sentence`, async (t) => {
    const path = aclFile(t)
    const result = await run(t, ['acl', 'check', ...words.map((w) => (w === 'FILE' ? path : w))])

    t.is(result.code, 2)
    t.regex(result.stderr, sentence)
    t.notRegex(result.stderr, /\n\s+at /)
  })
}

test('a wrong line is named, with exit code 2', async (t) => {
  const path = aclFile(t, 'allow raed a\n')
  const result = await run(t, ['acl', 'check', '--acl', path, '-t', 'a', '-a', 'publish'])

  t.is(result.code, 2)
  t.is(
    result.stderr,
    `${path}:1: raed is none of read, write, subscribe and all; did you mean read?\n`,
  )
})

test('a mistake in the words of a command names the help of that command', async (t) => {
  const seeOf = async (...words: string[]) => /See: (.*)\n$/.exec((await run(t, words)).stderr)?.[1]

  t.is(await seeOf('acl', 'check'), 'noctule acl check --help')
  t.is(await seeOf('acl', 'chek'), 'noctule acl --help')
  t.is(await seeOf('acl'), 'noctule acl --help')
})

test('rules that are not there are told without the words of the system', async (t) => {
  const check = await run(t, ['acl', 'check', '--acl', '/no/acl', '-t', 'a', '-a', 'publish'])
  const set = await run(t, ['acl', 'set', '/no/acl', '--redis', 'redis://127.0.0.1:1'])

  t.is(check.stderr, 'Cannot read /no/acl: there is no such file.\n')
  t.is(set.stderr, 'Cannot read /no/acl: there is no such file.\n')
})
