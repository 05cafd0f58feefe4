/** The options as flags of the command line, `--session.queueMessagesMax 5`, in the terms of yargs. */

import { kebabOf } from '../util/kebab.ts'
import type { Flags } from './layers.ts'
import { describeDefault, fieldOf, listenersSentence, rooms } from './settings.ts'

/** The part of yargs' `Options` that we fill in. */
export interface ConfigurationFlag {
  readonly type?: 'string'
  readonly requiresArg?: true
  readonly hidden?: true
  readonly group?: string
  readonly describe?: string
  readonly defaultDescription?: string
}

/** `--store URL` is short for `--store.url URL`: the group's own flag is free for its one key. */
const shortFlags: Readonly<Record<string, string>> = { store: 'url' }

/** Returns the flags for yargs, which leaves their values as text: the schema knows how to read it. */
export function configurationFlags(): Record<string, ConfigurationFlag> {
  const flags: Record<string, ConfigurationFlag> = {
    listeners: {
      group: 'Options of listeners:',
      describe: `${listenersSentence} As JSON, or one field: --listeners.0.port 1884`,
    },
  }
  for (const { name, settings } of rooms) {
    // In its strict mode, yargs wants to know the group too.
    flags[name] = name in shortFlags ? shortFlag(name) : { hidden: true }
    for (const setting of settings) {
      flags[setting.key] = {
        type: 'string',
        requiresArg: true,
        group: `Options of ${name}:`,
        describe: setting.sentence,
        defaultDescription: describeDefault(setting),
      }
    }
  }
  return flags
}

function shortFlag(name: string): ConfigurationFlag {
  return {
    type: 'string',
    requiresArg: true,
    group: `Options of ${name}:`,
    describe: `Short for --${name}.${shortFlags[name]}`,
  }
}

/** Picks the options of the broker from what yargs parsed, wrong ones included: the schema reports them. */
export function flagsFrom(argv: Flags): Flags {
  const picked: Record<string, unknown> = { listeners: argv['listeners'] }
  for (const { name } of rooms.filter((room) => !room.name.includes('.'))) {
    picked[name] = withoutVariants(name, withShort(argv[name], shortFlags[name]))
  }
  return picked
}

/** What was given for a group, without the names in kebab case that yargs adds. */
function withoutVariants(name: string, given: unknown): unknown {
  const room = rooms.find((each) => each.name === name)
  if (room === undefined || !isGroup(given)) return given
  const variants = new Set(room.settings.map((setting) => kebabOf(fieldOf(setting))))
  const own = Object.entries(given).filter(([key]) => !isVariant(key, variants))
  return Object.fromEntries(
    own.map(([key, value]) => [key, withoutVariants(`${name}.${key}`, value)]),
  )
}

/** yargs makes a list of `--store URL` and `--store.timeoutMs 1`: text and groups, put together here. */
function withShort(given: unknown, short: string | undefined): unknown {
  if (short === undefined) return given
  if (typeof given === 'string') return { [short]: given }
  if (!Array.isArray(given)) return given
  const texts = given.filter((each) => typeof each === 'string')
  const groups = given.filter(isGroup)
  if (texts.length !== 1 || texts.length + groups.length < given.length) return given
  return Object.assign({ [short]: texts[0] }, ...groups)
}

/** yargs adds `queue-messages-max` to `queueMessagesMax`. */
function isVariant(key: string, variants: ReadonlySet<string>): boolean {
  return key.includes('-') && variants.has(key)
}

function isGroup(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
