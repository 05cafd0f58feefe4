/** `security.redisUrl` as one that is asked: who may connect, and what its roles allow. */

import type { Buffer } from 'node:buffer'
import type { SecurityConfiguration } from '../../config/options.ts'
import { ConfigurationError, wrongFile } from '../../config/problems.ts'
import { ReasonCode } from '../../protocol/reason-codes.ts'
import { StoreError } from '../../storage/storage.ts'
import { type AccessHooks, type AuthenticateRequest, type Decision, denial } from '../access.ts'
import { partlyReadableOf } from '../access-list.ts'
import type { AccessSource, SourceParts } from '../access-sources.ts'
import { DryRun } from '../dry-run.ts'
import { BUSY } from '../password-check.ts'
import { hashOfNobody, type PasswordHash } from '../password-hash.ts'
import type { ScramUsers } from '../scram/exchange.ts'
import type { ScramKeys, ScramMethod } from '../scram/keys.ts'
import { ScramError } from '../scram/messages.ts'
import { Directory } from './directory.ts'
import { AccountsLink } from './link.ts'
import { AWAY_HINT, RulesFault } from './role-rules.ts'

const OPTION = 'security.redisUrl'

const ALLOWED: Decision = { isAllowed: true, rule: 'account in Redis' }

const WRONG = denial(
  ReasonCode.BadUserNameOrPassword,
  'account in Redis: wrong password',
  'noctule user passwd --redis URL sets a new one',
)

const DISABLED = denial(
  ReasonCode.NotAuthorized,
  'account in Redis: it is disabled',
  'noctule user enable --redis URL lets it in again',
)

/** Undefined if there is no Redis in the configuration. */
export function redisSource(
  security: SecurityConfiguration,
  parts: SourceParts,
): AccessSource | undefined {
  const { redisUrl: url } = security
  return url === undefined ? undefined : new RedisSource(url, security, parts)
}

class RedisSource implements AccessSource, ScramUsers {
  readonly hooks: AccessHooks
  readonly #url: string
  readonly #security: SecurityConfiguration
  readonly #parts: SourceParts
  readonly #rules: DryRun
  /** Whom unknown users are compared with: an account that has been seen. */
  #decoy: PasswordHash = hashOfNobody()
  #opened: Directory | undefined

  constructor(url: string, security: SecurityConfiguration, parts: SourceParts) {
    this.#url = url
    this.#security = security
    this.#parts = parts
    const rules: ConstructorParameters<typeof DryRun>[0] = {
      authorizePublish: (client, request) =>
        this.#directory.rules.authorizePublish(client, request),
      authorizeSubscribe: (client, request) =>
        this.#directory.rules.authorizeSubscribe(client, request),
      authorizeReceive: (client, request) =>
        this.#directory.rules.authorizeReceive(client, request),
    }
    this.#rules = new DryRun(rules, security.aclDryRun, parts.limitedLog)
    this.hooks = {
      authenticate: (request) => this.authenticate(request),
      authorizePublish: (client, request) => this.#rules.authorizePublish(client, request),
      authorizeSubscribe: (client, request) => this.#rules.authorizeSubscribe(client, request),
      authorizeReceive: (client, request) => this.#rules.authorizeReceive(client, request),
    }
  }

  get scramUsers(): ScramUsers {
    return this
  }

  async open(): Promise<void> {
    const { redisKeyPrefix: keyPrefix, redisTimeoutMs: timeoutMs } = this.#security
    const { clock, log, limitedLog, changes } = this.#parts
    let link: AccountsLink | undefined
    try {
      link = await AccountsLink.open({ url: this.#url, keyPrefix, timeoutMs, clock })
      this.#opened = await Directory.open({
        link,
        usersMax: this.#security.redisUsersMax,
        complain(user, rule) {
          const hint = 'noctule user passwd --redis URL writes it anew'
          limitedLog.error(
            'account',
            { option: OPTION, user, rule, hint },
            'an account in Redis cannot be read',
          )
        },
        clock,
        log,
        changes,
        partlyReadable: partlyReadableOf('', this.#security.aclPartlyReadable),
      })
    } catch (error) {
      link?.close()
      if (!(error instanceof StoreError || error instanceof RulesFault)) throw error
      throw new ConfigurationError([wrongFile(OPTION, 'a Redis with accounts', sentenceOf(error))])
    }
    if (!this.#opened.rules.isEmpty || this.#security.aclFile !== undefined) return
    log.warn(
      { option: OPTION },
      'there is no rule in Redis yet, so users may do nothing: noctule acl set, noctule role set',
    )
  }

  async reload({ aclDryRun }: SecurityConfiguration): Promise<void> {
    if (this.#rules.isOn === aclDryRun) return
    this.#rules.isOn = aclDryRun
    this.#parts.changes.rulesChanged()
  }

  async close(): Promise<void> {
    this.#opened?.close()
  }

  /** As that of a password file: undefined for a client without user name, or without account. */
  async authenticate({
    userName,
    password,
    address,
  }: Pick<AuthenticateRequest, 'userName' | 'password' | 'address'>): Promise<
    Decision | undefined
  > {
    if (userName === undefined) return undefined
    try {
      return await this.#judge(userName, password, address)
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      return denial(ReasonCode.ServerUnavailable, `accounts: ${error.message}`, AWAY_HINT)
    }
  }

  async #judge(
    userName: string,
    password: Buffer | undefined,
    address: string,
  ): Promise<Decision | undefined> {
    const { passwords } = this.#parts
    const account = await this.#directory.find(userName, false)
    if (account === null) {
      const isCompared = await passwords.pretend(this.#decoy, password, address)
      return isCompared === undefined ? BUSY : undefined
    }
    this.#decoy = account.password
    const isRight = await passwords.isRight(account.password, password, address)
    if (isRight === undefined) return BUSY
    // While it was compared, the account may have changed.
    const now = await this.#directory.find(userName, false)
    if (now?.password.text !== account.password.text)
      return this.#judge(userName, password, address)
    if (!isRight) return WRONG
    return now.isEnabled ? ALLOWED : DISABLED
  }

  async scramKeysOf(userName: string, method: ScramMethod): Promise<ScramKeys | null | undefined> {
    try {
      const account = await this.#directory.find(userName, false)
      if (account === null) return undefined
      const keys = account.password.scram
      return account.isEnabled && keys?.method === method ? keys : null
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      throw new ScramError('no-resources', `accounts: ${error.message}`)
    }
  }

  scramExample(method: ScramMethod): ScramKeys | undefined {
    return this.#directory.scramExample(method)
  }

  get #directory(): Directory {
    return this.#opened as Directory
  }
}

/** The errors of the connection are whole sentences already. */
function sentenceOf({ message }: Error): string {
  if (!message.startsWith('there are no accounts')) return message
  return `${message}. Make the first with: noctule user add NAME --redis URL`
}
