/**
 * Topic Aliases of one connection, in each direction; they end with it [MQTT-3.3.2-7].
 */

import { ProtocolError } from '../protocol/errors.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'

/** Aliases that the client sets in its PUBLISH packets. */
export class InboundAliases {
  readonly #maximum: number
  /** At the number of its alias. */
  readonly #topics: string[] = []

  constructor(maximum: number) {
    this.#maximum = maximum
  }

  /** Returns what `alias` stands for, after setting it if the packet carries a Topic Name. */
  resolve(alias: number, topicName: string): string {
    if (alias > this.#maximum) {
      throw new ProtocolError(
        ReasonCode.TopicAliasInvalid,
        `Topic Alias ${alias}, the maximum is ${this.#maximum}`, // [MQTT-3.3.2-9] [MQTT-3.2.2-17]
      )
    }
    if (topicName.length > 0) {
      this.#topics[alias] = topicName // [MQTT-3.3.2-12]
      return topicName
    }
    const known = this.#topics[alias]
    if (known === undefined) {
      throw new ProtocolError(ReasonCode.ProtocolError, `Topic Alias ${alias} was never set`)
    }
    return known
  }
}

/**
 * Aliases that the broker sets. The first topics a client gets are the ones that have an alias: a new
 * topic never takes an alias over, as that costs more bytes than it saves when topics come in turn.
 */
export class OutboundAliases {
  readonly #maximum: number
  readonly #aliases = new Map<string, number>()
  /** What was asked last: most clients get messages of one topic, or of it again. */
  #lastTopic = ''
  #lastAlias = 0

  constructor(maximum: number) {
    this.#maximum = maximum // [MQTT-3.1.2-26] [MQTT-3.1.2-27]
  }

  /** The alias that the client knows for `topicName`; 0: none. */
  get(topicName: string): number {
    if (topicName !== this.#lastTopic) {
      this.#lastTopic = topicName
      this.#lastAlias = this.#aliases.get(topicName) ?? 0
    }
    return this.#lastAlias
  }

  /** The alias that the next PUBLISH may set; 0: none is left. */
  get next(): number {
    return this.#aliases.size < this.#maximum ? this.#aliases.size + 1 : 0
  }

  /** The PUBLISH that sets `next` has left. */
  learn(topicName: string): void {
    this.#lastTopic = topicName
    this.#lastAlias = this.#aliases.size + 1
    this.#aliases.set(topicName, this.#lastAlias)
  }
}
