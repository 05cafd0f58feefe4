/** The queue of the store in memory agrees with a sorted list, whatever is added, removed and read. */

import test from 'ava'
import * as fc from 'fast-check'
import { EntryQueue } from '../../lib/storage/entry-queue.ts'
import type { QueueEntry } from '../../lib/storage/storage.ts'
import { entryOf } from './contract-support.ts'

type Step =
  | { readonly add: number }
  | { readonly removeFirst: number }
  | { readonly removeAt: number }
  | { readonly readBehind: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ add: fc.constantFrom(1, 1, 1, 2, 50) }),
  fc.record({ removeFirst: fc.nat(40) }),
  fc.record({ removeAt: fc.nat(300) }),
  fc.record({ readBehind: fc.nat(300) }),
)

test('a queue agrees with a sorted list', (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100, size: 'max' }), (steps) => {
      const queue = new EntryQueue()
      let list: QueueEntry[] = []
      let lastSeq = 0
      const remove = (seq: number): void => {
        const expected = list.find((entry) => entry.seq === seq)
        if (queue.get(seq) !== expected) throw new Error(`get ${seq}`)
        if (queue.delete(seq) !== expected) throw new Error(`delete ${seq}`)
        list = list.filter((entry) => entry !== expected)
      }
      for (const next of steps) {
        if ('add' in next) {
          // Numbers that were given to nobody are holes from the start.
          lastSeq += next.add
          const entry = { ...entryOf('x'), seq: lastSeq }
          queue.push(entry)
          list.push(entry)
        } else if ('removeFirst' in next) {
          for (const { seq } of list.slice(0, next.removeFirst)) remove(seq)
        } else if ('removeAt' in next) {
          remove(next.removeAt)
        } else {
          t.deepEqual(
            [...queue.behind(next.readBehind)],
            list.filter(({ seq }) => seq > next.readBehind),
          )
        }
        t.is(queue.size, list.length)
        t.is(queue.first, list[0])
      }
      t.deepEqual([...queue], list)
    }),
  )
})
