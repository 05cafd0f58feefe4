/**
 * Messages that one client sent one behind the other, alike but for their Packet Identifiers and their payloads, which
 * have one size. They go the same way, so that way is looked for once.
 */

import type { Buffer } from 'node:buffer'
import { TWO_BYTE_INTEGER_MAX } from './limits.ts'
import type { Message } from './message.ts'
import { PacketIdentifierRow } from './packet-identifier-row.ts'

export class MessageRun {
  readonly first: Message
  /** The packets stand in `bytes`, from `start` to `end`. */
  readonly bytes: Buffer
  readonly start: number
  readonly count: number
  /** Size of each packet. */
  readonly packetBytes: number
  /** Where in each packet its Packet Identifier stands; 0 at QoS 0. */
  readonly identifierAt: number
  #messages: readonly Message[] | undefined

  /** `first` has not been kept by anybody: it stands where it came in, at `start`. */
  constructor(
    first: Message,
    start: number,
    count: number,
    packetBytes: number,
    identifierAt: number,
  ) {
    this.first = first
    this.bytes = first.bytes
    this.start = start
    this.count = count
    this.packetBytes = packetBytes
    this.identifierAt = identifierAt
    this.#messages = undefined
  }

  /** At QoS 1 and 2. */
  get packetIdentifiers(): PacketIdentifierRow {
    const { bytes, start, identifierAt, packetBytes, count } = this
    return new PacketIdentifierRow(bytes, start + identifierAt, packetBytes, count)
  }

  get end(): number {
    return this.start + this.count * this.packetBytes
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

/** The Packet Identifier that is given out next: 0 is none. */
export function packetIdentifierBehind(packetIdentifier: number): number {
  return (packetIdentifier % TWO_BYTE_INTEGER_MAX) + 1
}
