/**
 * Remembers who gets messages of which topic, in front of the trie; always gives what the trie would give.
 *
 * A subscription makes void only what its filter can touch: without wildcards its one topic, with a literal
 * first level the topics of that branch, else all. What is void is forgotten at once, so that a session that
 * ended is not kept in memory by topics that nobody publishes any more.
 */

import { TOPICS_AHEAD_MAX, TopicsAhead } from '../codec/topics-ahead.ts'
import type { Qos } from '../protocol/packets.ts'
import type { Subscription } from '../protocol/subscription.ts'
import { hasWildcard, isTopicName } from '../protocol/topics.ts'
import { ownString } from '../util/own-string.ts'
import type { Receiver, Receivers } from './receivers.ts'
import { hashOf, type KnownTopic, TopicTable } from './topic-table.ts'
import type { TopicTrie } from './topic-trie.ts'

export interface MatchCacheLimits {
  /** Topics remembered. */
  readonly entriesMax: number
  /** Receivers, groups and Subscription Identifiers in all entries together, 8 bytes each. */
  readonly receiverReferencesMax: number
}

const LIMITS: MatchCacheLimits = { entriesMax: 100_000, receiverReferencesMax: 1_000_000 }

/** Longer topics are matched each time: a peer must not fill the cache with 64 KiB keys. */
const TOPIC_LENGTH_MAX = 256

/** A power of two, of the order of `entriesMax`: with fewer, topics in rotation would never be taken. */
const SIGHTINGS = 65_536

const NOBODY: readonly never[] = []
const NO_RECEIVER: Receiver<undefined> = {
  subscriber: undefined,
  qos: 0,
  retainAsPublished: false,
  identifiers: undefined,
  own: undefined,
}

/** Topic Names that are remembered, by their bytes. */
export interface RememberedNames {
  /** Returns the Topic Name that stands in `bytes` from `start` to `end`, if it is remembered. */
  nameOf(bytes: Uint8Array, start: number, end: number): string | undefined
  /**
   * Tells that `nameOf` will be asked for the topics of the packets from `start` on, and looks for the next of them
   * together. Returns how far it has looked. Changes no answer, only how long it takes.
   */
  expect(bytes: Uint8Array, start: number): number
  /** Lets go of the chunk that it has looked into. */
  release(): void
}

/**
 * A topic that is remembered. What it says is what the trie said, and where there is one receiver, it says what that
 * one does: two steps less to memory for each message.
 */
class Entry<S, G> implements Receivers<S, G>, Receiver<S>, KnownTopic {
  // In the order in which a message looks at them, to be side by side in memory.
  /** Empty when void, which no topic is. */
  topic: string
  only: Entry<S, G> | undefined
  /** Undefined when void, or there is not one receiver: nobody asks then. */
  subscriber: S
  qos: Qos
  identifiers: readonly number[] | undefined
  retainAsPublished: boolean
  own: Receiver<S> | undefined
  single: readonly Receiver<S>[]
  groups: readonly G[]
  readonly references: number
  readonly hash: number
  place = 0
  /** Its neighbours in its branch. */
  readonly branch: Branch<S, G>
  before: Entry<S, G> | undefined = undefined
  behind: Entry<S, G> | undefined = undefined

  constructor(
    topic: string,
    hash: number,
    receivers: Receivers<S, G>,
    references: number,
    branch: Branch<S, G>,
  ) {
    this.topic = topic
    this.hash = hash
    this.single = receivers.single
    this.groups = receivers.groups
    this.references = references
    this.branch = branch
    const { only = NO_RECEIVER } = receivers
    this.only = receivers.only === undefined ? undefined : this
    this.subscriber = only.subscriber as S
    this.qos = only.qos
    this.retainAsPublished = only.retainAsPublished
    this.identifiers = only.identifiers
    this.own = only.own as Receiver<S> | undefined
  }

  get isVoid(): boolean {
    return this.topic === ''
  }

  empty(): void {
    this.topic = ''
    this.single = NOBODY
    this.groups = NOBODY
    this.only = undefined
    this.subscriber = undefined as S
    this.identifiers = undefined
    this.own = undefined
  }
}

