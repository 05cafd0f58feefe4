/**
 * Messages at QoS 0 that one client sent one behind the other, alike but for their payloads, which have one size. They
 * go the same way, so that way is looked for once.
 */

import type { Message } from './message.ts'

export class MessageRun {
  readonly first: Message
  readonly count: number
  /** Size of each packet. */
  readonly packetBytes: number
  #messages: readonly Message[] | undefined

  /** `first` has not been kept by anybody. */
  constructor(first: Message, count: number, packetBytes: number) {
    this.first = first
    this.count = count
    this.packetBytes = packetBytes
    this.#messages = undefined
  }

  /** Made for whoever asks first, before anybody keeps one of them. */
  get messages(): readonly Message[] {
    const { first, count, packetBytes } = this
    this.#messages ??= Array.from({ length: count }, (_, i) =>
      i === 0 ? first : first.behind(i * packetBytes),
    )
    return this.#messages
  }
}
