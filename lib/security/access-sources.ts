/** Whom the configuration names to say who may connect and do what: opened with the broker, live while it runs. */

import type { SecurityConfiguration } from '../config/options.ts'
import type { Clock } from '../util/clock.ts'
import type { LimitedLog } from '../util/limited-log.ts'
import type { Logger } from '../util/logger.ts'
import type { AccessHooks } from './access.ts'
import { chainAccess } from './access-chain.ts'
import { aclFileSource } from './acl-file-source.ts'
import { clientAclAmong } from './client-acl.ts'
import { httpSource } from './http/http-source.ts'
import { jwtSource } from './jwt/jwt-source.ts'
import { PasswordCheck } from './password-check.ts'
import { passwordFileSource } from './password-file-source.ts'
import { redisSource } from './redis/source.ts'
import type { ScramUsers } from './scram/exchange.ts'
import { scramSource } from './scram/source.ts'

/** What has to happen to clients that are connected. */
export interface AccessChanges {
  /** Other rules are in force. */
  readonly rulesChanged: () => void
  /** These users are gone, or have another password. */
  readonly usersChanged: (userNames: ReadonlySet<string>) => void
}

/** What a source is given to work with. */
export interface SourceParts {
  readonly clock: Clock
  readonly log: Logger
  readonly limitedLog: LimitedLog
  readonly changes: AccessChanges
  /** Compares passwords for all of them. */
  readonly passwords: PasswordCheck
}

/** One that is asked, in its turn; `hooks` answer with undefined where it does not know. */
export interface AccessSource {
  readonly hooks: AccessHooks
  /** The users it knows, for SCRAM. */
  readonly scramUsers?: ScramUsers
  /** Rejects with a `ConfigurationError` if it cannot be used. */
  open(): Promise<void>
  /** Takes over what may change while running, and looks at once whether a file has changed. */
  reload(security: SecurityConfiguration): Promise<void>
  close(): Promise<void>
}

export class AccessSources {
  readonly #log: Logger
  readonly #sources: readonly AccessSource[]

  constructor(security: SecurityConfiguration, given: Omit<SourceParts, 'passwords'>) {
    this.#log = given.log
    const parts = { ...given, passwords: new PasswordCheck(security, given.clock) }
    const named = [
      jwtSource(security, parts),
      passwordFileSource(security, parts),
      redisSource(security, parts),
      httpSource(security, parts),
      aclFileSource(security, parts),
    ]
    this.#sources = [...named, scramSource(security, named)].filter(
      (source) => source !== undefined,
    )
  }

  /** Whether somebody here has rules about topics. */
  get haveRules(): boolean {
    return this.#sources.some(({ hooks }) => hooks.authorizeSubscribe !== undefined)
  }

  /** Returns all who are asked, the host's hooks first. */
  behind(hooks: AccessHooks): AccessHooks {
    const sources = this.#sources.map((source) => source.hooks)
    return chainAccess([hooks, clientAclAmong([hooks, ...sources]), ...sources])
  }

  /**
   * Opens each; rejects with a `ConfigurationError` if one cannot be used. `chain`: all who are asked;
   * `areNamesProved`: by certificates or pre-shared keys, on all listeners.
   */
  async open(chain: AccessHooks, areNamesProved: boolean): Promise<void> {
    for (const source of this.#sources) await source.open()
    if (!this.haveRules || areNamesProved || chain.authenticate !== undefined) return
    if (chain.authenticationMethods !== undefined) return
    this.#log.warn(
      {},
      'nothing verifies user names, so a client may call itself what a rule wants to see: set security.passwordFile',
    )
  }

  async reload(security: SecurityConfiguration): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.reload(security)))
  }

  async close(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.close()))
  }
}
