/**
 * PUBACK, PUBREC, PUBREL and PUBCOMP from the client. Without properties they are read by hand, and of those that
 * answer a row of messages all are taken at once: spec/properties/publish-run.spec.ts shows that nobody sees a
 * difference.
 */

import { countAlike } from '../codec/alike-packets.ts'
import { checkPacket } from '../codec/packet-check.ts'
import { decodePacket } from '../codec/packet-decoder.ts'
import { PacketIdentifierRow } from '../protocol/packet-identifier-row.ts'
import type { MqttVersion, PublishResponse } from '../protocol/packets.ts'
import { PacketType } from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { Exchanges } from '../session/exchanges.ts'
import type { Session } from '../session/session.ts'
import type { Connection } from './connection.ts'

/** What an acknowledgement frees may be sent, and others have their turn, only between rows. */
const ROW_PACKETS_MAX = 32

export function handleAcknowledgement(
  connection: Connection,
  type: number,
): Promise<void> | undefined {
  const { bytes, start, bodyStart, end } = connection.decoder
  const flags = type === PacketType.Pubrel ? 2 : 0
  if (end - bodyStart === 2 && (bytes[start]! & 0x0f) === flags) {
    const packetIdentifier = (bytes[bodyStart]! << 8) | bytes[bodyStart + 1]!
    if (packetIdentifier !== 0) {
      if (handleRow(connection, type)) return undefined
      return act(connection, type, packetIdentifier, ReasonCode.Success)
    }
  }
  const version = connection.negotiated?.version as MqttVersion
  checkPacket(bytes, start, bodyStart, end, version)
  const packet = decodePacket(bytes, start, end, version) as PublishResponse
  return act(connection, type, packet.packetIdentifier, packet.reasonCode)
}

function act(
  connection: Connection,
  type: number,
  packetIdentifier: number,
  reasonCode: number,
): Promise<void> | undefined {
  const session = connection.session as Session
  switch (type) {
    case PacketType.Puback:
      if (session.exchanges?.handlePuback(packetIdentifier) === true) session.pump()
      return undefined
    case PacketType.Pubrec:
      handlePubrec(connection, session, packetIdentifier, reasonCode)
      return undefined
    case PacketType.Pubcomp:
      if (session.exchanges?.handlePubcomp(packetIdentifier) === true) session.pump()
      return undefined
    default:
      return handlePubrel(connection, session, packetIdentifier)
  }
}

function handlePubrec(
  connection: Connection,
  session: Session,
  packetIdentifier: number,
  reasonCode: number,
): void {
  if (session.exchanges?.handlePubrec(packetIdentifier, reasonCode) === true) session.pump()
  else if (reasonCode < 0x80) {
    // Nothing of ours: the client is told so, and can forget it.
    connection.outlet.sendPubrel(packetIdentifier, ReasonCode.PacketIdentifierNotFound)
  }
}

function handlePubrel(
  connection: Connection,
  session: Session,
  packetIdentifier: number,
): Promise<void> | undefined {
  const isKnown = session.inbound.delete(packetIdentifier) // [MQTT-4.3.3-12] [MQTT-4.3.3-13]
  const reasonCode = isKnown ? ReasonCode.Success : ReasonCode.PacketIdentifierNotFound
  // What we did not know was never counted against the Receive Maximum.
  if (isKnown) connection.inboundFlow.credit(1)
  if (isKnown && session.durable !== undefined) {
    return connection.context.store
      .forgetInbound(session.durable, packetIdentifier)
      .then(() => sendPubcomp(connection, packetIdentifier, reasonCode))
  }
  sendPubcomp(connection, packetIdentifier, reasonCode)
  return undefined
}

function sendPubcomp(connection: Connection, packetIdentifier: number, reasonCode: number): void {
  connection.outlet.sendAcknowledgement('pubcomp', packetIdentifier, reasonCode) // [MQTT-4.3.3-11]
}

/** Takes the current packet and those behind it that are the same but for what they answer; false: it took none. */
function handleRow(connection: Connection, type: number): boolean {
  const { isMetered, decoder, session } = connection
  // The store is told of each of these.
  const isStored = type === PacketType.Pubrel || type === PacketType.Pubrec
  if (isMetered || (isStored && session?.durable !== undefined)) return false
  const { bytes, start, end } = decoder
  const count = countAlike(bytes, start, 2, end, end, ROW_PACKETS_MAX)
  if (count < 2) return false
  const row = new PacketIdentifierRow(bytes, start + 2, end - start, count)
  const handled = actOnRow(connection, type, row)
  if (handled === 0) return false
  decoder.passOver(handled - 1)
  connection.context.counters.packetsReceived[type]! += handled - 1
  return true
}

/** As `act` for the first packets of a row; returns how many. */
function actOnRow(connection: Connection, type: number, row: PacketIdentifierRow): number {
  const session = connection.session as Session
  if (type === PacketType.Pubrel) return handlePubrels(connection, session, row)
  const { exchanges } = session
  if (exchanges === undefined) return 0
  const count = answerRow(exchanges, type, row)
  if (count > 0) session.pump()
  return count
}

function answerRow(exchanges: Exchanges, type: number, row: PacketIdentifierRow): number {
  switch (type) {
    case PacketType.Puback:
      return exchanges.handlePubacks(row)
    case PacketType.Pubrec:
      return exchanges.handlePubrecs(row)
    default:
      return exchanges.handlePubcomps(row)
  }
}

function handlePubrels(connection: Connection, session: Session, row: PacketIdentifierRow): number {
  let count = 0
  while (count < row.count && session.inbound.delete(row.at(count))) count++ // [MQTT-4.3.3-12]
  if (count === 0) return 0
  connection.inboundFlow.credit(count)
  connection.outlet.sendAcknowledgements('pubcomp', row.upTo(count), ReasonCode.Success) // [MQTT-4.3.3-11]
  return count
}
