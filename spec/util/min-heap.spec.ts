import test from 'ava'
import fc from 'fast-check'
import { type HeapItem, MinHeap } from '../../lib/util/min-heap.ts'

class Item implements HeapItem {
  readonly key: number
  heapIndex = -1

  constructor(key: number) {
    this.key = key
  }
}

function fill(heap: MinHeap<Item>, keys: readonly number[]): Item[] {
  const items = keys.map((key) => new Item(key))
  for (const item of items) heap.push(item.key, item)
  return items
}

function drain(heap: MinHeap<Item>): number[] {
  const keys: number[] = []
  for (let item = heap.pop(); item !== undefined; item = heap.pop()) keys.push(item.key)
  return keys
}

test('an empty heap has no item, and its smallest key is Infinity', (t) => {
  const heap = new MinHeap<Item>()

  t.is(heap.peek(), undefined)
  t.is(heap.pop(), undefined)
  t.is(heap.minKey, Number.POSITIVE_INFINITY)
})

test('an item is removed once only', (t) => {
  const heap = new MinHeap<Item>()
  const [first, second] = fill(heap, [1, 2])

  t.true(heap.remove(first!))
  t.false(heap.remove(first!))
  t.is(heap.peek(), second)
})

test('a removed item can be pushed again', (t) => {
  const heap = new MinHeap<Item>()
  const [item] = fill(heap, [5, 6])
  heap.remove(item!)
  heap.push(9, item!)

  t.deepEqual(drain(heap), [6, 5])
})

test('clear lets go of every item', (t) => {
  const heap = new MinHeap<Item>()
  const items = fill(heap, [3, 1, 2])
  heap.clear()

  t.is(heap.length, 0)
  t.deepEqual(
    items.filter((item) => heap.remove(item)),
    [],
  )
})

test('items come out sorted, whichever were removed before', (t) => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer(), fc.boolean())), (plan) => {
      const heap = new MinHeap<Item>()
      const items = fill(
        heap,
        plan.map(([key]) => key),
      )
      const removed = items.filter((_, i) => plan[i]![1])
      for (const item of removed) heap.remove(item)

      const expected = items.filter((item) => !removed.includes(item)).map(({ key }) => key)
      t.is(heap.length, expected.length)
      t.deepEqual(
        drain(heap),
        expected.toSorted((a, b) => a - b),
      )
      t.true(items.every(({ heapIndex }) => heapIndex === -1))
    }),
  )
})
