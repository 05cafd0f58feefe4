import { Buffer } from 'node:buffer'
import test from 'ava'
import fc from 'fast-check'
import { Message } from '../../lib/protocol/message.ts'
import { Backlog } from '../../lib/session/backlog.ts'
import { type Delivery, isDroppable } from '../../lib/session/delivery.ts'
import { MessageQueue, type QueueLimits } from '../../lib/session/message-queue.ts'
import { MemoryBudget, type MemoryLevel } from '../../lib/util/memory-budget.ts'

const limits: QueueLimits = { queueMessagesMax: 5, queueBytesMax: 100, queuePolicy: 'drop-oldest' }
const message = new Message('t', 1, false, Number.POSITIVE_INFINITY, Buffer.alloc(0))

function makeQueue(change: Partial<QueueLimits> = {}): {
  queue: MessageQueue
  budget: MemoryBudget
} {
  const budget = new MemoryBudget(1_000)
  return {
    queue: new MessageQueue({ ...limits, ...change }, budget, new Backlog(undefined, 0)),
    budget,
  }
}

function delivery(seq: number, change: Partial<Delivery> = {}): Delivery {
  const plain = { qos: 1, retain: false, identifiers: undefined, group: undefined } as const
  return { seq, message, ...plain, sent: 'never', size: 10, ...change }
}

function seqsOf(queue: MessageQueue): number[] {
  return Array.from({ length: queue.length }, (_, i) => queue.at(i).seq)
}

test('a queue is full when it has as many messages as it may have', (t) => {
  const { queue } = makeQueue({ queueMessagesMax: 2 })
  queue.push(delivery(1))
  t.false(queue.isFullFor(1))

  queue.push(delivery(2))
  t.true(queue.isFullFor(1))

  queue.shift()
  t.false(queue.isFullFor(1))
})

test('a queue is full for a message whose bytes would be too many', (t) => {
  const { queue } = makeQueue()
  queue.push(delivery(1, { size: 60 }))

  t.false(queue.isFullFor(40))
  t.true(queue.isFullFor(41))
  t.is(queue.bytes, 60)
})

test('an empty queue takes one message larger than the bound, and then no other', (t) => {
  const { queue } = makeQueue()
  t.false(queue.isFullFor(1_000))

  queue.push(delivery(1, { size: 1_000 }))
  t.true(queue.isFullFor(1))
})

test('a queue of no messages is full for any', (t) => {
  const { queue } = makeQueue({ queueMessagesMax: 0 })

  t.true(queue.isFullFor(1))
  t.is(queue.dropOldest(), undefined)
})

test('what was sent before stands in front, and neither counts nor is dropped', (t) => {
  const { queue } = makeQueue({ queueMessagesMax: 2 })
  queue.push(delivery(7))
  queue.push(delivery(8))
  const again = [1, 2, 3].map((seq) =>
    delivery(seq, { sent: 'before', message: undefined, size: 0 }),
  )

  queue.putInFront(again)
  t.deepEqual(seqsOf(queue), [1, 2, 3, 7, 8])
  t.is(queue.bytes, 20)

  t.is(queue.dropOldest()?.seq, 7)
  t.deepEqual(seqsOf(queue), [1, 2, 3, 8])
  t.false(queue.isFullFor(1))

  t.is(queue.dropOldest()?.seq, 8)
  t.is(queue.dropOldest(), undefined)
  t.deepEqual(seqsOf(queue), [1, 2, 3])
})

test('removeIf gives what it removes, in order, and counts it no more', (t) => {
  const { queue, budget } = makeQueue()
  for (const seq of [1, 2, 3, 4]) queue.push(delivery(seq))

  const removed = queue.removeIf(({ seq }) => seq % 2 === 0)

  t.deepEqual(
    removed.map(({ seq }) => seq),
    [2, 4],
  )
  t.deepEqual(seqsOf(queue), [1, 3])
  t.is(queue.bytes, 20)
  t.is(budget.usedBytes, 20)
})

