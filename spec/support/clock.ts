/** A clock that stands until a test moves it. */

import type { Clock } from '../../lib/util/clock.ts'

interface Waiting {
  readonly at: number
  readonly callback: () => void
}

export class ManualClock implements Clock {
  #now = 1_700_000_000_000
  #waiting: Waiting[] = []

  now(): number {
    return this.#now
  }

  after(delayMs: number, callback: () => void): () => void {
    const entry = { at: this.#now + delayMs, callback }
    this.#waiting.push(entry)
    return () => {
      this.#waiting = this.#waiting.filter((other) => other !== entry)
    }
  }

  /** Moves time on and calls what became due, in order, each at its own time. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      const due = this.#waiting.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#waiting = this.#waiting.filter((other) => other !== due)
      this.#now = Math.max(this.#now, due.at)
      due.callback()
    }
    this.#now = end
    // What the callbacks sent is delivered in the next turns.
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** One that counts how often it is read. */
export class CountingClock extends ManualClock {
  readings = 0

  override now(): number {
    this.readings++
    return super.now()
  }
}
