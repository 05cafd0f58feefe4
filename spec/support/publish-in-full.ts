/** A PUBLISH with every field spelled out, decoded by mqtt-packet: the slow twin of `decodePublish`. */

import assert from 'node:assert'
import { Buffer } from 'node:buffer'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { readTwoByteInteger } from '../../lib/codec/fields.ts'
import { readProperties } from '../../lib/codec/property-cursor.ts'
import { bodyStartOf } from '../../lib/codec/variable-byte-integer.ts'
import type { MqttVersion, Properties, Qos } from '../../lib/protocol/packets.ts'

export interface PublishInFull {
  topic: string
  payload: Buffer
  qos: Qos
  retain: boolean
  dup: boolean
  /** Undefined at QoS 0. */
  packetIdentifier: number | undefined
  properties: Properties
}

/** Decodes the whole, checked PUBLISH from `start` to `end`. */
export function decodePublishInFull(
  bytes: Buffer,
  start: number,
  end: number,
  version: MqttVersion,
): PublishInFull {
  const packet = parse(bytes.subarray(start, end), version)
  assert(packet.cmd === 'publish', 'the frame is a PUBLISH')
  const { topic, payload, qos, retain, dup } = packet
  const topicAt = bodyStartOf(bytes, start, end)
  const topicEnd = topicAt + 2 + readTwoByteInteger(bytes, topicAt)
  const propertiesAt = topicEnd + (qos === 0 ? 0 : 2)
  return {
    topic,
    payload: Buffer.from(payload),
    qos,
    retain,
    dup,
    packetIdentifier: packet.messageId,
    // mqtt-packet loses the order of User Properties.
    properties: version === 5 ? readProperties(bytes, propertiesAt, end, 'publish') : {},
  }
}

function parse(frame: Buffer, version: MqttVersion): Packet {
  const parser = mqttPacket.parser({ protocolVersion: version })
  let packet: Packet | undefined
  parser.on('packet', (parsed) => {
    packet = parsed
  })
  parser.on('error', (error) => {
    throw error
  })
  parser.parse(frame)
  assert(packet !== undefined, 'mqtt-packet takes the frame for a whole packet')
  return packet
}
