/**
 * The retained message of each topic (section 3.3.1.3): set, cleared, looked up by filter, expired, and
 * bounded in number and bytes.
 */

import assert from 'node:assert'
import type { Buffer } from 'node:buffer'
import type { Qos } from '../protocol/packets.ts'
import type { MemoryBudget } from '../util/memory-budget.ts'
import { type PackedBytes, packBytes, unpackBytes } from '../util/packed-bytes.ts'
import type { Timer, Timers } from '../util/timers.ts'
import { RetainedTrie } from './retained-trie.ts'

export interface RetainedLimits {
  readonly messagesMax: number
  readonly bytesMax: number
  /** For messages without an expiry of their own; 0: they stay. */
  readonly defaultExpirySeconds: number
}

/** A retained message as it was found: a handle that tells whether it still is the one. */
export interface RetainedMatch {
  readonly qos: Qos
  /** Milliseconds since 1970; Infinity: never. */
  readonly expiresAt: number
  /** Grows with every message that is retained, over all topics. */
  readonly version: number
  /** False once it has been replaced, cleared, or has expired. */
  readonly isCurrent: boolean
}

/**
 * Tree nodes, levels, record: between 170 and 310 bytes a message beside its body, by the shape of the
 * topics (spec/retained/retained-million.spec.ts).
 */
const OVERHEAD_BYTES = 256

class RetainedRecord implements RetainedMatch {
  readonly qos: Qos
  readonly expiresAt: number
  readonly version: number
  isCurrent = true
  readonly body: PackedBytes
  timer: Timer | undefined

  constructor(body: Buffer, qos: Qos, expiresAt: number, version: number) {
    this.body = packBytes(body)
    this.qos = qos
    this.expiresAt = expiresAt
    this.version = version
  }
}

export class RetainedMessages {
  readonly #limits: RetainedLimits
  readonly #timers: Timers
  readonly #budget: MemoryBudget
  readonly #trie = new RetainedTrie<RetainedRecord>()
  #version = 0
  #bytes = 0

  constructor(limits: RetainedLimits, timers: Timers, budget: MemoryBudget) {
    this.#limits = limits
    this.#timers = timers
    this.#budget = budget
  }

  get count(): number {
    return this.#trie.size
  }

  /** Bytes of all bodies: topics, properties and payloads. */
  get bytes(): number {
    return this.#bytes
  }

  /** The version of the message retained last. */
  get version(): number {
    return this.#version
  }

  /** Whether a message of `size` bytes may be retained for `topicName` within the limits. */
  hasRoomFor(topicName: string, size: number): boolean {
    const { messagesMax, bytesMax } = this.#limits
    if (this.count < messagesMax && this.#bytes + size <= bytesMax) return true
    const replaced = this.#trie.get(topicName)
    if (replaced === undefined) return false
    return this.#bytes - replaced.body.length + size <= bytesMax
  }

  /** Replaces the message of `topicName`. `body` is in stored form and in memory of its own. */
  set(topicName: string, body: Buffer, qos: Qos, expiresAt: number, now: number): void {
    this.#end(this.#trie.get(topicName))
    const { defaultExpirySeconds } = this.#limits
    const end =
      defaultExpirySeconds > 0 && expiresAt === Number.POSITIVE_INFINITY
        ? now + defaultExpirySeconds * 1000
        : expiresAt
    const record = new RetainedRecord(body, qos, end, ++this.#version)
    if (end !== Number.POSITIVE_INFINITY) {
      record.timer = this.#timers.after(end - now, () => this.clear(topicName))
    }
    this.#trie.set(topicName, record)
    this.#count(record, 1)
  }

  clear(topicName: string): void {
    this.#end(this.#trie.delete(topicName))
  }

  get(topicName: string): RetainedMatch | undefined {
    return this.#trie.get(topicName)
  }

  /** Returns what `topicFilter` matches now, expired messages aside. */
  lookup(topicFilter: string, now: number): RetainedMatch[] {
    const found = this.#trie.match(topicFilter)
    return found.every(({ expiresAt }) => now < expiresAt)
      ? found
      : found.filter(({ expiresAt }) => now < expiresAt)
  }

  /** The stored form of what was found, in memory of its own. */
  bodyOf(match: RetainedMatch): Buffer {
    assert(match instanceof RetainedRecord, 'the match comes from lookup')
    return unpackBytes(match.body)
  }

  #end(record: RetainedRecord | undefined): void {
    if (record === undefined) return
    record.isCurrent = false
    record.timer?.cancel()
    this.#count(record, -1)
  }

  #count(record: RetainedRecord, sign: 1 | -1): void {
    this.#bytes += sign * record.body.length
    this.#budget.hold(sign * (record.body.length + OVERHEAD_BYTES))
  }
}
