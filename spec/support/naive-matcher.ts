/** The rules of section 4.7 as plainly as they can be written: what the trees are held to. */

import fc from 'fast-check'

export function naiveMatch(topicFilter: string, topicName: string): boolean {
  if (topicName.startsWith('$') && /^[+#]/.test(topicFilter)) return false
  const filter = topicFilter.split('/')
  const name = topicName.split('/')
  for (let i = 0; i < filter.length; i++) {
    if (filter[i] === '#') return true
    if (i === name.length || (filter[i] !== '+' && filter[i] !== name[i])) return false
  }
  return filter.length === name.length
}

// Few and short, so that names and filters meet often. Empty, with $, longer than V8 copies, not ASCII.
const level = fc.oneof(
  { weight: 5, arbitrary: fc.constant('a') },
  { weight: 3, arbitrary: fc.constantFrom('', 'b') },
  { weight: 2, arbitrary: fc.constantFrom('$s', 'a level of some length', 'żółw') },
)

function levelsOf(part: fc.Arbitrary<string>): fc.Arbitrary<string[]> {
  return fc.array(part, { minLength: 1, maxLength: 3 })
}

/** Valid Topic Names, empty levels and $-topics among them. */
export const anyTopicName: fc.Arbitrary<string> = levelsOf(level)
  .map((levels) => levels.join('/'))
  .filter((name) => name !== '')

/** Valid Topic Filters. */
export const anyTopicFilter: fc.Arbitrary<string> = fc
  .tuple(levelsOf(fc.oneof(level, fc.constant('+'))), fc.nat(9))
  .map(([levels, die]) => {
    if (die === 0) return '#'
    return die < 4 ? [...levels, '#'].join('/') : levels.join('/')
  })
  .filter((filter) => filter !== '')
