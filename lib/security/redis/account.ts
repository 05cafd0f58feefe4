/** An account as Redis keeps it, and what its text means. */

import * as z from 'zod'
import { loadArgon2 } from '../argon2.ts'
import { isArgon2, type PasswordHash, parsePasswordHash } from '../password-hash.ts'

/** What a user may have at most: each is looked up when its client does something first. */
export const ROLES_OF_USER_MAX = 64
const ROLE_NAME = /^[\w.-]{1,64}$/

/** No client can name a longer user: a string of MQTT has at most so many bytes. */
const USER_NAME_BYTES_MAX = 65_535

/** As it stands in Redis. */
export interface AccountRecord {
  /** A hash as in password files. */
  readonly password: string
  readonly roles: readonly string[]
  readonly enabled: boolean
}

export interface Account {
  readonly password: PasswordHash
  readonly roles: readonly string[]
  readonly isEnabled: boolean
}

const recordSchema = z.object({
  password: z.string(),
  roles: z.array(z.string().regex(ROLE_NAME)).max(ROLES_OF_USER_MAX).default([]),
  enabled: z.boolean().default(true),
})

/** Throws an `Error` whose message says what is wrong. */
export function parseRecord(text: string): AccountRecord {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Error('it is not JSON')
  }
  const { data, error } = recordSchema.safeParse(value)
  if (data !== undefined) return data
  const [issue] = error.issues
  throw new Error(`${issue?.path.join('.') || 'it'}: ${issue?.message ?? 'not as it should be'}`)
}

/** Rejects with an `Error` whose message says what is wrong. */
export async function parseAccount(text: string): Promise<Account> {
  const { password, roles, enabled } = parseRecord(text)
  const verifyArgon2 = isArgon2(password) ? await loadArgon2() : undefined
  return { password: parsePasswordHash(password, verifyArgon2), roles, isEnabled: enabled }
}

/** Why a role cannot have that name; undefined: it can. */
export function findRoleNameFault(name: string): string | undefined {
  return ROLE_NAME.test(name)
    ? undefined
    : 'a role has 1 to 64 letters, digits, dots, dashes or underscores'
}

/** Why an account cannot have that name; undefined: it can. Colons and the like harm nothing here. */
export function findAccountNameFault(name: string): string | undefined {
  if (name === '') return 'it is empty'
  if (Buffer.byteLength(name) > USER_NAME_BYTES_MAX) return 'no client can send so long a name'
  return /\p{Cc}/u.test(name) ? 'it has control characters' : undefined
}
