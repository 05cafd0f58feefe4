/** Puts retained messages there, and takes them away again. */

import { Client } from './client.ts'
import { PacketType, publishTemplate } from './packets.ts'
import { EVERYBODY, stampNow, writePayload } from './payload.ts'
import { TOPIC_ROOT } from './routes.ts'
import type { Run } from './run.ts'
import { type Chunk, chunkOf } from './walk-packets.ts'

/** Packets that are written at once. */
const BATCH_MESSAGES = 500

export class RetainedWriter extends Client {
  #whenAcknowledged: () => void = () => {}

  constructor(run: Run) {
    super(run, 'writer 0')
  }

  /** Writes `count` messages to as many topics; resolves when the broker has them. */
  write(count: number): Promise<void> {
    return this.#publish(count, this.around.load.payloadBytes)
  }

  /** An empty payload takes away what is kept (section 3.3.1.3). */
  erase(count: number): Promise<void> {
    return this.#publish(count, 0)
  }

  override takePacket(first: number, chunk: Chunk, start: number, end: number): void {
    if ((first & 0xf0) === PacketType.Puback) this.#whenAcknowledged()
    else super.takePacket(first, chunk, start, end)
  }

  async #publish(count: number, payloadBytes: number): Promise<void> {
    for (let from = 0; from < count; from += BATCH_MESSAGES) {
      const batch: Buffer[] = []
      for (let i = from; i < Math.min(count, from + BATCH_MESSAGES); i++) {
        batch.push(this.#packet(i, payloadBytes))
      }
      await new Promise<void>((resolve) => {
        let missing = batch.length
        this.#whenAcknowledged = () => {
          if (--missing === 0) resolve()
        }
        this.send(Buffer.concat(batch))
      })
    }
  }

  #packet(number: number, payloadBytes: number): Buffer {
    const { protocolVersion } = this.around.load
    const { bytes, payloadAt, packetIdAt } = publishTemplate({
      protocolVersion,
      topic: `${TOPIC_ROOT}/${number % 100}/${number}`,
      qos: 1,
      payloadBytes,
      userProperties: 0,
      topicAlias: undefined,
      isRetained: true,
    })
    const { view } = chunkOf(bytes)
    view.setUint16(packetIdAt, (number % BATCH_MESSAGES) + 1)
    if (payloadBytes > 0) writePayload(view, payloadAt, stampNow(), 0, EVERYBODY, number)
    return bytes
  }
}
