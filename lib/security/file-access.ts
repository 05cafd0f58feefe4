/** What the files of `security` say about clients: opened with the broker, live while it runs. */

import type { SecurityConfiguration } from '../config/options.ts'
import type { Clock } from '../util/clock.ts'
import type { LimitedLog } from '../util/limited-log.ts'
import type { Logger } from '../util/logger.ts'
import type { AccessHooks } from './access.ts'
import { chainAccess } from './access-chain.ts'
import { LiveFile } from './live-file.ts'
import { PasswordSource } from './password-source.ts'

export interface FileAccessParts {
  readonly clock: Clock
  readonly log: Logger
  readonly limitedLog: LimitedLog
}

export class FileAccess {
  readonly #users: PasswordSource | undefined
  readonly #files: LiveFile[] = []

  constructor(security: SecurityConfiguration, { clock, log }: FileAccessParts) {
    const { passwordFile } = security
    if (passwordFile !== undefined) {
      const users = new PasswordSource(security, clock)
      this.#users = users
      this.#files.push(
        new LiveFile({
          option: 'security.passwordFile',
          path: passwordFile,
          hint: `Make it with: noctule user add NAME --file ${passwordFile}`,
          use: (text) => users.use(text),
          clock,
          log,
        }),
      )
    }
  }

  /** Returns all who are asked, the host's hooks first. */
  behind(hooks: AccessHooks): AccessHooks {
    return chainAccess(hooks, { users: this.#users })
  }

  /** Reads the files; rejects with a `ConfigurationError` if one cannot be used. */
  async open(): Promise<void> {
    for (const file of this.#files) await file.open()
  }

  /** Looks at once whether a file has changed. */
  async check(): Promise<void> {
    await Promise.all(this.#files.map((file) => file.check()))
  }

  close(): void {
    for (const file of this.#files) file.close()
  }
}
