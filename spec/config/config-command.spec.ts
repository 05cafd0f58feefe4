import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { parse } from 'yaml'
import yargs from 'yargs'
import { createConfigCommand } from '../../lib/cli/config.ts'
import { loadConfiguration } from '../../lib/config/load.ts'

interface Outcome {
  readonly output: string
  readonly errors: string
  readonly code: number
}

async function run(
  commandLine: readonly string[],
  environment: Record<string, string> = {},
): Promise<Outcome> {
  const outcome = { output: '', errors: '', code: 0 }
  const command = createConfigCommand({
    environment,
    print: (text) => (outcome.output += `${text}\n`),
    printError: (text) => (outcome.errors += `${text}\n`),
    exit: (code) => (outcome.code = code),
  })
  await yargs(['config', ...commandLine])
    .command(command)
    .strict()
    .exitProcess(false)
    .fail(false)
    .parseAsync()
  return outcome
}

function writeFile(t: ExecutionContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'noctule-config-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'noctule.yaml')
  writeFileSync(file, text)
  return file
}

test('config check counts what differs from the default', async (t) => {
  const file = writeFile(t, 'log:\n  level: info\nsession:\n  inflightMax: 5\n')

  t.deepEqual(await run(['check', '--config', file]), {
    output: `${file} is valid: 1 setting differs from the default\n`,
    errors: '',
    code: 0,
  })
})

test('config check prints all mistakes and exits with 2', async (t) => {
  const file = writeFile(t, 'log:\n  level: loud\nsesion: {}\n')

  t.deepEqual(await run(['check', '--config', file]), {
    output: '',
    errors: [
      'The configuration has 2 mistakes:',
      `  ${file}:2: log.level must be one of trace, debug, info, warn, error, silent; found "loud"`,
      `  ${file}:3: there is no option sesion; did you mean session?`,
      '',
    ].join('\n'),
    code: 2,
  })
})

test('config check looks at the environment too, which may name the file', async (t) => {
  const file = writeFile(t, '')

  const { errors, code } = await run(['check'], {
    NOCTULE_CONFIG: file,
    NOCTULE_LOG_FORMAT: 'xml',
  })

  t.is(code, 2)
  t.is(
    errors,
    'env NOCTULE_LOG_FORMAT: log.format must be one of auto, pretty, json; found "xml"\n',
  )
})

test('config show prints every option with its origin, as a file that can be used', async (t) => {
  const file = writeFile(t, 'session:\n  inflightMax: 5\n')

  const { output } = await run(['show', '--config', file], { NOCTULE_LISTENERS_0_PORT: '0' })

  t.true(output.includes(`  inflightMax: 5 # ${file}:2\n`))
  t.true(output.includes('    port: 0 # env NOCTULE_LISTENERS_0_PORT\n'))
  t.true(output.includes('  # serverReference: # default\n'))
  t.deepEqual(
    loadConfiguration({ file: writeFile(t, output), environment: {} }).options,
    loadConfiguration({ file, environment: { NOCTULE_LISTENERS_0_PORT: '0' } }).options,
  )
})

test('config show --changed says so when nothing is changed', async (t) => {
  t.is((await run(['show', '--changed'])).output.trim(), '# Nothing differs from the defaults.')
})

test('config show --changed leaves out what is as by default', async (t) => {
  const file = writeFile(t, 'log:\n  level: info\nmonitor:\n  nodeName: "# odd: name"\n')
  const right = writeFile(t, 'log:\n  level: info\nmonitor:\n  nodeName: north\n')

  t.is((await run(['show', '--changed', '--config', file])).code, 2)
  t.deepEqual(parse((await run(['show', '--changed', '--config', right])).output), {
    monitor: { nodeName: 'north' },
  })
})

test('config show --format json gives value and origin to programs', async (t) => {
  const { output } = await run(['show', '--format', 'json'], { NOCTULE_LOG_LEVEL: 'warn' })

  t.like(JSON.parse(output), {
    'log.level': { value: 'warn', origin: 'env NOCTULE_LOG_LEVEL' },
    'listeners.0.port': { value: 1883, origin: 'default' },
    'security.allowAnonymous': { value: null, origin: 'default' },
  })
})

test('config show prints groups in groups, and headers without what they say', async (t) => {
  const security = { http: { authorizeUrl: 'http://localhost/', headers: ['X-Api-Key: hush'] } }
  const environment = { NOCTULE_SECURITY: JSON.stringify(security) }

  const { output } = await run(['show', '--changed'], environment)

  t.deepEqual(parse(output), {
    security: { http: { authorizeUrl: 'http://localhost/', headers: ['X-Api-Key: ***'] } },
  })
})

test('config show has no password of a URL, whatever is in it', async (t) => {
  const url = 'redis://broker:one:two@db:6379'
  const environment = { NOCTULE_STORE_URL: url, NOCTULE_SECURITY_REDIS_URL: url }

  const { output } = await run(['show', '--changed'], environment)

  const shown = 'redis://broker:***@db:6379'
  t.deepEqual(parse(output), { store: { url: shown }, security: { redisUrl: shown } })
})
