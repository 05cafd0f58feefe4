/**
 * What a client, a user, an address or a listener has, of what it may have at most. There are accounts only
 * for those of the four that something is limited for.
 */

import type { Clock } from '../util/clock.ts'
import { TokenBucket } from '../util/token-bucket.ts'

export type Scope = 'client' | 'user' | 'address' | 'listener'

/** Of the configuration, for one scope; 0: no limit. */
export interface ScopeLimits {
  readonly connectionsPerSecond: number
  readonly messagesInPerSecond: number
  readonly bytesInPerSecond: number
  readonly messagesOutPerSecond: number
  readonly bytesOutPerSecond: number
  readonly retainedMessagesMax: number
  readonly retainedBytesMax: number
  readonly connectionsMax?: number
  readonly subscriptionsMax?: number
  readonly queuedBytesMax?: number
}

export class Account {
  readonly scope: Scope
  readonly limits: ScopeLimits
  readonly connects: TokenBucket | undefined
  readonly messagesIn: TokenBucket | undefined
  readonly bytesIn: TokenBucket | undefined
  readonly messagesOut: TokenBucket | undefined
  readonly bytesOut: TokenBucket | undefined
  connections = 0
  subscriptions = 0
  retainedMessages = 0
  retainedBytes = 0
  /** What waits for its clients. */
  queuedBytes = 0
  /** Connections, on their way or there, and sessions: while there are some it must not be forgotten. */
  users = 0

  constructor(scope: Scope, limits: ScopeLimits, burstSeconds: number, now: number) {
    this.scope = scope
    this.limits = limits
    const bucket = (perSecond: number): TokenBucket | undefined =>
      perSecond === 0 ? undefined : new TokenBucket(perSecond, burstSeconds, now)
    this.connects = bucket(limits.connectionsPerSecond)
    this.messagesIn = bucket(limits.messagesInPerSecond)
    this.bytesIn = bucket(limits.bytesInPerSecond)
    this.messagesOut = bucket(limits.messagesOutPerSecond)
    this.bytesOut = bucket(limits.bytesOutPerSecond)
  }

  /** The option that limits it: for log and client. */
  option(field: keyof ScopeLimits): string {
    return this.scope === 'listener' ? `listeners[].${field}` : `per${capital(this.scope)}.${field}`
  }

  get isIdle(): boolean {
    const { users, subscriptions, retainedMessages, queuedBytes } = this
    return users === 0 && subscriptions === 0 && retainedMessages === 0 && queuedBytes === 0
  }
}

/**
 * So many that have nothing now are remembered for the sake of their rates: about 5 MB. Beyond, who was
 * longest not seen is forgotten, and begins anew.
 */
export const IDLE_ACCOUNTS_MAX = 10_000

/** Accounts of one scope, by name. */
export class AccountTable {
  readonly scope: Scope
  readonly #limits: ScopeLimits
  readonly #burstSeconds: number
  readonly #clock: Clock
  readonly #accounts = new Map<string, Account>()

  constructor(scope: Scope, limits: ScopeLimits, burstSeconds: number, clock: Clock) {
    this.scope = scope
    this.#limits = limits
    this.#burstSeconds = burstSeconds
    this.#clock = clock
  }

  get size(): number {
    return this.#accounts.size
  }

  /** The account of `name`, the latest from now on. */
  of(name: string): Account {
    const known = this.#accounts.get(name)
    if (known !== undefined) this.#accounts.delete(name)
    else if (this.#accounts.size >= IDLE_ACCOUNTS_MAX) this.#forget()
    const now = this.#clock.now()
    const account = known ?? new Account(this.scope, this.#limits, this.#burstSeconds, now)
    this.#accounts.set(name, account)
    return account
  }

  /** The two that were longest not seen go, or move behind if they have something: so the table shrinks again. */
  #forget(): void {
    let count = 0
    for (const [name, account] of this.#accounts) {
      if (++count > 2) return
      this.#accounts.delete(name)
      if (!account.isIdle) this.#accounts.set(name, account)
    }
  }
}

/** Whether something is limited. */
export function hasLimits(limits: ScopeLimits): boolean {
  return Object.values(limits).some((limit: number) => limit > 0)
}

function capital(scope: Scope): string {
  return scope.charAt(0).toUpperCase() + scope.slice(1)
}
