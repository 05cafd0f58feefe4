import { spawn } from 'node:child_process'
import { once } from 'node:events'
import test from 'ava'
import {
  coreUsageUs,
  openFilesMax,
  readUsage,
  secondsOfTime,
} from '../../lib/cli/bench/process-usage.ts'

/** Burns CPU time in its own thread and in another one, then says how much it has used, and waits. */
const BURNER = `
  const { Worker } = require('node:worker_threads')
  const burn = 'const end = process.cpuUsage().user + 150000; while (process.cpuUsage().user < end);'
  const say = () => { const { user, system } = process.cpuUsage(); console.log(user + system) }
  say()
  process.stdin.once('data', () => {
    new Worker(burn, { eval: true }).once('exit', () => { eval(burn); say() })
  })
  setInterval(() => {}, 1000)
`

test('the CPU time of a process is what it says itself, threads that ended included', async (t) => {
  const child = spawn(process.execPath, ['-e', BURNER], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  const said = async () => Number(String((await once(child.stdout, 'data'))[0]))
  const pid = child.pid as number

  const saidBefore = await said()
  const before = readUsage([pid])
  child.stdin.write('go\n')
  const saidUs = (await said()) - saidBefore
  const after = readUsage([pid])

  const readUs = (after?.cpuUs ?? 0) - (before?.cpuUs ?? 0)
  t.true(saidUs >= 300_000)
  t.true(Math.abs(readUs - saidUs) < 60_000, `read ${readUs}, said ${saidUs}`)
  t.true((after?.residentBytes ?? 0) > 20_000_000)
})

test('several processes are added up', (t) => {
  const one = readUsage([process.pid])?.residentBytes ?? 0
  const two = readUsage([process.pid, process.pid])?.residentBytes ?? 0

  t.true(Math.abs(two - 2 * one) < one)
})

test('times of ps are understood in all their forms', (t) => {
  t.is(secondsOfTime('0:01.50'), 1.5)
  t.is(secondsOfTime('12:34'), 754)
  t.is(secondsOfTime('01:02:03'), 3723)
  t.is(secondsOfTime('2-03:04:05'), 2 * 86_400 + 11_045)
})

test('of a process that is not there nothing is known', (t) => {
  t.is(readUsage([2 ** 30]), undefined)
  t.is(openFilesMax(2 ** 30), undefined)
})

if (process.platform === 'linux') {
  test('a core has been used by somebody', (t) => {
    t.true((coreUsageUs(0) ?? 0) > 0)
    t.true((openFilesMax('self') ?? 0) > 10)
  })
}
