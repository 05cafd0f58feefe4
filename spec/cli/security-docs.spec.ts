import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { parse } from 'yaml'
import { rooms, settingAt } from '../../lib/config/settings.ts'
import type { CreateBrokerOptions } from '../../lib/index.ts'
import { parseAclFile } from '../../lib/security/acl/parse.ts'
import { ClientRules, type RuleClient } from '../../lib/security/acl/rules.ts'
import { startListeningBroker } from '../support/mqtt-js.ts'
import { run, temporaryDirectory } from '../support/processes.ts'
import { RedisServer } from '../support/redis-server.ts'
import { redisTest, shared } from '../support/redis-test.ts'

const redisServer = shared(() => RedisServer.start())
const manual = readFileSync('docs/security.md', 'utf8')
const rules = /```\n(# Everybody[\s\S]*?)```/.exec(manual)?.[1] ?? ''

const alice: RuleClient = {
  clientIdentifier: 'c1',
  userName: 'alice',
  address: '10.1.2.3',
  listener: 'tcp-0',
  certificateCommonName: undefined,
}

test('the rules of docs/security.md say what stands beside them', (t) => {
  const may = (client: Partial<RuleClient>) =>
    new ClientRules('acl.conf', parseAclFile(rules), { ...alice, ...client })

  t.true(may({}).mayPublish('sensors/alice/x', 0, false).isAllowed)
  t.false(may({}).mayPublish('sensors/alice/x', 0, true).isAllowed)
  t.false(may({ userName: undefined }).mayPublish('sensors/alice/x', 0, false).isAllowed)
  t.true(may({}).maySubscribe('sensors/+/power', 0).isAllowed)
  t.false(may({}).maySubscribe('sensors/#', 0).isAllowed)
  t.false(may({ address: '192.0.2.1' }).maySubscribe('sensors/+/power', 0).isAllowed)
  t.true(may({ userName: 'admin' }).maySubscribe('$SYS/#', 0).isAllowed)
})

test('noctule acl check answers as docs/security.md shows', async (t) => {
  const [, words = '', answer] = /\$ noctule (acl check --acl .*)\n(.*)\n/.exec(manual) ?? []
  const file = join(temporaryDirectory(t), 'acl.conf')
  writeFileSync(file, rules)
  const args = words.split(' ').map((word) => word.replaceAll("'", ''))

  const { stdout, code } = await run(
    t,
    args.map((word) => (word === 'acl.conf' ? file : word)),
  )

  t.is(stdout, `${answer}\n`)
  t.is(code, 1)
})

const exists = (name: string) =>
  settingAt(name) !== undefined || rooms.some((room) => room.name === name)

test('every option that docs/security.md names exists', (t) => {
  const named = [...manual.matchAll(/`(security(\.\w+)+)/g)].map(([, name = '']) => name)

  t.true(named.length > 5)
  for (const name of named) t.true(exists(name), name)
})

test('every test that docs/security.md names exists', (t) => {
  const rows = [...manual.matchAll(/\| (`[a-z]+\/[^|]*)\|$/gm)].map(([, tests = '']) => tests)
  const files = rows.flatMap((tests) =>
    [...tests.matchAll(/`([a-z]+\/[a-z-]+)`/g)].map(([, file]) => file),
  )

  t.true(files.length > 10)
  for (const file of files) t.notThrows(() => readFileSync(`spec/${file}.spec.ts`))
})

/** The lines that a section shows in a terminal, from behind `$ noctule`, and what one of them prints. */
function linesOf(heading: string): { readonly commands: string[]; readonly text: string } {
  const text = manual.split(`## ${heading}`)[1]?.split('\n## ')[0] ?? ''
  const commands = [...text.matchAll(/^\$ (.*)$/gm)].map(([, line = '']) => line)
  return { commands, text }
}

/** The words of a line, without quotes. */
function wordsIn(line: string): string[] {
  return (line.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replaceAll("'", ''))
}

/** The group `security` of a section's YAML. */
function securityIn(text: string): NonNullable<CreateBrokerOptions['security']> {
  return parse(/```yaml\n([\s\S]*?)```/.exec(text)?.[1] ?? '').security
}

test('the SCRAM of docs/security.md works as it is shown', async (t) => {
  const { commands, text: section } = linesOf('SCRAM: a password')
  const file = join(temporaryDirectory(t), 'passwords')
  const [add = '', publish = ''] = commands
  const made = await run(t, wordsIn(add.replace('noctule ', '').replace('passwords', file)), {
    input: 'pencil\n',
  })
  t.is(made.code, 0, made.stderr)
  const security = securityIn(section)
  t.is(security.passwordFile, 'passwords')

  const { urls } = await startListeningBroker(t, { security: { ...security, passwordFile: file } })
  const words = [
    ...wordsIn(publish.replace('noctule ', '')),
    '-p',
    new URL(urls.tcp).port,
    '-q',
    '1',
  ]

  t.deepEqual(await run(t, words), { code: 0, stdout: '', stderr: '' })
})

redisTest('the accounts in Redis of docs/security.md work as they are shown', async (t) => {
  const { commands, text: section } = linesOf('Accounts in Redis')
  const { url } = await redisServer()
  const file = join(temporaryDirectory(t), 'rules.conf')
  writeFileSync(file, /```\n([\s\S]*?)```/.exec(section)?.[1] ?? '')
  let printed = ''
  for (const line of commands) {
    const [, piped, command = ''] = /^(?:echo '(.*)' \| )?noctule (.*)$/.exec(line) ?? []
    const words = wordsIn(command.replace('redis://db', url).replace('rules.conf', file))
    const input = piped === undefined ? 'pencil\n' : `${piped}\n`
    const { stdout, stderr } = await run(t, words, { input })
    t.is(stderr, '', line)
    printed = stdout
  }
  t.true(commands.length > 3)
  t.true(section.includes(`\n${printed}\`\`\``), printed)

  const security = securityIn(section)
  t.is(security.redisUrl, 'redis://db')
  const { urls } = await startListeningBroker(t, { security: { ...security, redisUrl: url } })
  const publish = (topic: string) => {
    const account = ['-p', new URL(urls.tcp).port, '-u', 'alice', '-P', 'pencil']
    return run(t, ['pub', ...account, '-t', topic, '-m', 'x', '-q', '1'])
  }

  t.is((await publish('plant/x')).code, 0)
  t.regex((await publish('plant/secret')).stderr, /0x87/)
})
