/**
 * A gate before work that others do: so much of it at once, so much waiting, and no more. Passwords and
 * tokens are the work of threads that also read and write files for the store, and must not take them all;
 * questions to a service go through one too.
 *
 * Addresses take turns, and when no more may wait, whoever has most waiting gives a place up: an address that
 * floods is in its own way, not in that of the others.
 */

import { sourceOf } from '../util/address.ts'
import type { Clock } from '../util/clock.ts'

/** Who has waited longer is refused: before it gives up by itself, and without work for nobody. */
export const WAIT_MAX_MS: number = 5000

/** Called with whether its turn has come; if not, its place was given to somebody else. */
type Waiter = (isItsTurn: boolean) => void

export class WorkQueue {
  readonly #concurrency: number
  readonly #waitingMax: number
  readonly #clock: Clock
  /** Source → those who wait, first come first; the source whose turn is next stands first. */
  readonly #waiting = new Map<string, Waiter[]>()
  #waitingCount = 0
  #running = 0

  constructor(concurrency: number, waitingMax: number, clock: Clock) {
    this.#concurrency = concurrency
    this.#waitingMax = waitingMax
    this.#clock = clock
  }

  /**
   * Does `work` for a client at `address` when its turn comes; resolves with undefined if too many wait, or its turn
   * came too late. All work without an address counts as of one.
   */
  async run<T>(work: () => Promise<T>, address = ''): Promise<T | undefined> {
    const askedAt = this.#clock.now()
    if (this.#running < this.#concurrency) this.#running++
    else if (!(await this.#wait(sourceOf(address)))) return undefined
    try {
      const isLate = this.#clock.now() - askedAt > WAIT_MAX_MS
      return isLate ? undefined : await work()
    } finally {
      this.#next()
    }
  }

  /** Resolves with whether its turn came. */
  async #wait(source: string): Promise<boolean> {
    if (this.#waitingCount >= this.#waitingMax && !this.#makeRoomFor(source)) return false
    this.#waitingCount++
    return new Promise((resolve) => {
      const others = this.#waiting.get(source)
      if (others === undefined) this.#waiting.set(source, [resolve])
      else others.push(resolve)
    })
  }

  /** The source with most waiting loses its last one, unless that would be no fairer. */
  #makeRoomFor(source: string): boolean {
    let longest: Waiter[] = []
    for (const waiters of this.#waiting.values()) {
      if (waiters.length > longest.length) longest = waiters
    }
    const own = this.#waiting.get(source)?.length ?? 0
    if (longest.length <= own + 1) return false
    this.#waitingCount--
    longest.pop()?.(false)
    return true
  }

  /** Hands the place on to the next source, or gives it back. */
  #next(): void {
    const [first] = this.#waiting
    if (first === undefined) {
      this.#running--
      return
    }
    const [source, waiters] = first
    const waiter = waiters.shift()
    this.#waiting.delete(source)
    if (waiters.length > 0) this.#waiting.set(source, waiters)
    this.#waitingCount--
    waiter?.(true)
  }
}
