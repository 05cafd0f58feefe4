/** What the files of `security` say about clients: opened with the broker, live while it runs. */

import { basename } from 'node:path'
import type { SecurityConfiguration } from '../config/options.ts'
import type { Clock } from '../util/clock.ts'
import type { LimitedLog } from '../util/limited-log.ts'
import type { Logger } from '../util/logger.ts'
import type { AccessHooks } from './access.ts'
import { chainAccess } from './access-chain.ts'
import { AccessList } from './access-list.ts'
import { DryRun } from './dry-run.ts'
import { LiveFile, type LiveFileParts } from './live-file.ts'
import { PasswordSource } from './password-source.ts'

/** What has to happen to clients that are connected. */
export interface FileChanges {
  /** A changed ACL file is in force. */
  readonly rulesChanged: () => void
  /** These users are gone from a changed password file, or have another line there. */
  readonly usersChanged: (userNames: ReadonlySet<string>) => void
}

export interface FileAccessParts {
  readonly clock: Clock
  readonly log: Logger
  readonly limitedLog: LimitedLog
  readonly changes: FileChanges
}

export class FileAccess {
  readonly #parts: FileAccessParts
  readonly #users: PasswordSource | undefined
  readonly #rules: DryRun | undefined
  readonly #files: LiveFile[] = []
  #isOpen = false

  constructor(security: SecurityConfiguration, parts: FileAccessParts) {
    this.#parts = parts
    const { passwordFile, aclFile } = security
    if (passwordFile !== undefined) this.#users = this.#usersIn(passwordFile, security)
    if (aclFile !== undefined) this.#rules = this.#rulesIn(aclFile, security)
  }

  get hasRules(): boolean {
    return this.#rules !== undefined
  }

  /** Returns all who are asked, the host's hooks first. */
  behind(hooks: AccessHooks): AccessHooks {
    return chainAccess(hooks, { users: this.#users, rules: this.#rules })
  }

  /** Reads the files; rejects with a `ConfigurationError` if one cannot be used. */
  async open(hooks: AccessHooks): Promise<void> {
    for (const file of this.#files) await file.open()
    if (
      this.#rules !== undefined &&
      this.#users === undefined &&
      hooks.authenticate === undefined
    ) {
      this.#parts.log.warn(
        { option: 'security.aclFile' },
        'nothing verifies user names, so a client may call itself what a rule wants to see: set security.passwordFile',
      )
    }
    this.#isOpen = true
  }

  /** Takes over what may change while running, and looks at once whether a file has changed. */
  async reload({ aclDryRun }: SecurityConfiguration): Promise<void> {
    if (this.#rules !== undefined && this.#rules.isOn !== aclDryRun) {
      this.#rules.isOn = aclDryRun
      this.#parts.changes.rulesChanged()
    }
    await Promise.all(this.#files.map((file) => file.check()))
  }

  close(): void {
    for (const file of this.#files) file.close()
  }

  #usersIn(path: string, security: SecurityConfiguration): PasswordSource {
    const users = new PasswordSource(security, this.#parts.clock)
    this.#watch({
      option: 'security.passwordFile',
      path,
      hint: `Make it with: noctule user add NAME --file ${path}`,
      use: async (text) => this.#parts.changes.usersChanged(await users.use(text)),
    })
    return users
  }

  #rulesIn(path: string, { aclDryRun }: SecurityConfiguration): DryRun {
    const list = new AccessList(basename(path))
    this.#watch({
      option: 'security.aclFile',
      path,
      hint: 'docs/security.md says what it looks like',
      use: (text) => {
        list.use(text)
        if (this.#isOpen) this.#parts.changes.rulesChanged()
      },
    })
    return new DryRun(list, aclDryRun, this.#parts.limitedLog)
  }

  #watch(file: Pick<LiveFileParts, 'option' | 'path' | 'hint' | 'use'>): void {
    const { clock, log } = this.#parts
    this.#files.push(new LiveFile({ ...file, clock, log }))
  }
}
