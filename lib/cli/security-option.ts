/** The options of `security` as the configuration of `noctule start` has them. */

import { loadConfiguration } from '../config/load.ts'
import type { SecurityConfiguration } from '../config/options.ts'
import { ConfigurationError } from '../config/problems.ts'
import { ExitCode } from './exit-codes.ts'
import { CommandFailure } from './failures.ts'

/** Throws a sentence, or several, if the configuration has mistakes. */
export function optionOfConfiguration<Option extends keyof SecurityConfiguration>(
  config: string | undefined,
  option: Option,
): SecurityConfiguration[Option] {
  try {
    const file = config ?? process.env['NOCTULE_CONFIG']
    return loadConfiguration({ file, environment: process.env }).options.security[option]
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    throw new CommandFailure(error.message, ExitCode.Usage)
  }
}
