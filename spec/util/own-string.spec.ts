import test from 'ava'
import fc from 'fast-check'
import { ownString, StringPool } from '../../lib/util/own-string.ts'
import { memoryInUse } from '../support/memory.ts'

test('an own string equals its source, well-formed or not', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), fc.nat(40), (text, end) => {
      t.is(ownString(text), text)
      t.is(ownString(text.slice(0, end)), text.slice(0, end))
    }),
  )
  t.is(ownString('a lone surrogate \ud800 stays'), 'a lone surrogate \ud800 stays')
})

test('an own string does not pin what it was cut from', (t) => {
  const before = memoryInUse()
  const kept: string[] = []
  for (let i = 0; i < 100; i++) {
    const source = Buffer.alloc(100_000, `a long level ${i} `).toString('latin1')
    kept.push(ownString(source.slice(0, 20)))
  }

  t.true(memoryInUse() - before < 1_000_000)
  t.is(kept.length, 100)
})

test('equal strings from a pool share their memory', (t) => {
  const pool = new StringPool()
  const before = memoryInUse()
  const kept: string[] = []
  for (let i = 0; i < 100_000; i++) {
    kept.push(
      pool.own(Buffer.from('the same level of sixty characters, always the same one').toString()),
    )
  }

  t.true(memoryInUse() - before < 2_000_000)
  t.is(new Set(kept).size, 1)
})

test('a pool keeps no more than its bound', (t) => {
  const pool = new StringPool()
  const before = memoryInUse()
  for (let i = 0; i < 200_000; i++) pool.own(`a level that comes only once: number ${i}`)

  t.true(memoryInUse() - before < 3_000_000)
  t.is(pool.own('x'.repeat(100)), 'x'.repeat(100))
})
