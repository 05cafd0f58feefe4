import { readFileSync } from 'node:fs'
import test from 'ava'
import { startProcess } from '../support/broker-process.ts'
import { run, spawnCli } from '../support/processes.ts'

const readme = readFileSync('README.md', 'utf8')

/** The transcripts of the first screen: what is typed behind `$`, and what it prints. */
const transcripts = [...readme.matchAll(/```console\n([\s\S]*?)```/g)].map(([, text = '']) => {
  const lines = text.trimEnd().split('\n')
  return {
    commands: lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2)),
    output: lines.filter((line) => !line.startsWith('$ ')),
  }
})

/** The words of `npx noctule …` as a shell would give them. */
function wordsOf(command: string): string[] {
  return [...command.matchAll(/'([^']*)'|(\S+)/g)]
    .map(([, quoted, bare]) => quoted ?? bare ?? '')
    .slice(2)
}

test('the quick start of the README goes as it says', async (t) => {
  const [start, sub, pub] = transcripts
  const broker = await startProcess(t)
  const printed = broker
    .output()
    .replaceAll(` -p ${broker.port}`, '')
    .replaceAll(`:${broker.port}`, ':1883')
    .replaceAll(`:${broker.wsPort}`, ':8083')
  for (const line of start?.output ?? ['nothing']) t.true(printed.split('\n').includes(line), line)

  const port = ['-p', String(broker.port)]
  const subscriber = spawnCli(t, [...wordsOf(sub?.commands[0] ?? ''), ...port, '-d', '-C', '1'])
  await subscriber.waitForLine(/^Subscribed/)
  const publisher = await run(t, [...wordsOf(pub?.commands[0] ?? ''), ...port])
  const { stdout } = await subscriber.ended

  t.is(publisher.code, 0)
  t.is(publisher.stdout, pub?.output.join('\n') ?? '')
  t.is(stdout.trimEnd(), sub?.output.join('\n') ?? 'nothing')
})

test('the commands that --help names are those of the README', async (t) => {
  const { stdout } = await run(t, ['--help'])

  for (const command of [
    'start',
    'pub',
    'sub',
    'config',
    'store',
    'user',
    'role',
    'ban',
    'acl',
    'certs',
    'bench',
  ]) {
    t.regex(stdout, new RegExp(`^  noctule ${command}\\b`, 'm'))
    t.true(readme.includes(`noctule ${command}`))
  }
})
