/** The accounts that one connection counts for, and what it may do by them. */

import type { Holder } from '../session/holder.ts'
import type { Clock } from '../util/clock.ts'
import type { Timers } from '../util/timers.ts'
import type { TokenBucket } from '../util/token-bucket.ts'
import type { Account, Scope, ScopeLimits } from './account.ts'
import { Meter } from './meter.ts'

type BucketName = 'messagesIn' | 'bytesIn' | 'messagesOut' | 'bytesOut'

export interface MeterWishes {
  readonly clock: Clock
  readonly timers: Timers
  readonly closed: () => void
  readonly opened: () => void
}

export class AccountGroup implements Holder {
  readonly #accounts: Account[] = []
  #isConnected = false
  #hasLeft = false

  /** Counts for one more account, if there is one. */
  add(account: Account | undefined): void {
    if (account === undefined || this.#hasLeft) return
    account.users++
    this.#accounts.push(account)
  }

  /**
   * The option by which one of its accounts has no room for `more`; undefined: all have. `replaced` is what
   * would be given back by another group.
   */
  findFull(
    field: 'connections' | 'subscriptions' | 'retainedMessages' | 'retainedBytes',
    more: number,
    replaced?: { readonly by: AccountGroup; readonly count: number },
  ): string | undefined {
    const option = `${field}Max` as const
    for (const account of this.#accounts) {
      const max = account.limits[option] ?? 0
      if (max === 0) continue
      const gone = replaced?.by.has(account) === true ? replaced.count : 0
      if (account[field] + more - gone > max) return account.option(option)
    }
    return undefined
  }

  has(account: Account): boolean {
    return this.#accounts.includes(account)
  }

  /** Takes one connection from the rate of each account of these scopes; returns the option of one that has none left. */
  takeConnection(now: number, scopes: readonly Scope[]): string | undefined {
    for (const account of this.#accounts) {
      if (scopes.includes(account.scope) && account.connects?.tryTake(now) === false) {
        return account.option('connectionsPerSecond')
      }
    }
    return undefined
  }

  /** The client is let in. */
  connect(): void {
    if (this.#isConnected || this.#hasLeft) return
    this.#isConnected = true
    for (const account of this.#accounts) account.connections++
  }

  /** The connection has ended. */
  leave(): void {
    if (this.#hasLeft) return
    this.#hasLeft = true
    for (const account of this.#accounts) {
      account.users--
      if (this.#isConnected) account.connections--
    }
  }

  holdSubscriptions(count: number): void {
    for (const account of this.#accounts) account.subscriptions += count
  }

  holdRetained(messages: number, bytes: number): void {
    for (const account of this.#accounts) {
      account.retainedMessages += messages
      account.retainedBytes += bytes
    }
  }

  /** Whether one of these is limited for one of its accounts. */
  limits(...fields: readonly (keyof ScopeLimits)[]): boolean {
    return this.#accounts.some(({ limits }) => fields.some((field) => (limits[field] ?? 0) > 0))
  }

  /** What measures a direction; undefined if nothing limits it. */
  meter(direction: 'in' | 'out', wishes: MeterWishes): Meter | undefined {
    const messages = this.#buckets(direction === 'in' ? 'messagesIn' : 'messagesOut')
    const bytes = this.#buckets(direction === 'in' ? 'bytesIn' : 'bytesOut')
    if (messages.length + bytes.length === 0) return undefined
    return new Meter({ messages, bytes, ...wishes })
  }

  #buckets(name: BucketName): TokenBucket[] {
    return this.#accounts.flatMap((account) => account[name] ?? [])
  }
}
