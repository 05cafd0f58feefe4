#!/usr/bin/env node
/** The program `noctule`: hands the command line to its commands, tells mistakes in one sentence. */

import yargs, { type CommandModule, type Options } from 'yargs'
import { aclCommand } from './cli/acl.ts'
import { banCommand } from './cli/ban.ts'
import { benchOptions } from './cli/bench/options.ts'
import { benchCommand } from './cli/bench.ts'
import { certsCommand } from './cli/certs.ts'
import { configCommand } from './cli/config.ts'
import { ExitCode } from './cli/exit-codes.ts'
import { CommandFailure, UsageError } from './cli/failures.ts'
import { joinFlags } from './cli/joined-flags.ts'
import { publishCommand } from './cli/publish.ts'
import { publishOptions } from './cli/publish-options.ts'
import { roleCommand } from './cli/role.ts'
import { startCommand } from './cli/start.ts'
import { storeCommand } from './cli/store.ts'
import { subscribeCommand } from './cli/subscribe.ts'
import { subscribeOptions } from './cli/subscribe-options.ts'
import { userCommand } from './cli/user.ts'
import { nearest } from './util/nearest.ts'
import { VERSION } from './util/version.ts'

interface Command {
  readonly module: CommandModule<object, never>
  /** The flags of a command that reads them as mosquitto's clients do. */
  readonly options?: Readonly<Record<string, Options>>
}

/** In the order of --help. The command whose names include `$0` is the default one. */
const commands: readonly Command[] = [
  { module: startCommand as CommandModule<object, never> },
  { module: publishCommand as CommandModule<object, never>, options: publishOptions },
  { module: subscribeCommand as CommandModule<object, never>, options: subscribeOptions },
  { module: configCommand as CommandModule<object, never> },
  { module: storeCommand as CommandModule<object, never> },
  { module: benchCommand as CommandModule<object, never>, options: benchOptions },
  { module: userCommand as CommandModule<object, never> },
  { module: roleCommand as CommandModule<object, never> },
  { module: banCommand as CommandModule<object, never> },
  { module: aclCommand as CommandModule<object, never> },
  { module: certsCommand as CommandModule<object, never> },
]

/** Wider lines are hard to read, whatever the terminal can show. */
const HELP_COLUMNS_MAX = 120
const HELP_COLUMNS_WITHOUT_TERMINAL = 80

await run(process.argv.slice(2))

async function run(words: readonly string[]): Promise<void> {
  try {
    await parse(prepare(words), words)
  } catch (error) {
    process.exitCode = report(error, words)
  }
}

/** Understands `noctule`, `noctule -h` and `noctule help pub`; finds out early that a command is none. */
function prepare([first, ...rest]: readonly string[]): string[] {
  if (first === '-h') return ['--help']
  if (first === 'help') return [...rest, '--help']
  const hasDefault = commands.some(({ module }) => namesOf(module).includes('$0'))
  if (first === undefined) return hasDefault ? [] : ['--help']
  if (first.startsWith('-')) return [first, ...rest]
  const { options } = findCommand(first)
  return [first, ...(options === undefined ? rest : joinFlags(rest, options))]
}

/** Lets yargs run the command. */
async function parse(prepared: string[], words: readonly string[]): Promise<void> {
  const program = yargs(prepared)
    .scriptName('noctule')
    .usage('Noctule, an MQTT broker and its clients.\n\nnoctule COMMAND [flags]')
    .locale('en')
    .version(VERSION)
    .help('help', 'Show this help')
    .parserConfiguration({ 'boolean-negation': false })
    .wrap(Math.min(process.stdout.columns ?? HELP_COLUMNS_WITHOUT_TERMINAL, HELP_COLUMNS_MAX))
    .strict()
    .exitProcess(false)
    .fail((message: string, error: Error | undefined) => {
      throw error ?? new UsageError(explainUnknown(message, words))
    })
  for (const { module } of commands) program.command(module)
  await program.parseAsync()
}

function findCommand(name: string): Command {
  const command = commands.find(({ module }) => namesOf(module).includes(name))
  if (command !== undefined) return command
  const near = nearest(
    name,
    commands.flatMap(({ module }) => namesOf(module)),
  )
  const suggestion = near === undefined ? '' : ` Did you mean "${near}"?`
  throw new UsageError(`There is no command "${name}".${suggestion}`)
}

function namesOf({ command }: CommandModule<object, never>): string[] {
  return [command ?? []].flat().map((usage) => usage.split(' ')[0] ?? '')
}

/** yargs names an unknown flag without its dashes, and twice if it has some inside. */
function explainUnknown(message: string, [name = '', ...words]: readonly string[]): string {
  const unknown = /^Unknown arguments?: ([^,]+)/.exec(message)?.[1]
  if (unknown === undefined) return message
  const flags = [name, ...words].filter((word) => word.startsWith('-'))
  const isNamed = (word: string) => /^--?([^=]*)/.exec(word)?.[1] === unknown
  const flag = flags.find(isNamed) ?? flags.find((word) => word.includes(unknown))
  if (flag === undefined) return `"${unknown}" is neither a flag nor the value of one.`
  const { options = {} } = commands.find(({ module }) => namesOf(module).includes(name)) ?? {}
  const near = nearest(unknown, Object.keys(options))
  return `There is no flag ${flag}.${near === undefined ? '' : ` Did you mean --${near}?`}`
}

/** Prints why a command ended early; returns the exit code. */
function report(error: unknown, words: readonly string[]): number {
  if (error instanceof UsageError || (error instanceof Error && error.name === 'YError')) {
    const sentence = /[.?]$/.test(error.message) ? error.message : `${error.message}.`
    console.error(`${sentence} See: noctule ${commandIn(words, sentence)}--help`)
    return ExitCode.Usage
  }
  if (error instanceof CommandFailure) {
    console.error(error.message)
    return error.exitCode
  }
  console.error('Noctule has made a mistake. Please report it, with this:', error)
  return ExitCode.Failure
}

/** Whose help is meant: `acl check `, or `acl ` if its word for what to do is what the sentence is about. */
function commandIn([name = '', what = '']: readonly string[], sentence: string): string {
  const command = commands.find(({ module }) => namesOf(module).includes(name))
  if (command === undefined) return ''
  const isGroup = command.options === undefined && !namesOf(command.module).includes('$0')
  const isNamed = isGroup && /^[a-z]+$/.test(what) && !sentence.startsWith(`"${what}"`)
  return isNamed ? `${name} ${what} ` : `${name} `
}
