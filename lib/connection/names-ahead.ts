/**
 * A publisher of many topics: what is remembered of each stands somewhere else in memory, and to fetch it takes longer
 * than all else that is done for a message. So it is fetched for the next packets of a chunk together.
 */

import type { Buffer } from 'node:buffer'
import type { Decoder } from '../codec/decoder.ts'
import type { TopicNames } from '../codec/publish-decoder.ts'
import type { RememberedNames } from '../router/match-cache.ts'

export class NamesAhead implements TopicNames {
  readonly #decoder: Decoder
  readonly #names: RememberedNames
  /** Topics that never come again are not worth a look ahead. */
  #wasKnown = true

  constructor(decoder: Decoder, names: RememberedNames) {
    this.#decoder = decoder
    this.#names = names
  }

  isExpected(at: number): boolean {
    return at < this.#decoder.aheadEnd
  }

  /** Asked where a packet has not the topic of the one before: neither will have the next. */
  nameOf(bytes: Buffer, start: number, end: number): string | undefined {
    const decoder = this.#decoder
    if (this.#wasKnown && !this.isExpected(start)) {
      decoder.aheadEnd = this.#names.expect(bytes, decoder.start)
    }
    const name = this.#names.nameOf(bytes, start, end)
    this.#wasKnown = name !== undefined
    return name
  }
}
