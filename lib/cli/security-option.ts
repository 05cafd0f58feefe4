/** The options of `security`, and the file of bans, as the configuration of `noctule start` has them. */

import { loadConfiguration } from '../config/load.ts'
import type { BrokerConfiguration, SecurityConfiguration } from '../config/options.ts'
import { ConfigurationError } from '../config/problems.ts'
import { ExitCode } from './exit-codes.ts'
import { CommandFailure } from './failures.ts'

/** Throws a sentence, or several, if the configuration has mistakes. */
export function optionOfConfiguration<Option extends keyof SecurityConfiguration>(
  config: string | undefined,
  option: Option,
): SecurityConfiguration[Option] {
  return configurationOf(config).security[option]
}

/** `bans.file`; throws as the other does. */
export function bansFileOfConfiguration(config: string | undefined): string | undefined {
  return configurationOf(config).bans.file
}

function configurationOf(config: string | undefined): BrokerConfiguration {
  try {
    const file = config ?? process.env['NOCTULE_CONFIG']
    return loadConfiguration({ file, environment: process.env }).options
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    throw new CommandFailure(error.message, ExitCode.Usage)
  }
}
