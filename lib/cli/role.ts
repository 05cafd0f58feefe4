/** `noctule role`: roles and their rules in Redis. Brokers that run with it take a change over at once. */

import type { Argv, CommandModule } from 'yargs'
import { ROLES_OF_USER_MAX } from '../security/redis/account.ts'
import type { Administration } from '../security/redis/administration.ts'
import { EVERYBODY } from '../security/redis/keys.ts'
import { RulesFault } from '../security/redis/role-rules.ts'
import { escapeHidden } from '../util/logger.ts'
import { type RedisFlags, withAccounts, withRedisFlags } from './accounts-access.ts'
import { CommandFailure, UsageError } from './failures.ts'
import { assertRoleName, assertRolesExist, noRole } from './role-names.ts'
import { readRulesFile } from './rules-file.ts'
import { changeRoles } from './user-account.ts'

interface RoleFlags extends RedisFlags {
  readonly role: string
}

interface SetFlags extends RoleFlags {
  readonly rules: string
}

interface UserFlags extends RoleFlags {
  readonly users: readonly string[]
}

/** So many of those who have a role are named. */
const NAMED_MAX = 5

export const roleCommand: CommandModule = {
  command: 'role',
  describe: 'Roles in Redis: what they allow, and who has them',
  builder: (yargs) =>
    yargs
      .command(listCommand)
      .command(showCommand)
      .command(setCommand)
      .command(removeCommand)
      .command(grantCommand)
      .command(revokeCommand)
      .demandCommand(1, 'Say what to do: role list, show, set, remove, grant or revoke.')
      .example('noctule role set operators rules.conf --redis redis://db', 'the rules of a file')
      .example("echo 'allow read #' | noctule role set readers - --redis redis://db", 'of a pipe')
      .example('noctule role grant operators alice bob --redis redis://db', '')
      .epilogue(
        'A rule a line, as in ACL files: docs/security.md. Rules for everybody: noctule acl set.\n' +
          'Exit codes: 0 done, 1 could not be done, 2 mistakes in the rules, the configuration or the command line, 4 cannot use the Redis.',
      ),
  handler: () => {}, // yargs calls those of the commands.
}

const listCommand: CommandModule<object, RedisFlags> = {
  command: 'list',
  describe: 'List the roles, one a line',
  builder: withRedisFlags,
  handler: (flags) =>
    withAccounts(flags, async (administration) => {
      const roles = await administration.roles()
      for (const name of [...roles.keys()].toSorted()) {
        if (name !== EVERYBODY) console.log(escapeHidden(name))
      }
    }),
}

const showCommand: CommandModule<object, RoleFlags> = {
  command: 'show <role>',
  describe: 'Print the rules of a role',
  builder: withRole,
  handler: (flags) =>
    withAccounts(flags, async (administration) => {
      const roles = await administration.roles()
      const text = roles.get(flags.role)
      if (text === undefined) throw noRole(flags.role, [...roles.keys()])
      process.stdout.write(text)
    }),
}

const setCommand: CommandModule<object, SetFlags> = {
  command: 'set <role> <rules>',
  describe: 'Give a role the rules of a file, in place of those it had',
  builder: (yargs: Argv<object>): Argv<SetFlags> =>
    withRole(yargs).positional('rules', {
      type: 'string',
      demandOption: true,
      describe: 'File of rules; -: standard input',
    }),
  handler: async (flags) => {
    assertRoleName(flags.role)
    const text = await readRulesFile(flags.rules)
    await withAccounts(flags, (administration) => setRules(administration, flags.role, text))
    console.log(`Role ${flags.role} has these rules now.`)
  },
}

const removeCommand: CommandModule<object, RoleFlags> = {
  command: 'remove <role>',
  describe: 'Remove a role that nobody has',
  builder: withRole,
  handler: (flags) =>
    withAccounts(flags, async (administration) => {
      assertRoleName(flags.role)
      await assertRolesExist(administration, [flags.role])
      const holders = await holdersOf(administration, flags.role)
      if (holders.length > 0) throw stillHeld(flags.role, holders)
      await administration.changeRole(flags.role, undefined)
      console.log(`Role ${flags.role} is removed.`)
    }),
}

const grantCommand: CommandModule<object, UserFlags> = {
  command: 'grant <role> <users..>',
  describe: 'Give users a role, behind those they have',
  builder: withUsers,
  handler: (flags) =>
    withAccounts(flags, async (administration) => {
      const { role, users } = flags
      await assertRolesExist(administration, [role])
      for (const user of users) {
        // oxlint-disable-next-line no-await-in-loop -- The first that fails ends it.
        await changeRoles(administration, user, (roles) => withOne(roles, role, user))
        console.log(`User ${JSON.stringify(user)} has role ${role}.`)
      }
    }),
}

const revokeCommand: CommandModule<object, UserFlags> = {
  command: 'revoke <role> <users..>',
  describe: 'Take a role from users',
  builder: withUsers,
  handler: (flags) =>
    withAccounts(flags, async (administration) => {
      const { role, users } = flags
      for (const user of users) {
        // oxlint-disable-next-line no-await-in-loop -- The first that fails ends it.
        await changeRoles(administration, user, (roles) => roles.filter((one) => one !== role))
        console.log(`User ${JSON.stringify(user)} has role ${role} no more.`)
      }
    }),
}

/** Rejects with a sentence that names the line if a rule is wrong. */
export async function setRules(
  administration: Administration,
  role: string,
  text: string,
): Promise<void> {
  try {
    await administration.changeRole(role, text)
  } catch (error) {
    if (!(error instanceof RulesFault)) throw error
    throw new UsageError(`Nothing was changed: ${error.message}`)
  }
}

function withRole(yargs: Argv<object>): Argv<RoleFlags> {
  const named = yargs.positional('role', {
    type: 'string',
    demandOption: true,
    describe: 'Name of the role',
  })
  return withRedisFlags(named)
}

function withUsers(yargs: Argv<object>): Argv<UserFlags> {
  return withRole(yargs).positional('users', {
    type: 'string',
    array: true,
    demandOption: true,
    describe: 'User names',
  })
}

function withOne(roles: readonly string[], role: string, user: string): readonly string[] {
  if (roles.includes(role)) return roles
  if (roles.length < ROLES_OF_USER_MAX) return [...roles, role]
  throw new CommandFailure(
    `User ${JSON.stringify(user)} has ${ROLES_OF_USER_MAX} roles, and cannot have more.`,
  )
}

async function holdersOf(administration: Administration, role: string): Promise<string[]> {
  const holders: string[] = []
  for await (const [name, record] of administration.accounts()) {
    if (record?.roles.includes(role) === true) holders.push(name)
  }
  return holders
}

function stillHeld(role: string, holders: readonly string[]): CommandFailure {
  const names = holders.slice(0, NAMED_MAX).map((name) => JSON.stringify(name))
  const more = holders.length > NAMED_MAX ? ` and ${holders.length - NAMED_MAX} more` : ''
  return new CommandFailure(
    `Role ${role} is had by ${names.join(', ')}${more}: noctule role revoke takes it from them.`,
  )
}
