/** `noctule config check` and `noctule config show`: what is wrong with a configuration, and what it comes to. */

import { stringify } from 'yaml'
import type { Argv, CommandModule } from 'yargs'
import {
  defaultConfiguration,
  type LoadedConfiguration,
  loadConfiguration,
} from '../config/load.ts'
import { ConfigurationError } from '../config/problems.ts'
import { isSameOption, optionAt } from '../config/reload.ts'
import { settingAt } from '../config/settings.ts'
import { withoutPassword } from '../config/store-urls.ts'

/** What the commands need of the process. */
export interface ConfigSurroundings {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly print: (text: string) => void
  readonly printError: (text: string) => void
  readonly exit: (code: number) => void
}

interface FileArguments {
  readonly config: string | undefined
}

interface ShowArguments extends FileArguments {
  readonly changed: boolean
  readonly format: string
}

const EXIT_CONFIGURATION = 2

/** The commands of this process. */
export const configCommand: CommandModule = createConfigCommand({
  environment: process.env,
  print: (text) => console.log(text),
  printError: (text) => console.error(text),
  exit: (code) => {
    process.exitCode = code
  },
})

/** Creates the commands; tests bring surroundings of their own. */
export function createConfigCommand(surroundings: ConfigSurroundings): CommandModule {
  return {
    command: 'config',
    describe: 'Check a configuration, or show what it comes to',
    builder: (yargs) =>
      yargs
        .command(checkCommand(surroundings))
        .command(showCommand(surroundings))
        .demandCommand(1, 'Say what to do: config check or config show.'),
    handler: () => {}, // yargs calls those of the two commands.
  }
}

function checkCommand(surroundings: ConfigSurroundings): CommandModule<object, FileArguments> {
  return {
    command: 'check',
    describe: 'Report all mistakes of a configuration; exit code 2 if there are any',
    builder: (yargs) =>
      withFile(yargs, surroundings)
        .demandOption('config', 'Name the file to check: --config FILE, or NOCTULE_CONFIG.')
        .example('$0 config check --config noctule.yaml', ''),
    handler: ({ config }) => {
      const loaded = load(config, surroundings)
      if (loaded === undefined) return
      const count = changedPaths(loaded).length
      const settings = count === 1 ? 'setting differs' : 'settings differ'
      surroundings.print(`${config} is valid: ${count} ${settings} from the default`)
    },
  }
}

function showCommand(surroundings: ConfigSurroundings): CommandModule<object, ShowArguments> {
  return {
    command: 'show',
    describe: 'Print every option with its value and where it was set',
    builder: (yargs) =>
      withFile(yargs, surroundings)
        .option('changed', {
          type: 'boolean',
          default: false,
          describe: 'Only what differs from the default',
        })
        .option('format', {
          choices: ['yaml', 'json'],
          default: 'yaml',
          describe: 'yaml can be used as a file, origins are its comments; json has them as values',
        }),
    handler: ({ config, changed, format }) => {
      const loaded = load(config, surroundings)
      if (loaded === undefined) return
      const lines = shownOptions(loaded, changed)
      // A comment, so that the output still is a file.
      const asText = lines.length === 0 ? '# Nothing differs from the defaults.' : asYaml(lines)
      surroundings.print(format === 'json' ? asJson(lines) : asText)
    },
  }
}

function withFile(yargs: Argv, { environment }: ConfigSurroundings): Argv<FileArguments> {
  return yargs.option('config', {
    type: 'string',
    requiresArg: true,
    default: environment['NOCTULE_CONFIG'],
    describe: 'Configuration file; by default NOCTULE_CONFIG of the environment',
  })
}

function load(
  file: string | undefined,
  { environment, printError, exit }: ConfigSurroundings,
): LoadedConfiguration | undefined {
  try {
    return loadConfiguration({ file, environment })
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    printError(error.message)
    exit(EXIT_CONFIGURATION)
    return undefined
  }
}

interface ShownOption {
  readonly path: string
  readonly value: unknown
  readonly origin: string
}

function shownOptions(
  { options, origins }: LoadedConfiguration,
  onlyChanged: boolean,
): ShownOption[] {
  const all = [...origins].map(([path, origin]) => ({
    path,
    value: withoutSecret(path, optionAt(options, path)),
    origin,
  }))
  if (!onlyChanged) return all
  const changed = changedPaths({ options, origins })
  // An entry of a list is nothing without its type: listeners are shown with all that is set.
  return all.filter(
    ({ path, origin }) =>
      changed.includes(path) || (path.startsWith('listeners.') && origin !== 'default'),
  )
}

/** Returns the options that were set to something else than their default. */
function changedPaths({ options, origins }: LoadedConfiguration): string[] {
  const defaults = defaultConfiguration()
  return [...origins.keys()].filter((path) => {
    const isDefault = isSameOption(optionAt(options, path), optionAt(defaults, path))
    return origins.get(path) !== 'default' && !isDefault
  })
}

/**
 * Returns addresses without the password in them, and headers without their values: what is shown is pasted
 * into tickets.
 */
function withoutSecret(path: string, value: unknown): unknown {
  if (settingAt(path)?.isSecret === true && Array.isArray(value)) {
    return value.map((text: string) => text.replace(/:.*/s, ': ***'))
  }
  return typeof value === 'string' ? withoutPassword(value) : value
}

function asJson(shown: readonly ShownOption[]): string {
  const entries = shown.map(({ path, value, origin }) => [path, { value: value ?? null, origin }])
  return JSON.stringify(Object.fromEntries(entries), undefined, 2)
}

/** Writes a valid configuration file whose comments are the origins. */
function asYaml(shown: readonly ShownOption[]): string {
  const lines: string[] = []
  let group = ''
  for (const { path, value, origin } of shown) {
    const segments = path.split('.')
    const key = segments.pop() ?? ''
    const [room = '', inner] = segments
    const isNewRoom = room !== group.split('.')[0]
    const isNewGroup = segments.join('.') !== group && inner !== undefined
    const isItem = room === 'listeners'
    if (isNewRoom) lines.push(`${room}:`)
    if (isNewGroup && !isItem) lines.push(`  ${inner}:`)
    group = segments.join('.')
    const indent = inner === undefined ? '  ' : isNewGroup && isItem ? '  - ' : '    '
    // Unset options stand behind a mark, so that what is printed can be loaded.
    const text = value === undefined ? `# ${key}:` : inlineYaml(key, value)
    lines.push(`${indent}${text} # ${origin}`)
  }
  return lines.join('\n')
}

function inlineYaml(key: string, value: unknown): string {
  return Array.isArray(value)
    ? `${key}: ${JSON.stringify(value)}`
    : stringify({ [key]: value }, { lineWidth: 0 }).trimEnd()
}
