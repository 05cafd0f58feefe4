/** What happens when a client sends, or would be sent, more per second than it may. */

import { ReasonCode } from '../protocol/reason-codes.ts'
import type { Connection } from './connection.ts'
import { reportLimit } from './log.ts'
import type { Meter } from './meter.ts'
import { Pause } from './pause.ts'

const HINT = 'see perClient, perUser, perAddress and the options of its listener'

/** What the client sends is read more slowly, or its connection ends. Undefined: nothing limits it. */
export function inboundMeter(connection: Connection): Meter | undefined {
  const { counters, protection, clock, timers } = connection.context
  const isSlowed = protection.onRateExceeded === 'slow'
  const opened = (): void => connection.unpause(Pause.Rate)
  const closed = (): void => {
    counters.limitsReached.rateIn++
    const code = ReasonCode.MessageRateTooHigh
    const rule = `it sends more per second than it may: it is ${isSlowed ? 'slowed' : 'ended'} (limits.onRateExceeded)`
    reportLimit(connection, code, rule, HINT)
    if (isSlowed) connection.pause(Pause.Rate)
    else connection.end(code, 'more messages or bytes per second than it may send')
  }
  return connection.accounts.meter('in', { clock, timers, closed, opened })
}

/** What the client is sent at QoS 0 is dropped, the rest waits in its queue. Undefined: nothing limits it. */
export function outboundMeter(connection: Connection): Meter | undefined {
  const { counters, clock, timers } = connection.context
  const opened = (): void => connection.session?.pump()
  const closed = (): void => {
    counters.limitsReached.rateOut++
    const rule = 'it would be sent more per second than it may: QoS 0 is dropped, the rest waits'
    reportLimit(connection, ReasonCode.QuotaExceeded, rule, HINT)
  }
  return connection.accounts.meter('out', { clock, timers, closed, opened })
}
