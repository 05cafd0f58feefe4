import test from 'ava'
import {
  childAt,
  childrenOf,
  type LevelMap,
  type LevelNode,
  withChild,
  withoutChild,
} from '../../lib/util/level-map.ts'

const nodes: LevelNode[] = ['', 'a', 'b', 'c', 'd', 'e', 'f', 'g'].map((level) => ({ level }))

function levelsOf(children: LevelMap<LevelNode>): string[] {
  return [...childrenOf(children)].map(({ level }) => level).toSorted()
}

test('children are found by level, however many there are', (t) => {
  let children: LevelMap<LevelNode>
  t.is(childAt(children, 'a'), undefined)
  for (const [i, node] of nodes.entries()) {
    children = withChild(children, node)

    const present = nodes.slice(0, i + 1)
    t.deepEqual(
      nodes.filter(({ level }) => childAt(children, level)?.level === level),
      present,
    )
    t.deepEqual(levelsOf(children), present.map(({ level }) => level).toSorted())
  }
})

test('a removed child is gone and the others stay', (t) => {
  let children: LevelMap<LevelNode>
  for (const node of nodes) children = withChild(children, node)
  const left = new Set(nodes)
  for (const node of [3, 0, 7, 5, 1, 6, 2, 4].map((i) => nodes[i]!)) {
    children = withoutChild(children, node)
    left.delete(node)

    t.deepEqual(
      nodes.filter(({ level }) => childAt(children, level) !== undefined),
      [...left],
    )
    t.is(levelsOf(children).length, left.size)
  }
  t.is(children, undefined)
})
