/** Takes messages, checks and books each, and acknowledges them. */

import { Acknowledgements } from './acknowledgements.ts'
import { Client, type Surroundings } from './client.ts'
import type { Ledger } from './ledger.ts'
import { PacketType } from './packets.ts'
import { EVERYBODY, isWhole, publisherOf, receiverOf, sequenceOf, stampOf } from './payload.ts'
import type { Publisher } from './publisher.ts'
import type { Routes } from './routes.ts'
import { type Chunk, skipProperties } from './walk-packets.ts'

/** What a run makes of deliveries. */
export interface Reception {
  readonly routes: Routes
  readonly ledger: Ledger
  readonly publishers: readonly Publisher[]
}

export class Subscriber extends Client {
  readonly #index: number
  readonly #reception: Reception
  readonly #acknowledgements = new Acknowledgements()

  constructor(around: Surroundings, index: number, reception: Reception) {
    super(around, `subscriber ${index}`)
    this.#index = index
    this.#reception = reception
  }

  override flush(): void {
    if (this.link !== undefined) this.#acknowledgements.flush(this.link)
  }

  override takePacket(first: number, chunk: Chunk, start: number, end: number): void {
    const type = first & 0xf0
    if (type === PacketType.Publish) this.#takePublish(first, chunk, start, end)
    else if (type === PacketType.Pubrel) {
      this.#acknowledge(PacketType.Pubcomp, chunk.view.getUint16(start))
    } else super.takePacket(first, chunk, start, end)
  }

  #takePublish(first: number, chunk: Chunk, start: number, end: number): void {
    const { qos, protocolVersion, payloadBytes } = this.around.load
    const { view } = chunk
    const itsQos = (first >> 1) & 3
    if (itsQos !== qos) {
      this.complain(`sent a message at QoS ${itsQos}, not ${qos}`)
      return
    }
    let at = start + 2 + view.getUint16(start)
    if (itsQos > 0) {
      const type = itsQos === 1 ? PacketType.Puback : PacketType.Pubrec
      this.#acknowledge(type, view.getUint16(at))
      at += 2
    }
    if (protocolVersion === 5) at = skipProperties(chunk.bytes, at)
    if (end - at === payloadBytes && isWhole(view, at, payloadBytes)) this.#book(view, at)
    else this.#reception.ledger.corrupted++
  }

  #book(view: DataView, at: number): void {
    const { routes, ledger, publishers } = this.#reception
    const publisher = publisherOf(view, at)
    const receiver = receiverOf(view, at)
    if (publisher >= publishers.length || (receiver !== this.#index && receiver !== EVERYBODY)) {
      ledger.misrouted++
      return
    }
    const tookUs = (this.around.arrivedAt - stampOf(view, at)) >>> 0
    const stream = routes.streamOf(publisher, this.#index)
    const member = publisher * this.around.load.subscribers + this.#index
    const settled = ledger.take(stream, sequenceOf(view, at), member, tookUs)
    if (settled > 0) (publishers[publisher] as Publisher).settle(settled)
  }

  #acknowledge(type: number, packetId: number): void {
    this.#acknowledgements.add(type, packetId)
    this.around.turn.want(this)
  }
}
