import test from 'ava'
import { LoadAverage, loadPeriods } from '../../lib/monitor/load-averages.ts'

const INTERVAL_MS = 10_000

/** An average over a counter that grows by `perMinute`, after `minutes`, updated each ten seconds. */
function grow(perMinute: number, minutes: number): { average: LoadAverage; stop: () => void } {
  let total = 0
  let growing = perMinute / 6
  const average = new LoadAverage(() => (total += growing))
  for (let i = 0; i < minutes * 6; i++) average.update(INTERVAL_MS)
  return { average, stop: () => (growing = 0) }
}

function isNear(value: number, expected: number): boolean {
  return Math.abs(value - expected) <= expected / 1000
}

test('a load average begins at 0', (t) => {
  const average = new LoadAverage(() => 5)

  t.deepEqual(
    loadPeriods.map((period) => average.get(period)),
    [0, 0, 0],
  )
})

test('load averages converge to the steady rate per minute', (t) => {
  const { average } = grow(600, 150)

  for (const period of loadPeriods) t.true(isNear(average.get(period), 600), period)
})

test('after its own period an average has come 63 % of the way', (t) => {
  const share = 1 - Math.exp(-1)

  t.true(isNear(grow(600, 1).average.get('1min'), 600 * share))
  t.true(isNear(grow(600, 5).average.get('5min'), 600 * share))
  t.true(isNear(grow(600, 15).average.get('15min'), 600 * share))
})

test('the short average falls first when nothing comes any more', (t) => {
  const { average, stop } = grow(600, 150)

  stop()
  for (let i = 0; i < 6; i++) average.update(INTERVAL_MS)

  t.true(average.get('1min') < average.get('5min'))
  t.true(average.get('5min') < average.get('15min'))
  t.true(isNear(average.get('1min'), 600 * Math.exp(-1)))
})

test('the length of the interval does not change what a steady rate converges to', (t) => {
  let total = 0
  const average = new LoadAverage(() => total)

  for (let i = 0; i < 3000; i++) {
    const elapsedMs = 1000 + (i % 7) * 1000
    total += elapsedMs / 100
    average.update(elapsedMs)
  }

  for (const period of loadPeriods) t.true(isNear(average.get(period), 600), period)
})
