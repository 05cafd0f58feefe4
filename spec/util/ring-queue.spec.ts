import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import fc from 'fast-check'
import { RingQueue } from '../../lib/util/ring-queue.ts'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

/** A queue under test and the array it must equal. */
interface Pair {
  readonly queue: RingQueue<number>
  model: number[]
}

type Step = (pair: Pair) => void

const push = fc.integer().map(
  (item): Step =>
    (pair) => {
      pair.queue.push(item)
      pair.model.push(item)
    },
)
const shift = fc.constant<Step>((pair) => {
  const item = pair.queue.shift()
  if (item !== pair.model.shift()) throw new Error('shift gives another item')
})
const clear = fc.constant<Step>((pair) => {
  pair.queue.clear()
  pair.model = []
})
const removeIf = fc.integer({ min: 2, max: 5 }).map(
  (divisor): Step =>
    (pair) => {
      pair.queue.removeIf((item) => item % divisor === 0)
      pair.model = pair.model.filter((item) => item % divisor !== 0)
    },
)
const removeAt = fc.nat(40).map(
  (index): Step =>
    (pair) => {
      const removed = pair.queue.removeAt(index)
      if (removed !== pair.model.splice(index, 1)[0]) throw new Error('removeAt gives another item')
    },
)
const step = fc.oneof(
  { weight: 12, arbitrary: push },
  { weight: 7, arbitrary: shift },
  { weight: 1, arbitrary: clear },
  { weight: 1, arbitrary: removeIf },
  { weight: 2, arbitrary: removeAt },
)

test('a ring queue holds what an array holds, whatever is done to both', (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const pair: Pair = { queue: new RingQueue(), model: [] }
      for (const run of steps) {
        run(pair)
        const { queue, model } = pair
        t.deepEqual([...queue], model)
        t.is(queue.length, model.length)
        t.is(queue.peek(), model[0])
        t.is(queue.at(model.length), undefined)
        t.is(queue.at(-1), undefined)
        t.is(queue.at(model.length - 1), model.at(-1))
      }
    }),
    { numRuns: 150 },
  )
})

const emptyings: Record<string, (queue: RingQueue<object>) => void> = {
  clear: (queue) => queue.clear(),
  shift: (queue) => {
    queue.shift()
    queue.shift()
  },
  removeIf: (queue) => queue.removeIf(() => true),
  removeAt: (queue) => {
    queue.removeAt(1)
    queue.removeAt(0)
  },
}

for (const [name, empty] of Object.entries(emptyings)) {
  test(`a ring queue emptied by ${name} lets its items be collected`, async (t) => {
    const queue = new RingQueue<object>()
    const references = [{}, {}].map((item) => {
      queue.push(item)
      return new WeakRef(item)
    })

    empty(queue)
    await new Promise((resolve) => setImmediate(resolve)) // A WeakRef holds until the turn ends.
    collectGarbage()

    t.deepEqual(
      references.map((reference) => reference.deref()),
      [undefined, undefined],
    )
    t.is(queue.length, 0)
  })
}
