/**
 * Everything that leaves on one connection. PUBLISH and acknowledgements are written straight into the
 * outbox; all other packets are rare and encoded one by one.
 *
 * Whether a client keeps up is judged by what its socket has not taken, never by what was not offered yet.
 */

import type { Buffer } from 'node:buffer'
import { encodePacket, firstBytes } from '../codec/packet-encoder.ts'
import {
  firstByteOf,
  leavesAsItCame,
  type PublishFrame,
  type PublishShape,
} from '../codec/publish-encoder.ts'
import type { Message } from '../protocol/message.ts'
import { type MessageRun, packetIdentifierBehind } from '../protocol/message-run.ts'
import type { PacketIdentifierRow } from '../protocol/packet-identifier-row.ts'
import type { MqttVersion, OutboundPacket, Properties, Qos } from '../protocol/packets.ts'
import { PacketType } from '../protocol/packets.ts'
import { isRedirect, ReasonCode, refusalFor } from '../protocol/reason-codes.ts'
import type { Outlet } from '../session/outlet.ts'
import { FLUSH_BYTES } from '../transport/flusher.ts'
import { Outbox } from '../transport/outbox.ts'
import { MemoryLevel } from '../util/memory-budget.ts'
import type { Connection } from './connection.ts'
import type { Meter } from './meter.ts'
import type { Negotiated } from './negotiated.ts'
import { Pause } from './pause.ts'
import { outboundMeter } from './rates.ts'
import { toReasonString } from './reason-string.ts'
import { OutboundAliases } from './topic-aliases.ts'

/** The shape of the PUBLISH being sent; one object serves all, as encoding is synchronous. */
const shape: { -readonly [Key in keyof PublishShape]: PublishShape[Key] } = {
  version: 4,
  qos: 0,
  retain: false,
  subscriptionIdentifiers: undefined,
  topicAlias: 0,
  isTopicSent: true,
}

export class ConnectionOutlet implements Outlet {
  readonly #connection: Connection
  readonly #outbox: Outbox
  #version: MqttVersion = 4
  #maximumPacketSize = Number.POSITIVE_INFINITY
  #aliases: OutboundAliases | undefined
  #isClosed = false
  /** From `open` until `close`: the session may send. */
  #isServing = false
  /** Undefined while nothing limits how much it may be sent. */
  #meter: Meter | undefined

