import { tmpdir } from 'node:os'
import test from 'ava'
import { chooseCores, findProgram, pinned } from '../../lib/cli/bench/cores.ts'
import { readUsage } from '../../lib/cli/bench/process-usage.ts'
import { ServerProcess } from '../../lib/cli/bench/server-process.ts'

const common = { ready: /ready \d+/, core: undefined, directory: tmpdir() }
const node = (script: string) => ({ command: process.execPath, args: ['-e', script] })

test('a server is there when it says so, and gone when it was stopped', async (t) => {
  const script =
    'console.log("ready", 7); console.error("x".repeat(100000)); setInterval(() => {}, 1000)'
  const server = await ServerProcess.start({ ...common, ...node(script) })

  t.regex(server.output, /ready 7/)
  t.not(readUsage([server.pid]), undefined)
  await server.stop()
  t.is(readUsage([server.pid]), undefined)
  await t.notThrowsAsync(server.stop())
})

test('a server that ends before it is ready has said why', async (t) => {
  const script = 'console.error("no room"); process.exitCode = 3'

  const error = await t.throwsAsync(ServerProcess.start({ ...common, ...node(script) }))

  t.regex(error?.message ?? '', /ended with 3:\nno room/)
})

test('a server that is not there is told of', async (t) => {
  const start = ServerProcess.start({ ...common, command: 'no-such-program', args: [] })

  const error = await t.throwsAsync(start)

  t.regex(error?.message ?? '', /no-such-program cannot be started: .*ENOENT/)
})

test('a process is pinned through taskset, or left alone', (t) => {
  t.deepEqual(pinned(undefined, 'node', ['a']), ['node', ['a']])
  t.deepEqual(pinned(3, 'node', ['a']), ['taskset', ['-c', '3', 'node', 'a']])
  t.is(findProgram('no-such-program'), undefined)
  const { broker, generator } = chooseCores()
  t.true(broker === undefined ? generator === undefined : broker !== generator)
})
