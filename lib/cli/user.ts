/** `noctule user`: the users of a password file, or of Redis. A running broker takes a change over at once. */

import type { Argv, CommandModule } from 'yargs'
import { escapeHidden } from '../util/logger.ts'
import { type RedisFlags, redisUrlOf, withAccounts, withRedisFlags } from './accounts-access.ts'
import { UsageError } from './failures.ts'
import { list } from './flag-values.ts'
import { hashOf, type PasswordFlags, withPasswordFlags } from './password-flags.ts'
import { optionOfConfiguration } from './security-option.ts'
import { disableCommand, enableCommand, showCommand } from './user-account.ts'
import { type UserPlace, UsersInFile, UsersInRedis } from './user-place.ts'

interface PlaceFlags extends RedisFlags {
  readonly file?: string | undefined
}

interface NameFlags extends PlaceFlags {
  readonly name: string
}

type SetFlags = NameFlags & PasswordFlags
type AddFlags = SetFlags & { readonly role: readonly string[] }

export const userCommand: CommandModule = {
  command: 'user',
  describe: 'Make, change and list users, in a password file or in Redis',
  builder: (yargs) =>
    yargs
      .command(addCommand)
      .command(passwordCommand)
      .command(removeCommand)
      .command(listCommand)
      .command(showCommand)
      .command(disableCommand)
      .command(enableCommand)
      .demandCommand(
        1,
        'Say what to do: user add, passwd, remove or list; in Redis also user show, disable or enable.',
      )
      .example('noctule user add meter-7 --file passwords', 'asks for the password')
      .example('pwgen -s 24 1 | noctule user add meter-8 --file passwords', 'takes it from a pipe')
      .example('noctule user add alice --redis redis://db --role operators', 'for several brokers')
      .epilogue(
        'The file is that of --file, or security.passwordFile of the configuration (--config, NOCTULE_CONFIG, NOCTULE_SECURITY_PASSWORD_FILE); the Redis that of --redis, or security.redisUrl.\n' +
          'Brokers that run with it take the change over at once.\n' +
          'Exit codes: 0 done, 1 could not be done, 2 mistakes in the configuration or command line, 4 cannot use the Redis.',
      ),
  handler: () => {}, // yargs calls those of the commands.
}

const addCommand: CommandModule<object, AddFlags> = {
  command: 'add <name>',
  describe: 'Make a user; makes the file too if there is none',
  builder: (yargs: Argv<object>): Argv<AddFlags> =>
    withPasswordFlags(withPlaceFlags(withName(yargs))).option('role', {
      ...list({ describe: 'Role of a user in Redis; may be given several times' }),
      default: [],
    }) as Argv<AddFlags>,
  handler: (flags) =>
    withPlace(flags, async (place) => {
      const { name, role } = flags
      await place.add(name, role, () => hashOf(name, flags))
      console.log(`User ${JSON.stringify(name)} is in ${place.name}.`)
    }),
}

const passwordCommand: CommandModule<object, SetFlags> = {
  command: 'passwd <name>',
  describe: 'Give a user a new password',
  builder: (yargs: Argv<object>): Argv<SetFlags> =>
    withPasswordFlags(withPlaceFlags(withName(yargs))),
  handler: (flags) =>
    withPlace(flags, async (place) => {
      await place.setPassword(flags.name, () => hashOf(flags.name, flags))
      console.log(`User ${JSON.stringify(flags.name)} has a new password.`)
    }),
}

const removeCommand: CommandModule<object, NameFlags> = {
  command: 'remove <name>',
  describe: 'Remove a user, who can then connect no more',
  builder: (yargs: Argv<object>): Argv<NameFlags> => withPlaceFlags(withName(yargs)),
  handler: (flags) =>
    withPlace(flags, async (place) => {
      await place.remove(flags.name)
      console.log(`User ${JSON.stringify(flags.name)} is removed.`)
    }),
}

const listCommand: CommandModule<object, PlaceFlags> = {
  command: 'list',
  describe: 'List the users, one a line',
  builder: withPlaceFlags,
  handler: (flags) =>
    withPlace(flags, async (place) => {
      for await (const name of place.list()) console.log(escapeHidden(name))
    }),
}

function withName<T>(yargs: Argv<T>): Argv<T & { name: string }> {
  return yargs.positional('name', { type: 'string', demandOption: true, describe: 'User name' })
}

function withPlaceFlags<T>(yargs: Argv<T>): Argv<T & PlaceFlags> {
  return withRedisFlags(yargs).option('file', {
    type: 'string',
    requiresArg: true,
    describe: 'Password file [security.passwordFile of the configuration]',
  })
}

/** What is named by a flag wins over the configuration. */
async function withPlace(flags: PlaceFlags, use: (place: UserPlace) => Promise<void>) {
  const { file, redis, config } = flags
  if (file !== undefined && redis !== undefined) {
    throw new UsageError('Name one: --file FILE or --redis URL')
  }
  const isNamed = file !== undefined || redis !== undefined
  const path = isNamed ? file : optionOfConfiguration(config, 'passwordFile')
  const url = isNamed ? redis : redisUrlOf(flags)
  if (path !== undefined && url !== undefined) {
    throw new UsageError('The configuration has both: say --file FILE or --redis URL')
  }
  if (path !== undefined) return use(new UsersInFile(path))
  if (url === undefined) {
    throw new UsageError(
      'Name the password file: --file FILE, or security.passwordFile in the configuration; or a Redis: --redis URL',
    )
  }
  return withAccounts(flags, (administration) => use(new UsersInRedis(administration)))
}
