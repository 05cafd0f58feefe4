/** Whether a retained message may be one more. */

import type { Message } from '../protocol/message.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import { type Decision, denial } from '../security/access.ts'
import { hintFor } from './admission.ts'
import type { Connection } from './connection.ts'

/** Why one more retained message is too many, for whoever publishes it or for all; undefined: there is room. */
export function findFullRetained(connection: Connection, message: Message): Decision | undefined {
  const { retained, budget, counters, protection } = connection.context
  const { limitsReached } = counters
  const { topic, bodyBytes } = message
  const option = protection.retainedOwners?.findFull(connection.accounts, topic, bodyBytes)
  if (option !== undefined) {
    limitsReached.retained++
    return denial(ReasonCode.QuotaExceeded, `${option} is reached`, hintFor(option))
  }
  if (budget.isExhausted) {
    limitsReached.overload++
    return denial(ReasonCode.QuotaExceeded, 'memory.budgetBytes is used up')
  }
  if (retained.hasRoomFor(topic, bodyBytes)) return undefined
  limitsReached.retained++
  return denial(ReasonCode.QuotaExceeded, 'retained.messagesMax or retained.bytesMax is reached')
}
