import test from 'ava'
import fc from 'fast-check'
import { type Clock, systemClock } from '../../lib/util/clock.ts'
import { type Timer, Timers } from '../../lib/util/timers.ts'
import { ManualClock } from '../support/clock.ts'

const DAY_MS = 24 * 3_600_000

function makeTimers(): { clock: ManualClock; timers: Timers; called: string[] } {
  const clock = new ManualClock()
  return { clock, timers: new Timers(clock), called: [] }
}

test('timers are called in the order of their deadlines, at their time, unless they are cancelled', async (t) => {
  const delays = fc.array(fc.tuple(fc.nat(1_000), fc.boolean()), { maxLength: 60, size: 'max' })

  await fc.assert(
    fc.asyncProperty(delays, async (plan) => {
      const { clock, timers } = makeTimers()
      const start = clock.now()
      const called: number[] = []
      const made = plan.map(([delayMs]) =>
        timers.after(delayMs, () => called.push(clock.now() - start)),
      )
      plan.forEach(([, isCancelled], i) => isCancelled && made[i]?.cancel())
      await clock.advance(1_000)

      const kept = plan.filter(([, isCancelled]) => !isCancelled).map(([delayMs]) => delayMs)
      t.deepEqual(
        called,
        kept.toSorted((a, b) => a - b),
      )
      t.is(timers.size, 0)
    }),
    { numRuns: 100 },
  )
})

test('a timer is not called before its deadline', async (t) => {
  const { clock, timers, called } = makeTimers()
  timers.after(100, () => called.push('timer'))

  await clock.advance(99)
  t.deepEqual(called, [])

  await clock.advance(1)
  t.deepEqual(called, ['timer'])
})

test('a timer made later with an earlier deadline is called earlier', async (t) => {
  const { clock, timers, called } = makeTimers()
  timers.after(1_000, () => called.push('late'))
  timers.after(10, () => called.push('early'))

  await clock.advance(10)

  t.deepEqual(called, ['early'])
})

test('a cancelled timer leaves at once, and cancelling it again or after its call does nothing', async (t) => {
  const { clock, timers, called } = makeTimers()
  const cancelled = timers.after(10, () => called.push('cancelled'))
  const due = timers.after(10, () => called.push('due'))

  cancelled.cancel()
  t.is(timers.size, 1)
  cancelled.cancel()
  await clock.advance(10)
  due.cancel()

  t.deepEqual(called, ['due'])
  t.is(timers.size, 0)
})

test('a callback may make and cancel timers', async (t) => {
  const { clock, timers, called } = makeTimers()
  let second: Timer | undefined
  timers.after(10, () => {
    second?.cancel()
    timers.after(5, () => called.push('third'))
  })
  second = timers.after(11, () => called.push('second'))

  await clock.advance(20)

  t.deepEqual(called, ['third'])
})

/** Runs early what is to run in more than a day, as `setTimeout` does beyond 25 days. */
function impatient(clock: ManualClock): Clock {
  return {
    now: () => clock.now(),
    after: (delayMs, callback) => clock.after(Math.min(delayMs, DAY_MS), callback),
  }
}

test('a timer longer than its clock can wait is called at its deadline all the same', async (t) => {
  const clock = new ManualClock()
  const timers = new Timers(impatient(clock))
  const called: number[] = []
  timers.after(100 * DAY_MS, () => called.push(clock.now()))

  await clock.advance(100 * DAY_MS - 1)
  t.deepEqual(called, [])

  await clock.advance(1)
  t.deepEqual(called, [clock.now()])
})

test('a timer that is due in an eternity is never called and asks the clock for nothing', async (t) => {
  const { clock, timers, called } = makeTimers()
  timers.after(Number.POSITIVE_INFINITY, () => called.push('never'))
  timers.after(1, () => called.push('soon'))

  await clock.advance(1_000 * DAY_MS)

  t.deepEqual(called, ['soon'])
  t.is(timers.size, 1)
})

test('the clock of the system waits no shorter when it is asked for more than it can', async (t) => {
  const cancel = systemClock.after(2 ** 33, () => t.fail('setTimeout has called at once'))

  await new Promise((resolve) => setTimeout(resolve, 5))

  cancel()
  t.pass()
})

// Stands in for queueMicrotask, so that what is thrown there does not end the test's process.
test.serial(
  'a callback that throws stops no other, and its error is thrown on its own',
  async (t) => {
    const { clock, timers, called } = makeTimers()
    const thrown: (() => void)[] = []
    const original = globalThis.queueMicrotask
    globalThis.queueMicrotask = (callback) => thrown.push(callback)
    t.teardown(() => {
      globalThis.queueMicrotask = original
    })
    timers.after(1, () => {
      throw new Error('from a callback')
    })
    timers.after(1, () => called.push('same time'))
    timers.after(2, () => called.push('later'))

    await clock.advance(2)

    t.deepEqual(called, ['same time', 'later'])
    t.is(thrown.length, 1)
    t.throws(() => thrown[0]?.(), { message: 'from a callback' })
  },
)

test('close cancels every timer, and cancelling one of them afterwards does nothing', async (t) => {
  const { clock, timers, called } = makeTimers()
  const timer = timers.after(10, () => called.push('first'))
  timers.after(20, () => called.push('second'))

  timers.close()
  timer.cancel()
  await clock.advance(100)

  t.deepEqual(called, [])
  t.is(timers.size, 0)
})

test('a callback may close all timers', async (t) => {
  const { clock, timers, called } = makeTimers()
  timers.after(10, () => timers.close())
  timers.after(10, () => called.push('same time'))
  timers.after(20, () => called.push('later'))

  await clock.advance(100)

  t.is(timers.size, 0)
  t.false(called.includes('later'))
})
