import test from 'ava'
import { RetainedTrie } from '../../lib/retained/retained-trie.ts'
import { memoryInUse } from '../support/memory.ts'

/** Sets each name to itself. */
function trieOf(...topicNames: string[]): RetainedTrie<string> {
  const trie = new RetainedTrie<string>()
  for (const name of topicNames) trie.set(name, name)
  return trie
}

function matchesOf(trie: RetainedTrie<string>, topicFilter: string): string[] {
  return trie.match(topicFilter).toSorted()
}

test('a value is found by its very name', (t) => {
  const names = ['a', 'a/', '/a', 'a//b', 'a/b/c', 'a/b/c/d', 'a/b/cd']
  const trie = trieOf(...names)

  t.deepEqual(
    names.map((name) => trie.get(name)),
    names,
  )
  t.deepEqual(
    ['b', 'a/b', '/', 'a/b/c/', 'a/b/c/d/e'].filter((name) => trie.get(name) !== undefined),
    [],
  )
  t.is(trie.size, names.length)
})

test('a value set again replaces the one before, which is returned', (t) => {
  const trie = new RetainedTrie<number>()

  t.is(trie.set('a/b', 1), undefined)
  t.is(trie.set('a/b', 2), 1)
  t.is(trie.get('a/b'), 2)
  t.is(trie.size, 1)
})

test('+ stands for exactly one level, an empty one too', (t) => {
  const trie = trieOf('a', 'a/b', 'a/', 'a/b/c', 'a//c', '/c')

  t.deepEqual(matchesOf(trie, '+'), ['a'])
  t.deepEqual(matchesOf(trie, 'a/+'), ['a/', 'a/b'])
  t.deepEqual(matchesOf(trie, 'a/+/c'), ['a//c', 'a/b/c'])
  t.deepEqual(matchesOf(trie, '+/+'), ['/c', 'a/', 'a/b'])
})

test('# stands for any number of levels, none among them', (t) => {
  const trie = trieOf('a', 'a/b', 'a/b/c', 'b/c/d/e')

  t.deepEqual(matchesOf(trie, 'a/#'), ['a', 'a/b', 'a/b/c'])
  t.deepEqual(matchesOf(trie, 'a/b/c/#'), ['a/b/c'])
  t.deepEqual(matchesOf(trie, '+/c/#'), ['b/c/d/e'])
  t.deepEqual(matchesOf(trie, '#'), ['a', 'a/b', 'a/b/c', 'b/c/d/e'])
})

test('[MQTT-4.7.2-1] a filter that begins with a wildcard does not find names that begin with $', (t) => {
  const trie = trieOf('$SYS/uptime', '$SYS', 'a/$SYS', '$')

  t.deepEqual(matchesOf(trie, '#'), ['a/$SYS'])
  t.deepEqual(matchesOf(trie, '+'), [])
  t.deepEqual(matchesOf(trie, '+/+'), ['a/$SYS'])
  t.deepEqual(matchesOf(trie, '$SYS/#'), ['$SYS', '$SYS/uptime'])
  t.deepEqual(matchesOf(trie, '$SYS/+'), ['$SYS/uptime'])
})

test('[MQTT-4.7.3-4] names are found as they were written only', (t) => {
  const trie = trieOf('Accounts', 'café', 'cafe\u0301/x')

  t.deepEqual(matchesOf(trie, 'ACCOUNTS'), [])
  t.deepEqual(matchesOf(trie, 'café'), ['café'])
  t.deepEqual(matchesOf(trie, 'cafe\u0301/+'), ['cafe\u0301/x'])
})

test('a deleted name is gone and the others stay', (t) => {
  const trie = trieOf('a', 'a/b', 'a/b/c', 'a/x')

  t.is(trie.delete('a/b'), 'a/b')
  t.is(trie.delete('a/b'), undefined)
  t.is(trie.delete('a/b/c/d'), undefined)
  t.deepEqual(matchesOf(trie, '#'), ['a', 'a/b/c', 'a/x'])
  t.is(trie.size, 3)
})

test('names of 32,000 levels are stored, found and deleted', (t) => {
  const deep = '/'.repeat(32_000)
  const trie = trieOf(deep, `${deep}a`)

  t.is(trie.match(`${deep}+`).length, 2)
  t.true(trie.match(`${deep}/#`)[0] === deep)
  t.true(trie.delete(deep) === deep)
  t.is(trie.match('/#').length, 1)
})

test('a trie from which all names were deleted keeps no memory', (t) => {
  const trie = new RetainedTrie<number>()
  const names = Array.from({ length: 20_000 }, (_, i) => `a/${i % 300}/${i}/state`)
  const fillAndEmpty = () => {
    for (const [i, name] of names.entries()) trie.set(name, i)
    for (const name of names) trie.delete(name)
  }
  fillAndEmpty() // Fills the pool of strings, which stays.
  const before = memoryInUse()
  fillAndEmpty()

  t.is(trie.size, 0)
  // Twenty thousand names would hold about 4 MB; what else the thread does moves by some 100 kB.
  t.true(memoryInUse() - before < 1_000_000)
})

test('a stored name does not pin the string it was cut from', (t) => {
  const trie = new RetainedTrie<number>()
  const before = memoryInUse()
  for (let i = 0; i < 100; i++) {
    const source = Buffer.alloc(100_000, `site number ${i}/machine number ${i}/state of it `)
    trie.set(source.toString('latin1').slice(0, 46), i)
  }

  t.true(memoryInUse() - before < 1_000_000)
  t.is(trie.size, 100)
})
