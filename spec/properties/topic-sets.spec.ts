import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { isTopicFilter, matchesTopic } from '../../lib/protocol/topics.ts'
import {
  covers,
  coverTogether,
  intersection,
  intersects,
  toLevels,
} from '../../lib/security/acl/topic-sets.ts'

/** Levels of the filters; `x` stands for every name that no filter has. */
const names = ['a', 'b', '', '$s']
const FILTER_LEVELS_MAX = 3

/** Every topic that could tell such filters apart: one level deeper than they are. */
const topics = allTopics([...names, 'x'], FILTER_LEVELS_MAX + 1)

function allTopics(levels: readonly string[], depth: number): string[] {
  let longest: string[] = ['']
  const all: string[] = []
  for (let i = 0; i < depth; i++) {
    longest = longest.flatMap((start) =>
      levels.map((level) => (i === 0 ? level : `${start}/${level}`)),
    )
    all.push(...longest)
  }
  return all.filter((topic) => topic !== '')
}

const filters = fc
  .tuple(
    fc.array(fc.constantFrom(...names, '+', '+'), { maxLength: FILTER_LEVELS_MAX - 1 }),
    fc.constantFrom(...names, '+', '#', '#'),
  )
  .map(([start, last]) => [...start, last].join('/'))
  .filter(isTopicFilter)

const matched = (filter: string) => topics.filter((topic) => matchesTopic(filter, topic))

function check<T>(t: ExecutionContext, property: fc.IProperty<T>): void {
  t.notThrows(() => fc.assert(property, { numRuns: 3000 }))
}

test('[MQTT-4.7.2-1] covers says what trying every topic says', (t) => {
  check(
    t,
    fc.property(filters, filters, (outer, inner) => {
      const expected = matched(inner).every((topic) => matchesTopic(outer, topic))
      return covers(toLevels(outer), toLevels(inner)) === expected
    }),
  )
})

test('intersects and intersection say what trying every topic says', (t) => {
  check(
    t,
    fc.property(filters, filters, (a, b) => {
      const expected = matched(a).filter((topic) => matchesTopic(b, topic))
      const common = intersection(toLevels(a), toLevels(b))
      const found = common === undefined ? [] : matched(common.join('/'))
      return (
        intersects(toLevels(a), toLevels(b)) === expected.length > 0 &&
        String(found) === String(expected)
      )
    }),
  )
})

test('coverTogether says what trying every topic says', (t) => {
  check(
    t,
    fc.property(fc.array(filters, { maxLength: 5 }), filters, (outers, inner) => {
      const isCovered = (topic: string) => outers.some((outer) => matchesTopic(outer, topic))
      return (
        coverTogether(outers.map(toLevels), toLevels(inner)) === matched(inner).every(isCovered)
      )
    }),
  )
})

test('covers is matchesTopic where the second is a Topic Name', (t) => {
  check(
    t,
    fc.property(
      filters,
      fc.constantFrom(...topics),
      (filter, topic) => covers(toLevels(filter), toLevels(topic)) === matchesTopic(filter, topic),
    ),
  )
})
