import test from 'ava'
import type { Clock } from '../../lib/util/clock.ts'
import { CAUSES_MAX, LINES_PER_SECOND_MAX, LimitedLog } from '../../lib/util/limited-log.ts'
import { silentLogger } from '../../lib/util/logger.ts'

type Line = readonly [fields: object, message: string]

/** A clock that stands until it is moved. */
class StandingClock implements Clock {
  #now = 0
  #waiting: { readonly at: number; readonly callback: () => void }[] = []

  now(): number {
    return this.#now
  }

  after(delayMs: number, callback: () => void): () => void {
    this.#waiting.push({ at: this.#now + delayMs, callback })
    return () => {}
  }

  advance(ms: number): void {
    this.#now += ms
    const due = this.#waiting.filter(({ at }) => at <= this.#now)
    this.#waiting = this.#waiting.filter(({ at }) => at > this.#now)
    for (const { callback } of due) callback()
  }
}

function limited(): { log: LimitedLog; clock: StandingClock; lines: Line[] } {
  const lines: Line[] = []
  const clock = new StandingClock()
  const logger = { ...silentLogger, warn: (...line: Line) => void lines.push(line) }
  return { log: new LimitedLog(logger, clock), clock, lines }
}

function warn(log: LimitedLog, cause: string, times: number): void {
  for (let i = 0; i < times; i++) log.warn(cause, { i }, `${cause} happened`)
}

test('a cause is logged ten times a second, then counted', (t) => {
  const { log, clock, lines } = limited()

  warn(log, 'refused', LINES_PER_SECOND_MAX + 5)
  t.is(lines.length, 10)
  clock.advance(1000)

  t.deepEqual(lines.slice(10), [
    [{ cause: 'refused', total: 15 }, '5 more like this were not logged'],
  ])
})

test('the next second begins anew, the total goes on', (t) => {
  const { log, clock, lines } = limited()
  warn(log, 'refused', 12)
  clock.advance(1000)
  lines.length = 0

  warn(log, 'refused', 11)
  clock.advance(1000)

  t.is(lines.length, 11)
  t.deepEqual(lines.at(-1), [{ cause: 'refused', total: 23 }, '1 more like this were not logged'])
})

test('a cause that stays below its limit is never summed up', (t) => {
  const { log, clock, lines } = limited()

  for (let second = 0; second < 5; second++) {
    warn(log, 'refused', LINES_PER_SECOND_MAX)
    clock.advance(1000)
  }

  t.is(lines.length, 50)
  t.true(lines.every(([, message]) => message === 'refused happened'))
})

test('one cause does not silence another', (t) => {
  const { log, lines } = limited()

  warn(log, 'refused', 100)
  warn(log, 'denied', 1)

  t.deepEqual(lines.at(-1), [{ i: 0 }, 'denied happened'])
})

test('causes beyond the bound share one limit', (t) => {
  const { log, clock, lines } = limited()
  for (let i = 0; i < CAUSES_MAX; i++) warn(log, `cause ${i}`, 1)
  lines.length = 0

  for (let i = 0; i < 30; i++) warn(log, `late cause ${i}`, 1)
  clock.advance(1000)

  t.is(lines.length, 11)
  t.deepEqual(lines.at(-1), [
    { cause: 'other causes', total: 30 },
    '20 more like this were not logged',
  ])
})
