/** Changes accounts and roles in Redis: each goes with its entry in the stream that brokers follow. */

import { randomBytes } from 'node:crypto'
import { parsePasswordHash } from '../password-hash.ts'
import { hashForScram } from '../scram/keys.ts'
import { type AccountRecord, parseRecord } from './account.ts'
import { CHANGES_MAX, type Change } from './keys.ts'
import type { AccountsLink } from './link.ts'
import { parseRoles, readRoles } from './role-rules.ts'

/**
 * Changes one field, if it still is what the change was made from. KEYS: hash, stream. ARGV: field, whether
 * it was there and its text, whether it is to be there and its text, kind of change, length of the stream.
 */
const CHANGE_FIELD = `
local text = redis.call('HGET', KEYS[1], ARGV[1])
if ARGV[2] == '1' then
  if text ~= ARGV[3] then return 0 end
elseif text then
  return 0
end
if ARGV[4] == '1' then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[5])
else
  redis.call('HDEL', KEYS[1], ARGV[1])
end
redis.call('XADD', KEYS[2], 'MAXLEN', '=', ARGV[7], '*', 'change', ARGV[6], 'name', ARGV[1])
return 1
`

/** Two who change the same account are asked to agree so often. */
const ATTEMPTS_MAX = 20

export class Administration {
  readonly #link: AccountsLink

  constructor(link: AccountsLink) {
    this.#link = link
  }

  get place(): string {
    return this.#link.place
  }

  /** All accounts, a page after the other, each once; `undefined` for one that cannot be understood. */
  async *accounts(): AsyncGenerator<
    readonly [userName: string, record: AccountRecord | undefined]
  > {
    const seen = new Set<string>()
    for await (const [name, text] of this.#link.scan(this.#link.keys.users)) {
      if (seen.has(name)) continue
      seen.add(name)
      yield [name, readRecord(text)]
    }
  }

  async account(userName: string): Promise<AccountRecord | undefined> {
    const text = await this.#read(this.#link.keys.users, userName)
    return text === undefined ? undefined : readRecord(text)
  }

  /** Whether there is one, even if it cannot be understood. */
  async hasAccount(userName: string): Promise<boolean> {
    return (await this.#read(this.#link.keys.users, userName)) !== undefined
  }

  /**
   * Writes what `change` makes of an account; undefined removes it. `change` may be asked again if somebody
   * else was quicker, and throws if the account does not fit.
   */
  changeAccount(
    userName: string,
    kind: 'credentials' | 'roles',
    change: (record: AccountRecord | undefined, isThere: boolean) => AccountRecord | undefined,
  ): Promise<void> {
    return this.#change(this.#link.keys.users, userName, kind, (text) => {
      const old = text === undefined ? undefined : readRecord(text)
      const record = change(old, text !== undefined)
      return record === undefined ? undefined : JSON.stringify(record)
    })
  }

  /** Role → text of its rules. */
  roles(): Promise<ReadonlyMap<string, string>> {
    return readRoles(this.#link)
  }

  /** Gives a role other rules, or removes it. Rejects with a `RulesFault`. */
  async changeRole(name: string, text: string | undefined): Promise<void> {
    const roles = new Map(await this.roles())
    if (text === undefined) roles.delete(name)
    else parseRoles(roles.set(name, text))
    await this.#change(this.#link.keys.roles, name, 'rules', () => text)
  }

  /**
   * Has unknown users challenged as those with such a hash are. What is written once stays: else it could be
   * told from a real user.
   */
  async ensureDecoy(hash: string): Promise<void> {
    const { scram } = parsePasswordHash(hash, undefined)
    if (scram === undefined) return
    const nobodys = randomBytes(32).toString('base64')
    const decoy = await hashForScram(
      Buffer.from(nobodys),
      scram.method,
      Math.log2(scram.iterations),
    )
    await this.#link.ask((client) => client.hsetnx(this.#link.keys.decoys, scram.method, decoy))
  }

  async #change(
    key: string,
    field: string,
    kind: Change['change'],
    change: (text: string | undefined) => string | undefined,
  ): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      // oxlint-disable-next-line no-await-in-loop -- The next attempt is made if this one fails.
      const old = await this.#read(key, field)
      const text = change(old)
      const { changes } = this.#link.keys
      const args = [field, ...asArguments(old), ...asArguments(text), kind, CHANGES_MAX]
      // oxlint-disable-next-line no-await-in-loop -- As above.
      const isDone = await this.#link.ask((client) =>
        client.eval(CHANGE_FIELD, 2, key, changes, ...args),
      )
      if (isDone === 1) return
    }
    throw new Error('others change the same all the time: try again')
  }

  async #read(key: string, field: string): Promise<string | undefined> {
    return (await this.#link.ask((client) => client.hget(key, field))) ?? undefined
  }
}

function asArguments(text: string | undefined): readonly [string, string] {
  return text === undefined ? ['0', ''] : ['1', text]
}

function readRecord(text: string): AccountRecord | undefined {
  try {
    return parseRecord(text)
  } catch {
    return undefined
  }
}
