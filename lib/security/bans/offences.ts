/**
 * How often somebody has offended within a while. As many are remembered as `OFFENDERS_MAX`; beyond, who offended
 * first is forgotten.
 */

import type { Clock } from '../../util/clock.ts'
import { forgetOldest } from '../../util/oldest.ts'

/** About 5 MB. */
export const OFFENDERS_MAX = 20_000

interface Offender {
  count: number
  readonly since: number
}

export class Offences {
  readonly #max: number
  readonly #windowMs: number
  readonly #clock: Clock
  readonly #offenders = new Map<string, Offender>()

  /** More than `max` within `windowMs` are too many; 0: never. */
  constructor(max: number, windowMs: number, clock: Clock) {
    this.#max = max
    this.#windowMs = windowMs
    this.#clock = clock
  }

  /** Counts one; says whether these are too many, and then begins anew. */
  note(name: string): boolean {
    if (this.#max === 0) return false
    const now = this.#clock.now()
    const known = this.#offenders.get(name)
    if (known === undefined || now - known.since >= this.#windowMs) {
      this.#offenders.delete(name)
      this.#offenders.set(name, { count: 1, since: now })
      forgetOldest(this.#offenders, OFFENDERS_MAX)
      return false
    }
    known.count++
    if (known.count <= this.#max) return false
    this.#offenders.delete(name)
    return true
  }

  forgive(name: string): void {
    this.#offenders.delete(name)
  }
}
