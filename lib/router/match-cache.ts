/**
 * Remembers who gets the messages of a topic, for topics that come again.
 *
 * What is remembered dies by generation: a subscription below a first level ends what is known of that
 * level, one that begins with a wildcard ends everything. A topic is remembered at its second sight, so
 * that a stream of ever new topics leaves no trace.
 */

import type { Subscription } from '../protocol/subscription.ts'
import type { Receivers } from './receivers.ts'
import type { TopicTrie } from './topic-trie.ts'

/** References to receivers held in all; when there are more, everything is forgotten. */
const RECEIVER_REFERENCES_MAX = 1_000_000
/** Topics remembered, however few receivers they have. */
const TOPICS_MAX = 200_000
/** Topics seen once that are waiting for their second sight. */
const SEEN_ONCE_MAX = 16_384

/** All topics that share a first level. */
interface Branch {
  generation: number
}

interface Remembered<S, G> {
  readonly receivers: Receivers<S, G>
  readonly branch: Branch
  readonly generation: number
  readonly wildGeneration: number
}

export class MatchCache<S, G> {
  readonly #trie: TopicTrie<S, G>
  readonly #remembered = new Map<string, Remembered<S, G>>()
  readonly #seenOnce = new Set<string>()
  readonly #branches = new Map<string, Branch>()
  #wildGeneration = 0
  #references = 0

  constructor(trie: TopicTrie<S, G>) {
    this.#trie = trie
  }

  /** The same as `trie.match`, mostly without asking it. */
  receiversOf(topicName: string): Receivers<S, G> {
    const known = this.#remembered.get(topicName)
    if (
      known !== undefined &&
      known.generation === known.branch.generation &&
      known.wildGeneration === this.#wildGeneration
    ) {
      return known.receivers
    }
    const receivers = this.#trie.match(topicName)
    if (known !== undefined || this.#seenOnce.has(topicName)) this.#remember(topicName, receivers)
    else this.#noteFirstSight(topicName)
    return receivers
  }

  subscribe(topicFilter: string, subscriber: S, subscription: Subscription): boolean {
    this.#forget(topicFilter)
    return this.#trie.subscribe(topicFilter, subscriber, subscription)
  }

  unsubscribe(topicFilter: string, subscriber: S): boolean {
    this.#forget(topicFilter)
    return this.#trie.unsubscribe(topicFilter, subscriber)
  }

  addGroup(topicFilter: string, group: G): void {
    this.#forget(topicFilter)
    this.#trie.addGroup(topicFilter, group)
  }

  removeGroup(topicFilter: string, group: G): void {
    this.#forget(topicFilter)
    this.#trie.removeGroup(topicFilter, group)
  }

  #noteFirstSight(topicName: string): void {
    if (this.#seenOnce.size >= SEEN_ONCE_MAX) this.#seenOnce.clear()
    this.#seenOnce.add(topicName)
  }

  #remember(topicName: string, receivers: Receivers<S, G>): void {
    this.#seenOnce.delete(topicName)
    const before = this.#remembered.get(topicName)
    if (before !== undefined) this.#references -= sizeOf(before.receivers)
    this.#references += sizeOf(receivers)
    if (this.#references > RECEIVER_REFERENCES_MAX || this.#remembered.size >= TOPICS_MAX) {
      this.#remembered.clear()
      this.#branches.clear()
      this.#references = sizeOf(receivers)
    }
    const branch = this.#branchOf(topicName)
    this.#remembered.set(topicName, {
      receivers,
      branch,
      generation: branch.generation,
      wildGeneration: this.#wildGeneration,
    })
  }

  #branchOf(topicName: string): Branch {
    const level = firstLevel(topicName)
    let branch = this.#branches.get(level)
    if (branch === undefined) {
      branch = { generation: 0 }
      this.#branches.set(level, branch)
    }
    return branch
  }

  /** Ends what is remembered of the topics that `topicFilter` may match. */
  #forget(topicFilter: string): void {
    const level = firstLevel(topicFilter)
    if (level === '+' || level === '#') this.#wildGeneration++
    else {
      const branch = this.#branches.get(level)
      if (branch !== undefined) branch.generation++
    }
  }
}

function firstLevel(topic: string): string {
  const end = topic.indexOf('/')
  return end === -1 ? topic : topic.slice(0, end)
}

/** References that a remembered match holds. */
function sizeOf<S, G>({ single, groups }: Receivers<S, G>): number {
  return single.length + groups.length
}