/** The entries of one first level, in a chain. */
class Branch<S, G> {
  readonly level: string
  first: Entry<S, G> | undefined = undefined

  constructor(level: string) {
    this.level = level
  }

  add(entry: Entry<S, G>): void {
    entry.behind = this.first
    if (this.first !== undefined) this.first.before = entry
    this.first = entry
  }

  /** Afterwards the entry has no neighbours: whoever still has it would keep those that are forgotten later. */
  remove(entry: Entry<S, G>): void {
    const { before, behind } = entry
    if (before === undefined) this.first = behind
    else before.behind = behind
    if (behind !== undefined) behind.before = before
    entry.before = undefined
    entry.behind = undefined
  }
}

export class MatchCache<S, G> implements RememberedNames {
  readonly #trie: TopicTrie<S, G>
  readonly #limits: MatchCacheLimits
  readonly #entries: TopicTable<Entry<S, G>>
  readonly #branches = new Map<string, Branch<S, G>>()
  /** Hash of the last topic seen per slot. Two topics of one hash only cost an entry taken too early. */
  readonly #sightings = new Int32Array(SIGHTINGS)
  #references = 0
  /** Topics that were looked for together, as `expect` was told of them, and which of them is probably next. */
  readonly #ahead = new TopicsAhead(TOPIC_LENGTH_MAX)
  readonly #expected: (Entry<S, G> | undefined)[] = Array.from({ length: TOPICS_AHEAD_MAX })
  #aheadBytes: Uint8Array | undefined
  #nextAhead = 0
  /** What `nameOf` was asked for last, as that is what `receiversOf` is probably asked for next. */
  #named: Entry<S, G> | undefined

  constructor(trie: TopicTrie<S, G>, limits: MatchCacheLimits = LIMITS) {
    this.#trie = trie
    this.#limits = limits
    this.#entries = new TopicTable(limits.entriesMax)
  }

  /** Topics remembered. */
  get size(): number {
    return this.#entries.count
  }

  /** What counts against `receiverReferencesMax`. */
  get receiverReferences(): number {
    return this.#references
  }

  expect(bytes: Uint8Array, start: number): number {
    const topics = this.#ahead
    topics.find(bytes, start)
    this.#entries.findAll(bytes, topics, this.#expected)
    this.#aheadBytes = bytes
    this.#nextAhead = 0
    return topics.end
  }

  release(): void {
    this.#aheadBytes = undefined
  }

  nameOf(bytes: Uint8Array, start: number, end: number): string | undefined {
    if (end - start > TOPIC_LENGTH_MAX) return undefined
    const entry = this.#expectedAt(bytes, start) ?? this.#entries.findBytes(bytes, start, end)
    this.#named = entry
    return entry?.topic
  }

  /** What `expect` found, if it has not become void. */
  #expectedAt(bytes: Uint8Array, start: number): Entry<S, G> | undefined {
    if (bytes !== this.#aheadBytes) return undefined
    const { starts, count } = this.#ahead
    let i = this.#nextAhead
    while (i < count && starts[i]! < start) i++
    this.#nextAhead = i
    if (i === count || starts[i] !== start) return undefined
    const entry = this.#expected[i]
    return entry === undefined || entry.isVoid ? undefined : entry
  }

