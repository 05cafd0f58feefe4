/**
 * Remembers who gets messages of which topic, in front of the trie; always gives what the trie would give.
 *
 * A subscription makes void only what its filter can touch: without wildcards its one topic, with a literal
 * first level the topics of that branch, else all. Void entries hold no receivers, so that a session that
 * ended is not kept in memory by topics that nobody publishes any more.
 */

import type { Subscription } from '../protocol/subscription.ts'
import { hasWildcard } from '../protocol/topics.ts'
import { ownString } from '../util/own-string.ts'
import type { Receiver, Receivers } from './receivers.ts'
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

/** A topic that is remembered. What it says is what the trie said: a step less to memory for each message. */
class Entry<S, G> implements Receivers<S, G> {
  single: readonly Receiver<S>[] = NOBODY
  groups: readonly G[] = NOBODY
  only: Receiver<S> | undefined = undefined
  /** False when void. */
  isFilled = false
  references = 0
  readonly branch: Branch<S, G>
  /** Whether `branch` lists it; it may do so when void. */
  isListed = false

  constructor(branch: Branch<S, G>) {
    this.branch = branch
  }

  fill({ single, groups, only }: Receivers<S, G>, references: number): void {
    this.single = single
    this.groups = groups
    this.only = only
    this.references = references
    this.isFilled = true
  }

  empty(): void {
    this.single = NOBODY
    this.groups = NOBODY
    this.only = undefined
    this.references = 0
    this.isFilled = false
  }
}

const NOBODY: readonly never[] = []

/** The entries of one first level that may have to be made void. */
type Branch<S, G> = Entry<S, G>[]

export class MatchCache<S, G> {
  readonly #trie: TopicTrie<S, G>
  readonly #limits: MatchCacheLimits
  readonly #entries = new Map<string, Entry<S, G>>()
  readonly #branches = new Map<string, Branch<S, G>>()
  /** The branches that list anything: a wildcard at the first level visits these alone. */
  readonly #filled = new Set<Branch<S, G>>()
  /** Hash of the last topic seen per slot. Two topics of one hash only cost an entry taken too early. */
  readonly #sightings = new Int32Array(SIGHTINGS)
  #references = 0

  constructor(trie: TopicTrie<S, G>, limits: MatchCacheLimits = LIMITS) {
    this.#trie = trie
    this.#limits = limits
  }

  /** Topics remembered, void ones included. */
  get size(): number {
    return this.#entries.size
  }

  /** What counts against `receiverReferencesMax`. */
  get receiverReferences(): number {
    return this.#references
  }

  /** Returns who gets messages of `topicName`. What is in the result never changes, the result may. */
  receiversOf(topicName: string): Receivers<S, G> {
    const entry = this.#entries.get(topicName)
    if (entry?.isFilled === true) return entry
    const receivers = this.#trie.match(topicName)
    if (entry !== undefined) this.#fill(entry, receivers)
    else if (this.#isWorthAPlace(topicName)) this.#add(topicName, receivers)
    return receivers
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
   * Whether to remember a topic: while there is plenty of room each, then those that come again, as one that
   * never comes again would only push others out.
   */
  #isWorthAPlace(topicName: string): boolean {
    if (topicName.length > TOPIC_LENGTH_MAX) return false
    if (this.#entries.size < this.#limits.entriesMax / 2) return true
    const hash = hashOf(topicName)
    const slot = (hash ^ (hash >>> 16)) & (SIGHTINGS - 1)
    if (this.#sightings[slot] === hash) return true
    this.#sightings[slot] = hash
    return false
  }

  #add(topicName: string, receivers: Receivers<S, G>): void {
    if (this.#entries.size >= this.#limits.entriesMax) this.#clear()
    const level = firstLevel(topicName)
    let branch = this.#branches.get(level)
    if (branch === undefined) {
      branch = []
      this.#branches.set(ownString(level), branch)
    }
    const entry = new Entry(branch)
    this.#entries.set(ownString(topicName), entry)
    this.#fill(entry, receivers)
  }

  #fill(entry: Entry<S, G>, receivers: Receivers<S, G>): void {
    const references = countReferences(receivers)
    if (references > this.#limits.receiverReferencesMax) return
    if (this.#references + references > this.#limits.receiverReferencesMax) {
      // Starting afresh needs no order of use, and what is in demand is back after two sights.
      this.#clear()
      return
    }
    entry.fill(receivers, references)
    this.#references += references
    if (entry.isListed) return
    entry.isListed = true
    entry.branch.push(entry)
    this.#filled.add(entry.branch)
  }

  /** Makes void what a change at `topicFilter` may touch. */
  #invalidate(topicFilter: string): void {
    if (!hasWildcard(topicFilter)) {
      const entry = this.#entries.get(topicFilter)
      if (entry !== undefined) this.#empty(entry)
      return
    }
    const level = firstLevel(topicFilter)
    if (level === '+' || level === '#') {
      for (const branch of this.#filled) this.#emptyAll(branch)
    } else {
      const branch = this.#branches.get(level)
      if (branch !== undefined) this.#emptyAll(branch)
    }
  }

  /** Costs no more than filling the entries did: each is listed once per filling. */
  #emptyAll(branch: Branch<S, G>): void {
    for (const entry of branch) {
      entry.isListed = false
      this.#empty(entry)
    }
    branch.length = 0
    this.#filled.delete(branch)
  }

  #empty(entry: Entry<S, G>): void {
    this.#references -= entry.references
    entry.empty()
  }

  #clear(): void {
    this.#entries.clear()
    this.#branches.clear()
    this.#filled.clear()
    this.#references = 0
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

/** FNV-1a over UTF-16 units. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}
