/** Which options may change while the broker runs, and which only when it starts again. */

import type { BrokerConfiguration } from './options.ts'
import { listenerTypes, rooms } from './settings.ts'

export interface ReloadPlan {
  /** Changed options that take effect at once. */
  readonly apply: string[]
  /** Changed options that have no effect before the broker starts again. */
  readonly needsRestart: string[]
}

/**
 * Options that a running broker takes over: single ones, and all of some groups. Those of connections hold
 * for connections to come, since limits that were announced in CONNACK cannot be taken back. The rooms are
 * built with all others.
 */
const reloadable =
  /^(log\.level$|shutdown\.|security\.(allowAnonymous|unauthorizedPublishV3|aclDryRun|certificateWarningDays)$|connection\.)/

/** Returns what is in force once a running broker has taken over what it can of `next`. */
export function reloadInto(
  old: BrokerConfiguration,
  next: BrokerConfiguration,
): BrokerConfiguration {
  const { connection, shutdown } = next
  const { allowAnonymous, unauthorizedPublishV3, aclDryRun, certificateWarningDays } = next.security
  const taken = { allowAnonymous, unauthorizedPublishV3, aclDryRun, certificateWarningDays }
  const security = { ...old.security, ...taken }
  return { ...old, security, connection, shutdown }
}

/** Compares two configurations option by option; listeners count one by one while their number is the same. */
export function compareForReload(old: BrokerConfiguration, next: BrokerConfiguration): ReloadPlan {
  const changed = changedOptions(old, next)
  return {
    apply: changed.filter((path) => reloadable.test(path)),
    needsRestart: changed.filter((path) => !reloadable.test(path)),
  }
}

function changedOptions(old: BrokerConfiguration, next: BrokerConfiguration): string[] {
  const keys = rooms.flatMap(({ settings }) => settings.map(({ key }) => key))
  const differs = (path: string): boolean =>
    !isSameOption(optionAt(old, path), optionAt(next, path))
  return [...listenerPaths(old, next), ...keys].filter(differs)
}

/** Returns the value at a path such as `log.level` or `listeners.0.port`. */
export function optionAt(options: BrokerConfiguration, path: string): unknown {
  let value: unknown = options
  for (const segment of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined
    value = Object.getOwnPropertyDescriptor(value, segment)?.value
  }
  return value
}

function listenerPaths(old: BrokerConfiguration, next: BrokerConfiguration): string[] {
  if (old.listeners.length !== next.listeners.length) return ['listeners']
  const fields = new Set([...listenerTypes.values()].flat().map(({ key }) => key))
  return old.listeners.flatMap((_, i) =>
    ['type', ...fields].map((field) => `listeners.${i}.${field}`),
  )
}

/** Says whether two values of an option are equal: numbers, texts and lists of these. */
export function isSameOption(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
