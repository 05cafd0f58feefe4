/**
 * The retained messages: one per Topic Name, bounded by number and bytes, gone when they expire.
 *
 * Only this room knows how they are kept. Others hold a `RetainedMatch` as long as they like: it costs
 * little, and says itself whether it still is the retained message of its topic.
 */

import type { Buffer } from 'node:buffer'
import type { Qos } from '../protocol/packets.ts'
import { hasWildcard } from '../protocol/topics.ts'
import type { MemoryBudget } from '../util/memory-budget.ts'
import { MinHeap } from '../util/min-heap.ts'
import { RetainedRecord } from './retained-record.ts'
import { RetainedTrie } from './retained-trie.ts'

export interface RetainedLimits {
  readonly messagesMax: number
  /** Topics, properties and payloads together. */
  readonly bytesMax: number
}

/** A retained message as it was found. */
export interface RetainedMatch {
  /** Made anew at each call. */
  readonly topic: string
  readonly qos: Qos
  /** Milliseconds since 1970; Infinity when the message never expires. */
  readonly expiresAt: number
  /** Which of all `set` calls made it. */
  readonly version: number
  /** Whether it still is the retained message of its topic; once false, it stays so. */
  readonly isCurrent: boolean
  /** See `RetainedMessages.bodyOf`. */
  body(): Buffer
}

/** What a retained message counts for beside its body: see spec/retained/retained-million.spec.ts. */
const OVERHEAD_BYTES = 256

/** Bounds the time of one `expire`: about 10 ms where a million messages are kept. */
const EXPIRED_PER_CALL_MAX = 2500

export class RetainedMessages {
  readonly #limits: RetainedLimits
  readonly #budget: MemoryBudget | undefined
  /** Called with topics whose message has expired and been removed. */
  onExpired: (topics: readonly string[]) => void = () => {}
  /** Called with each message that is not kept any more, just before it is not current. */
  onRetired: ((match: RetainedMatch) => void) | undefined
  /** Called when `nextExpiry` has become earlier. */
  onEarlierExpiry: () => void = () => {}
  readonly #trie = new RetainedTrie<RetainedRecord>()
  /** Those that expire, the next one first. */
  readonly #expiring = new MinHeap<RetainedRecord>()
  #bytes = 0
  #version = 0

  /** What is kept counts in `budget`, if there is one. */
  constructor(limits: RetainedLimits, budget?: MemoryBudget) {
    this.#limits = limits
    this.#budget = budget
  }

  /** Messages kept; expired ones count until `expire` removes them. */
  get count(): number {
    return this.#trie.size
  }

  /** Bytes of topics, properties and payloads kept. */
  get bytes(): number {
    return this.#bytes
  }

  /** The version of the latest message, which grows with each `set`. */
  get version(): number {
    return this.#version
  }

  /** When the next message expires, in milliseconds since 1970; Infinity when none does. */
  get nextExpiry(): number {
    return this.#expiring.minKey
  }

  /** Whether a message of `bodyBytes` may become the retained message of `topic`. */
  hasRoomFor(topic: string, bodyBytes: number): boolean {
    const before = this.#trie.get(topic)
    const messages = this.#trie.size + (before === undefined ? 1 : 0)
    const bytes = this.#bytes + bodyBytes - (before?.bodyLength ?? 0)
    return messages <= this.#limits.messagesMax && bytes <= this.#limits.bytesMax
  }

  /**
   * Makes `body`, in the form of protocol/message.ts, the retained message of `topic`. It becomes ours: a
   * large one is kept as it is if it has memory of its own, else copied. When refused, nothing changes.
   */
  set(topic: string, body: Buffer, qos: Qos, expiresAt: number, now: number): 'stored' | 'refused' {
    if (!this.hasRoomFor(topic, body.length)) {
      this.expire(now)
      if (!this.hasRoomFor(topic, body.length)) return 'refused'
    }
    const record = new RetainedRecord(body, qos, expiresAt, ++this.#version)
    const before = this.#trie.set(topic, record) // [MQTT-3.3.1-5]
    if (before !== undefined) this.#retire(before)
    this.#count(record, 1)
    if (expiresAt !== Number.POSITIVE_INFINITY) this.#noteExpiry(expiresAt, record)
    return 'stored'
  }

  /** Removes the retained message of `topic`; says whether there was one. */
  clear(topic: string): boolean {
    const record = this.#trie.delete(topic) // [MQTT-3.3.1-6]
    if (record !== undefined) this.#retire(record)
    return record !== undefined
  }

  /** Returns the message of `topic`, even if it has expired and is not removed yet. */
  get(topic: string): RetainedMatch | undefined {
    return this.#trie.get(topic)
  }

  /** Whether it is worth looking what a Topic Filter matches: false where that is nothing, and costs little to know. */
  mayMatch(topicFilter: string): boolean {
    return this.count > 0 && (hasWildcard(topicFilter) || this.get(topicFilter) !== undefined)
  }

  /** Returns the messages that a Topic Filter matches and that have not expired. */
  lookup(topicFilter: string, now: number): RetainedMatch[] {
    const found = this.#trie.match(topicFilter)
    if (this.nextExpiry > now) return found
    return found.filter((record) => now < record.expiresAt)
  }

  /** Returns all messages, those of `$` topics too. */
  all(): RetainedMatch[] {
    return [...this.#trie.values()]
  }

  /**
   * Returns the body of a match that is current. Small ones are made anew, large ones are those kept: do
   * not write to them.
   */
  bodyOf(match: RetainedMatch): Buffer {
    return match.body()
  }

  /** Removes what has expired, a bounded number at a time; returns the topics. Call again if there are any. */
  expire(now: number): string[] {
    const topics: string[] = []
    while (topics.length < EXPIRED_PER_CALL_MAX && this.#expiring.minKey <= now) {
      const { topic } = this.#expiring.peek()!
      this.clear(topic)
      topics.push(topic)
    }
    if (topics.length > 0) this.onExpired(topics)
    return topics
  }

  #noteExpiry(expiresAt: number, record: RetainedRecord): void {
    const isEarlier = expiresAt < this.#expiring.minKey
    this.#expiring.push(expiresAt, record)
    if (isEarlier) this.onEarlierExpiry()
  }

  #count(record: RetainedRecord, sign: 1 | -1): void {
    this.#bytes += sign * record.bodyLength
    this.#budget?.hold(sign * (record.bodyLength + OVERHEAD_BYTES))
  }

  #retire(record: RetainedRecord): void {
    this.onRetired?.(record)
    this.#count(record, -1)
    this.#expiring.remove(record)
    record.retire()
  }
}
