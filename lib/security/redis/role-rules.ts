/**
 * What roles allow: the rules of a client's own roles in the order in which it has them, then those for
 * everybody. Where no rule is about a client at all, the next is asked who may know.
 */

import { ReasonCode } from '../../protocol/reason-codes.ts'
import { StoreError } from '../../storage/storage.ts'
import {
  type Answer,
  type ClientInfo,
  denial,
  type Eventually,
  type PublishRequest,
  type ReceiveRequest,
  type SubscribeRequest,
} from '../access.ts'
import { ClientAccess } from '../access-list.ts'
import { parseOwnRules } from '../acl/own-format.ts'
import { RULES_MAX } from '../acl/parse.ts'
import { ClientRules, type PartlyReadable, type Rule, type RuleClient } from '../acl/rules.ts'
import { FileProblem } from '../file-problem.ts'
import type { Account } from './account.ts'
import { EVERYBODY } from './keys.ts'
import type { AccountsLink } from './link.ts'

/** Role → its rules. */
export type Roles = ReadonlyMap<string, readonly Rule[]>

/** More roles than these are a mistake. */
const ROLES_MAX = 1000
/** More text than all rules that are possible would have. */
const ROLES_LENGTH_MAX = 16 * 1024 ** 2

/** Reads the texts of all roles. Rejects with a `StoreError` if Redis is away, or they are beyond all bounds. */
export async function readRoles(link: AccountsLink): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>()
  let length = 0
  for await (const [name, text] of link.scan(link.keys.roles)) {
    length += name.length + text.length
    if (length > ROLES_LENGTH_MAX) {
      throw new StoreError('unusable', `the rules in ${link.place} are longer than 16 MiB together`)
    }
    texts.set(name, text)
  }
  return texts
}

/** Rules cannot be used; the message names the role and the line. */
export class RulesFault extends Error {
  override readonly name = 'RulesFault'
}

/** Throws a `RulesFault`. */
export function parseRoles(texts: ReadonlyMap<string, string>): Roles {
  if (texts.size > ROLES_MAX) throw new RulesFault(`there are more than ${ROLES_MAX} roles`)
  const roles = new Map<string, readonly Rule[]>()
  let count = 0
  for (const [name, text] of texts) {
    const rules = parseRole(name, text)
    count += rules.length
    if (count > RULES_MAX)
      throw new RulesFault(`the roles have more than ${RULES_MAX} rules together`)
    roles.set(name, rules)
  }
  return roles
}

function parseRole(name: string, text: string): Rule[] {
  const origin = describeRole(name)
  try {
    return parseOwnRules(text.split(/\r?\n/)).map((rule) => ({ ...rule, origin }))
  } catch (error) {
    if (!(error instanceof FileProblem)) throw error
    throw new RulesFault(`${origin} line ${error.line}: ${error.message}`)
  }
}

/** How decisions name a role beside the line. */
function describeRole(name: string): string {
  return name === EVERYBODY ? 'rules for everybody' : `role ${name}`
}

/** The rules that apply to a client with these roles; undefined if there is none. */
export function rulesFor(
  roles: Roles,
  own: readonly string[],
  client: RuleClient,
  partlyReadable: PartlyReadable,
): ClientRules | undefined {
  const rules = [...own, EVERYBODY].flatMap((name) => roles.get(name) ?? [])
  return rules.length === 0 ? undefined : new ClientRules('Redis:', rules, client, partlyReadable)
}

/** Who knows the accounts of connected clients. */
export interface KnownAccounts {
  peek(userName: string): Account | null | undefined
  find(userName: string, isConnected: boolean): Promise<Account | null>
}

/** What a client may do, by the account that it had when that was worked out. */
interface Bound {
  readonly account: Account | null
  readonly access: ClientAccess | 'no rule'
}

export class RoleRules {
  readonly #accounts: KnownAccounts
  readonly #partlyReadable: PartlyReadable
  #roles: Roles = new Map()
  /** What is known of each client goes with its connection, with its account, and with the rules. */
  #clients = new WeakMap<ClientInfo, Bound>()

  constructor(accounts: KnownAccounts, partlyReadable: PartlyReadable) {
    this.#accounts = accounts
    this.#partlyReadable = partlyReadable
  }

  /** Takes other rules into force. */
  use(roles: Roles): void {
    this.#roles = roles
    this.forget()
  }

  /** Accounts that are not in memory may have changed: all clients are looked at again. */
  forget(): void {
    this.#clients = new WeakMap()
  }

  get isEmpty(): boolean {
    return [...this.#roles.values()].every((rules) => rules.length === 0)
  }

  /** At once, but for a client whose account is not in memory. */
  authorizePublish(client: ClientInfo, request: PublishRequest): Eventually<Answer | undefined> {
    const access = this.#accessOf(client)
    const { topic, qos, retain } = request
    if (access === undefined) {
      return this.#judgeLate(client, (late) => late.mayPublish(topic, qos, retain))
    }
    return access === 'no rule' ? undefined : access.mayPublish(topic, qos, retain)
  }

  authorizeSubscribe(
    client: ClientInfo,
    { topicFilter, qos }: SubscribeRequest,
  ): Eventually<Answer | undefined> {
    const access = this.#accessOf(client)
    if (access === undefined) {
      return this.#judgeLate(client, ({ rules }) => rules.maySubscribe(topicFilter, qos))
    }
    return access === 'no rule' ? undefined : access.rules.maySubscribe(topicFilter, qos)
  }

  /** Refused as long as Redis would have to be asked. */
  authorizeReceive(client: ClientInfo, { topic, qos }: ReceiveRequest): Answer | undefined {
    const access = this.#accessOf(client)
    if (access === undefined) return false
    return access === 'no rule' ? undefined : access.mayReceive(topic, qos)
  }

  async #judgeLate(
    client: ClientInfo,
    judge: (access: ClientAccess) => Answer,
  ): Promise<Answer | undefined> {
    try {
      const account = await this.#accounts.find(client.userName ?? '', true)
      const access = this.#bind(client, account)
      return access === 'no rule' ? undefined : judge(access)
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      return denial(ReasonCode.NotAuthorized, `accounts: ${error.message}`, AWAY_HINT)
    }
  }

  /** Undefined if Redis has to be asked. */
  #accessOf(client: ClientInfo): ClientAccess | 'no rule' | undefined {
    const { userName } = client
    const bound = this.#clients.get(client)
    const account = userName === undefined ? null : this.#accounts.peek(userName)
    if (account === undefined) return bound?.access
    return bound?.account === account ? bound.access : this.#bind(client, account)
  }

  #bind(client: ClientInfo, account: Account | null): ClientAccess | 'no rule' {
    const rules = rulesFor(this.#roles, account?.roles ?? [], client, this.#partlyReadable)
    const access = rules === undefined ? 'no rule' : new ClientAccess(rules)
    this.#clients.set(client, { account, access })
    return access
  }
}

export const AWAY_HINT = 'see that Redis runs and can be reached; the broker goes on by itself then'
