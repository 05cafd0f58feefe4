/** The options as flags of the command line, `--session.queueMessagesMax 5`, in the terms of yargs. */

import type { Flags } from './layers.ts'
import { describeDefault, fieldOf, rooms } from './settings.ts'

/** Returns the flag descriptions for yargs: `--log.level`, with the default in words. */
export function configurationFlags(): Record<string, ConfigurationFlag> {
  const flags = rooms.flatMap(({ name, settings }) =>
    settings.map((setting): [string, ConfigurationFlag] => [
      setting.key,
      {
        type: 'string',
        requiresArg: true,
        group: `Options of ${name}:`,
        describe: setting.sentence,
        defaultDescription: describeDefault(setting),
      },
    ]),
  )
  return Object.fromEntries(flags)
}

/** The part of yargs' `Options` that we fill in. */
export interface ConfigurationFlag {
  readonly type: 'string'
  readonly requiresArg: true
  readonly group: string
  readonly describe: string
  readonly defaultDescription: string
}

/** Picks the flags that are options of the broker from what yargs parsed, without its spelling variants. */
export function flagsFrom(argv: Flags): Flags {
  const picked: Record<string, unknown> = {}
  if (argv['listeners'] !== undefined) picked['listeners'] = argv['listeners']
  for (const { name, settings } of rooms) {
    const given = argv[name]
    if (typeof given !== 'object' || given === null) continue
    const values = given as Flags
    const known = settings.map(fieldOf).filter((field) => values[field] !== undefined)
    picked[name] = Object.fromEntries(known.map((field) => [field, values[field]]))
  }
  return picked
}
