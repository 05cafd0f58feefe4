import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { changeSharedFile } from '../../lib/cli/user-file.ts'
import { startProcess } from '../support/broker-process.ts'
import { openTcpClient } from '../support/client.ts'
import { type CliResult, run, temporaryDirectory } from '../support/processes.ts'

function fileIn(t: ExecutionContext, text?: string): string {
  const path = join(temporaryDirectory(t), 'bans')
  if (text !== undefined) writeFileSync(path, text)
  return path
}

const ban = (t: ExecutionContext, path: string, ...words: readonly string[]): Promise<CliResult> =>
  run(t, ['ban', ...words, '--file', path])

test('bans are added, listed and removed', async (t) => {
  const path = fileIn(t)

  const added = await ban(
    t,
    path,
    'add',
    '--address',
    '192.0.2.0/24',
    '--for',
    '1h',
    '--reason',
    'scans us',
  )
  t.regex(added.stdout, /^Banned in .*: address=192\.0\.2\.0\/24 until=\S+Z reason="scans us"\n$/)
  t.is((await ban(t, path, 'add', '--user', 'bob smith', '--client', 'c')).code, 0)
  const listed = await ban(t, path, 'list')
  t.regex(listed.stdout, /^address=192\.0\.2\.0\/24 until=.*\nuser="bob smith" client=c\n$/)
  t.is((await ban(t, path, 'remove', '--user', 'bob smith', '--client', 'c')).code, 0)

  t.regex(readFileSync(path, 'utf8'), /^address=192\.0\.2\.0\/24 [^\n]*\n$/)
})

test('what the broker is just writing is waited for, but not for ever', async (t) => {
  const path = fileIn(t, 'user=alice\n')
  writeFileSync(`${path}.new`, '')
  const stuck = await ban(t, path, 'add', '--user', 'bob')
  t.is(stuck.code, 1)
  t.regex(stuck.stderr, /Another command is changing the file/)

  const adding = changeSharedFile(path, (text) => `${text}user=bob\n`)
  rmSync(`${path}.new`)

  await adding
  t.is(readFileSync(path, 'utf8'), 'user=alice\nuser=bob\n')
})

test('what is over is not listed', async (t) => {
  const path = fileIn(
    t,
    'user=old until=2020-01-01T00:00:00Z\nuser=new until=2999-01-01T00:00:00Z\n',
  )

  t.is((await ban(t, path, 'list')).stdout, 'user=new until=2999-01-01T00:00:00Z\n')
})

test('names that strangers chose do nothing to the terminal', async (t) => {
  const path = fileIn(t, 'client="a\\u001b[2J\\n\\u2028b"\n')

  t.is((await ban(t, path, 'list')).stdout, 'client="a\\u001b[2J\\n\\u2028b"\n')
})

for (const [words, code, sentence] of [
  [['add'], 2, /Say who: --address, --user or --client/],
  [['add', '--address', 'here'], 2, /here is neither an IP address nor a range/],
  [['add', '--user', 'a', '--for', 'long'], 2, /--for wants a time such as 90s/],
  [['remove', '--user', 'nobody'], 1, /There is no ban of user=nobody .*: noctule ban list/],
] as const) {
  test(`ban ${words.join(' ')} is refused in one sentence`, async (t) => {
    const path = fileIn(t, 'user=alice\n')

    const result = await ban(t, path, ...words)

    t.is(result.code, code)
    t.regex(result.stderr, sentence)
    t.notRegex(result.stderr, /\n\s+at /)
    t.is(readFileSync(path, 'utf8'), 'user=alice\n')
  })
}

test('a mistake in the file is named with its line; the configuration may name the file', async (t) => {
  const path = fileIn(t, 'user=alice\nuser\n')
  const configuration = join(temporaryDirectory(t), 'noctule.yaml')
  writeFileSync(configuration, `bans: { file: ${path} }\n`)

  const result = await run(t, ['ban', 'list', '--config', configuration])

  t.is(result.code, 2)
  t.regex(result.stderr, /bans:2: not KEY=VALUE/)
  t.regex((await run(t, ['ban', 'list'])).stderr, /--file FILE, or bans\.file/)
})

test('a running broker ends whom the command bans, refuses it, and lets it in again', async (t) => {
  const path = fileIn(t)
  const broker = await startProcess(t, ['--bans.file', path])
  const enter = async (version: 4 | 5 = 5) => {
    const client = await openTcpClient(t, broker.port, version)
    client.connect({ clientId: 'pump 7' })
    return client
  }
  const client = await enter()
  await client.expect(t, 'connack', { reasonCode: 0 })

  await ban(t, path, 'add', '--client', 'pump 7', '--reason', 'it leaks')
  t.like((await client.closed()).at(-1), {
    cmd: 'disconnect',
    reasonCode: 0x98,
    properties: { reasonString: 'banned: it leaks' },
  })
  await (await enter()).expect(t, 'connack', { reasonCode: 0x8a })
  await (await enter(4)).expect(t, 'connack', { returnCode: 5 })

  await ban(t, path, 'remove', '--client', 'pump 7')
  await broker.waitFor(/a changed file is in force[\s\S]*a changed file is in force/)
  await (await enter()).expect(t, 'connack', { reasonCode: 0 })
  await ban(t, path, 'add', '--address', '127.0.0.0/8')
  await broker.waitFor(/(a changed file is in force[\s\S]*){3}/)
  const refused = await openTcpClient(t, broker.port)
  t.deepEqual(await refused.closed(), [])
})
