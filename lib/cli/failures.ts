/** How a command fails on purpose: one sentence for people, never a stack trace. */

import { ExitCode } from './exit-codes.ts'

/** The command failed: the message tells what happened, where, why and what to do next. */
export class CommandFailure extends Error {
  override readonly name: string = 'CommandFailure'
  readonly exitCode: number

  constructor(sentence: string, exitCode: number = ExitCode.Failure) {
    super(sentence)
    this.exitCode = exitCode
  }
}

/** The command line is wrong. The program adds where to read how it goes. */
export class UsageError extends CommandFailure {
  override readonly name = 'UsageError'

  constructor(sentence: string) {
    super(sentence, ExitCode.Usage)
  }
}
