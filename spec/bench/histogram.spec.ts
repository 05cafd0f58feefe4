import test from 'ava'
import fc from 'fast-check'
import { Histogram } from '../../lib/cli/bench/histogram.ts'

/** Sorts all of them and looks. */
function naivePercentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] as number
}

const shares = [0, 0.5, 0.9, 0.99, 0.999, 1]
const values = fc.array(
  fc.oneof(fc.nat(300), fc.nat(100_000), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
  { minLength: 1, maxLength: 500 },
)

test('percentiles are those of the sorted values, at most 1 % more', (t) => {
  fc.assert(
    fc.property(values, (numbers) => {
      const histogram = new Histogram()
      for (const number of numbers) histogram.add(number)
      for (const share of shares) {
        const exact = naivePercentile(numbers, share)
        const found = histogram.percentile(share)
        if (found < exact || found > exact * 1.01) return false
      }
      return histogram.count === numbers.length && histogram.max === Math.max(...numbers)
    }),
  )
  t.pass()
})

test('numbers below 128 are exact', (t) => {
  const histogram = new Histogram()
  for (let i = 0; i < 128; i++) histogram.add(i)

  for (let i = 1; i <= 128; i++) t.is(histogram.percentile(i / 128), i - 1)
})

test('an empty histogram says 0', (t) => {
  t.is(new Histogram().percentile(0.99), 0)
})
