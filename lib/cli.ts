#!/usr/bin/env node
/** The program `noctule`: hands the command line to its commands, tells mistakes in one sentence. */

import yargs, { type CommandModule, type Options } from 'yargs'
import { configCommand } from './cli/config.ts'
import { ExitCode } from './cli/exit-codes.ts'
import { CommandFailure, UsageError } from './cli/failures.ts'
import { joinFlags } from './cli/joined-flags.ts'
import { nearest } from './cli/nearest.ts'
import { publishCommand } from './cli/publish.ts'
import { publishOptions } from './cli/publish-options.ts'
import { startCommand } from './cli/start.ts'
import { subscribeCommand } from './cli/subscribe.ts'
import { subscribeOptions } from './cli/subscribe-options.ts'
import { VERSION } from './util/version.ts'

interface Command {
  readonly module: CommandModule<object, never>
  /** The flags of a command whose flags are read as mosquitto's clients read theirs. */
  readonly options?: Readonly<Record<string, Options>>
}

/** In the order of --help. The command whose names include `$0` is the default one. */
const commands: readonly Command[] = [
  { module: startCommand as CommandModule<object, never> },
  { module: publishCommand as CommandModule<object, never>, options: publishOptions },
  { module: subscribeCommand as CommandModule<object, never>, options: subscribeOptions },
  { module: configCommand as CommandModule<object, never> },
]

/** Wider lines are hard to read, whatever the terminal can show. */
const HELP_COLUMNS_MAX = 120

await run(process.argv.slice(2))

async function run(words: readonly string[]): Promise<void> {
  const name = words[0]?.startsWith('-') === false ? words[0] : undefined
  try {
    await parse(prepare(words, name))
  } catch (error) {
    process.exitCode = report(error, name)
  }
}

/** Lets yargs find the command and run it. */
async function parse(words: string[]): Promise<void> {
  const program = yargs(words)
    .scriptName('noctule')
    .usage('Noctule, an MQTT broker and its clients.\n\nnoctule COMMAND [flags]')
    .locale('en')
    .version(VERSION)
    .help('help', 'Show this help')
    .parserConfiguration({ 'boolean-negation': false })
    .wrap(Math.min(process.stdout.columns ?? 80, HELP_COLUMNS_MAX))
    .strict()
    .exitProcess(false)
    .fail((message: string, error: Error | undefined) => {
      throw error ?? new UsageError(message)
    })
  for (const { module } of commands) program.command(module)
  await program.parseAsync()
}

/** Understands `noctule`, `noctule -h` and `noctule help pub`, and suggests what a wrong name means. */
function prepare(words: readonly string[], name: string | undefined): string[] {
  const [first, ...rest] = words
  if (first === '-h') return ['--help']
  if (first === 'help') return [...rest, '--help']
  const names = commands.flatMap(({ module }) => namesOf(module))
  if (name === undefined)
    return first === undefined && !names.includes('$0') ? ['--help'] : [...words]
  const command = commands.find(({ module }) => namesOf(module).includes(name))
  if (command === undefined) {
    const near = nearest(name, names)
    const suggestion = near === undefined ? '' : ` Did you mean "${near}"?`
    throw new UsageError(`There is no command "${name}".${suggestion}`)
  }
  return command.options === undefined ? [...words] : [name, ...joinFlags(rest, command.options)]
}

function namesOf({ command }: CommandModule<object, never>): string[] {
  return [command ?? []].flat().map((usage) => usage.split(' ')[0] ?? '')
}

/** Prints why a command ended early; returns the exit code. */
function report(error: unknown, name: string | undefined): number {
  const isUsage = error instanceof UsageError || (error instanceof Error && error.name === 'YError')
  if (isUsage) {
    const isKnown = commands.some(({ module }) => namesOf(module).includes(name ?? ''))
    const command = isKnown ? `noctule ${name}` : 'noctule'
    console.error(`${error.message.replace(/[.?]?$/, (end) => end || '.')} See: ${command} --help`)
    return ExitCode.Usage
  }
  if (error instanceof CommandFailure) {
    console.error(error.message)
    return error.exitCode
  }
  console.error('Noctule has made a mistake. Please report it, with this:', error)
  return ExitCode.Failure
}
