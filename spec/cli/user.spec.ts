import { chmodSync, existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type CliResult, Process, run, temporaryDirectory } from '../support/processes.ts'
import { Program, requireProgram } from '../support/programs.ts'

function fileIn(t: ExecutionContext, text?: string): string {
  const path = join(temporaryDirectory(t), 'passwords')
  if (text !== undefined) writeFileSync(path, text)
  return path
}

const user = (
  t: ExecutionContext,
  path: string,
  words: readonly string[],
  input = '',
): Promise<CliResult> => run(t, ['user', ...words, '--cost=10', '--file', path], { input })

test('users are added, listed, given another password and removed', async (t) => {
  const path = fileIn(t)

  t.is((await user(t, path, ['add', 'alice'], 'secret\n')).stdout, `User "alice" is in ${path}.\n`)
  t.is((await user(t, path, ['add', 'bob smith'], 'geheim')).code, 0)
  const before = readFileSync(path, 'utf8')
  t.is((await run(t, ['user', 'list', '--file', path])).stdout, 'alice\nbob smith\n')
  t.is((await user(t, path, ['passwd', 'alice'], 'other\n')).code, 0)
  const after = readFileSync(path, 'utf8')
  t.is((await run(t, ['user', 'remove', 'bob smith', '--file', path])).code, 0)

  t.regex(before, /^alice:\$scrypt\$ln=10,[^\n]*\nbob smith:\$scrypt\$ln=10,[^\n]*\n$/)
  t.not(after.split('\n')[0], before.split('\n')[0])
  t.is(after.split('\n')[1], before.split('\n')[1])
  t.is(readFileSync(path, 'utf8'), `${after.split('\n')[0]}\n`)
  t.is(statSync(path).mode & 0o777, 0o600)
  t.false(existsSync(`${path}.new`))
})

test('the password may come from a file', async (t) => {
  const path = fileIn(t)
  const secret = join(temporaryDirectory(t), 'secret')
  writeFileSync(secret, 'from a file\r\n')

  t.is((await user(t, path, ['add', 'alice', '--password-file', secret])).code, 0)
  t.regex(
    (await user(t, path, ['add', 'bob', '--password-file', '/nowhere'])).stderr,
    /no such file/,
  )
})

for (const [words, code, sentence] of [
  [['add', 'alice'], 1, /There is a user "alice" .* noctule user passwd/],
  [['passwd', 'carol'], 1, /There is no user "carol" .* noctule user list/],
  [['add', 'a:b'], 2, /No user can have that name: a colon/],
  [['add'], 2, /./],
  [['passwd', 'alice', '--cost', '99'], 2, /--cost must be a whole number from 10 to 20/],
] as const) {
  test(`user ${words.join(' ')} is refused in one sentence`, async (t) => {
    const path = fileIn(t, 'alice:x\n')

    const result = await run(t, ['user', ...words, '--file', path], { input: 'secret' })

    t.is(result.code, code)
    t.regex(result.stderr, sentence)
    t.notRegex(result.stderr, /\n\s+at /)
    t.is(readFileSync(path, 'utf8'), 'alice:x\n')
  })
}

test('an empty password is refused', async (t) => {
  t.regex((await user(t, fileIn(t), ['add', 'alice'], '\n')).stderr, /must not be empty/)
})

test('without a file, what to name is said; the configuration may name it', async (t) => {
  const path = fileIn(t, 'alice:x\n')
  const configuration = join(temporaryDirectory(t), 'noctule.yaml')
  writeFileSync(configuration, `security: { passwordFile: ${path} }\n`)

  t.regex((await run(t, ['user', 'list'])).stderr, /--file FILE, or security\.passwordFile/)
  t.is((await run(t, ['user', 'list', '--config', configuration])).stdout, 'alice\n')
})

test('comments, permissions and a link to the file stay', async (t) => {
  const target = fileIn(t, '# people\nalice:x\n')
  chmodSync(target, 0o640)
  const link = join(temporaryDirectory(t), 'link')
  symlinkSync(target, link)

  await user(t, link, ['add', 'bob'], 'secret')

  t.regex(readFileSync(target, 'utf8'), /^# people\nalice:x\nbob:/)
  t.is(statSync(target).mode & 0o777, 0o640)
})

test('two commands do not change a file at once', async (t) => {
  const path = fileIn(t, 'alice:x\n')
  writeFileSync(`${path}.new`, '')

  const { code, stderr } = await user(t, path, ['add', 'bob'], 'secret')

  t.is(code, 1)
  t.regex(stderr, /Another command is changing the file: .*passwords\.new exists/)
})

/** `noctule` in a terminal of its own, which `script` makes. */
function inTerminal(t: ExecutionContext, words: readonly string[]): Process | undefined {
  const script = requireProgram(t, 'script', 'bsdutils')
  if (script === undefined) return undefined
  const cli = join(import.meta.dirname, '../../lib/cli.js')
  const command = [process.execPath, cli, ...words].map((word) => `'${word}'`).join(' ')
  return new Process(t, script, ['--quiet', '--return', '--command', command, '/dev/null'])
}

test('in a terminal the password is asked for twice and never shown', async (t) => {
  const path = fileIn(t)
  const terminal = inTerminal(t, ['user', 'add', 'alice', '--cost=10', '--file', path])
  if (terminal === undefined) return

  await terminal.waitForText(/Password: $/)
  terminal.child.stdin.write('sekret\u007f\u007ft!\r')
  await terminal.waitForText(/The same again: $/)
  terminal.child.stdin.write('sekret!\r')
  const { code, stdout } = await terminal.ended

  t.is(code, 1)
  t.regex(stdout, /The two are not the same\./)
  t.notRegex(stdout, /sek/)
})

test('in a terminal two equal passwords make a user', async (t) => {
  const path = fileIn(t)
  const terminal = inTerminal(t, ['user', 'add', 'alice', '--cost=10', '--file', path])
  if (terminal === undefined) return

  await terminal.waitForText(/Password: $/)
  terminal.child.stdin.write('sekret\r')
  await terminal.waitForText(/The same again: $/)
  terminal.child.stdin.write('sekret\r')
  const { code, stdout } = await terminal.ended

  t.is(code, 0, stdout)
  t.notRegex(stdout, /sekret/)
  t.regex(readFileSync(path, 'utf8'), /^alice:\$scrypt\$/)
})

test('mosquitto_passwd and noctule user may change the same file in turns', async (t) => {
  const program = requireProgram(t, 'mosquitto_passwd', 'mosquitto')
  if (program === undefined) return
  const path = fileIn(t, '')
  t.is((await new Program(t, program, ['-b', path, 'alice', 'one']).exited).code, 0)

  t.is((await user(t, path, ['add', 'bob'], 'two')).code, 0)
  t.is((await new Program(t, program, ['-D', path, 'alice']).exited).code, 0)

  t.is((await run(t, ['user', 'list', '--file', path])).stdout, 'bob\n')
})
