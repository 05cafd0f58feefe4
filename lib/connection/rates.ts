/** What happens when a client sends, or would be sent, more per second than it may. */

import { ReasonCode } from '../protocol/reason-codes.ts'
import { hintFor } from './admission.ts'
import type { Connection } from './connection.ts'
import { reportLimit } from './log.ts'
import type { Meter } from './meter.ts'
import { Pause } from './pause.ts'

/** A client that goes on and on is told of once in so long. */
const REPORT_INTERVAL_MS = 60_000

/** What the client sends is read more slowly, or its connection ends. Undefined: nothing limits it. */
export function inboundMeter(connection: Connection): Meter | undefined {
  const { counters, protection, clock, timers } = connection.context
  const isSlowed = protection.onRateExceeded === 'slow'
  const code = ReasonCode.MessageRateTooHigh
  const report = reporterOf(connection, code, isSlowed ? 'is read more slowly' : 'is disconnected')
  const opened = (): void => connection.unpause(Pause.Rate)
  const closed = (option: string): void => {
    counters.limitsReached.rateIn++
    report(option)
    if (isSlowed) connection.pause(Pause.Rate)
    else connection.end(code, `more than ${option}`)
  }
  return connection.accounts.meter('in', { clock, timers, closed, opened })
}

/** What the client is sent at QoS 0 is dropped, the rest waits in its queue. Undefined: nothing limits it. */
export function outboundMeter(connection: Connection): Meter | undefined {
  const { counters, clock, timers } = connection.context
  const what = 'is sent the rest later, and nothing of it at QoS 0'
  const report = reporterOf(connection, ReasonCode.QuotaExceeded, what)
  const opened = (): void => connection.session?.pump()
  const closed = (option: string): void => {
    counters.limitsReached.rateOut++
    report(option)
  }
  return connection.accounts.meter('out', { clock, timers, closed, opened })
}

function reporterOf(connection: Connection, code: number, what: string): (option: string) => void {
  let reportedAt = Number.NEGATIVE_INFINITY
  return (option) => {
    const now = connection.context.clock.now()
    if (now - reportedAt < REPORT_INTERVAL_MS) return
    reportedAt = now
    reportLimit(connection, code, `more than ${option}: the client ${what}`, hintFor(option))
  }
}
