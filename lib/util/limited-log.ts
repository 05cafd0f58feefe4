/** A log for lines that a peer can cause at will: bounded per cause, with totals for what was left out. */

import type { Clock } from './clock.ts'
import type { Logger } from './logger.ts'

export const LINES_PER_SECOND_MAX = 10

/** Causes are words of ours, not of peers; more than these count as one, so that a slip cannot fill memory. */
export const CAUSES_MAX = 100

const OTHER_CAUSES = 'other causes'
const SECOND_MS = 1000

type Level = 'debug' | 'info' | 'warn' | 'error'

interface Cause {
  readonly name: string
  /** Since the broker started, logged or not. */
  total: number
  windowStart: number
  lines: number
  suppressed: number
}

export class LimitedLog {
  readonly #log: Logger
  readonly #clock: Clock
  readonly #causes = new Map<string, Cause>()

  constructor(log: Logger, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  debug(cause: string, fields: object, message: string): void {
    this.#write('debug', cause, fields, message)
  }

  info(cause: string, fields: object, message: string): void {
    this.#write('info', cause, fields, message)
  }

  warn(cause: string, fields: object, message: string): void {
    this.#write('warn', cause, fields, message)
  }

  error(cause: string, fields: object, message: string): void {
    this.#write('error', cause, fields, message)
  }

  #write(level: Level, name: string, fields: object, message: string): void {
    const cause = this.#causeOf(name)
    const now = this.#clock.now()
    cause.total++
    // While lines are left out, the timer ends the second: it has their number to report.
    if (cause.suppressed === 0 && now - cause.windowStart >= SECOND_MS) startWindow(cause, now)
    if (cause.lines < LINES_PER_SECOND_MAX) {
      cause.lines++
      this.#log[level](fields, message)
      return
    }
    cause.suppressed++
    if (cause.suppressed > 1) return
    const rest = Math.max(cause.windowStart + SECOND_MS - now, 0)
    this.#clock.after(rest, () => this.#report(level, cause))
  }

  #report(level: Level, cause: Cause): void {
    const { name, total, suppressed } = cause
    startWindow(cause, this.#clock.now())
    this.#log[level]({ cause: name, total }, `${suppressed} more like this were not logged`)
  }

  #causeOf(name: string): Cause {
    const known = this.#causes.get(name)
    if (known !== undefined) return known
    if (this.#causes.size >= CAUSES_MAX && name !== OTHER_CAUSES) return this.#causeOf(OTHER_CAUSES)
    const cause = { name, total: 0, windowStart: this.#clock.now(), lines: 0, suppressed: 0 }
    this.#causes.set(name, cause)
    return cause
  }
}

function startWindow(cause: Cause, now: number): void {
  cause.windowStart = now
  cause.lines = 0
  cause.suppressed = 0
}
