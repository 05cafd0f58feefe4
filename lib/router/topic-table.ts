/**
 * Finds what is known of a topic, where there may be many. Then what takes the time is memory that is in no cache:
 * a `Map` looks at six places for one topic of 100,000, this at three. Eight bits of each hash stand side by side,
 * so few as to be in a cache, and a topic is looked at only where they fit. Whether it is the one that some bytes
 * spell is told by its *head*, words of four bytes that are compared with words.
 *
 * A topic has its place in a bucket of eight. The table doubles when it is half full, or a bucket is full, up to a
 * size at which a full bucket is one by chance or by malice: then the newcomer takes another's place.
 */

import { TOPICS_AHEAD_MAX, type TopicsAhead } from '../codec/topics-ahead.ts'
import { isAsciiText } from '../util/ascii.ts'
import { chunkWordsOf } from '../util/words.ts'

/** What is kept of a topic. `place` is the table's. */
export interface KnownTopic {
  readonly topic: string
  /** Its `hashOf`. */
  readonly hash: number
  place: number
}

const BUCKET = 8
const SIZE_MIN = 64

/** A head is the length of the topic and its first 28 bytes. */
const HEAD_WORDS = 8
const HEAD_BYTES = 4 * (HEAD_WORDS - 1)

/** In place of the length where no bytes may fit: nobody is there, or a topic that is not ASCII. */
const FITS_NONE = -1

export class TopicTable<T extends KnownTopic> {
  readonly #sizeMax: number
  #size = SIZE_MIN
  /** 0: nobody has the place. */
  #tags = new Uint8Array(SIZE_MIN)
  #heads = emptyHeads(SIZE_MIN)
  #topics: (T | undefined)[] = Array.from({ length: SIZE_MIN })
  #count = 0
  #hand = 0
  /** Of those that are looked for, each in its row: hash, head, and the place that it probably has. */
  readonly #hashes = new Int32Array(TOPICS_AHEAD_MAX)
  readonly #wanted = new Int32Array(HEAD_WORDS * TOPICS_AHEAD_MAX)
  readonly #places = new Int32Array(TOPICS_AHEAD_MAX)
  /** What `findAll` looked at comes to something, else the compiler would leave the looking out. */
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
    for (let i = 0; i < BUCKET; i++) {
      const place = this.#placeFrom(hash, i)
      if (this.#tags[place] !== tagOf(hash)) continue
      const known = this.#topics[place]!
      if (known.topic === topic) return known
    }
    return undefined
  }

  /** As `find` with the text of `bytes` from `start` to `end`, of which none is found but ASCII. */
  findBytes(bytes: Uint8Array, start: number, end: number): T | undefined {
    this.#hashes[0] = readHead(bytes, start, end, this.#wanted, 0)
    return this.#findRow(0, bytes, start, end)
  }

