/** What a session asks of the connection it sits on. `connection/` implements it. */

import type { Message } from '../protocol/message.ts'
import type { MessageRun } from '../protocol/message-run.ts'
import type { PacketIdentifierRow } from '../protocol/packet-identifier-row.ts'
import type { Qos } from '../protocol/packets.ts'

export interface Outlet {
  /** The client's Receive Maximum. */
  readonly receiveMaximum: number

  /** Whether the client's socket takes what it is given: false keeps QoS 1 and 2 in the queue. */
  readonly isWritable: boolean

  /** Whether it is not, since more per second would leave than may; then QoS 0 is dropped for that reason. */
  readonly isSlowed: boolean

  /**
   * Sends a PUBLISH. Returns false if it was dropped because the client could not take it: larger than
   * its Maximum Packet Size, or QoS 0 on a blocked socket.
   */
  sendPublish(
    message: Message,
    qos: Qos,
    retain: boolean,
    isDuplicate: boolean,
    packetIdentifier: number,
    identifiers: readonly number[] | undefined,
  ): boolean

  /**
   * Sends a whole run as `sendPublish` would each of its messages; false: it sent nothing, and each has to be looked
   * at. At QoS 1 and 2 the first leaves with `packetIdentifier`, the others with those behind it.
   */
  sendRun(run: MessageRun, qos: Qos, packetIdentifier: number): boolean

  sendPubrel(packetIdentifier: number, reasonCode: number): void

  sendPubrels(packetIdentifiers: PacketIdentifierRow): void

  /** Ends the connection for a reason that lies in the session: its queue is full, its store failed. */
  endFor(reasonCode: number, rule: string): void
}
