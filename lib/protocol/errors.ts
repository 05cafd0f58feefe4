/** What a peer can do wrong. Thrown by codec and handlers, caught once per connection. */

import { ReasonCode } from './reason-codes.ts'

/**
 * The peer broke the protocol: `reasonCode` is what an MQTT 5.0 client is told before the connection
 * closes, `message` names the rule for the log.
 */
export class ProtocolError extends Error {
  override readonly name: string = 'ProtocolError'
  readonly reasonCode: number

  constructor(reasonCode: number, rule: string) {
    super(rule)
    this.reasonCode = reasonCode
  }
}

/** The bytes cannot be parsed as the specification demands (reason code 0x81). */
export class MalformedPacketError extends ProtocolError {
  override readonly name = 'MalformedPacketError'

  constructor(rule: string) {
    super(ReasonCode.MalformedPacket, rule)
  }
}
