/** Calls the check and the decoder as the connection does, for a frame that stands alone. */

import { Buffer } from 'node:buffer'
import type { ExecutionContext } from 'ava'
import { checkPacket } from '../../lib/codec/packet-check.ts'
import { decodePacket } from '../../lib/codec/packet-decoder.ts'
import { ProtocolError } from '../../lib/protocol/errors.ts'
import type { InboundPacket, MqttVersion } from '../../lib/protocol/packets.ts'
import { bodyStartOf } from './raw-packets.ts'

/** Bytes around a frame: whoever reads beyond its ends reads these. */
const NOISE = Buffer.from([0xff, 0x26, 0x00])

/** Checks `frame`, which stands amid other bytes; no version means that it is the first packet. */
export function check(frame: Buffer, version?: MqttVersion): void {
  const bytes = Buffer.concat([NOISE, frame, NOISE])
  const start = NOISE.length
  checkPacket(bytes, start, bodyStartOf(bytes, start), start + frame.length, version)
}

/** Decodes `frame`, which stands amid other bytes. */
export function decode(frame: Buffer, version?: MqttVersion): InboundPacket {
  const bytes = Buffer.concat([NOISE, frame, NOISE])
  return decodePacket(bytes, NOISE.length, NOISE.length + frame.length, version)
}

/** Asserts that `act` fails with that reason code and names that rule. */
export function refuses(
  t: ExecutionContext,
  act: () => unknown,
  reasonCode: number,
  rule: string,
): void {
  const error = t.throws(act, { instanceOf: ProtocolError, message: rule })
  t.is(error?.reasonCode, reasonCode)
}
