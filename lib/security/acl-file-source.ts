/** `security.aclFile` as one that is asked, on trial if `security.aclDryRun` says so. */

import { basename } from 'node:path'
import type { SecurityConfiguration } from '../config/options.ts'
import { AccessList } from './access-list.ts'
import type { AccessSource, SourceParts } from './access-sources.ts'
import { DryRun } from './dry-run.ts'
import { LiveFile } from './live-file.ts'

/** Undefined if there is no such file in the configuration. */
export function aclFileSource(
  { aclFile: path, aclDryRun, aclPartlyReadable }: SecurityConfiguration,
  { clock, log, limitedLog, changes }: SourceParts,
): AccessSource | undefined {
  if (path === undefined) return undefined
  const list = new AccessList(basename(path), aclPartlyReadable)
  const rules = new DryRun(list, aclDryRun, limitedLog)
  let isOpen = false
  const file = new LiveFile({
    option: 'security.aclFile',
    path,
    hint: 'docs/security.md says what it looks like',
    use: (text) => {
      list.use(text)
      if (isOpen) changes.rulesChanged()
    },
    clock,
    log,
  })
  return {
    hooks: {
      authorizePublish: (client, request) => rules.authorizePublish(client, request),
      authorizeSubscribe: (client, request) => rules.authorizeSubscribe(client, request),
      authorizeReceive: (client, request) => rules.authorizeReceive(client, request),
    },
    async open() {
      await file.open()
      isOpen = true
    },
    async reload(security) {
      if (rules.isOn !== security.aclDryRun) {
        rules.isOn = security.aclDryRun
        changes.rulesChanged()
      }
      await file.check()
    },
    close: async () => file.close(),
  }
}
