/**
 * A publisher of many topics: what is remembered of each stands somewhere else in memory, and to fetch it takes longer
 * than all else that is done for a message. So it is fetched for the next packets of a chunk together.
 */

import type { Buffer } from 'node:buffer'
import type { TopicNames } from '../codec/publish-decoder.ts'
import type { RememberedNames } from '../router/match-cache.ts'

export class NamesAhead implements TopicNames {
  readonly #names: RememberedNames
  /** Topics that never come again are not worth a look ahead. */
  #wasKnown = true

  constructor(names: RememberedNames) {
    this.#names = names
  }

  isExpected(bytes: Buffer, at: number): boolean {
    return this.#names.isExpected(bytes, at)
  }

  /** Asked where a packet has not the topic of the one before: neither will have the next. */
  nameOf(bytes: Buffer, start: number, end: number, packetStart: number): string | undefined {
    if (this.#wasKnown && !this.isExpected(bytes, start)) this.#names.expect(bytes, packetStart)
    const name = this.#names.nameOf(bytes, start, end)
    this.#wasKnown = name !== undefined
    return name
  }
}
