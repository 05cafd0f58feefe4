import test from 'ava'
import fc from 'fast-check'
import { RetainedTrie } from '../../lib/retained/retained-trie.ts'

function trieOf(...topics: readonly string[]): RetainedTrie<string> {
  const trie = new RetainedTrie<string>()
  for (const topic of topics) trie.set(topic, topic)
  return trie
}

const topics = ['a', 'a/b', 'a/b/c', 'a/c', '/a', 'a/', '/', 'b', '$SYS', '$SYS/a', 'a/$b'] as const

const examples: Record<string, readonly string[]> = {
  a: ['a'],
  'a/b': ['a/b'],
  'a/#': ['a', 'a/b', 'a/b/c', 'a/c', 'a/', 'a/$b'],
  'a/+': ['a/b', 'a/c', 'a/', 'a/$b'],
  'a/+/c': ['a/b/c'],
  '+': ['a', 'b'],
  '+/+': ['a/b', 'a/c', '/a', 'a/', '/', 'a/$b'],
  '+/a': ['/a'],
  '/+': ['/a', '/'],
  '#': ['a', 'a/b', 'a/b/c', 'a/c', '/a', 'a/', '/', 'b', 'a/$b'],
  '+/#': ['a', 'a/b', 'a/b/c', 'a/c', '/a', 'a/', '/', 'b', 'a/$b'],
  '$SYS/#': ['$SYS', '$SYS/a'],
  '$SYS/+': ['$SYS/a'],
  'x/#': [],
  'a/b/c/d': [],
}

for (const [filter, expected] of Object.entries(examples)) {
  test(`[MQTT-4.7.2-1] ${filter} finds ${expected.length} of the retained topics`, (t) => {
    t.deepEqual(
      trieOf(...topics)
        .match(filter)
        .toSorted(),
      expected.toSorted(),
    )
  })
}

test('every node goes with the last topic that needs it', (t) => {
  const trie = trieOf('a/b/c/d', 'a/b', 'a/x', 'a/y')
  t.is(trie.countNodes(), 7)

  t.is(trie.delete('a/b/c/d'), 'a/b/c/d')
  t.is(trie.countNodes(), 5)

  t.is(trie.delete('a/x'), 'a/x')
  t.is(trie.delete('a/x'), undefined)
  t.is(trie.delete('a'), undefined)
  t.is(trie.delete('a/b/z'), undefined)
  t.deepEqual(trie.match('#').toSorted(), ['a/b', 'a/y'])

  trie.delete('a/y')
  trie.delete('a/b')
  t.is(trie.countNodes(), 1)
  t.is(trie.size, 0)
})

test('topics of 250 levels, and levels of any length and characters, are found again', (t) => {
  const deep = Array.from({ length: 250 }, (_, i) => `level${i}`).join('/')
  const long = [
    'x'.repeat(60_000),
    'ä'.repeat(30),
    '\u{1F987} noctule \u{1F987} noctule',
    '\uD800 alone \uD800',
  ].join('/')
  const trie = trieOf(deep, long)

  t.is(trie.get(deep), deep)
  t.is(trie.get(long), long)
  t.deepEqual(trie.match(`${deep}/#`), [deep])
  t.deepEqual(trie.match('+/+/+/+'), [long])
})

test('the tree holds what a map of topics holds, whatever is set and deleted', (t) => {
  const level = fc.constantFrom('', 'a', 'b', 'c', 'a long level of many characters')
  const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'))
  const step = fc.tuple(fc.boolean(), topic)

  fc.assert(
    fc.property(fc.array(step, { maxLength: 100, size: 'max' }), (steps) => {
      const trie = new RetainedTrie<number>()
      const model = new Map<string, number>()
      for (const [i, [isSet, name]] of steps.entries()) {
        if (isSet) {
          trie.set(name, i)
          model.set(name, i)
        } else {
          t.is(trie.delete(name), model.get(name))
          model.delete(name)
        }
        t.is(trie.size, model.size)
        t.is(trie.get(name), model.get(name))
      }
      t.deepEqual(
        trie.match('#').toSorted((a, b) => a - b),
        [...model.values()].toSorted((a, b) => a - b),
      )
      for (const name of model.keys()) trie.delete(name)
      t.is(trie.countNodes(), 1)
    }),
    { numRuns: 300 },
  )
})
