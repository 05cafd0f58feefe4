import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { settingAt } from '../../lib/config/settings.ts'
import { parseClientAcl } from '../../lib/security/client-acl.ts'
import { spawnStart } from '../support/broker-process.ts'
import { run, temporaryDirectory } from '../support/processes.ts'
import { secretText } from '../support/tokens.ts'

const manual = readFileSync('docs/authentication.md', 'utf8')
const blocks = (language: string): string[] =>
  [...manual.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(
    ([, text = '']) => text,
  )
const [tokenYaml = '', serviceYaml = ''] = blocks('yaml')
const [signing = '', service = ''] = blocks('js')

/** Runs a script of the manual and returns its first line. */
function firstLineOf(t: ExecutionContext, script: string): Promise<string> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script])
  t.teardown(() => child.kill('SIGKILL'))
  return new Promise((resolve, reject) => {
    child.stdout.once('data', (chunk) => resolve(String(chunk).trim()))
    child.stderr.once('data', (chunk) => reject(new Error(String(chunk))))
  })
}

/** Writes a configuration of the manual, for this machine alone. */
function write(t: ExecutionContext, yaml: string): string {
  const path = join(temporaryDirectory(t), 'noctule.yaml')
  writeFileSync(path, yaml.replace('0.0.0.0', '127.0.0.1'))
  return path
}

async function startFrom(t: ExecutionContext, yaml: string): Promise<number> {
  const broker = spawnStart(t, [
    '--config',
    write(t, yaml),
    '--listeners.0.port',
    '0',
    '--store',
    'memory',
  ])
  const [, port] = await broker.waitFor(/mqtt:\/\/127\.0\.0\.1:(\d+)/)
  return Number(port)
}

const publishing = (port: number, password: string, topic: string) =>
  ['pub', '-p', String(port), '-u', 'meter-7', '-P', password].concat([
    '-t',
    topic,
    '-m',
    '230',
    '-q',
    '1',
  ])

test('the token that docs/authentication.md makes lets its client in, and do what it says', async (t) => {
  const secretFile = join(temporaryDirectory(t), 'token-secret')
  writeFileSync(secretFile, `${secretText}\n`)
  const port = await startFrom(t, tokenYaml.replace('token-secret', secretFile))
  const token = await firstLineOf(t, signing.replace('token-secret', secretFile))

  const allowed = await run(t, publishing(port, token, 'meters/meter-7/power'))
  const denied = await run(t, publishing(port, token, 'meters/meter-8/power'))
  const refused = await run(t, publishing(port, `${token}x`, 'meters/meter-7/power'))

  t.is(allowed.code, 0, allowed.stderr)
  t.not(denied.code, 0)
  t.not(refused.code, 0)
})

test('the service of docs/authentication.md answers the broker that is configured beside it', async (t) => {
  const listening = '.listen(0, "127.0.0.1", function () { console.log(this.address().port) })'
  const servicePort = await firstLineOf(t, service.replace(".listen(9000, '127.0.0.1')", listening))
  const port = await startFrom(t, serviceYaml.replaceAll('9000', servicePort))

  const allowed = await run(t, publishing(port, 'secret', 'meters/meter-7/power'))
  const denied = await run(t, publishing(port, 'secret', 'meters/meter-8/power'))
  const refused = await run(t, publishing(port, 'wrong', 'meters/meter-7/power'))

  t.is(allowed.code, 0, allowed.stderr)
  t.not(denied.code, 0)
  t.not(refused.code, 0)
})

test('what docs/authentication.md shows as acl is one', (t) => {
  const examples = blocks('json')

  t.is(examples.length, 2)
  for (const text of examples) t.true(parseClientAcl(JSON.parse(text)).length > 1)
})

const groups = ['security.jwt', 'security.http']
const find = (name: string) =>
  groups.map((group) => settingAt(`${group}.${name}`)).find((one) => one !== undefined)

test('every option that docs/authentication.md names exists', (t) => {
  const options =
    /`((?:jwks|cache|client|require|allowIn|secret|public|response)[A-Z]\w+|\w+(?:File|Url|Max|Ms|Seconds|Claim))\b/g
  const named = new Set([...manual.matchAll(options)].map(([, name = '']) => name))

  t.true(named.size > 15)
  for (const name of named) t.not(find(name) ?? settingAt(`security.${name}`), undefined, name)
})

test('every default that docs/authentication.md tells is the one that holds', (t) => {
  const told = [...manual.matchAll(/`(\w+)` \(([\d,]+)\)/g)]

  t.true(told.length > 8)
  for (const [, name = '', value = ''] of told) {
    t.is(find(name)?.default, Number(value.replaceAll(',', '')), name)
  }
})
