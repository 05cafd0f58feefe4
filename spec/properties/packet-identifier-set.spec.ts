/** `PacketIdentifierSet` is a `Set` of numbers from 1 to 65,535, however clients number their messages. */

import test from 'ava'
import fc from 'fast-check'
import { PacketIdentifierSet } from '../../lib/session/packet-identifier-set.ts'
import { seededRandom } from '../../lib/util/random.ts'

const LAST = 65_535

/** Mostly near each other, as of a client that counts; on both sides of where it begins anew, and anywhere. */
const identifiers = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 70 }) },
  { weight: 2, arbitrary: fc.integer({ min: LAST - 70, max: LAST }) },
  fc.integer({ min: 1, max: LAST }),
)

const steps = fc.array(
  fc.record({ what: fc.constantFrom('add', 'add', 'delete'), identifier: identifiers }),
  { maxLength: 300 },
)

test('it has what was added and not deleted', (t) => {
  fc.assert(
    fc.property(steps, (taken) => {
      const own = new PacketIdentifierSet()
      const plain = new Set<number>()
      for (const { what, identifier } of taken) {
        if (what === 'add') {
          own.add(identifier)
          plain.add(identifier)
        } else {
          t.is(own.delete(identifier), plain.delete(identifier))
        }
        t.is(own.values().length, plain.size)
        t.is(own.has(identifier), plain.has(identifier))
      }
      const sorted = own.values().toSorted((a, b) => a - b)
      t.deepEqual(
        sorted,
        [...plain].toSorted((a, b) => a - b),
      )
      for (const { identifier } of taken) t.is(own.has(identifier), plain.has(identifier))
    }),
  )
})

test('a client that counts on and on, with some in use, finds all of them and in that order', (t) => {
  const set = new PacketIdentifierSet()
  const inUse: number[] = []
  let wrong = 0
  for (let i = 0; i < 3 * LAST; i++) {
    const identifier = 1 + (i % LAST)
    set.add(identifier)
    inUse.push(identifier)
    if (inUse.length > 20 && !set.delete(inUse.shift() as number)) wrong++
  }

  t.is(wrong, 0)
  t.deepEqual(set.values(), inUse)
})

test('all identifiers there are fit', (t) => {
  const set = new PacketIdentifierSet()
  for (let identifier = LAST; identifier >= 1; identifier--) set.add(identifier)

  t.is(set.values().length, LAST)
  t.false(set.has(0))
  for (let identifier = 1; identifier <= LAST; identifier++) set.delete(identifier)
  t.deepEqual(set.values(), [])
})

test('a client that takes the lowest identifier that is free finds all of them', (t) => {
  const set = new PacketIdentifierSet()
  const inUse = new Set<number>()
  const random = seededRandom(1)
  let wrong = 0
  for (let i = 0; i < 20_000; i++) {
    let identifier = 1
    while (inUse.has(identifier)) identifier++
    inUse.add(identifier)
    set.add(identifier)
    if (inUse.size < 20) continue
    const released = [...inUse][random.below(inUse.size)] as number
    inUse.delete(released)
    if (!set.delete(released)) wrong++
    if (set.values().some((each) => !inUse.has(each))) wrong++
  }

  t.is(wrong, 0)
  t.is(set.values().length, inUse.size)
})
