/**
 * What one client sends in a row on one topic, at QoS 0 and with payloads of one size, is checked and routed once: the
 * packets behind the first have the same bytes up to their payload, so all that was found of it holds for them.
 * spec/properties/publish-run.spec.ts shows that receivers see no difference.
 */

import { countAlike } from '../codec/alike-packets.ts'
import type { Message } from '../protocol/message.ts'
import { MessageRun } from '../protocol/message-run.ts'
import { PacketType } from '../protocol/packets.ts'
import { REFERENCE_MIN_BYTES } from '../transport/outbox.ts'
import type { Connection } from './connection.ts'

/** Receivers may need each by itself, and only between runs others can have their turn. */
const RUN_PACKETS_MAX = 32

/**
 * The run that begins with `message`, the packet that is decoded and has been found to be in order; undefined where
 * there is none, or where something is to be judged of each of its messages.
 */
export function takeRun(connection: Connection, message: Message): MessageRun | undefined {
  if (message.qos > 0 || message.retain) return undefined
  const { context, decoder, inboundFlow } = connection
  const { counters, observers } = context
  if (inboundFlow.header.isPayloadUtf8 || connection.isMetered || connection.isPaused)
    return undefined
  if (observers.published !== undefined || observers.delivered !== undefined) return undefined
  const { bytes, start, end } = decoder
  // A larger piece is written at once, not with what follows in the turn.
  const max = Math.min(RUN_PACKETS_MAX, Math.floor((REFERENCE_MIN_BYTES - 1) / (end - start)))
  const count = countAlike(bytes, start, end - message.payloadLength, end, max)
  if (count < 2) return undefined
  decoder.passOver(count - 1)
  counters.packetsReceived[PacketType.Publish]! += count - 1
  counters.publishBytesReceived += (count - 1) * message.payloadLength
  return new MessageRun(message, count, end - start)
}
