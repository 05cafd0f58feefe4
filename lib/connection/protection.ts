/** What keeps the clients of a broker from hurting each other, as connections use it. `broker/` puts it together. */

import type { Decision } from '../security/access.ts'
import type { Bans } from '../security/bans/bans.ts'
import type { HalfOpen } from '../transport/half-open.ts'
import type { Accounts } from './accounts.ts'
import type { RetainedOwners } from './retained-owners.ts'

/** Whether the broker keeps up. */
export interface Load {
  /** Why nobody may connect now; undefined: the broker has time and room. */
  refusal(): Decision | undefined
  /** What is too much now, in a word; `no`: nothing. */
  readonly state: string
  /** How late the event loop was last, in ms. */
  readonly delayMs: number
  /** How much of its memory the process has, in percent. */
  readonly memoryPercent: number
}

export interface Protection {
  readonly bans: Bans
  readonly halfOpen: HalfOpen
  readonly accounts: Accounts
  /** Undefined if nobody is limited in them. */
  readonly retainedOwners: RetainedOwners | undefined
  readonly overload: Load
  readonly onRateExceeded: 'slow' | 'disconnect'
}
