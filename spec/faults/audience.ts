/** Those who are to get the same messages, and what of them came, is missing, or may be. */

import { type Numbered, NumberedSet } from './numbered.ts'
import type { Publisher } from './publisher.ts'
import type { Subscriber, WillClient } from './subscriber.ts'

/** Everything that somebody waits for on a topic. */
export interface Expected {
  readonly topic: string
  readonly qos: 1 | 2
  readonly numbers: ReadonlySet<number>
}

export function expectedOf(publishers: readonly Publisher[]): Expected[] {
  return publishers.map(({ topic, qos, acknowledged }) => ({ topic, qos, numbers: acknowledged }))
}

/** What is sent, and not acknowledged to the end. */
export function underWayOf(publishers: readonly Publisher[]): Expected[] {
  return publishers.map(({ topic, qos, underWay }) => {
    return { topic, qos, numbers: new Set(underWay.keys()) }
  })
}

/** The wills of those who were connected, and are gone. */
export function expectedWills(wills: readonly WillClient[]): Expected[] {
  const dead = wills.filter(({ hasConnected, isStopped }) => hasConnected && isStopped)
  return dead.map(({ topic }) => ({ topic, qos: 2, numbers: new Set([1]) }))
}

/** One subscriber, or all members of a group together. */
export class Audience {
  readonly subscribers: readonly Subscriber[]
  readonly #expected: () => readonly Expected[]
  readonly #conceded = new NumberedSet()
  /** What did not come in time while nothing was amiss, and is conceded by nobody. */
  readonly #overdue = new NumberedSet()

  constructor(subscribers: readonly Subscriber[], expected: () => readonly Expected[]) {
    this.subscribers = subscribers
    this.#expected = expected
  }

  get expected(): readonly Expected[] {
    return this.#expected()
  }

  /** Whether nothing has to wait: what a member was sent and has not acknowledged waits for that member. */
  get isConnected(): boolean {
    return this.subscribers.every(({ isConnected }) => isConnected)
  }

  isConceded(message: Numbered): boolean {
    return this.#conceded.has(message)
  }

  /** What has not come, and should have. */
  missing(expected: readonly Expected[] = this.expected): Numbered[] {
    return expected.flatMap(({ topic, numbers }) =>
      [...numbers]
        .map((number) => ({ topic, number }))
        .filter((each) => !this.#has(each) && !this.isConceded(each)),
    )
  }

  /** What has not come by now may never come. */
  concede(expected: readonly Expected[]): void {
    for (const message of this.missing(expected))
      if (!this.#overdue.has(message)) this.#conceded.add(message)
  }

  /** What has not come by now should have come. */
  insist(expected: readonly Expected[]): void {
    for (const message of this.missing(expected)) this.#overdue.add(message)
  }

  /** Resolves when all of what is expected now has come. */
  async untilCame(expected: readonly Expected[] = this.expected): Promise<void> {
    const missing = this.missing(expected)
    const hasCome = (): boolean => {
      for (let last = missing.at(-1); last !== undefined; last = missing.at(-1)) {
        if (!this.#has(last)) return false
        missing.pop()
      }
      return true
    }
    await Promise.race(this.subscribers.map((subscriber) => subscriber.until(hasCome)))
  }

  #has(message: Numbered): boolean {
    return this.subscribers.some((subscriber) => subscriber.has(message))
  }
}
