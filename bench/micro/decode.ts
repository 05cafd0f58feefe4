/** Bytes to messages: cutting a chunk into packets, and reading each PUBLISH. */

import { publishTemplate } from '../../lib/cli/bench/packets.ts'
import { Decoder } from '../../lib/codec/decoder.ts'
import { decodePublish, PublishHeader } from '../../lib/codec/publish-decoder.ts'
import type { MicroCase } from './harness.ts'

const PACKETS = 500
const PACKET_BYTES_MAX = 1_000_000

export const decodeCases: readonly MicroCase[] = [
  decodeCase('decode 3.1.1, QoS 0, 64 B', { qos: 0, payloadBytes: 64 }),
  decodeCase('decode 3.1.1, QoS 1, 64 B', { qos: 1, payloadBytes: 64 }),
  decodeCase('decode 3.1.1, QoS 0, 1 KiB', { qos: 0, payloadBytes: 1024 }),
  decodeCase('decode 5.0, QoS 0, 64 B', { protocolVersion: 5, payloadBytes: 64 }),
  decodeCase('decode 5.0, QoS 0, 64 B, 2 User Properties', {
    protocolVersion: 5,
    payloadBytes: 64,
    userProperties: 2,
  }),
]

/** A packet as our generator sends it, with what is said of it. */
export function packetWith(changes: Partial<Parameters<typeof publishTemplate>[0]>): Buffer {
  return publishTemplate({
    protocolVersion: 4,
    topic: 'house/cellar/meter/power',
    qos: 0,
    payloadBytes: 64,
    userProperties: 0,
    topicAlias: undefined,
    isRetained: false,
    ...changes,
  }).bytes
}

function decodeCase(name: string, changes: Parameters<typeof packetWith>[0]): MicroCase {
  const packet = packetWith(changes)
  const chunk = Buffer.alloc(packet.length * PACKETS, packet)
  const version = changes.protocolVersion ?? 4
  const decoder = new Decoder(PACKET_BYTES_MAX)
  const header = new PublishHeader()
  const run = () => {
    let payloadBytes = 0
    decoder.push(chunk)
    while (decoder.next() !== 0) {
      const { bytes, start, bodyStart, end } = decoder
      const message = decodePublish(bytes, start, bodyStart, end, version, 0, header)
      payloadBytes += message.payloadLength
    }
    return payloadBytes
  }
  return { name, operations: PACKETS, run }
}
