/** A message on its way to one session, waiting in its queue. */

import type { Message } from '../protocol/message.ts'
import type { Qos } from '../protocol/packets.ts'
import type { SharedGroup } from '../router/shared-group.ts'
import type { Seq } from '../storage/storage.ts'

export interface Delivery {
  /** Place in the store's queue; 0 in a volatile session, which numbers messages as it sends them. */
  readonly seq: Seq
  /** Undefined while only the store has it. */
  message: Message | undefined
  readonly qos: Qos
  retain: boolean
  identifiers: readonly number[] | undefined
  readonly group: SharedGroup | undefined
  /** Whether it was sent on an earlier connection: DUP, and it cannot expire any more. */
  readonly isDuplicate: boolean
  /** What it counts for in the queue's bound, in bytes. */
  readonly size: number
}
