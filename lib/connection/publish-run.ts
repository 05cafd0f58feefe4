/**
 * What one client sends in a row on one topic, with payloads of one size, is checked and routed once: the packets
 * behind the first have the same bytes but for Packet Identifier and payload, so all that was found of it holds for
 * them. spec/properties/publish-run.spec.ts shows that receivers see no difference.
 */

import type { Buffer } from 'node:buffer'
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
  const run = findRun(connection, session, message)
  if (run === undefined) return false
  const { context, decoder, inboundFlow } = connection
  const { counters, router } = context
  const { qos, payloadLength } = message
  const { count } = run
  decoder.passOver(count - 1)
  counters.packetsReceived[PacketType.Publish]! += count - 1
  counters.publishBytesReceived += (count - 1) * payloadLength
  if (qos === 2) inboundFlow.debit(count - 1)
  router.routeRun(run, session) // [MQTT-4.5.0-1]
  if (qos > 0) {
    const isHeard = router.lastMatchCount > 0
    const reasonCode = isHeard ? ReasonCode.Success : ReasonCode.NoMatchingSubscribers
    inboundFlow.acknowledgeAll(qos === 2 ? 'pubrec' : 'puback', run.packetIdentifiers, reasonCode) // [MQTT-4.3.2-4] [MQTT-4.3.3-8]
  }
  return true
}

function findRun(
  connection: Connection,
  session: Session,
  message: Message,
): MessageRun | undefined {
  const { decoder, inboundFlow } = connection
  if (message.retain || inboundFlow.header.isPayloadUtf8 || isEachJudged(connection))
    return undefined
  const { bytes, start, bodyStart, end } = decoder
  const { qos, payloadStart } = message
  const identifierAt = qos === 0 ? 0 : bodyStart + 2 + bytes.readUInt16BE(bodyStart) - start
  if (qos > 0) {
    // Whether there are two is seen at once, and only then are the receivers looked for.
    if (countAlike(bytes, start, identifierAt, payloadStart, end, 2) < 2) return undefined
    if (qos === 2 && session.durable !== undefined) return undefined
    const { router } = connection.context
    if (!inboundFlow.acknowledgesAtOnce || !router.takesRuns(message, session)) return undefined
  }
  const packetBytes = end - start
  // A larger piece is written at once, not with what follows in the turn.
  let max = Math.min(RUN_PACKETS_MAX, Math.floor((REFERENCE_MIN_BYTES - 1) / packetBytes))
  if (qos === 2) max = Math.min(max, 1 + inboundFlow.room)
  let count = countAlike(bytes, start, identifierAt, payloadStart, end, max)
  if (qos === 2) count = addNew(session.inbound, bytes, start + identifierAt, packetBytes, count)
  return count < 2 ? undefined : new MessageRun(message, start, count, packetBytes, identifierAt)
}

function isEachJudged(connection: Connection): boolean {
  const { published, delivered } = connection.context.observers
  return (
    connection.isMetered ||
    connection.isPaused ||
    published !== undefined ||
    delivered !== undefined
  )
}

/** Adds the Packet Identifiers of a row, up to the first that is known; returns how many that are [MQTT-4.3.3-10]. */
function addNew(
  inbound: InboundIdentifiers,
  bytes: Buffer,
  start: number,
  packetBytes: number,
  max: number,
): number {
  const row = new PacketIdentifierRow(bytes, start, packetBytes, max)
  let count = 0
  for (; count < max && !inbound.has(row.at(count)); count++) inbound.add(row.at(count))
  return count
}