  /**
   * Returns who gets messages of `topicName`. What is in the result never changes, the result may. `last`: what
   * was returned for a topic that is probably the same.
   */
  receiversOf(topicName: string, last?: Receivers<S, G>): Receivers<S, G> {
    const named = this.#named
    if (named !== undefined) {
      this.#named = undefined
      if (named.topic === topicName) return named
    }
    if (last?.topic === topicName) return last
    if (topicName.length > TOPIC_LENGTH_MAX) return this.#trie.match(topicName)
    const hash = hashOf(topicName)
    const entry = this.#entries.find(topicName, hash)
    if (entry !== undefined) return entry
    const receivers = this.#trie.match(topicName)
    if (!this.#isWorthAPlace(topicName, hash)) return receivers
    return this.#add(topicName, hash, receivers) ?? receivers
  }

  /** See `TopicTrie.subscribe`. */
  subscribe(topicFilter: string, subscriber: S, subscription: Subscription): boolean {
    const existed = this.#trie.subscribe(topicFilter, subscriber, subscription)
    this.#invalidate(topicFilter)
    return existed
  }

  /** See `TopicTrie.unsubscribe`. */
  unsubscribe(topicFilter: string, subscriber: S): boolean {
    const existed = this.#trie.unsubscribe(topicFilter, subscriber)
    if (existed) this.#invalidate(topicFilter)
    return existed
  }

  /** See `TopicTrie.addGroup`. */
  addGroup(topicFilter: string, group: G): void {
    this.#trie.addGroup(topicFilter, group)
    this.#invalidate(topicFilter)
  }

  /** See `TopicTrie.removeGroup`. */
  removeGroup(topicFilter: string, group: G): boolean {
    const existed = this.#trie.removeGroup(topicFilter, group)
    if (existed) this.#invalidate(topicFilter)
    return existed
  }

  /**
   * Whether to remember a topic: while there is room each, then those that come again, as one that never comes
   * again would only push others out. Never one that `nameOf` must not return.
   */
  #isWorthAPlace(topicName: string, hash: number): boolean {
    const slot = hash & (SIGHTINGS - 1)
    if (this.#entries.count >= this.#limits.entriesMax && this.#sightings[slot] !== hash) {
      this.#sightings[slot] = hash
      return false
    }
    return isTopicName(topicName) && !topicName.includes('\0')
  }

  /** Returns nothing for what has more receivers than there may be references in all. */
  #add(topicName: string, hash: number, receivers: Receivers<S, G>): Entry<S, G> | undefined {
    const { entriesMax, receiverReferencesMax } = this.#limits
    const references = countReferences(receivers)
    if (references > receiverReferencesMax) return undefined
    while (this.#references + references > receiverReferencesMax) this.#forgetAny()
    if (this.#entries.count >= entriesMax) this.#forgetAny()
    const branch = this.#branchOf(topicName)
    const entry = new Entry(ownString(topicName), hash, receivers, references, branch)
    branch.add(entry)
    this.#references += references
    const displaced = this.#entries.add(entry)
    if (displaced !== undefined) this.#leave(displaced)
    return entry
  }

  #branchOf(topicName: string): Branch<S, G> {
    const level = firstLevel(topicName)
    let branch = this.#branches.get(level)
    if (branch === undefined) {
      branch = new Branch(ownString(level))
      this.#branches.set(branch.level, branch)
    }
    return branch
  }

  /** Makes void what a change at `topicFilter` may touch. */
  #invalidate(topicFilter: string): void {
    if (!hasWildcard(topicFilter)) {
      const isTooLong = topicFilter.length > TOPIC_LENGTH_MAX
      const entry = isTooLong ? undefined : this.#entries.find(topicFilter, hashOf(topicFilter))
      if (entry !== undefined) this.#forget(entry)
      return
    }
    const level = firstLevel(topicFilter)
    if (level === '+' || level === '#') {
      for (const branch of this.#branches.values()) this.#forgetAll(branch)
    } else {
      const branch = this.#branches.get(level)
      if (branch !== undefined) this.#forgetAll(branch)
    }
  }

  #forgetAll(branch: Branch<S, G>): void {
    for (let { first } = branch; first !== undefined; { first } = branch) this.#forget(first)
  }

  /** No order of use is kept: what is in demand is soon back. */
  #forgetAny(): void {
    const entry = this.#entries.any()
    if (entry !== undefined) this.#forget(entry)
  }

  #forget(entry: Entry<S, G>): void {
    this.#entries.remove(entry)
    this.#leave(entry)
  }

  /** All that an entry takes besides its place in the table. */
  #leave(entry: Entry<S, G>): void {
    const { branch, references } = entry
    this.#references -= references
    branch.remove(entry)
    if (branch.first === undefined) this.#branches.delete(branch.level)
    entry.empty()
  }
}

function countReferences<S, G>({ single, groups }: Receivers<S, G>): number {
  let count = single.length + groups.length
  for (const { identifiers } of single) count += identifiers?.length ?? 0
  return count
}

function firstLevel(topic: string): string {
  const end = topic.indexOf('/')
  return end === -1 ? topic : topic.slice(0, end)
}
