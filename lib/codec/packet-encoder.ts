/**
 * Encodes what the broker sends, but PUBLISH and plain acknowledgements. 3.x hears only what it can: no
 * properties, its own return codes.
 */

import assert from 'node:assert'
import { Buffer } from 'node:buffer'
import {
  type MqttVersion,
  type OutboundPacket,
  PacketType,
  type Properties,
} from '../protocol/packets.ts'
import { connectReturnCode, ReasonCode } from '../protocol/reason-codes.ts'
import { encodeProperties } from './property-block.ts'
import { variableByteIntegerSize, writeVariableByteInteger } from './variable-byte-integer.ts'

const SUBACK_FAILURE = 0x80

/** What each packet begins with: its type, and the flags that it always has. */
export const firstBytes: Readonly<Record<OutboundPacket['type'], number>> = {
  connack: PacketType.Connack << 4,
  puback: PacketType.Puback << 4,
  pubrec: PacketType.Pubrec << 4,
  pubrel: (PacketType.Pubrel << 4) | 2,
  pubcomp: PacketType.Pubcomp << 4,
  suback: PacketType.Suback << 4,
  unsuback: PacketType.Unsuback << 4,
  pingresp: PacketType.Pingresp << 4,
  disconnect: PacketType.Disconnect << 4,
  auth: PacketType.Auth << 4,
}

const NOTHING: readonly number[] = []
const NO_PROPERTIES = Buffer.alloc(0)

/** Throws where a packet does not exist in that version or a text is too long. */
export function encodePacket(packet: OutboundPacket, version: MqttVersion): Buffer {
  const first = firstBytes[packet.type]
  switch (packet.type) {
    case 'pingresp':
      return layOut(first, NOTHING, NO_PROPERTIES, NOTHING)
    case 'connack': {
      const { sessionPresent, reasonCode, properties } = packet
      // In MQTT 3.1 the byte of Session Present is reserved.
      const flags = version > 3 && sessionPresent ? 1 : 0 // [MQTT-3.2.2-1]
      const code = version === 5 ? reasonCode : connectReturnCode(reasonCode)
      return layOut(first, [flags, code], blockOf(properties, version), NOTHING)
    }
    case 'suback':
    case 'unsuback': {
      const { type, packetIdentifier, reasonCodes, properties } = packet
      const head = [packetIdentifier >> 8, packetIdentifier & 0xff]
      const codes =
        version === 5 ? reasonCodes : type === 'suback' ? toReturnCodes(reasonCodes) : NOTHING
      return layOut(first, head, blockOf(properties, version), codes)
    }
    case 'disconnect':
    case 'auth':
      assert(version === 5, `a server sends no ${packet.type} to a client of MQTT 3`)
      return encodeEnd(first, NOTHING, packet, version)
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp': {
      const { packetIdentifier } = packet
      return encodeEnd(first, [packetIdentifier >> 8, packetIdentifier & 0xff], packet, version)
    }
  }
}

/** Reason Code and properties: success without any is left out (sections 3.4.2.1, 3.14.2.1, 3.15.2.1). */
function encodeEnd(
  first: number,
  head: readonly number[],
  { reasonCode, properties }: { readonly reasonCode: number; readonly properties: Properties },
  version: MqttVersion,
): Buffer {
  const isShort = version < 5 || (reasonCode === ReasonCode.Success && isEmpty(properties))
  if (isShort) return layOut(first, head, NO_PROPERTIES, NOTHING)
  return layOut(first, [...head, reasonCode], encodeProperties(properties), NOTHING)
}

function blockOf(properties: Properties, version: MqttVersion): Buffer {
  return version === 5 ? encodeProperties(properties) : NO_PROPERTIES
}

/** A SUBACK of MQTT 3.1.1 knows one failure [3.1.1: MQTT-3.9.3-2]. */
function toReturnCodes(reasonCodes: readonly number[]): readonly number[] {
  return reasonCodes.map((code) => (code < SUBACK_FAILURE ? code : SUBACK_FAILURE))
}

/** Fixed header, `head`, properties with their length, `codes`. */
function layOut(
  first: number,
  head: readonly number[],
  propertyBlock: Buffer,
  codes: readonly number[],
): Buffer {
  const remainingLength = head.length + propertyBlock.length + codes.length
  const frame = Buffer.allocUnsafe(1 + variableByteIntegerSize(remainingLength) + remainingLength)
  frame[0] = first
  let at = writeVariableByteInteger(frame, 1, remainingLength)
  for (const byte of head) frame[at++] = byte
  at += propertyBlock.copy(frame, at)
  for (const code of codes) frame[at++] = code
  return frame
}

function isEmpty(properties: Properties): boolean {
  for (const _ in properties) return false
  return true
}
