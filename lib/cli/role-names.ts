/** Names of roles, as commands are given them. */

import { findRoleNameFault } from '../security/redis/account.ts'
import type { Administration } from '../security/redis/administration.ts'
import { didYouMean } from '../util/nearest.ts'
import { CommandFailure, UsageError } from './failures.ts'

/** Throws a sentence for what cannot be the name of a role. */
export function assertRoleName(name: string): void {
  const fault = findRoleNameFault(name)
  if (fault === undefined) return
  throw new UsageError(`${JSON.stringify(name)} cannot be a role: ${fault}`)
}

/** Rejects with a sentence for the first role that there is not. */
export async function assertRolesExist(
  administration: Administration,
  names: readonly string[],
): Promise<void> {
  for (const name of names) assertRoleName(name)
  if (names.length === 0) return
  const roles = await administration.roles()
  const missing = names.find((name) => !roles.has(name))
  if (missing !== undefined) throw noRole(missing, [...roles.keys()])
}

export function noRole(name: string, known: readonly string[]): CommandFailure {
  const hint = didYouMean(name, known) || ': noctule role set makes it.'
  return new CommandFailure(`There is no role ${name}${hint}`)
}
