import { Buffer } from 'node:buffer'
import test from 'ava'
import { defaultConfiguration } from '../../lib/config/load.ts'
import { PasswordCheck } from '../../lib/security/password-check.ts'
import { hashPassword } from '../../lib/security/password-hash.ts'
import { PasswordSource } from '../../lib/security/password-source.ts'
import { VerifiedPasswords } from '../../lib/security/verified-passwords.ts'
import { WAIT_MAX_MS, WorkQueue } from '../../lib/security/work-queue.ts'
import { ManualClock } from '../support/clock.ts'
import { defer } from '../support/deferred.ts'

const { security } = defaultConfiguration()
const right = Buffer.from('right')
const alice = `alice:${await hashPassword(right, 10)}\n`

async function sourceOf(text: string, limits = security): Promise<PasswordSource> {
  const source = new PasswordSource(new PasswordCheck(limits, new ManualClock()))
  await source.use(text)
  return source
}

test('a user is let in with the right password, refused with a wrong one, and not known otherwise', async (t) => {
  const source = await sourceOf(alice)
  const ask = (userName: string | undefined, password: Buffer | undefined) =>
    source.authenticate({ userName, password })

  t.true((await ask('alice', right))?.isAllowed)
  t.like(await ask('alice', Buffer.from('wrong')), { isAllowed: false, reasonCode: 0x86 })
  t.like(await ask('alice', undefined), { isAllowed: false, reasonCode: 0x86 })
  t.is(await ask('mallory', right), undefined)
  t.is(await ask(undefined, right), undefined)
})

test('an unknown user takes as long as a wrong password', async (t) => {
  const source = await sourceOf(`alice:${await hashPassword(right)}\n`)
  const timeOf = async (userName: string) => {
    const begin = performance.now()
    await source.authenticate({ userName, password: Buffer.from('wrong') })
    return performance.now() - begin
  }
  let [unknown, known] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  // In turn, so that whatever else the machine does slows both.
  for (let i = 0; i < 15; i++) {
    unknown = Math.min(unknown, await timeOf('mallory'))
    known = Math.min(known, await timeOf('alice'))
  }

  const ratio = unknown / known

  t.true(ratio > 0.3 && ratio < 3, `${ratio}`)
})

test('while no more may wait, the answer is that the broker is busy, known user or not', async (t) => {
  const source = await sourceOf(alice, { ...security, hashingConcurrency: 1, hashingQueueMax: 1 })
  const password = Buffer.from('wrong')
  const first = ['alice', 'alice'].map((userName) => source.authenticate({ userName, password }))

  for (const userName of ['alice', 'mallory']) {
    const decision = await source.authenticate({ userName, password })
    t.like(decision, { isAllowed: false, reasonCode: 0x89 })
    t.regex(decision?.rule ?? '', /hashingQueueMax/)
  }
  for (const decision of await Promise.all(first)) t.is(decision?.reasonCode, 0x86)
})

test('who was let in a moment ago comes in again past a queue that is full', async (t) => {
  const source = await sourceOf(alice, { ...security, hashingConcurrency: 1, hashingQueueMax: 0 })
  await source.authenticate({ userName: 'alice', password: right })
  const busy = source.authenticate({ userName: 'alice', password: Buffer.from('wrong') })

  t.true((await source.authenticate({ userName: 'alice', password: right }))?.isAllowed)
  t.is((await busy)?.reasonCode, 0x86)
})

test('a changed file ends what was remembered, also for who is being compared', async (t) => {
  const source = await sourceOf(alice)
  t.true((await source.authenticate({ userName: 'alice', password: right }))?.isAllowed)

  await source.use(`alice:${await hashPassword(Buffer.from('other'), 10)}\n`)
  const comparing = source.authenticate({ userName: 'alice', password: Buffer.from('other') })
  await source.use('')

  t.is(await source.authenticate({ userName: 'alice', password: right }), undefined)
  t.is(await comparing, undefined)
})

test('pairs of user and password are forgotten in time, and the oldest when there are too many', (t) => {
  const clock = new ManualClock()
  const verified = new VerifiedPasswords(clock, 2, 10)
  for (const name of ['a', 'b', 'c']) verified.add(name, right)

  t.deepEqual(
    ['a', 'b', 'c'].map((name) => verified.has(name, right)),
    [false, true, true],
  )
  t.false(verified.has('c', Buffer.from('wrong')))
  t.false(verified.has('cr', Buffer.from('ight')))
  void clock.advance(10_000)
  t.false(verified.has('c', right))
})

test('the queue does so much at once, keeps the order, and refuses what is beyond', async (t) => {
  const queue = new WorkQueue(2, 1, new ManualClock())
  const works = [defer<string>(), defer<string>(), defer<string>()]
  const begun: number[] = []
  const results = works.map((work, i) =>
    queue.run(() => {
      begun.push(i)
      return work.promise
    }),
  )

  t.is(await queue.run(async () => 'never'), undefined)
  t.deepEqual(begun, [0, 1])
  works[1]?.resolve('two')
  t.is(await results[1], 'two')
  works[2]?.resolve('three')
  t.is(await results[2], 'three')
  await t.throwsAsync(queue.run(() => Promise.reject(new Error('no'))))
  t.is(await queue.run(async () => 'four'), 'four')
})

test('whose turn comes too late is refused, and keeps nobody waiting', async (t) => {
  const clock = new ManualClock()
  const queue = new WorkQueue(1, 2, clock)
  const slow = defer<string>()
  const first = queue.run(() => slow.promise)
  const late = queue.run(async () => 'never')
  await clock.advance(WAIT_MAX_MS + 1)
  const inTime = queue.run(async () => 'done')

  slow.resolve('slow')

  t.deepEqual(await Promise.all([first, late, inTime]), ['slow', undefined, 'done'])
})
