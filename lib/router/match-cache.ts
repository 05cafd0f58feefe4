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

/** What a cache may hold. Beyond it, everything is forgotten: what comes again is soon known again. */
export interface MatchCacheLimits {
  /** References to receivers, in all topics. */
  readonly receiverReferencesMax: number
  /** Topics remembered, however few receivers they have. */
  readonly topicsMax: number
  /** Topics seen once that are waiting for their second sight. */
  readonly seenOnceMax: number
  /** Longest topic remembered, in UTF-16 units: topics of 65,535 bytes would hold gigabytes. */
  readonly topicLengthMax: number
}

const LIMITS: MatchCacheLimits = {
  receiverReferencesMax: 1_000_000,
  topicsMax: 200_000,
  seenOnceMax: 16_384,
  topicLengthMax: 512,
}

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
  readonly #limits: MatchCacheLimits
  #wildGeneration = 0
  #references = 0

  constructor(trie: TopicTrie<S, G>, limits: MatchCacheLimits = LIMITS) {
    this.#trie = trie
    this.#limits = limits
  }

  /** Topics remembered. */
  get topicCount(): number {
    return this.#remembered.size
  }

  /** References to receivers that the remembered topics hold. */
  get referenceCount(): number {
    return this.#references
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
    if (known !== undefined) this.#forgetTopic(topicName, known)
    else if (!this.#isSecondSight(topicName)) return receivers
    this.#remember(topicName, receivers)
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

  /** Says whether the topic is to be remembered by now; if not, notes that it was seen. */
  #isSecondSight(topicName: string): boolean {
    if (this.#seenOnce.delete(topicName)) return true
    if (topicName.length > this.#limits.topicLengthMax) return false
    if (this.#seenOnce.size >= this.#limits.seenOnceMax) this.#seenOnce.clear()
    this.#seenOnce.add(topicName)
    return false
  }

  #forgetTopic(topicName: string, known: Remembered<S, G>): void {
    this.#remembered.delete(topicName)
    this.#references -= sizeOf(known.receivers)
  }

  #remember(topicName: string, receivers: Receivers<S, G>): void {
    const { receiverReferencesMax, topicsMax } = this.#limits
    const size = sizeOf(receivers)
    if (size > receiverReferencesMax) return
    if (this.#references + size > receiverReferencesMax || this.#remembered.size >= topicsMax) {
      this.#remembered.clear()
      this.#branches.clear()
      this.#references = 0
    }
    this.#references += size
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
