/**
 * What one client sends in a row on one topic, with payloads of one size, is checked and routed once: the packets
 * behind the first have the same bytes but for Packet Identifier and payload, so all that was found of it holds for
 * them. spec/properties/publish-run.spec.ts shows that receivers see no difference.
 */

import { countAlike } from '../codec/alike-packets.ts'
import type { Message } from '../protocol/message.ts'
import { MessageRun } from '../protocol/message-run.ts'
import { PacketIdentifierRow } from '../protocol/packet-identifier-row.ts'
import { PacketType } from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { InboundIdentifiers } from '../session/inbound-identifiers.ts'
import type { Session } from '../session/session.ts'
import { REFERENCE_MIN_BYTES } from '../transport/outbox.ts'
import type { Connection } from './connection.ts'

/** Receivers may need each by itself, and only between runs others can have their turn. */
const RUN_PACKETS_MAX = 32

/**
 * Routes and acknowledges `message`, whose packet is decoded and has been found to be in order, with those that follow
 * in a row. False: it did nothing, as there is no row, or something is to be judged of each message.
 */
export function handleRun(connection: Connection, session: Session, message: Message): boolean {
  const { context, decoder, inboundFlow } = connection
  const { bytes, start, bodyStart, end } = decoder
  const { qos, payloadStart } = message
  const packetBytes = end - start
  const identifierAt = qos === 0 ? 0 : bodyStart + 2 + bytes.readUInt16BE(bodyStart) - start
  // Whether there are two is seen at once, and only then is all else looked at.
  if (countAlike(bytes, start, identifierAt, payloadStart, end, 2) < 2) return false
  if (isEachJudged(connection, session, message)) return false
  // A larger piece is written at once, not with what follows in the turn.
  let max = Math.min(RUN_PACKETS_MAX, Math.floor((REFERENCE_MIN_BYTES - 1) / packetBytes))
  if (qos === 2) max = Math.min(max, 1 + inboundFlow.room)
  const receivers = max < 2 ? undefined : context.router.runReceiversOf(message, session)
  if (receivers === undefined) return false
  let count = countAlike(bytes, start, identifierAt, payloadStart, end, max, 2)
  if (qos === 2) {
    const row = new PacketIdentifierRow(bytes, start + identifierAt, packetBytes, count)
    count = addNew(session.inbound, row)
  }
  if (count < 2) return false
  const run = new MessageRun(message, start, count, packetBytes, identifierAt)
  take(connection, run)
  const heard = context.router.routeRun(run, receivers, session) // [MQTT-4.5.0-1]
  if (qos > 0) acknowledge(connection, run, heard > 0)
  return true
}

/** Whether something is to be decided, counted, told or waited for with each message. */
function isEachJudged(
  { context, inboundFlow, isMetered, isPaused }: Connection,
  session: Session,
  { qos, retain }: Message,
): boolean {
  const { published, delivered } = context.observers
  return (
    retain ||
    isMetered ||
    isPaused ||
    inboundFlow.header.isPayloadUtf8 ||
    published !== undefined ||
    delivered !== undefined ||
    (qos > 0 && !inboundFlow.acknowledgesAtOnce) ||
    (qos === 2 && session.durable !== undefined)
  )
}

/** Counts the packets behind the first, which was. */
function take({ context, decoder, inboundFlow }: Connection, { first, count }: MessageRun): void {
  const { counters } = context
  decoder.passOver(count - 1)
  counters.packetsReceived[PacketType.Publish]! += count - 1
  counters.publishBytesReceived += (count - 1) * first.payloadLength
  // At QoS 1 they count no longer than it takes to acknowledge them.
  if (first.qos === 2) inboundFlow.debit(count - 1)
}

function acknowledge({ inboundFlow, outlet }: Connection, run: MessageRun, isHeard: boolean): void {
  const type = run.first.qos === 2 ? 'pubrec' : 'puback'
  const reasonCode = isHeard ? ReasonCode.Success : ReasonCode.NoMatchingSubscribers
  if (type === 'puback') inboundFlow.credit(1)
  outlet.sendAcknowledgements(type, run.packetIdentifiers, reasonCode) // [MQTT-4.3.2-4] [MQTT-4.3.3-8]
}

/** Adds the Packet Identifiers of a row, up to the first that is known; returns how many that are [MQTT-4.3.3-10]. */
function addNew(inbound: InboundIdentifiers, row: PacketIdentifierRow): number {
  let count = 0
  for (; count < row.count && !inbound.has(row.at(count)); count++) inbound.add(row.at(count))
  return count
}
