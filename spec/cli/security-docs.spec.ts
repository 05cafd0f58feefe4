import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { rooms, settingAt } from '../../lib/config/settings.ts'
import { parseAclFile } from '../../lib/security/acl/parse.ts'
import { ClientRules, type RuleClient } from '../../lib/security/acl/rules.ts'
import { run, temporaryDirectory } from '../support/processes.ts'

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
  const [, words = '', answer] = /\$ noctule (acl check .*)\n(.*)\n/.exec(manual) ?? []
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
