/** `noctule ban`: who may not connect. A running broker takes a change over at once. */

import type { Argv, CommandModule } from 'yargs'
import {
  type Ban,
  formatBan,
  parseBan,
  parseBanFile,
  subjectOf,
  withBans,
  withoutBans,
} from '../security/bans/ban-file.ts'
import { FileProblem } from '../security/file-problem.ts'
import { ExitCode } from './exit-codes.ts'
import { CommandFailure, UsageError } from './failures.ts'
import { bansFileOfConfiguration } from './security-option.ts'
import { changeSharedFile, readUserFile } from './user-file.ts'

interface FileFlags {
  readonly config?: string | undefined
  readonly file?: string | undefined
}

interface SubjectFlags extends FileFlags {
  readonly address?: string | undefined
  readonly user?: string | undefined
  readonly client?: string | undefined
}

interface AddFlags extends SubjectFlags {
  readonly for?: string | undefined
  readonly reason?: string | undefined
}

const SECOND_MS = 1000
const units: Readonly<Record<string, number>> = {
  s: SECOND_MS,
  m: 60 * SECOND_MS,
  h: 3600 * SECOND_MS,
  d: 86_400 * SECOND_MS,
}

/** Beyond, dates have no year that people write. */
const DURATION_MAX_DAYS = 36_500

export const banCommand: CommandModule = {
  command: 'ban',
  describe: 'Say who may not connect, and for how long',
  builder: (yargs) =>
    yargs
      .command(addCommand)
      .command(removeCommand)
      .command(listCommand)
      .demandCommand(1, 'Say what to do: ban add, ban remove or ban list.')
      .example('noctule ban add --address 192.0.2.0/24 --for 1h --file bans', '')
      .example('noctule ban add --user alice --address 2001:db8::/64 --file bans', 'both together')
      .epilogue(
        'The file is that of --file, or bans.file of the configuration (--config, NOCTULE_CONFIG, NOCTULE_BANS_FILE).\n' +
          'A broker that runs with it takes the change over at once, and ends the connections of who is banned.\n' +
          'Exit codes: 0 done, 1 could not be done, 2 mistakes in the file, the configuration or command line.',
      ),
  handler: () => {}, // yargs calls those of the commands.
}

const text = { type: 'string', requiresArg: true } as const

const addCommand: CommandModule<object, AddFlags> = {
  command: 'add',
  describe: 'Ban an address, a user, a client, or who is all that is named',
  builder: (yargs: Argv<object>): Argv<AddFlags> =>
    withSubject(yargs)
      .option('for', {
        ...text,
        describe: 'How long: 90s, 15m, 12h, 30d [until it is removed]',
      })
      .option('reason', { ...text, describe: 'Why, for the log and the client' }),
  handler: async (flags) => {
    const path = fileOf(flags)
    const until = flags.for === undefined ? Number.POSITIVE_INFINITY : untilOf(flags.for)
    const ban = { ...subjectIn(flags), until, reason: flags.reason }
    await changeSharedFile(path, (before) => withBans(before, [ban], Date.now()))
    console.log(`Banned in ${path}: ${formatBan(ban)}`)
  },
}

const removeCommand: CommandModule<object, SubjectFlags> = {
  command: 'remove',
  describe: 'End a ban, named as ban list shows it',
  builder: withSubject,
  handler: async (flags) => {
    const path = fileOf(flags)
    const subject = subjectOf(subjectIn(flags))
    if (!read(path).some((ban) => subjectOf(ban) === subject)) {
      throw new CommandFailure(
        `There is no ban of ${subject} in ${path}: noctule ban list shows them.`,
      )
    }
    await changeSharedFile(path, (before) =>
      withoutBans(before, (ban) => subjectOf(ban) === subject),
    )
    console.log(`No longer banned: ${subject}`)
  },
}

const listCommand: CommandModule<object, FileFlags> = {
  command: 'list',
  describe: 'List the bans in force, one a line, as they stand in the file',
  builder: withFile,
  handler: (flags) => {
    const now = Date.now()
    for (const ban of read(fileOf(flags))) if (ban.until > now) console.log(formatBan(ban))
  },
}

function withFile<T>(yargs: Argv<T>): Argv<T & FileFlags> {
  return yargs
    .option('file', { ...text, describe: 'File of bans [bans.file of the configuration]' })
    .option('config', {
      ...text,
      describe: 'Configuration, a YAML file; by default NOCTULE_CONFIG of the environment',
    })
}

function withSubject(yargs: Argv<object>): Argv<SubjectFlags> {
  return withFile(yargs)
    .option('address', { ...text, describe: 'Address, or range such as 10.0.0.0/8' })
    .option('user', { ...text, describe: 'User name' })
    .option('client', { ...text, describe: 'Client Identifier' })
}

function fileOf({ file, config }: FileFlags): string {
  const path = file ?? bansFileOfConfiguration(config)
  if (path !== undefined) return path
  throw new UsageError('Name the file: --file FILE, or bans.file in the configuration')
}

/** Who is meant; as a line of the file, so that both are judged alike. */
function subjectIn({ address, user, client }: SubjectFlags): Ban {
  const words = Object.entries({ address, user, client }).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}=${JSON.stringify(value)}`],
  )
  if (words.length === 0) throw new UsageError('Say who: --address, --user or --client')
  try {
    return parseBan(words.join(' '))
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function untilOf(written: string): number {
  const [, count = '', unit = ''] = /^(\d{1,9})([smhd])$/.exec(written) ?? []
  const durationMs = Number(count) * (units[unit] ?? 0)
  if (durationMs <= 0 || durationMs > DURATION_MAX_DAYS * (units['d'] ?? 0)) {
    throw new UsageError(
      `--for wants a time such as 90s, 15m, 12h or 30d, at most ${DURATION_MAX_DAYS}d`,
    )
  }
  return Date.now() + durationMs
}

function read(path: string): Ban[] {
  const content = readUserFile(path)
  if (content === undefined)
    throw new CommandFailure(`There is no file ${path}: noctule ban add makes it.`)
  try {
    return parseBanFile(content)
  } catch (error) {
    if (!(error instanceof FileProblem)) throw error
    throw new CommandFailure(error.at(path), ExitCode.Usage)
  }
}
