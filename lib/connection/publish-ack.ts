/** PUBACK, PUBREC, PUBREL and PUBCOMP from the client. Without properties they are read by hand. */

import { checkPacket } from '../codec/packet-check.ts'
import { decodePacket } from '../codec/packet-decoder.ts'
import type { MqttVersion, PublishResponse } from '../protocol/packets.ts'
import { PacketType } from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { Session } from '../session/session.ts'
import type { Connection } from './connection.ts'

export function handleAcknowledgement(
  connection: Connection,
  type: number,
): Promise<void> | undefined {
  const { bytes, start, bodyStart, end } = connection.decoder
  const first = bytes[start] as number
  const flags = type === PacketType.Pubrel ? 2 : 0
  let packetIdentifier = 0
  let reasonCode: number = ReasonCode.Success
  if (end - bodyStart === 2 && (first & 0x0f) === flags) {
    packetIdentifier = ((bytes[bodyStart] as number) << 8) | (bytes[bodyStart + 1] as number)
  }
  if (packetIdentifier === 0) {
    const version = connection.negotiated?.version as MqttVersion
    checkPacket(bytes, start, bodyStart, end, version)
    const packet = decodePacket(bytes, start, end, version) as PublishResponse
    packetIdentifier = packet.packetIdentifier
    reasonCode = packet.reasonCode
  }
  return act(connection, type, packetIdentifier, reasonCode)
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
      session.handlePuback(packetIdentifier)
      return undefined
    case PacketType.Pubrec:
      handlePubrec(connection, session, packetIdentifier, reasonCode)
      return undefined
    case PacketType.Pubcomp:
      session.handlePubcomp(packetIdentifier)
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
  if (session.handlePubrec(packetIdentifier, reasonCode) || reasonCode >= 0x80) return
  // Nothing of ours: the client is told so, and can forget it.
  connection.outlet.sendPubrel(packetIdentifier, ReasonCode.PacketIdentifierNotFound)
}

function handlePubrel(
  connection: Connection,
  session: Session,
  packetIdentifier: number,
): Promise<void> | undefined {
  const isKnown = session.inbound.delete(packetIdentifier) // [MQTT-4.3.3-12] [MQTT-4.3.3-13]
  const reasonCode = isKnown ? ReasonCode.Success : ReasonCode.PacketIdentifierNotFound
  // What we did not know was never counted against the Receive Maximum.
  if (isKnown) connection.inboundFlow.credit()
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
