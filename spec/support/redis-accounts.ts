/** Accounts in Redis for tests: written as `noctule user` and `noctule role` write them. */

import { randomUUID } from 'node:crypto'
import type { ExecutionContext } from 'ava'
import { hashPassword } from '../../lib/security/password-hash.ts'
import { Administration } from '../../lib/security/redis/administration.ts'
import { AccountKeys, EVERYBODY } from '../../lib/security/redis/keys.ts'
import { AccountsLink } from '../../lib/security/redis/link.ts'
import { systemClock } from '../../lib/util/clock.ts'

/** The password of every user that is made here. */
export const PASSWORD = 'pencil'
export const passwordHash: string = await hashPassword(Buffer.from(PASSWORD), 10)

export class RedisAccounts {
  readonly url: string
  readonly keyPrefix: string
  readonly keys: AccountKeys
  readonly administration: Administration

  private constructor(url: string, keyPrefix: string, link: AccountsLink) {
    this.url = url
    this.keyPrefix = keyPrefix
    this.keys = new AccountKeys(keyPrefix)
    this.administration = new Administration(link)
  }

  static async open(t: ExecutionContext, url: string): Promise<RedisAccounts> {
    const keyPrefix = `${randomUUID()}:`
    const link = await AccountsLink.open({ url, keyPrefix, timeoutMs: 5000, clock: systemClock })
    t.teardown(() => link.close())
    return new RedisAccounts(url, keyPrefix, link)
  }

  async add(
    userName: string,
    roles: readonly string[] = [],
    password: string = passwordHash,
  ): Promise<void> {
    await this.administration.ensureDecoy(password)
    await this.administration.changeAccount(userName, 'credentials', () => ({
      password,
      roles,
      enabled: true,
    }))
  }

  async remove(userName: string): Promise<void> {
    await this.administration.changeAccount(userName, 'credentials', () => undefined)
  }

  async setPassword(userName: string, password: string): Promise<void> {
    await this.administration.changeAccount(userName, 'credentials', (record) => ({
      roles: [],
      enabled: true,
      ...record,
      password,
    }))
  }

  async setEnabled(userName: string, enabled: boolean): Promise<void> {
    await this.administration.changeAccount(userName, 'credentials', (record) => ({
      password: passwordHash,
      roles: [],
      ...record,
      enabled,
    }))
  }

  async setRoles(userName: string, roles: readonly string[]): Promise<void> {
    await this.administration.changeAccount(userName, 'roles', (record) => ({
      password: passwordHash,
      enabled: true,
      ...record,
      roles,
    }))
  }

  setRole(name: string, rules: string): Promise<void> {
    return this.administration.changeRole(name, rules)
  }

  setRulesForEverybody(rules: string): Promise<void> {
    return this.administration.changeRole(EVERYBODY, rules)
  }
}
