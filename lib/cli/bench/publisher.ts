/**
 * Publishes as fast as its windows allow, or when it is told to. Its memory is full of its one packet over and
 * over, so that publishing many messages is to write some numbers and to hand all of it to the system at once.
 */

import { Acknowledgements } from './acknowledgements.ts'
import { Client, type ConnectOptions, type Surroundings } from './client.ts'
import type { Ledger } from './ledger.ts'
import {
  PacketType,
  PUBREL_FIRST_BYTE,
  type PublishTemplate,
  publishTemplate,
  topicAliasMaximumOf,
} from './packets.ts'
import { stampNow, writePayload } from './payload.ts'
import { BRANCH_DIGITS, BRANCHES, NUMBER_DIGITS, type Routes } from './routes.ts'
import { type Chunk, chunkOf } from './walk-packets.ts'

/** Bytes that are written at once, at most. */
const BATCH_BYTES_MAX = 65_536

const TOPIC_ALIAS = 1

/** From here on a Reason Code tells of an error. */
const ERROR_CODE_MIN = 0x80

export class Publisher extends Client {
  /** Messages that it may still send on its own. */
  quota = 0
  readonly #index: number
  readonly #routes: Routes
  readonly #ledger: Ledger
  readonly #sequences: Uint32Array
  /** Packet Identifiers that are free, as a stack. */
  readonly #freeIds: Uint16Array
  #freeCount: number
  /** By Packet Identifier: the type of the packet that has to come next; 0: it is free. */
  readonly #awaited: Uint8Array
  readonly #releases = new Acknowledgements()
  #template: PublishTemplate
  #batch: Chunk
  readonly #batchMessages: number
  readonly #burstMessages: number
  #undelivered = 0
  #number = 0

