/**
 * Finds what is known of a topic, where there may be many. Then what takes the time is memory that is in no cache:
 * a `Map` looks at six places for one topic of 100,000, this at three. Eight bits of each hash stand side by side,
 * so few as to be in a cache, and a topic is looked at only where they fit.
 *
 * A topic has its place in a bucket of eight. The table doubles when it is half full, or a bucket is full, up to a
 * size at which a full bucket is one by chance or by malice: then the newcomer takes another's place.
 */

import { TOPICS_AHEAD_MAX, type TopicsAhead } from '../codec/topics-ahead.ts'
import { isAscii } from '../util/ascii.ts'

/** What is kept of a topic. `place` is the table's. */
export interface KnownTopic {
  readonly topic: string
  /** Its `hashOf`. */
  readonly hash: number
  place: number
}

const BUCKET = 8
const SIZE_MIN = 64

export class TopicTable<T extends KnownTopic> {
  readonly #sizeMax: number
  #size = SIZE_MIN
  /** 0: nobody has the place. */
  #tags = new Uint8Array(SIZE_MIN)
  #topics: (T | undefined)[] = Array.from({ length: SIZE_MIN })
  #count = 0
  #hand = 0
  readonly #hashes = new Int32Array(TOPICS_AHEAD_MAX)
  /** What `expect` looked at comes to something, else the compiler would leave the looking out. */
  seen = 0

  /** Has room for `countMax` topics, and more than twice as many places. */
  constructor(countMax: number) {
    this.#sizeMax = Math.max(SIZE_MIN, 2 ** Math.ceil(Math.log2(2 * countMax)))
  }

  get count(): number {
    return this.#count
  }

  /** `hash` is the topic's `hashOf`. */
  find(topic: string, hash: number): T | undefined {
    const first = bucketOf(hash, this.#size)
    for (let i = this.#next(hash, first, 0); i < BUCKET; i = this.#next(hash, first, i + 1)) {
      const known = this.#topics[first + i]!
      if (known.topic === topic) return known
    }
    return undefined
  }

  /** As `find` with the text of `bytes` from `start` to `end`, of which none is found but ASCII. */
  findBytes(bytes: Uint8Array, start: number, end: number): T | undefined {
    const hash = hashOfBytes(bytes, start, end)
    const first = bucketOf(hash, this.#size)
    for (let i = this.#next(hash, first, 0); i < BUCKET; i = this.#next(hash, first, i + 1)) {
      const known = this.#topics[first + i]!
      if (isAscii(bytes, start, end, known.topic)) return known
    }
    return undefined
  }

  /**
   * Looks at what `findBytes` will look at for each of `topics`. What one of them needs from memory does not depend on
   * the others, so that the processor has it all brought at the same time, where else each would wait for its own. All
   * hashes come first: the less there is to do between two looks, the more of them are under way.
   */
  expect(bytes: Uint8Array, { starts, ends, count }: TopicsAhead): void {
    const hashes = this.#hashes
    for (let i = 0; i < count; i++) hashes[i] = hashOfBytes(bytes, starts[i]!, ends[i]!)
    let seen = 0
    for (let i = 0; i < count; i++) {
      const hash = hashes[i]!
      const first = bucketOf(hash, this.#size)
      const found = this.#next(hash, first, 0)
      if (found < BUCKET) seen += this.#topics[first + found]!.topic.charCodeAt(0)
    }
    this.seen = seen
  }

  /** Which of the places of the bucket, from the one at `from` on, is that of a topic with this hash; BUCKET: none. */
  #next(hash: number, first: number, from: number): number {
    const tag = tagOf(hash)
    for (let i = from; i < BUCKET; i++) {
      if (this.#tags[first + i] === tag && this.#topics[first + i]!.hash === hash) return i
    }
    return BUCKET
  }

  /** Adds a topic that is not there; returns the one whose place it took, if it did. */
  add(topic: T): T | undefined {
    if (2 * this.#count >= this.#size) this.#grow()
    let place = this.#freePlace(topic.hash)
    while (place === undefined && this.#grow()) place = this.#freePlace(topic.hash)
    if (place !== undefined) {
      this.#put(topic, place)
      return undefined
    }
    const other = this.#topics[bucketOf(topic.hash, this.#size) + ((topic.hash >>> 20) % BUCKET)]!
    this.remove(other)
    this.#put(topic, other.place)
    return other
  }

  remove(topic: T): void {
    this.#topics[topic.place] = undefined
    this.#tags[topic.place] = 0
    this.#count--
  }

  /** One of those that are there, no matter which; each comes before any comes again. Undefined if there is none. */
  any(): T | undefined {
    for (let i = 0; i < this.#size; i++) {
      this.#hand = (this.#hand + 1) % this.#size
      const topic = this.#topics[this.#hand]
      if (topic !== undefined) return topic
    }
    return undefined
  }

  /** The first place for it that nobody has. */
  #freePlace(hash: number): number | undefined {
    const first = bucketOf(hash, this.#size)
    for (let place = first; place < first + BUCKET; place++) {
      if (this.#tags[place] === 0) return place
    }
    return undefined
  }

  #put(topic: T, place: number): void {
    topic.place = place
    this.#topics[place] = topic
    this.#tags[place] = tagOf(topic.hash)
    this.#count++
  }

  /** Doubles the table; says whether it may. No bucket gets more than it had. */
  #grow(): boolean {
    if (this.#size >= this.#sizeMax) return false
    const topics = this.#topics
    this.#size *= 2
    this.#tags = new Uint8Array(this.#size)
    this.#topics = Array.from({ length: this.#size })
    this.#count = 0
    for (const topic of topics) {
      if (topic !== undefined) this.#put(topic, this.#freePlace(topic.hash)!)
    }
    return true
  }
}

/** FNV-1a over UTF-16 units, folded: any of its bits will do to find a place. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash ^ (hash >>> 16)
}

/** As `hashOf` of the text that the bytes are, if they are ASCII. */
function hashOfBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
  return hash ^ (hash >>> 16)
}

/** The first place of the bucket that a topic belongs to, in a table of `size` places, a power of two. */
function bucketOf(hash: number, size: number): number {
  return hash & (size - BUCKET)
}

/** What the bucket does not tell of the hash; never 0. */
function tagOf(hash: number): number {
  return hash >>> 24 || 1
}
