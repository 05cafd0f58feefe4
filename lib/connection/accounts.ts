/** All accounts of a broker. */

import { isOfThisMachine, sourceOf } from '../util/address.ts'
import type { Clock } from '../util/clock.ts'
import { Account, AccountTable, hasLimits, type ScopeLimits } from './account.ts'
import type { ConnectionLimits } from './context.ts'

export interface AccountsLimits {
  readonly client: ScopeLimits
  readonly user: ScopeLimits
  readonly address: ScopeLimits
  readonly burstSeconds: number
  /** Whether what is limited per address is so for this machine too. */
  readonly loopback: boolean
}

export class Accounts {
  readonly #limits: AccountsLimits
  readonly #clock: Clock
  readonly #clients: AccountTable | undefined
  readonly #users: AccountTable | undefined
  readonly #addresses: AccountTable | undefined
  /** By the name of the listener: as many as the configuration has. */
  readonly #listeners = new Map<string, Account>()

  constructor(limits: AccountsLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
    const table = (scope: 'client' | 'user' | 'address'): AccountTable | undefined =>
      hasLimits(limits[scope])
        ? new AccountTable(scope, limits[scope], limits.burstSeconds, clock)
        : undefined
    this.#clients = table('client')
    this.#users = table('user')
    this.#addresses = table('address')
  }

  ofAddress(address: string): Account | undefined {
    if (!this.#limits.loopback && isOfThisMachine(address)) return undefined
    return this.#addresses?.of(sourceOf(address))
  }

  ofListener(name: string, { listener }: ConnectionLimits): Account | undefined {
    if (listener === undefined) return undefined
    const known = this.#listeners.get(name)
    if (known !== undefined) return known
    const { burstSeconds } = this.#limits
    const account = new Account('listener', listener, burstSeconds, this.#clock.now())
    this.#listeners.set(name, account)
    return account
  }

  ofUser(userName: string | undefined): Account | undefined {
    return userName === undefined ? undefined : this.#users?.of(userName)
  }

  ofClient(clientIdentifier: string): Account | undefined {
    return this.#clients?.of(clientIdentifier)
  }
}
