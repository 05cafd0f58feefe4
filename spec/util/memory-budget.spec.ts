import test from 'ava'
import fc from 'fast-check'
import { MemoryBudget, MemoryLevel } from '../../lib/util/memory-budget.ts'

function levelOf(usedBytes: number, limitBytes: number): MemoryLevel {
  if (usedBytes >= limitBytes * 0.95) return MemoryLevel.RefuseConnections
  if (usedBytes >= limitBytes * 0.9) return MemoryLevel.PauseReaders
  return usedBytes >= limitBytes * 0.8 ? MemoryLevel.ShedQos0 : MemoryLevel.Normal
}

test('the level follows from the bytes in use alone, whatever way led there', (t) => {
  const changes = fc.array(fc.integer({ min: -400, max: 500 }), { maxLength: 60, size: 'max' })

  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2_000 }), changes, (limitBytes, plan) => {
      const budget = new MemoryBudget(limitBytes)
      const heard: MemoryLevel[] = [MemoryLevel.Normal]
      budget.onLevel = (level) => heard.push(level)
      let used = 0
      for (const change of plan) {
        const bytes = Math.max(change, -used)
        used += bytes
        if (bytes < 0) budget.release(-bytes)
        else budget.hold(bytes)

        t.is(budget.usedBytes, used)
        t.is(budget.level, levelOf(used, limitBytes))
        t.is(heard.at(-1), budget.level)
      }
      // Nobody is told of a level that was there before.
      t.false(heard.some((level, i) => i > 0 && level === heard[i - 1]))
    }),
    { numRuns: 500 },
  )
})

test('one hold may pass several levels, and the last is reported once', (t) => {
  const budget = new MemoryBudget(1_000)
  const heard: MemoryLevel[] = []
  budget.onLevel = (level) => heard.push(level)

  budget.hold(950)
  budget.release(950)

  t.deepEqual(heard, [MemoryLevel.RefuseConnections, MemoryLevel.Normal])
  t.is(budget.usedBytes, 0)
})

test('whoever hears of a level may release bytes at once', (t) => {
  const budget = new MemoryBudget(100)
  const heard: MemoryLevel[] = []
  budget.onLevel = (level) => {
    heard.push(level)
    if (level === MemoryLevel.PauseReaders) budget.release(50)
  }

  budget.hold(92)

  t.deepEqual(heard, [MemoryLevel.PauseReaders, MemoryLevel.Normal])
  t.is(budget.usedBytes, 42)
  t.is(budget.level, MemoryLevel.Normal)
})
