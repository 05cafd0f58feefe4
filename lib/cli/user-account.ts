/** The commands of `noctule user` that only accounts in Redis have. */

import type { Argv, CommandModule } from 'yargs'
import type { Administration } from '../security/redis/administration.ts'
import { escapeHidden } from '../util/logger.ts'
import { type RedisFlags, withAccounts, withRedisFlags } from './accounts-access.ts'
import { CommandFailure } from './failures.ts'
import { notThere } from './user-place.ts'

interface NameFlags extends RedisFlags {
  readonly name: string
}

export const showCommand: CommandModule<object, NameFlags> = {
  command: 'show <name>',
  describe: 'Show the roles of a user in Redis, and whether it may connect',
  builder: withName,
  handler: (flags) =>
    withAccounts(flags, async (administration) => {
      const { name } = flags
      if (!(await administration.hasAccount(name))) throw notThere(name, administration.place)
      const record = await administration.account(name)
      if (record === undefined) throw unreadable(name)
      const { roles, enabled, password } = record
      const lines = [
        `User      ${JSON.stringify(name)}`,
        `May come  ${enabled ? 'yes' : 'no: noctule user enable'}`,
        `Roles     ${roles.length === 0 ? 'none' : roles.join(', ')}`,
        `Password  ${password.split('$')[1] ?? ''}`,
      ]
      console.log(lines.map(escapeHidden).join('\n'))
    }),
}

export const disableCommand: CommandModule<object, NameFlags> = {
  command: 'disable <name>',
  describe: 'Keep a user in Redis out, without removing it',
  builder: withName,
  handler: (flags) => setEnabled(flags, false),
}

export const enableCommand: CommandModule<object, NameFlags> = {
  command: 'enable <name>',
  describe: 'Let a user in Redis in again',
  builder: withName,
  handler: (flags) => setEnabled(flags, true),
}

function withName(yargs: Argv<object>): Argv<NameFlags> {
  const named = yargs.positional('name', {
    type: 'string',
    demandOption: true,
    describe: 'User name',
  })
  return withRedisFlags(named)
}

function setEnabled(flags: NameFlags, enabled: boolean): Promise<void> {
  const { name } = flags
  return withAccounts(flags, async (administration) => {
    await administration.changeAccount(name, 'credentials', (record, isThere) => {
      if (!isThere) throw notThere(name, administration.place)
      if (record === undefined) throw unreadable(name)
      return { ...record, enabled }
    })
    const state = enabled ? 'may connect' : 'may connect no more'
    console.log(`User ${JSON.stringify(name)} ${state}.`)
  })
}

/** Gives a user other roles. Rejects with a sentence if there is no such user. */
export function changeRoles(
  administration: Administration,
  name: string,
  change: (roles: readonly string[]) => readonly string[],
): Promise<void> {
  return administration.changeAccount(name, 'roles', (record, isThere) => {
    if (!isThere) throw notThere(name, administration.place)
    if (record === undefined) throw unreadable(name)
    return { ...record, roles: change(record.roles) }
  })
}

function unreadable(name: string): CommandFailure {
  return new CommandFailure(
    `What Redis has of user ${JSON.stringify(name)} cannot be understood: noctule user passwd writes it anew.`,
  )
}
