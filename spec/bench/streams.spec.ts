import test from 'ava'
import fc from 'fast-check'
import { DOUBLED, HISTORY, LATE, Streams } from '../../lib/cli/bench/streams.ts'

/** Remembers everything. */
class NaiveStream {
  readonly #seen = new Set<number>()
  #next = 0

  take(sequence: number): number {
    if (this.#seen.has(sequence)) return DOUBLED
    this.#seen.add(sequence)
    if (sequence < this.#next) return LATE
    const skipped = sequence - this.#next
    this.#next = sequence + 1
    return skipped
  }
}

test('of numbers near each other it knows the same as somebody who remembers all', (t) => {
  const steps = fc.array(fc.integer({ min: -HISTORY / 4, max: HISTORY / 4 }), { maxLength: 2000 })
  fc.assert(
    fc.property(steps, fc.nat(3), (walk, stream) => {
      const streams = new Streams(4)
      const naive = new NaiveStream()
      let highest = 0
      return walk.every((step) => {
        const sequence = Math.max(0, highest + step)
        highest = Math.max(highest, sequence)
        return streams.take(stream, sequence) === naive.take(sequence)
      })
    }),
  )
  t.pass()
})

test('after a long gap nothing of before is remembered as something new', (t) => {
  const streams = new Streams(1)
  streams.take(0, 0)

  t.is(streams.take(0, HISTORY * 5), HISTORY * 5 - 1)
  t.is(streams.take(0, HISTORY * 5 - 1), LATE)
  t.is(streams.take(0, HISTORY * 5 - 1), DOUBLED)
})

test('streams do not mix', (t) => {
  const streams = new Streams(2)
  for (let i = 0; i < 100; i++) streams.take(0, i)

  t.is(streams.take(1, 0), 0)
  t.is(streams.take(0, 99), DOUBLED)
})
