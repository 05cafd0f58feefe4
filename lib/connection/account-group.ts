/** The accounts that one connection counts for, and what it may do by them. */

import type { Holder } from '../session/holder.ts'
import type { Account, Scope } from './account.ts'
import { Meter, type MeterParts, type Rate } from './meter.ts'

/** The rates of an account by direction: its bucket, the option, and what is counted. */
const rates = {
  in: [
    ['messagesIn', 'messagesInPerSecond', 'messages'],
    ['bytesIn', 'bytesInPerSecond', 'bytes'],
  ],
  out: [
    ['messagesOut', 'messagesOutPerSecond', 'messages'],
    ['bytesOut', 'bytesOutPerSecond', 'bytes'],
  ],
} as const

/** What an account has that a bound is for. */
type Countable =
  | 'connections'
  | 'subscriptions'
  | 'retainedMessages'
  | 'retainedBytes'
  | 'queuedBytes'

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
    field: Countable,
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

  /**
   * Takes one connection from the rate of each account of these scopes; returns the option of one that has
   * none left.
   */
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

  holdSession(count: 1 | -1): void {
    for (const account of this.#accounts) account.users += count
  }

  holdSubscriptions(count: number): void {
    for (const account of this.#accounts) account.subscriptions += count
  }

  holdQueued(bytes: number): void {
    for (const account of this.#accounts) account.queuedBytes += bytes
  }

  hasRoomToQueue(bytes: number): boolean {
    return this.findFull('queuedBytes', bytes) === undefined
  }

  holdRetained(messages: number, bytes: number): void {
    for (const account of this.#accounts) {
      account.retainedMessages += messages
      account.retainedBytes += bytes
    }
  }

  /** What measures a direction; undefined if nothing limits it. */
  meter(direction: 'in' | 'out', parts: MeterParts): Meter | undefined {
    const limiting = this.#accounts.flatMap((account) =>
      rates[direction].flatMap(([name, option, unit]): Rate[] => {
        const bucket = account[name]
        return bucket === undefined ? [] : [{ bucket, unit, option: account.option(option) }]
      }),
    )
    return limiting.length === 0 ? undefined : new Meter(limiting, parts)
  }
}
