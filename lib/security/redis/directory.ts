/**
 * The accounts of Redis in force: read at the start, and again what changes. While Redis is away, or has
 * lost them, what was in force before stays, and whoever is not in memory is refused.
 */

import { StoreError } from '../../storage/storage.ts'
import type { Clock } from '../../util/clock.ts'
import type { Logger } from '../../util/logger.ts'
import type { AccessChanges } from '../access-sources.ts'
import type { PartlyReadable } from '../acl/rules.ts'
import { parsePasswordHash } from '../password-hash.ts'
import type { ScramKeys, ScramMethod } from '../scram/keys.ts'
import type { Account } from './account.ts'
import { Accounts, type AccountsParts } from './accounts.ts'
import type { Change } from './keys.ts'
import type { AccountsLink } from './link.ts'
import {
  AWAY_HINT,
  parseRoles,
  RoleRules,
  type Roles,
  RulesFault,
  readRoles,
} from './role-rules.ts'

/** How soon Redis is asked again when it was away. */
const RETRY_MS = 250

export interface DirectoryParts extends AccountsParts {
  readonly clock: Clock
  readonly log: Logger
  readonly changes: AccessChanges
  readonly partlyReadable: PartlyReadable
}

export class Directory {
  readonly rules: RoleRules
  readonly #parts: DirectoryParts
  readonly #link: AccountsLink
  readonly #accounts: Accounts
  readonly #decoys = new Map<string, ScramKeys>()
  /** The newest change that is in force. */
  #last: string
  #state: 'in touch' | 'away' | 'closed' = 'in touch'

  private constructor(parts: DirectoryParts, last: string) {
    this.#parts = parts
    this.#link = parts.link
    this.#accounts = new Accounts(parts)
    this.#last = last
    this.rules = new RoleRules(this, parts.partlyReadable)
  }

  /** Rejects with a `StoreError` if there are no accounts, with a `RulesFault` if a rule is wrong. */
  static async open(parts: DirectoryParts): Promise<Directory> {
    const { link } = parts
    const directory = new Directory(parts, await newestChange(link))
    directory.rules.use(parseRoles(await readRoles(link)))
    await directory.#readDecoys()
    void directory.#follow()
    return directory
  }

  /** What is in memory; undefined if Redis has to be asked. */
  peek(userName: string): Account | null | undefined {
    return this.#accounts.peek(userName)
  }

  /** `null`: there is none. Rejects with a `StoreError` if it is not in memory and Redis is away. */
  find(userName: string, isConnected: boolean): Promise<Account | null> {
    if (this.#state === 'away' && this.#accounts.peek(userName) === undefined) {
      return Promise.reject(new StoreError('unavailable', `${this.#link.place} is away`))
    }
    return isConnected ? this.#accounts.findConnected(userName) : this.#accounts.find(userName)
  }

  /** The same for all brokers, and after a restart. */
  scramExample(method: ScramMethod): ScramKeys | undefined {
    return this.#decoys.get(method)
  }

  close(): void {
    this.#state = 'closed'
    this.#link.close()
  }

  get #isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** Takes over each change as it happens, until this is closed. */
  async #follow(): Promise<void> {
    while (!this.#isClosed) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- Changes are taken over in their order.
        const changes = await this.#link.changesAfter(this.#last)
        // oxlint-disable-next-line no-await-in-loop -- As above.
        await (changes === undefined ? this.#readAll() : this.#apply(changes))
        this.#noteInTouch()
      } catch (error) {
        if (this.#isClosed) return
        this.#noteAway(error as Error)
        // oxlint-disable-next-line no-await-in-loop -- As above.
        await new Promise<void>((resolve) => this.#parts.clock.after(RETRY_MS, resolve))
      }
    }
  }

  async #apply(changes: readonly Change[]): Promise<void> {
    const newest = changes.at(-1)
    if (newest === undefined) return
    const named = changes.filter((change) => change.change !== 'rules')
    const hasNewRules = named.length < changes.length
    const roles = hasNewRules ? await this.#readRoles() : undefined
    const credentials = namesOf(named.filter(({ change }) => change === 'credentials'))
    if (credentials.size > 0) await this.#readDecoys()
    const changed = await this.#accounts.refresh(namesOf(named))
    if (this.#isClosed) return
    this.#last = newest.id
    const ended = new Set([...changed].filter((name) => credentials.has(name)))
    const haveRolesChanged = named.some(({ change }) => change === 'roles')
    this.#putInForce(roles, ended, hasNewRules || haveRolesChanged)
  }

  /** Changes may have been missed. */
  async #readAll(): Promise<void> {
    const newest = await newestChange(this.#link)
    const roles = await this.#readRoles()
    await this.#readDecoys()
    const ended = await this.#accounts.refreshAll()
    if (this.#isClosed) return
    this.#last = newest
    this.#parts.log.info({ place: this.#link.place }, 'all accounts of Redis were read again')
    this.#putInForce(roles, ended, true)
  }

  #putInForce(roles: Roles | undefined, ended: ReadonlySet<string>, haveRulesChanged: boolean) {
    const isForgotten = roles === undefined && this.#accounts.haveMadeRoom
    if (roles !== undefined) this.rules.use(roles)
    else if (isForgotten) this.rules.forget()
    const { changes } = this.#parts
    if (ended.size > 0) changes.usersChanged(ended)
    // Who is asked about message by message is not asked for its account then: it has to be there.
    if (haveRulesChanged || isForgotten) changes.rulesChanged()
  }

  /** Undefined if a rule is wrong: then those that were in force before stay. */
  async #readRoles(): Promise<Roles | undefined> {
    const texts = await readRoles(this.#link)
    try {
      return parseRoles(texts)
    } catch (error) {
      if (!(error instanceof RulesFault)) throw error
      const rule = error.message
      const hint = 'noctule role show NAME has its text, noctule role set NAME FILE another one'
      const fields = { option: 'security.redisUrl', rule, hint }
      this.#parts.log.error(fields, 'changed rules in Redis cannot be used: those before stay')
      return undefined
    }
  }

  async #readDecoys(): Promise<void> {
    const { keys } = this.#link
    for (const [method, text] of Object.entries(
      await this.#link.ask((client) => client.hgetall(keys.decoys)),
    )) {
      try {
        const { scram } = parsePasswordHash(text, undefined)
        if (scram?.method === method) this.#decoys.set(method, scram)
      } catch {
        // Then unknown users are challenged as where nobody has SCRAM keys.
      }
    }
  }

  #noteInTouch(): void {
    if (this.#state !== 'away') return
    this.#state = 'in touch'
    this.#parts.log.info({ place: this.#link.place }, 'Redis with the accounts is back')
  }

  #noteAway({ message: rule }: Error): void {
    if (this.#state === 'away') return
    this.#state = 'away'
    const fields = { option: 'security.redisUrl', rule, hint: AWAY_HINT }
    this.#parts.log.error(
      fields,
      'Redis with the accounts is away: users that are not in memory are refused',
    )
  }
}

async function newestChange(link: AccountsLink): Promise<string> {
  const newest = await link.newestChange()
  if (newest !== undefined) return newest
  throw new StoreError(
    'unusable',
    `there are no accounts in ${link.place} under ${link.keys.users}`,
  )
}

function namesOf(changes: readonly { readonly name: string }[]): ReadonlySet<string> {
  return new Set(changes.map(({ name }) => name))
}
