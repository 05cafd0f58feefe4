/** The flags by which a user gets a password, and what becomes of it. */

import type { Argv } from 'yargs'
import {
  hashPassword,
  SCRYPT_COST,
  SCRYPT_COST_MAX,
  SCRYPT_COST_MIN,
} from '../security/password-hash.ts'
import {
  hashForScram,
  SCRAM_COST_MIN,
  type ScramMethod,
  scramMethods,
} from '../security/scram/keys.ts'
import { saslprep } from '../security/scram/saslprep.ts'
import { UsageError } from './failures.ts'
import { readPassword } from './password-input.ts'

export interface PasswordFlags {
  readonly passwordFile?: string | undefined
  readonly cost: number
  readonly scram?: ScramMethod | undefined
}

export function withPasswordFlags<T>(yargs: Argv<T>): Argv<T & PasswordFlags> {
  return yargs
    .option('password-file', {
      type: 'string',
      requiresArg: true,
      describe: 'File whose first line is the password [asked for, or read from standard input]',
    })
    .option('cost', {
      type: 'number',
      requiresArg: true,
      default: SCRYPT_COST,
      describe: 'log2 of the work to compare it: each step doubles it',
    })
    .option('scram', {
      type: 'string',
      coerce: parseScramMethod,
      describe:
        'Keep it for this Authentication Method [alone: SCRAM-SHA-256]; in plain it is right too',
    })
}

/** Reads the password of a user, and returns what is kept of it. Rejects with a sentence if that cannot be. */
export async function hashOf(
  name: string,
  { passwordFile, cost, scram }: PasswordFlags,
): Promise<string> {
  const costMin = scram === undefined ? SCRYPT_COST_MIN : SCRAM_COST_MIN
  if (!Number.isInteger(cost) || cost < costMin || cost > SCRYPT_COST_MAX) {
    const of = scram === undefined ? '' : ` with ${scram}`
    throw new UsageError(`--cost must be a whole number from ${costMin} to ${SCRYPT_COST_MAX}${of}`)
  }
  if (scram === undefined) return hashPassword(await readPassword(passwordFile), cost)
  await assertPrepared(name)
  const password = await readPassword(passwordFile)
  try {
    return await hashForScram(password, scram, cost)
  } catch (error) {
    throw new UsageError(`${scram} cannot have that password: ${(error as Error).message}`)
  }
}

/** Clients send the name as SASLprep has it, so another one would never be found. */
async function assertPrepared(name: string): Promise<void> {
  const prepared = await saslprep(name).catch((error: Error) => {
    throw new UsageError(`With SCRAM no user can have that name: ${error.message}`)
  })
  if (prepared === name) return
  throw new UsageError(`With SCRAM that user is called ${JSON.stringify(prepared)}: use that name`)
}

/** Alone it is the method that all clients know. */
function parseScramMethod(written: string | undefined): ScramMethod | undefined {
  if (written === undefined) return undefined
  if (written === '') return 'SCRAM-SHA-256'
  const method = scramMethods.find((one) => one === written.toUpperCase())
  if (method !== undefined) return method
  const methods = scramMethods.join(' or ')
  throw new UsageError(
    `--scram is ${methods}, not ${JSON.stringify(written)}; alone it stands last`,
  )
}
