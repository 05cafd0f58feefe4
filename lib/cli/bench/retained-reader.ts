/** Subscribes to everything that is retained, takes it, and subscribes again. */

import { Client, type Surroundings } from './client.ts'
import type { Ledger } from './ledger.ts'
import { PacketType } from './packets.ts'
import { isWhole, sequenceOf } from './payload.ts'
import { TOPIC_ROOT } from './routes.ts'
import { type Chunk, skipProperties } from './walk-packets.ts'

export class RetainedReader extends Client {
  readonly #ledger: Ledger
  readonly #seen: Uint8Array
  #missing = 0
  #isRunning = false

  constructor(around: Surroundings, index: number, ledger: Ledger) {
    super(around, `reader ${index}`)
    this.#ledger = ledger
    this.#seen = new Uint8Array(around.load.messages)
  }

  /** Whether all that was asked for has come. */
  get isBetween(): boolean {
    return this.#missing === 0
  }

  start(): void {
    this.#isRunning = true
    this.#askForAll()
  }

  stop(): void {
    this.#isRunning = false
  }

  override flush(): void {
    if (this.#isRunning) this.#askForAll()
  }

  override takePacket(first: number, chunk: Chunk, start: number, end: number): void {
    if ((first & 0xf0) === PacketType.Publish) this.#takePublish(first, chunk, start, end)
    else super.takePacket(first, chunk, start, end)
  }

  /** A SUBSCRIBE to a filter that is known brings retained messages again (section 3.8.4). */
  #askForAll(): void {
    const { messages } = this.around.load
    this.#seen.fill(0)
    this.#missing = messages
    this.#ledger.sent += messages
    this.#ledger.expected += messages
    this.subscribe([`${TOPIC_ROOT}/#`], 0).catch((failure: unknown) => {
      this.around.fail(failure as Error)
    })
  }

  #takePublish(first: number, { bytes, view }: Chunk, start: number, end: number): void {
    const { protocolVersion, payloadBytes, messages } = this.around.load
    const itsQos = (first >> 1) & 3
    if (itsQos !== 0) {
      this.complain(`sent a message at QoS ${itsQos}, not 0`)
      return
    }
    let at = start + 2 + view.getUint16(start)
    if (protocolVersion === 5) at = skipProperties(bytes, at)
    if (end - at !== payloadBytes || !isWhole(view, at, payloadBytes)) {
      this.#ledger.corrupted++
      return
    }
    const number = sequenceOf(view, at)
    if (number >= messages) this.#ledger.misrouted++
    else if (this.#seen[number] === 1) this.#ledger.duplicated++
    else {
      this.#seen[number] = 1
      this.#ledger.delivered++
      // SUBACK may come after the messages, so the next round begins at the end of this turn.
      if (--this.#missing === 0) this.around.turn.want(this)
    }
  }
}