test('messages that only the store has cost no memory but count in the bounds', (t) => {
  const { queue, budget } = makeQueue()
  for (const seq of [1, 2, 3]) queue.push(delivery(seq))

  for (let i = 0; i < 3; i++) queue.setMessage(queue.at(i), undefined)
  t.is(budget.usedBytes, 0)
  t.is(queue.bytes, 30)
  t.is(queue.peek()?.message, undefined)

  queue.setMessage(queue.at(0), message)
  queue.setMessage(queue.at(0), message)
  t.is(budget.usedBytes, 10)

  queue.removeIf(() => true)
  t.is(budget.usedBytes, 0)
  t.is(queue.bytes, 0)
})

test('putting messages in front does not free the memory of the others for a moment', (t) => {
  const { queue, budget } = makeQueue()
  for (const seq of [1, 2]) queue.push(delivery(seq, { size: 450 }))
  const heard: MemoryLevel[] = []
  budget.onLevel = (level) => heard.push(level)

  queue.putInFront([delivery(9, { sent: 'before', size: 0 })])

  t.deepEqual(heard, [])
  t.is(budget.usedBytes, 900)
})

test('many messages are dropped behind those that were sent before in little time', (t) => {
  const { queue } = makeQueue()
  for (let seq = 1; seq <= 100_000; seq++) queue.push(delivery(seq))
  queue.putInFront([delivery(0, { sent: 'before', size: 0 })])

  const before = performance.now()
  for (let i = 1; i < 10_000; i++) queue.dropOldest()

  // One by one through the whole queue it takes seconds.
  t.true(performance.now() - before < 500)
  t.deepEqual([queue.at(0).seq, queue.at(1).seq], [0, 10_000])
})

type Step = (queue: MessageQueue, seq: number) => void

const push = fc
  .record({ size: fc.nat(60), isResident: fc.boolean() })
  .map(({ size, isResident }): Step => {
    return (queue, seq) => {
      const added = delivery(seq, { size, message: isResident ? message : undefined })
      while (queue.isFullFor(size)) if (queue.dropOldest() === undefined) return
      queue.push(added)
    }
  })
const putInFront = fc.nat(3).map((count): Step => {
  return (queue, seq) => {
    const isBefore = { sent: 'before', message: undefined, size: 0 } as const
    queue.removeIf((each) => !isDroppable(each))
    queue.putInFront(Array.from({ length: count }, () => delivery(seq, isBefore)))
  }
})
const others: fc.Arbitrary<Step> = fc.oneof(
  fc.constant<Step>((queue) => queue.shift()),
  fc.nat(4).map(
    (n): Step =>
      (queue) =>
        queue.removeIf(({ seq }) => seq % 5 === n),
  ),
  fc.nat().map(
    (n): Step =>
      (queue) => {
        if (queue.length > 0)
          queue.setMessage(queue.at(n % queue.length), n % 2 ? message : undefined)
      },
  ),
)

test('bounds, bytes and memory budget are those of the messages that are in the queue', (t) => {
  const steps = fc.array(
    fc.oneof(
      { weight: 5, arbitrary: push },
      { weight: 1, arbitrary: putInFront },
      { weight: 4, arbitrary: others },
    ),
    { maxLength: 80, size: 'max' },
  )

  fc.assert(
    fc.property(steps, (plan) => {
      const { queue, budget } = makeQueue()
      for (const [seq, run] of plan.entries()) {
        run(queue, seq)
        const all = Array.from({ length: queue.length }, (_, i) => queue.at(i))
        const counted = all.filter((each) => isDroppable(each))
        const bytes = counted.reduce((sum, { size }) => sum + size, 0)
        t.true(counted.length <= limits.queueMessagesMax)
        t.true(bytes <= limits.queueBytesMax)
        t.is(queue.bytes, bytes)
        const resident = all.filter((each) => each.message !== undefined)
        t.is(
          budget.usedBytes,
          resident.reduce((sum, { size }) => sum + size, 0),
        )
        t.deepEqual(
          all.findLast((each) => !isDroppable(each)),
          all[all.length - counted.length - 1],
        )
      }
      queue.removeIf(() => true)
      t.is(budget.usedBytes, 0)
      t.is(queue.bytes, 0)
    }),
    { numRuns: 200 },
  )
})
