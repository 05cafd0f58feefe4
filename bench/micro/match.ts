/** Topics to receivers: in the trie, and through what is remembered of it. */

import { MatchCache } from '../../lib/router/match-cache.ts'
import { TopicTrie } from '../../lib/router/topic-trie.ts'
import type { MicroCase } from './harness.ts'

const TOPICS = 1000

export const matchCases: readonly MicroCase[] = [
  matchCase('match in the trie, 1,000 filters', 1000, false),
  matchCase('match in the trie, 100,000 filters', 100_000, false),
  matchCase('match remembered, 1,000 filters', 1000, true),
  matchCase('match remembered, 100,000 filters', 100_000, true),
]

/** Every other filter has a `+`; each topic is matched by one of them. */
function matchCase(name: string, filters: number, isRemembered: boolean): MicroCase {
  const trie = new TopicTrie<number, never>()
  const cache = new MatchCache(trie)
  const step = Math.floor(filters / TOPICS)
  const topics = Array.from({ length: TOPICS }, (_, i) => topicOf(i * step))
  for (let i = 0; i < filters; i++) {
    const topicFilter = i % 2 === 0 ? topicOf(i) : topicOf(i).replace(/[^/]+$/, '+')
    cache.subscribe(topicFilter, i, {
      topicFilter,
      qos: 0,
      noLocal: false,
      retainAsPublished: false,
      subscriptionIdentifier: 0,
    })
  }
  const run = () => {
    let receivers = 0
    for (const topic of topics) {
      const found = isRemembered ? cache.receiversOf(topic) : trie.match(topic)
      receivers += found.single.length
    }
    return receivers
  }
  return { name, operations: TOPICS, run }
}

function topicOf(number: number): string {
  return `site/${number % 97}/device-${number}/power`
}
