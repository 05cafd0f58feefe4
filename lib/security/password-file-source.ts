/** `security.passwordFile` as one that is asked. */

import type { SecurityConfiguration } from '../config/options.ts'
import type { AccessSource, SourceParts } from './access-sources.ts'
import { LiveFile } from './live-file.ts'
import { PasswordSource } from './password-source.ts'

/** Undefined if there is no such file in the configuration. */
export function passwordFileSource(
  { passwordFile: path }: SecurityConfiguration,
  { clock, log, changes, passwords }: SourceParts,
): AccessSource | undefined {
  if (path === undefined) return undefined
  const users = new PasswordSource(passwords)
  const file = new LiveFile({
    option: 'security.passwordFile',
    path,
    hint: `Make it with: noctule user add NAME --file ${path}`,
    use: async (text) => changes.usersChanged(await users.use(text)),
    clock,
    log,
  })
  return {
    hooks: { authenticate: (request) => users.authenticate(request) },
    scramUsers: users,
    open: () => file.open(),
    reload: () => file.check(),
    close: async () => file.close(),
  }
}
