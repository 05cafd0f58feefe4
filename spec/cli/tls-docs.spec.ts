/** docs/tls.md, word by word: its commands are typed into a shell, its files written, its sentences looked up. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { settingAt } from '../../lib/config/settings.ts'
import { handshakeSentence, verificationSentence } from '../../lib/transport/tls-sentences.ts'
import { freePort, Process, temporaryDirectory } from '../support/processes.ts'
import { requireProgram } from '../support/programs.ts'

const manual = readFileSync('docs/tls.md', 'utf8')
const CLI = fileURLToPath(new URL('../../lib/cli.js', import.meta.url))

interface Block {
  readonly kind: string
  readonly text: string
}

/** Blocks of code with their kind, in order, up to `heading`. */
function blocks(from: string, to: string): Block[] {
  const part = manual.slice(manual.indexOf(from), manual.indexOf(to))
  return [...part.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(([, kind = '', text = '']) => ({
    kind,
    text,
  }))
}

class Shell {
  readonly #t: ExecutionContext
  readonly #folder: string
  readonly #port: number
  #broker: Process | undefined

  constructor(t: ExecutionContext, port: number) {
    this.#t = t
    this.#folder = temporaryDirectory(t)
    this.#port = port
    this.write('noctule', `#!/bin/sh\nexec ${process.execPath} ${CLI} "$@"\n`, 0o700)
  }

  write(name: string, text: string, mode = 0o600): void {
    writeFileSync(join(this.#folder, name), text.replaceAll('8883', String(this.#port)), { mode })
  }

  has(name: string): boolean {
    return existsSync(join(this.#folder, name))
  }

  /** Types a command; a broker stays until the next one. */
  async type(command: string): Promise<{ code: number | null; output: string }> {
    const words = command.replaceAll('8883', String(this.#port))
    const line = `cd ${this.#folder} && PATH=.:$PATH && ${words}`
    if (!command.startsWith('noctule start')) {
      const { code, stdout, stderr } = await new Process(this.#t, 'sh', ['-c', line]).ended
      return { code, output: (stdout + stderr).replaceAll(String(this.#port), '8883') }
    }
    this.#broker?.child.kill('SIGKILL')
    await this.#broker?.ended
    this.#broker = new Process(this.#t, 'sh', [
      '-c',
      line.replace('noctule start', 'exec noctule start'),
    ])
    await this.#broker.waitForText(/listening|listens on/)
    return { code: 0, output: '' }
  }
}

/** Does what a part of the page says. */
async function follow(t: ExecutionContext, shell: Shell, part: readonly Block[]): Promise<void> {
  for (const { kind, text } of part) {
    if (kind === 'yaml') shell.write(/^# (.*)$/m.exec(text)?.[1] ?? 'noctule.yaml', text)
    if (kind !== 'console') continue
    const lines = text.trimEnd().split('\n')
    const commands = lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2))
    const expected = lines.filter((line) => !line.startsWith('$ ')).join('\n')
    for (const command of commands) {
      // oxlint-disable-next-line no-await-in-loop -- One after the other, as in a terminal.
      const { code, output } = await shell.type(command)
      t.is(code, expected === '' ? 0 : 1, `${command}\n${output}`)
      if (expected !== '') t.is(output.trimEnd(), expected)
    }
  }
}

test('docs/tls.md goes as it says: certificates', async (t) => {
  if (requireProgram(t, 'mosquitto_pub', 'mosquitto-clients') === undefined) return
  const shell = new Shell(t, await freePort())

  await follow(t, shell, blocks('## Certificates of your own', '## Clients with certificates'))
  t.true(shell.has('certs/meter-7.key'))
  const pub =
    'noctule pub -h localhost -p 8883 --cafile certs/ca.crt --cert certs/meter-7.crt --key certs/meter-7.key -t a -m x'
  t.is((await shell.type(pub)).code, 0)
  await follow(t, shell, blocks('### Taking a certificate back', '## When files change'))
  await shell.type('noctule start --config noctule.yaml')
  t.is((await shell.type(pub)).code, 1)
  await follow(t, shell, blocks('`noctule pub` and `sub` say it', '\u0000'))
})

test('docs/tls.md goes as it says: pre-shared keys', async (t) => {
  if (requireProgram(t, 'mosquitto_pub', 'mosquitto-clients') === undefined) return

  await follow(
    t,
    new Shell(t, await freePort()),
    blocks('## Pre-shared keys', '## What went wrong'),
  )
})

test('every rule of the table is one that the log has', (t) => {
  const rows = [...manual.matchAll(/^\| ((?:the|more|…) [^|]+) \|/gm)].map(([, rule = '']) => rule)
  const sources = ['tls-sentences', 'tls', 'gate'].map((name) =>
    readFileSync(`lib/transport/${name}.ts`, 'utf8'),
  )
  // What stands between the parts that change.
  const pieces = (rule: string) =>
    rule
      .split(/"…"|…|serial| dns,| 4096 | 10 s|TLS handshake was/)
      .map((piece) => piece.trim())
      .filter((piece) => piece !== '')

  t.true(rows.length > 15)
  for (const rule of rows) {
    for (const piece of pieces(rule)) t.true(sources.join('\n').includes(piece), piece)
  }
  t.is(
    handshakeSentence({ name: '', message: '', code: 'ECONNRESET' }, undefined).slice(0, 10),
    'the client',
  )
  t.regex(verificationSentence('CERT_REVOKED', '"a"'), /^the client certificate "a" is revoked/)
})

test('every option that docs/tls.md names exists', (t) => {
  const configuration = readFileSync('docs/configuration.md', 'utf8')
  const names = [
    ...manual.matchAll(/`((?:\w+File|\w+Max|\w+Ms|\w+Hint|min\w+|user\w+|request\w+))[`:]/g),
  ]

  t.true(names.length > 10)
  for (const [, name] of names) t.true(configuration.includes(`\`${name}\``), name)
  t.not(settingAt('security.certificateWarningDays'), undefined)
})
