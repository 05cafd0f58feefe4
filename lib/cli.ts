#!/usr/bin/env node
/** The program `noctule`: hands the command line to its commands, tells mistakes in one sentence. */

import yargs, { type CommandModule, type Options } from 'yargs'
import { ExitCode } from './cli/exit-codes.ts'
import { CommandFailure, UsageError } from './cli/failures.ts'
import { joinFlags } from './cli/joined-flags.ts'
import { publishCommand } from './cli/publish.ts'
import { publishOptions } from './cli/publish-options.ts'
import { VERSION } from './util/version.ts'

interface Command {
  readonly module: CommandModule<object, never>
  /** Given for commands that read their flags as mosquitto's clients do. */
  readonly options?: Readonly<Record<string, Options>>
}

const commands: readonly Command[] = [
  { module: publishCommand as CommandModule<object, never>, options: publishOptions },
]
