/**
 * Tells the log about messages that a client's queue or socket did not take: the first at once, then
 * the sum of each further interval, so that a slow client cannot flood the log.
 */

import type { Message } from '../protocol/message.ts'
import type { Session } from '../session/session.ts'
import type { Counters, DropReason } from '../util/counters.ts'
import type { Logger } from '../util/logger.ts'
import type { Timers } from '../util/timers.ts'

const REPORT_INTERVAL_MS = 10_000

interface Drops {
  count: number
  why: DropReason
}

export class DropReport {
  readonly #log: Logger
  readonly #timers: Timers
  readonly #counters: Counters
  readonly #drops = new Map<Session, Drops>()

  constructor(log: Logger, timers: Timers, counters: Counters) {
    this.#log = log
    this.#timers = timers
    this.#counters = counters
  }

  note(session: Session, message: Message | undefined, why: DropReason): void {
    this.#counters.dropped[why]++
    const drops = this.#drops.get(session)
    if (drops !== undefined) {
      drops.count++
      drops.why = why
      return
    }
    if (this.#drops.size === 0) this.#timers.after(REPORT_INTERVAL_MS, () => this.#report())
    this.#drops.set(session, { count: 0, why })
    const { clientIdentifier, droppedCount } = session
    // Last, as a logger that publishes its lines may have one dropped here.
    this.#log.warn(
      { client: clientIdentifier, why, topic: message?.topic, droppedInAll: droppedCount },
      'message dropped',
    )
  }

  /** Sums up the interval; whoever still loses messages gets another. */
  #report(): void {
    for (const [session, drops] of this.#drops) {
      if (drops.count === 0) {
        this.#drops.delete(session)
        continue
      }
      const { clientIdentifier, droppedCount } = session
      this.#log.warn(
        {
          client: clientIdentifier,
          why: drops.why,
          dropped: drops.count,
          droppedInAll: droppedCount,
        },
        `${drops.count} more messages dropped`,
      )
      drops.count = 0
    }
    if (this.#drops.size > 0) this.#timers.after(REPORT_INTERVAL_MS, () => this.#report())
  }
}