  /**
   * As `findBytes` with each of `topics`; what it finds stands in `found`. What one of them needs from memory does not
   * depend on the others, so that the processor has it all brought at the same time, where else each would wait for its
   * own: the less there is to do between two looks, the more of them are under way.
   */
  findAll(bytes: Uint8Array, topics: TopicsAhead, found: (T | undefined)[]): void {
    const { starts, ends, count } = topics
    const hashes = this.#hashes
    const places = this.#places
    for (let row = 0; row < count; row++) {
      hashes[row] = readHead(bytes, starts[row]!, ends[row]!, this.#wanted, row)
    }
    const heads = this.#heads
    const known = this.#topics
    for (let row = 0; row < count; row++) places[row] = this.#firstWithTag(hashes[row]!)
    let seen = 0
    for (let row = 0; row < count; row++) seen += heads[HEAD_WORDS * places[row]!]!
    for (let row = 0; row < count; row++) found[row] = known[places[row]!]
    for (let row = 0; row < count; row++) seen += found[row]?.topic.length ?? 0
    this.seen = seen
    for (let row = 0; row < count; row++) {
      const start = starts[row]!
      const end = ends[row]!
      if (this.#isAt(places[row]!, row, bytes, start, end)) continue
      found[row] = this.#findRow(row, bytes, start, end)
    }
  }

  #findRow(row: number, bytes: Uint8Array, start: number, end: number): T | undefined {
    const hash = this.#hashes[row]!
    for (let i = 0; i < BUCKET; i++) {
      const place = this.#placeFrom(hash, i)
      if (this.#tags[place] === tagOf(hash) && this.#isAt(place, row, bytes, start, end)) {
        return this.#topics[place]
      }
    }
    return undefined
  }

  /** Where a topic with this hash probably is; any place if it is nowhere. */
  #firstWithTag(hash: number): number {
    for (let i = 0; i < BUCKET; i++) {
      const place = this.#placeFrom(hash, i)
      if (this.#tags[place] === tagOf(hash)) return place
    }
    return 0
  }

  /** The places of a bucket, from `i` 0 on in the order in which this topic looks at them. */
  #placeFrom(hash: number, i: number): number {
    return (hash & (this.#size - BUCKET)) + ((hash + i) & (BUCKET - 1))
  }

  /** Whether the topic at `place` is the one that `bytes` spell, whose head stands in `row`. */
  #isAt(place: number, row: number, bytes: Uint8Array, start: number, end: number): boolean {
    const heads = this.#heads
    const wanted = this.#wanted
    const words = 1 + ((Math.min(end - start, HEAD_BYTES) + 3) >> 2)
    for (let i = 0; i < words; i++) {
      if (heads[HEAD_WORDS * place + i] !== wanted[HEAD_WORDS * row + i]) return false
    }
    if (end - start <= HEAD_BYTES) return true
    const { topic } = this.#topics[place]!
    // From behind: topics that begin alike mostly differ at their end.
    for (let i = end - start - 1; i >= HEAD_BYTES; i--) {
      if (topic.charCodeAt(i) !== bytes[start + i]) return false
    }
    return true
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
    const other = this.#topics[this.#placeFrom(topic.hash, topic.hash >>> 20)]!
    this.remove(other)
    this.#put(topic, other.place)
    return other
  }

  remove(topic: T): void {
    this.#topics[topic.place] = undefined
    this.#tags[topic.place] = 0
    this.#heads[HEAD_WORDS * topic.place] = FITS_NONE
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
    for (let i = 0; i < BUCKET; i++) {
      const place = this.#placeFrom(hash, i)
      if (this.#tags[place] === 0) return place
    }
    return undefined
  }

  #put(topic: T, place: number): void {
    topic.place = place
    this.#topics[place] = topic
    this.#tags[place] = tagOf(topic.hash)
    writeHead(topic.topic, this.#heads, place)
    this.#count++
  }

  /** Doubles the table; says whether it may. No bucket gets more than it had. */
  #grow(): boolean {
    if (this.#size >= this.#sizeMax) return false
    const topics = this.#topics
    this.#size *= 2
    this.#tags = new Uint8Array(this.#size)
    this.#heads = emptyHeads(this.#size)
    this.#topics = Array.from({ length: this.#size })
    this.#count = 0
    for (const topic of topics) {
      if (topic !== undefined) this.#put(topic, this.#freePlace(topic.hash)!)
    }
    return true
  }
}

/** Over words of four UTF-16 units, of eight bits each if they are ASCII. Any of its bits will do to find a place. */
export function hashOf(text: string): number {
  const { length } = text
  let hash = length
  for (let i = 0; i < length; i += 4) hash = mixed(hash, wordOf(text, i))
  return mixed(hash, 0)
}

/** Returns the `hashOf` of the text that the bytes are, if they are ASCII; notes its head in `row` of `heads`. */
function readHead(
  bytes: Uint8Array,
  start: number,
  end: number,
  heads: Int32Array,
  row: number,
): number {
  const length = end - start
  let hash = length
  let word = HEAD_WORDS * row
  const wordEnd = word + HEAD_WORDS
  heads[word++] = length
  const view = chunkWordsOf(bytes)
  let at = start
  for (; at + 4 <= end; at += 4) {
    const four = view.getInt32(at, true)
    hash = mixed(hash, four)
    if (word < wordEnd) heads[word++] = four
  }
  if (at < end) {
    let last = 0
    for (let i = at; i < end; i++) last |= bytes[i]! << (8 * (i - at))
    hash = mixed(hash, last)
    if (word < wordEnd) heads[word] = last
  }
  return mixed(hash, 0)
}

function emptyHeads(size: number): Int32Array {
  return new Int32Array(HEAD_WORDS * size).fill(FITS_NONE)
}

/** Writes the head of a topic to its `row`. */
function writeHead(text: string, heads: Int32Array, row: number): void {
  const first = HEAD_WORDS * row
  heads[first] = isAsciiText(text) ? text.length : FITS_NONE
  for (let i = 0; i < HEAD_WORDS - 1; i++) heads[first + 1 + i] = wordOf(text, 4 * i)
}

/** Four units from `at` on; nothing behind the end. */
function wordOf(text: string, at: number): number {
  let word = 0
  for (let i = Math.min(at + 4, text.length) - 1; i >= at; i--) {
    word |= text.charCodeAt(i) << (8 * (i - at))
  }
  return word
}

function mixed(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0x9e3779b1)
  return product ^ (product >>> 15)
}

/** What the bucket does not tell of the hash; never 0. */
function tagOf(hash: number): number {
  return hash >>> 24 || 1
}
