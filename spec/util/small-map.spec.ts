import test from 'ava'
import fc from 'fast-check'
import { SmallMap } from '../../lib/util/small-map.ts'

interface Value {
  readonly number: number
}

test('it does what a Map does', (t) => {
  const key = fc.constantFrom('', 'a', 'b', 'c')
  const step = fc.tuple(fc.constantFrom('set', 'delete'), key)

  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const small = new SmallMap<Value>()
      const map = new Map<string, Value>()
      for (const [number, [what, at]] of steps.entries()) {
        if (what === 'set') {
          small.set(at, { number })
          map.set(at, { number })
        } else {
          t.is(small.delete(at), map.delete(at))
        }
        t.is(small.size, map.size)
        t.deepEqual([...small.keys()], [...map.keys()])
        t.deepEqual([...small.values()], [...map.values()])
        for (const one of ['', 'a', 'b', 'c']) {
          t.is(small.has(one), map.has(one))
          t.deepEqual(small.get(one), map.get(one))
        }
      }
    }),
  )
})

test('what is taken out while the keys are walked through does not stop the walk', (t) => {
  for (const keys of [['a'], ['a', 'b', 'c']]) {
    const small = new SmallMap<Value>()
    for (const key of keys) small.set(key, { number: 0 })
    const walked: string[] = []
    for (const key of small.keys()) {
      walked.push(key)
      small.delete(key)
    }
    t.deepEqual(walked, keys)
    t.is(small.size, 0)
  }
})
