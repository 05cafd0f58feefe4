/** How commands come to the accounts in Redis, and what becomes of it if it is away, in sentences. */

import type { Argv } from 'yargs'
import { Administration } from '../security/redis/administration.ts'
import { AccountsLink } from '../security/redis/link.ts'
import { StoreError } from '../storage/storage.ts'
import { systemClock } from '../util/clock.ts'
import { ExitCode } from './exit-codes.ts'
import { CommandFailure, UsageError } from './failures.ts'
import { optionOfConfiguration } from './security-option.ts'

export interface RedisFlags {
  readonly config?: string | undefined
  readonly redis?: string | undefined
  readonly keyPrefix?: string | undefined
}

export function withRedisFlags<T>(yargs: Argv<T>): Argv<T & RedisFlags> {
  return yargs
    .option('redis', {
      type: 'string',
      requiresArg: true,
      describe: 'Redis with the accounts [security.redisUrl of the configuration]: redis://HOST',
    })
    .option('key-prefix', {
      type: 'string',
      requiresArg: true,
      describe: 'What their keys begin with [security.redisKeyPrefix]',
    })
    .option('config', {
      type: 'string',
      requiresArg: true,
      describe: 'Configuration, a YAML file; by default NOCTULE_CONFIG of the environment',
    })
}

/** Returns the URL of the flag, or of the configuration. */
export function redisUrlOf({ redis, config }: RedisFlags): string | undefined {
  return redis ?? optionOfConfiguration(config, 'redisUrl')
}

/** Opens the accounts for `use`. Rejects with a sentence if they cannot be reached. */
export async function withAccounts<T>(
  flags: RedisFlags,
  use: (administration: Administration) => Promise<T>,
): Promise<T> {
  const url = redisUrlOf(flags)
  if (url === undefined) {
    throw new UsageError('Name the Redis: --redis URL, or security.redisUrl in the configuration')
  }
  const { config, keyPrefix = optionOfConfiguration(config, 'redisKeyPrefix') } = flags
  const timeoutMs = optionOfConfiguration(config, 'redisTimeoutMs')
  let link: AccountsLink | undefined
  // The timers of the connection do not keep a process alive.
  const beat = setInterval(() => {}, 2 ** 30)
  try {
    link = await AccountsLink.open({ url, keyPrefix, timeoutMs, clock: systemClock })
    return await use(new Administration(link))
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    throw new CommandFailure(sentence(error.message), ExitCode.CannotStore)
  } finally {
    clearInterval(beat)
    link?.close()
  }
}

function sentence(text: string): string {
  return text.endsWith('.') ? text : `${text}.`
}
