/** What every session of a broker shares. */

import type { Message } from '../protocol/message.ts'
import type { Qos } from '../protocol/packets.ts'
import type { RetainedMessages } from '../retained/retained-messages.ts'
import type { Router } from '../router/router.ts'
import type { Store } from '../storage/storage.ts'
import type { Clock } from '../util/clock.ts'
import type { Counters, DropReason } from '../util/counters.ts'
import type { MemoryBudget } from '../util/memory-budget.ts'
import type { QueueLimits } from './message-queue.ts'
import type { Session } from './session.ts'

export interface SessionLimits extends QueueLimits {
  /** Most messages at QoS 1 and 2 in flight, whatever the client's Receive Maximum. */
  readonly inflightMax: number
}

/** Says whether the client may be sent a message; asked at the moment of sending. */
export type MayReceive = (message: Message, qos: Qos) => boolean

export interface SessionParts {
  readonly router: Router
  readonly retained: RetainedMessages
  readonly store: Store
  readonly clock: Clock
  readonly counters: Counters
  readonly budget: MemoryBudget
  readonly limits: SessionLimits
  /** Hears of each message a client's queue or socket did not take. */
  readonly dropped: (session: Session, message: Message | undefined, why: DropReason) => void
}
