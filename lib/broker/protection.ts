/** From the configuration to what keeps the clients of a broker from hurting each other. */

import type { BrokerConfiguration } from '../config/options.ts'
import type { ScopeLimits } from '../connection/account.ts'
import { Accounts } from '../connection/accounts.ts'
import type { Protection } from '../connection/protection.ts'
import { RetainedOwners } from '../connection/retained-owners.ts'
import type { RetainedMessages } from '../retained/retained-messages.ts'
import { Bans } from '../security/bans/bans.ts'
import { HalfOpen } from '../transport/half-open.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import type { Timers } from '../util/timers.ts'
import { scopeLimits } from './limits.ts'

interface ProtectionParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Logger
  readonly retained: RetainedMessages
  readonly overload: Protection['overload']
}

export function createProtection(
  configuration: BrokerConfiguration,
  { clock, timers, log, retained, overload }: ProtectionParts,
): Protection {
  const { limits, bans, perClient, perUser, perAddress } = configuration
  const { loopback, burstSeconds, halfOpenMax, onRateExceeded } = limits
  const scopes = {
    client: scopeLimits(perClient),
    user: scopeLimits(perUser),
    address: scopeLimits(perAddress),
  }
  const halfOpen = { max: halfOpenMax, perAddressMax: perAddress.halfOpenMax, loopback }
  return {
    bans: new Bans(bans, { clock, timers, log, loopback }),
    halfOpen: new HalfOpen(halfOpen),
    accounts: new Accounts({ ...scopes, burstSeconds, loopback }, clock),
    retainedOwners: limitsRetained(configuration, Object.values(scopes))
      ? new RetainedOwners(retained)
      : undefined,
    overload,
    onRateExceeded,
  }
}

function limitsRetained(
  { listeners }: BrokerConfiguration,
  scopes: readonly ScopeLimits[],
): boolean {
  return [...scopes, ...listeners.map(scopeLimits)].some(
    ({ retainedMessagesMax, retainedBytesMax }) => retainedMessagesMax + retainedBytesMax > 0,
  )
}