  constructor(connection: Connection) {
    this.#connection = connection
    this.#outbox = new Outbox(
      connection.transport,
      connection.context.flusher,
      connection.context.budget,
    )
  }

  /** CONNECT told what the client speaks and takes. */
  configure(version: MqttVersion, maximumPacketSize: number, topicAliasMaximum: number): void {
    this.#version = version
    this.#maximumPacketSize = maximumPacketSize
    if (topicAliasMaximum > 0) this.#aliases = new OutboundAliases(topicAliasMaximum)
  }

  get receiveMaximum(): number {
    return (this.#connection.negotiated as Negotiated).clientReceiveMaximum
  }

  /** CONNACK is sent, and subscriptions are judged: what the session has may follow [MQTT-3.2.0-1]. */
  open(): void {
    this.#isServing = true
    this.#meter = outboundMeter(this.#connection)
  }

  get isSlowed(): boolean {
    return this.#meter !== undefined && !this.#meter.isOpen
  }

  get isWritable(): boolean {
    return (
      this.#isServing &&
      !this.isSlowed &&
      this.#outbox.blockedBytes <= this.#connection.context.limits.outBufferBytesMax
    )
  }

  sendPublish(
    message: Message,
    qos: Qos,
    retain: boolean,
    isDuplicate: boolean,
    packetIdentifier: number,
    identifiers: readonly number[] | undefined,
  ): boolean {
    if (!this.#isServing || (qos === 0 && this.#mustShed())) return false
    const { context, receivedAt } = this.#connection
    const now = message.expiresAt === Number.POSITIVE_INFINITY ? receivedAt : context.clock.now()
    if (qos === 0 && message.isExpired(now)) return false
    let newAlias = this.#shape(message, qos, retain, identifiers)
    let frame = context.encoder.encode(message, shape, now)
    if (frame.size > this.#maximumPacketSize && shape.topicAlias !== 0) {
      // A message must not be lost to the three bytes of an alias, which may be more than its topic has.
      newAlias = 0
      shape.topicAlias = 0
      shape.isTopicSent = true
      frame = context.encoder.encode(message, shape, now)
    }
    if (frame.size > this.#maximumPacketSize) return false // [MQTT-3.1.2-24]

    this.#writeFrame(frame, message, isDuplicate, packetIdentifier)
    if (newAlias !== 0) this.#aliases?.learn(message.topic)
    this.#countPublish(1, frame.size, message.payloadLength)
    if (this.#meter !== undefined) this.#meter.take(1, frame.size)
    if (context.observers.delivered !== undefined && this.#connection.client !== undefined) {
      context.observers.delivered(message, qos, this.#connection.client)
    }
    return true
  }

  sendRun(run: MessageRun, qos: Qos, packetIdentifier: number): boolean {
    if (!this.#isServing || this.#meter !== undefined || this.#outbox.blockedBytes > 0) return false
    const { first, count, packetBytes } = run
    const newAlias = this.#shape(first, qos, false, undefined)
    if (newAlias !== 0 || packetBytes > this.#maximumPacketSize) return false
    if (!leavesAsItCame(first, shape)) return false
    if (qos === 0) this.#outbox.append(run.bytes, run.start, run.end)
    else this.#writeNumbered(run, packetIdentifier)
    this.#countPublish(count, packetBytes, first.payloadLength)
    return true
  }

  /** Writes a run with Packet Identifiers of this client's, `packetIdentifier` and those behind it. */
  #writeNumbered(run: MessageRun, packetIdentifier: number): void {
    const { bytes, start, end, count, packetBytes, identifierAt } = run
    const outbox = this.#outbox
    let at = outbox.take(bytes, start, end)
    const { block } = outbox
    const firstByte = firstByteOf(run.first)
    let identifier = packetIdentifier
    for (let i = 0; i < count; i++, at += packetBytes) {
      block[at] = firstByte // [MQTT-3.3.1-1] [MQTT-4.3.2-2] [MQTT-4.3.3-2]
      block[at + identifierAt] = identifier >> 8
      block[at + identifierAt + 1] = identifier & 0xff
      identifier = packetIdentifierBehind(identifier)
    }
  }

  /** Makes `shape` what this client gets of a message; returns the alias that it learns thereby, 0 if none. */
  #shape(
    message: Message,
    qos: Qos,
    retain: boolean,
    identifiers: readonly number[] | undefined,
  ): number {
    const alias = this.#aliases === undefined ? 0 : this.#aliases.get(message.topic)
    const newAlias = this.#aliases === undefined || alias !== 0 ? 0 : this.#aliases.next
    shape.version = this.#version
    shape.qos = qos
    shape.retain = retain
    shape.subscriptionIdentifiers = this.#version === 5 ? identifiers : undefined
    shape.topicAlias = alias === 0 ? newAlias : alias
    shape.isTopicSent = alias === 0
    return newAlias
  }

  #countPublish(count: number, packetBytes: number, payloadLength: number): void {
    const { counters } = this.#connection.context
    counters.packetsSent[PacketType.Publish]! += count
    counters.publishBytesSent += count * payloadLength
    counters.bytesSent += count * packetBytes
  }

  #writeFrame(
    frame: PublishFrame,
    message: Message,
    isDuplicate: boolean,
    packetIdentifier: number,
  ): void {
    const outbox = this.#outbox
    if (frame.isVerbatim) {
      outbox.append(frame.bytes, frame.start, frame.end)
      return
    }
    const at = frame.isPassedOn
      ? outbox.take(frame.bytes, frame.start, frame.end)
      : outbox.copy(frame.bytes, frame.start, frame.end)
    const { block } = outbox
    block[at] = isDuplicate ? frame.firstByte | 0x08 : frame.firstByte // [MQTT-3.3.1-1] [MQTT-4.3.2-2] [MQTT-4.3.3-2]
    if (packetIdentifier !== 0) {
      block[at + frame.packetIdentifierAt] = packetIdentifier >> 8
      block[at + frame.packetIdentifierAt + 1] = packetIdentifier & 0xff
    }
    if (frame.topicAliasAt !== 0) {
      block[at + frame.topicAliasAt] = shape.topicAlias >> 8
      block[at + frame.topicAliasAt + 1] = shape.topicAlias & 0xff
    }
    if (frame.hasSharedPayload) {
      outbox.append(message.bytes, message.payloadStart, message.payloadEnd)
    }
  }

  /** QoS 0 is shed first: towards a blocked socket beyond its bound, and sooner when memory is short. */
  #mustShed(): boolean {
    if (this.isSlowed) return true
    const blocked = this.#outbox.blockedBytes
    if (blocked === 0) return false
    const { limits, budget } = this.#connection.context
    if (blocked > limits.outBufferBytesMax) return true
    // TLS holds up to this much until the turn ends, which says nothing about the client.
    return budget.level >= MemoryLevel.ShedQos0 && blocked > FLUSH_BYTES
  }

  sendPubrel(packetIdentifier: number, reasonCode: number): void {
    this.sendAcknowledgement('pubrel', packetIdentifier, reasonCode)
  }

  sendPubrels(packetIdentifiers: PacketIdentifierRow): void {
    this.sendAcknowledgements('pubrel', packetIdentifiers, ReasonCode.Success)
  }

  /**
   * Sends one of the four acknowledgements, whatever the send quota [MQTT-3.3.4-10] [MQTT-4.9.0-3]; as
   * short as the version allows, never with a property that could make it too large [MQTT-3.4.2-2, -3]
   * [MQTT-3.5.2-2, -3] [MQTT-3.6.2-2, -3] [MQTT-3.7.2-2, -3].
   */
  sendAcknowledgement(
    type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp',
    packetIdentifier: number,
    reasonCode: number,
  ): void {
    if (this.#isClosed) return
    const size = this.#acknowledgementBytes(reasonCode)
    const at = this.#outbox.reserve(size)
    const firstByte = acknowledgementByteOf(type)
    writeAcknowledgement(this.#outbox.block, at, firstByte, size, packetIdentifier, reasonCode)
    this.#count(firstByte >> 4, 1, size)
  }

  /** As `sendAcknowledgement` for each of a row. */
  sendAcknowledgements(
    type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp',
    packetIdentifiers: PacketIdentifierRow,
    reasonCode: number,
  ): void {
    if (this.#isClosed) return
    const { count } = packetIdentifiers
    const size = this.#acknowledgementBytes(reasonCode)
    let at = this.#outbox.reserve(count * size)
    const { block } = this.#outbox
    const firstByte = acknowledgementByteOf(type)
    for (let i = 0; i < count; i++, at += size) {
      writeAcknowledgement(block, at, firstByte, size, packetIdentifiers.at(i), reasonCode)
    }
    this.#count(firstByte >> 4, count, count * size)
  }

  #acknowledgementBytes(reasonCode: number): 4 | 5 {
    return this.#version === 5 && reasonCode !== ReasonCode.Success ? 5 : 4
  }

  sendPingresp(): void {
    if (this.#isClosed) return
    const at = this.#outbox.reserve(2)
    this.#outbox.block[at] = firstBytes.pingresp
    this.#outbox.block[at + 1] = 0
    this.#count(PacketType.Pingresp, 1, 2)
  }

  sendDisconnect(reasonCode: number, reason: string): void {
    if (this.#version !== 5) return
    const { serverReference } = this.#connection.context.limits
    const properties: Properties = { reasonString: toReasonString(reason) } // [MQTT-3.14.2-2]
    if (isRedirect(reasonCode) && serverReference !== undefined) {
      properties.serverReference = serverReference
    }
    this.send({ type: 'disconnect', reasonCode: refusalFor('disconnect', reasonCode), properties }) // [MQTT-3.14.2-1]
  }

  /**
   * Sends any other packet. What makes it larger than the client takes is left out: first the Reason
   * String, then the User Properties [MQTT-3.2.2-19] [MQTT-3.2.2-20] [MQTT-3.9.2-1] [MQTT-3.9.2-2]
   * [MQTT-3.11.2-1] [MQTT-3.11.2-2] [MQTT-3.14.2-3] [MQTT-3.14.2-4] [MQTT-3.15.2-2] [MQTT-3.15.2-3]; a
   * packet that is still too large is not sent [MQTT-3.1.2-24]. Says whether it was sent.
   *
   * Only CONNACK and DISCONNECT are ever given either property, so that Request Problem Information
   * changes nothing [MQTT-3.1.2-29].
   */
  send(packet: OutboundPacket): boolean {
    if (this.#isClosed) return false
    const bytes = this.#encodeToFit(packet)
    if (bytes === undefined) {
      this.#giveUp(packet.type)
      return false
    }
    this.#outbox.append(bytes, 0, bytes.length)
    this.#count(firstBytes[packet.type] >> 4, 1, bytes.length)
    return true
  }

  /** A client that cannot be given the answer it waits for would wait for ever. */
  #giveUp(type: OutboundPacket['type']): void {
    if (type === 'connack' || type === 'disconnect') return
    const rule = `${type.toUpperCase()} is beyond its Maximum Packet Size`
    this.#connection.end(ReasonCode.PacketTooLarge, rule)
  }

  #encodeToFit(packet: OutboundPacket): Buffer | undefined {
    const bytes = encodePacket(packet, this.#version)
    if (bytes.length <= this.#maximumPacketSize || packet.type === 'pingresp') return bytes
    const { reasonString, userProperties, ...needed } = packet.properties
    if (reasonString === undefined && userProperties === undefined) return undefined
    const without =
      reasonString === undefined ? needed : { ...needed, ...(userProperties && { userProperties }) }
    return this.#encodeToFit({ ...packet, properties: without })
  }

  #count(type: number, packets: number, bytes: number): void {
    const { counters, limits } = this.#connection.context
    counters.packetsSent[type]! += packets
    counters.bytesSent += bytes
    // A client that sends and never reads must not make us keep its acknowledgements without end.
    if (this.#outbox.blockedBytes > limits.outBufferBytesMax) this.#connection.pause(Pause.Output)
  }

  /** The socket has taken everything. */
  noteDrained(): void {
    this.#outbox.noteBlocked()
  }

  endFor(reasonCode: number, rule: string): void {
    this.#connection.end(reasonCode, rule)
  }

  /** Nothing is sent any more [MQTT-3.14.4-1]. */
  close(): void {
    this.#isClosed = true
    this.#isServing = false
    this.#meter?.stop()
    this.#outbox.close()
  }
}

function writeAcknowledgement(
  block: Buffer,
  at: number,
  firstByte: number,
  size: 4 | 5,
  packetIdentifier: number,
  reasonCode: number,
): void {
  block[at] = firstByte
  block[at + 1] = size - 2
  block[at + 2] = packetIdentifier >> 8 // [MQTT-2.2.1-5]
  block[at + 3] = packetIdentifier & 0xff
  if (size > 4) block[at + 4] = reasonCode
}

/** From `firstBytes`, by a name in each place: a key that is another with each call is looked up anew each time. */
function acknowledgementByteOf(type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp'): number {
  switch (type) {
    case 'puback':
      return firstBytes.puback
    case 'pubrec':
      return firstBytes.pubrec
    case 'pubrel':
      return firstBytes.pubrel
    case 'pubcomp':
      return firstBytes.pubcomp
  }
}