  constructor(around: Surroundings, index: number, routes: Routes, ledger: Ledger) {
    super(around, `publisher ${index}`)
    const { qos, windowMessages, underWayMessages, burstMessages } = around.load
    this.#index = index
    this.#routes = routes
    this.#ledger = ledger
    this.#sequences = new Uint32Array(routes.isByChance ? around.load.subscribers : 1)
    this.#freeIds = Uint16Array.from({ length: windowMessages }, (_, i) => windowMessages - i)
    this.#freeCount = windowMessages
    this.#awaited = new Uint8Array(windowMessages + 1)
    this.#template = this.#makeTemplate(undefined)
    const fitting = Math.floor(BATCH_BYTES_MAX / this.#template.bytes.length)
    const wanted = underWayMessages === 0 ? windowMessages : underWayMessages
    this.#batchMessages = Math.max(1, Math.min(fitting, wanted))
    this.#burstMessages = Math.min(burstMessages, wanted, qos === 0 ? Infinity : windowMessages)
    this.#batch = this.#makeBatch()
    // Everybody begins somewhere else.
    this.#number = Math.imul(index + 1, 0x9e3779b1) >>> 0
  }

  get isAcknowledged(): boolean {
    return this.#freeCount === this.#freeIds.length
  }

  /** QoS 1 and 2: whether a message may be sent without waiting for an acknowledgement. */
  get hasWindow(): boolean {
    return this.around.load.qos === 0 || this.#freeCount > 0
  }

  override async connect(options: ConnectOptions = {}): Promise<Buffer> {
    const connack = await super.connect(options)
    const { hasTopicAliases, protocolVersion } = this.around.load
    const isAllowed = hasTopicAliases && protocolVersion === 5
    if (isAllowed && topicAliasMaximumOf(connack) >= TOPIC_ALIAS) this.#introduceAlias()
    return connack
  }

  /** Sends one message that was due at `stamp`. */
  publish(stamp: number): void {
    this.#compose(0, stamp)
    this.#write(1)
  }

  /** Takes note that `count` deliveries need not be waited for any longer. */
  settle(count: number): void {
    this.#undelivered -= count
    if (this.quota > 0) this.around.turn.want(this)
  }

  override flush(): void {
    if (this.link !== undefined) this.#releases.flush(this.link)
    const bursts = Math.floor(Math.min(this.#room(), this.quota) / this.#burstMessages)
    let room = Math.max(bursts, 0) * this.#burstMessages
    this.quota -= room
    for (; room > 0; room -= this.#batchMessages) {
      const count = Math.min(room, this.#batchMessages)
      const stamp = stampNow()
      for (let i = 0; i < count; i++) this.#compose(i, stamp)
      this.#write(count)
    }
  }

  override takePacket(first: number, chunk: Chunk, start: number, end: number): void {
    const { Puback, Pubrec, Pubcomp } = PacketType
    const type = first & 0xf0
    if (type !== Puback && type !== Pubrec && type !== Pubcomp) {
      super.takePacket(first, chunk, start, end)
      return
    }
    const packetId = chunk.view.getUint16(start)
    if (end - start > 2 && (chunk.bytes[start + 2] as number) >= ERROR_CODE_MIN) {
      this.complain(`refused a message with code ${chunk.bytes[start + 2]}`)
    } else if (this.#awaited[packetId] !== type) {
      const what = `sent packet type ${type >> 4} for Packet Identifier ${packetId}`
      this.complain(`${what}, which does not wait for it`)
    } else if (type === Pubrec) {
      this.#awaited[packetId] = Pubcomp
      this.#releases.add(PUBREL_FIRST_BYTE, packetId)
      this.around.turn.want(this)
    } else {
      this.#awaited[packetId] = 0
      this.#freeIds[this.#freeCount++] = packetId
      this.#ledger.acknowledged++
      if (this.quota > 0) this.around.turn.want(this)
    }
  }

  /** How many messages both windows have room for. */
  #room(): number {
    const { qos, underWayMessages } = this.around.load
    const unacknowledged = qos === 0 ? Infinity : this.#freeCount
    if (underWayMessages === 0) return unacknowledged
    const undelivered = Math.ceil(this.#undelivered / this.#routes.fan)
    return Math.min(unacknowledged, underWayMessages - undelivered)
  }

  /** Makes the packet at place `index` of the batch the next message. */
  #compose(index: number, stamp: number): void {
    const { bytes, view } = this.#batch
    const { packetIdAt, payloadAt, topicAt } = this.#template
    const base = index * this.#template.bytes.length
    const { numberAt, branchAt } = this.#routes
    const number = this.#nextNumber()
    if (numberAt !== -1) writeDigits(bytes, base + topicAt + numberAt, number, NUMBER_DIGITS)
    if (branchAt !== -1)
      writeDigits(bytes, base + topicAt + branchAt, number % BRANCHES, BRANCH_DIGITS)
    const { qos } = this.around.load
    if (qos > 0) {
      const packetId = this.#freeIds[--this.#freeCount] as number
      this.#awaited[packetId] = qos === 1 ? PacketType.Puback : PacketType.Pubrec
      view.setUint16(base + packetIdAt, packetId)
    }
    const receiver = this.#routes.receiverOf(this.#index, number)
    const counter = this.#sequences.length === 1 ? 0 : receiver
    const sequence = this.#sequences[counter] as number
    this.#sequences[counter] = sequence + 1
    writePayload(view, base + payloadAt, stamp, this.#index, receiver, sequence)
  }

  #nextNumber(): number {
    const { topicsEach, isByChance } = this.#routes
    if (topicsEach === 1) return 0
    if (!isByChance) {
      this.#number = (this.#number + 1) % topicsEach
      return this.#number
    }
    this.#number = (Math.imul(this.#number, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((this.#number / 2 ** 32) * topicsEach)
  }

  /** Writes the first `count` packets of the batch, and keeps the books. */
  #write(count: number): void {
    const bytes = this.#batch.bytes.subarray(0, count * this.#template.bytes.length)
    const isFree = this.link?.write(bytes) ?? true
    if (!isFree) this.#batch = this.#makeBatch()
    const deliveries = count * this.#routes.fan
    this.#undelivered += deliveries
    this.#ledger.sent += count
    this.#ledger.expected += deliveries
  }

  /** Sends one message that gives the topic its alias; from then on the topic is not sent. */
  #introduceAlias(): void {
    this.#useTemplate(this.#makeTemplate(TOPIC_ALIAS))
    this.publish(stampNow())
    this.#useTemplate(this.#makeTemplate(TOPIC_ALIAS, ''))
  }

  #useTemplate(template: PublishTemplate): void {
    this.#template = template
    this.#batch = this.#makeBatch()
  }

  #makeTemplate(topicAlias: number | undefined, topic?: string): PublishTemplate {
    const { protocolVersion, qos, payloadBytes, userProperties } = this.around.load
    return publishTemplate({
      protocolVersion,
      topic: topic ?? this.#routes.topicOf(this.#index),
      qos,
      payloadBytes,
      userProperties,
      topicAlias,
      isRetained: false,
    })
  }

  #makeBatch(): Chunk {
    const { bytes } = this.#template
    return chunkOf(Buffer.alloc(bytes.length * this.#batchMessages, bytes))
  }
}

function writeDigits(bytes: Buffer, at: number, value: number, digits: number): void {
  let rest = value
  for (let i = at + digits - 1; i >= at; i--) {
    bytes[i] = 0x30 + (rest % 10)
    rest = Math.floor(rest / 10)
  }
}
