/** `noctule user`: the users of a password file. A running broker takes a change over at once. */

import type { Argv, CommandModule } from 'yargs'
import { findUserNameFault, userNamesIn, withoutUser, withUser } from '../security/password-file.ts'
import { CommandFailure, UsageError } from './failures.ts'
import { hashOf, type PasswordFlags, withPasswordFlags } from './password-flags.ts'
import { optionOfConfiguration } from './security-option.ts'
import { changeUserFile, readUserFile } from './user-file.ts'

interface FileFlags {
  readonly config?: string | undefined
  readonly file?: string | undefined
}

interface NameFlags extends FileFlags {
  readonly name: string
}

type SetFlags = NameFlags & PasswordFlags

export const userCommand: CommandModule = {
  command: 'user',
  describe: 'Make, change and list the users of a password file',
  builder: (yargs) =>
    yargs
      .command(addCommand)
      .command(passwordCommand)
      .command(removeCommand)
      .command(listCommand)
      .demandCommand(1, 'Say what to do: user add, user passwd, user remove or user list.')
      .example('noctule user add meter-7 --file passwords', 'asks for the password')
      .example('pwgen -s 24 1 | noctule user add meter-8 --file passwords', 'takes it from a pipe')
      .epilogue(
        'The file is that of --file, or security.passwordFile of the configuration (--config, NOCTULE_CONFIG, NOCTULE_SECURITY_PASSWORD_FILE).\n' +
          'A broker that runs with it takes the change over at once.\n' +
          'Exit codes: 0 done, 1 could not be done, 2 mistakes in the configuration or command line.',
      ),
  handler: () => {}, // yargs calls those of the commands.
}

const addCommand: CommandModule<object, SetFlags> = {
  command: 'add <name>',
  describe: 'Make a user; makes the file too if there is none',
  builder: (yargs: Argv<object>): Argv<SetFlags> =>
    withPasswordFlags(withFileFlags(withName(yargs))),
  handler: async (flags) => {
    const path = fileOf(flags)
    const fault = findUserNameFault(flags.name)
    if (fault !== undefined) throw new UsageError(`No user can have that name: ${fault}`)
    await setPassword(path, flags, (text = '') => {
      if (!userNamesIn(text).includes(flags.name)) return
      throw new CommandFailure(
        `There is a user ${JSON.stringify(flags.name)} in ${path} already: noctule user passwd sets a new password.`,
      )
    })
    console.log(`User ${JSON.stringify(flags.name)} is in ${path}.`)
  },
}

const passwordCommand: CommandModule<object, SetFlags> = {
  command: 'passwd <name>',
  describe: 'Give a user a new password',
  builder: (yargs: Argv<object>): Argv<SetFlags> =>
    withPasswordFlags(withFileFlags(withName(yargs))),
  handler: async (flags) => {
    const path = fileOf(flags)
    await setPassword(path, flags, (text) => assertKnown(path, text, flags.name))
    console.log(`User ${JSON.stringify(flags.name)} has a new password.`)
  },
}

const removeCommand: CommandModule<object, NameFlags> = {
  command: 'remove <name>',
  describe: 'Remove a user, who can then connect no more',
  builder: (yargs: Argv<object>): Argv<NameFlags> => withFileFlags(withName(yargs)),
  handler: (flags) => {
    const path = fileOf(flags)
    assertKnown(path, readUserFile(path), flags.name)
    changeUserFile(path, (text) => withoutUser(text, flags.name))
    console.log(`User ${JSON.stringify(flags.name)} is removed.`)
  },
}

const listCommand: CommandModule<object, FileFlags> = {
  command: 'list',
  describe: 'List the users, one a line',
  builder: withFileFlags,
  handler: (flags) => {
    const path = fileOf(flags)
    const text = readUserFile(path)
    if (text === undefined) throw noFile(path)
    for (const name of userNamesIn(text)) console.log(name)
  },
}

function withName<T>(yargs: Argv<T>): Argv<T & { name: string }> {
  return yargs.positional('name', { type: 'string', demandOption: true, describe: 'User name' })
}

function withFileFlags<T>(yargs: Argv<T>): Argv<T & FileFlags> {
  return yargs
    .option('file', {
      type: 'string',
      requiresArg: true,
      describe: 'Password file [security.passwordFile of the configuration]',
    })
    .option('config', {
      type: 'string',
      requiresArg: true,
      describe: 'Configuration, a YAML file; by default NOCTULE_CONFIG of the environment',
    })
}

function fileOf({ file, config }: FileFlags): string {
  return (
    file ??
    optionOfConfiguration(config, 'passwordFile') ??
    fail('Name the password file: --file FILE, or security.passwordFile in the configuration')
  )
}

function fail(sentence: string): never {
  throw new UsageError(sentence)
}

/** `assertFits` judges the file: before anybody is asked for a password, and once more as it is changed. */
async function setPassword(
  path: string,
  flags: SetFlags,
  assertFits: (text: string | undefined) => void,
): Promise<void> {
  assertFits(readUserFile(path))
  const hash = await hashOf(flags.name, flags)
  changeUserFile(path, (text) => {
    assertFits(text)
    return withUser(text, flags.name, hash)
  })
}

function assertKnown(path: string, text: string | undefined, name: string): void {
  if (text === undefined) throw noFile(path)
  if (userNamesIn(text).includes(name)) return
  throw new CommandFailure(
    `There is no user ${JSON.stringify(name)} in ${path}: noctule user list names them.`,
  )
}

function noFile(path: string): CommandFailure {
  return new CommandFailure(`There is no file ${path}: noctule user add makes it.`)
}
