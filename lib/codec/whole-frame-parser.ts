/** Feeds whole frames to the parser of mqtt-packet, which is made for streams. */

import type { Buffer } from 'node:buffer'
import mqttPacket, { type Packet, type Parser } from 'mqtt-packet'
import { MalformedPacketError } from '../protocol/errors.ts'
import type { MqttVersion } from '../protocol/packets.ts'

/** The event of a parser comes before its `parse` returns, so one slot holds the answer. */
class WholeFrameParser {
  readonly #parser: Parser
  #packet: Packet | undefined
  #refusal: unknown

  constructor(version: MqttVersion) {
    this.#parser = mqttPacket.parser({ protocolVersion: version })
    this.#parser.on('packet', (packet) => {
      this.#packet = packet
    })
    this.#parser.on('error', (error) => {
      this.#refusal = error
    })
  }

  parse(frame: Buffer): Packet {
    this.#packet = undefined
    this.#parser.parse(frame)
    const packet = this.#take()
    if (packet === undefined) throw this.#refusal
    return packet
  }

  #take(): Packet | undefined {
    const packet = this.#packet
    this.#packet = undefined
    return packet
  }
}

const parsers = new Map<MqttVersion, WholeFrameParser>()

/**
 * Returns the packet in `frame`, whose binary fields are views of it. Throws `MalformedPacketError` with
 * the words of mqtt-packet where it refuses what our own check let through.
 */
export function parseFrame(frame: Buffer, version: MqttVersion): Packet {
  let parser = parsers.get(version)
  if (parser === undefined) {
    parser = new WholeFrameParser(version)
    parsers.set(version, parser)
  }
  try {
    return parser.parse(frame)
  } catch (error) {
    parsers.delete(version) // It may have stopped in the middle of the frame.
    throw refused(error)
  }
}

function refused(error: unknown): MalformedPacketError {
  const reason = error instanceof Error ? error.message : 'no packet in the frame'
  return new MalformedPacketError(`mqtt-packet refuses it: ${reason}`)
}
