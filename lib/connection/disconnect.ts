/** DISCONNECT from the client (section 3.14). */

import { ProtocolError } from '../protocol/errors.ts'
import type { Disconnect } from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { Connection } from './connection.ts'

export function handleDisconnect(connection: Connection, packet: Disconnect): void {
  const { session, context, negotiated } = connection
  const expiry = packet.properties.sessionExpiryInterval
  if (expiry !== undefined && session !== undefined) {
    // What it asked for counts, which the broker may have cut to 0.
    if (negotiated?.askedExpirySeconds === 0 && expiry > 0) {
      throw new ProtocolError(
        ReasonCode.ProtocolError,
        'Session Expiry Interval raised from 0 on DISCONNECT', // Section 3.14.2.2.2
      )
    }
    session.expirySeconds = Math.min(expiry, context.limits.sessionExpiryMaxSeconds)
  }
  connection.endByClient({
    reasonCode: packet.reasonCode,
    rule: packet.properties.reasonString ?? 'the client said DISCONNECT',
    by: 'client',
  })
}
