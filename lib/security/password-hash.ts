/**
 * Hashed passwords as they stand in password files: ours, and the three of Mosquitto.
 *
 * ```
 * $scrypt$ln=14,r=8,p=1$SALT$KEY       what `noctule user` writes: scrypt with N = 2^14 (RFC 7914)
 * $7$101$SALT$KEY                      PBKDF2 with HMAC-SHA-512, after its iterations
 * $6$SALT$KEY                          SHA-512 of password and salt, once
 * $argon2id$v=19$m=…,t=…,p=…$SALT$KEY  argon2id (RFC 9106)
 * $scram-sha-256$i=…$SALT$KEY$KEY      for SCRAM, see scram/keys.ts
 * ```
 *
 * SALT and KEY are Base64. Work that takes long is done by threads, not by the event loop.
 */

import { Buffer } from 'node:buffer'
import {
  createHash,
  pbkdf2 as pbkdf2Callback,
  randomBytes,
  type ScryptOptions,
  scrypt as scryptCallback,
  timingSafeEqual,
} from 'node:crypto'
import { promisify } from 'node:util'
import type { VerifyArgon2 } from './argon2.ts'
import { fromBase64, toUnpaddedBase64 } from './base64.ts'
import { parseScramKeys, type ScramKeys, storedKeyOf } from './scram/keys.ts'

/** log2 of the work that `noctule user` makes a password cost: 14 is 16 MiB and some 50 ms. */
export const SCRYPT_COST = 14
export const SCRYPT_COST_MIN = 10
export const SCRYPT_COST_MAX = 20

const SCRYPT_BLOCK_SIZE = 8
const SCRYPT_PARALLELISM = 1
const SALT_BYTES = 16
const KEY_BYTES = 32

// What one line of a file may make the broker do: more is a mistake, or an attack on it.
const SCRYPT_BYTES_MAX = 1024 ** 3
const PBKDF2_ITERATIONS_MAX = 10_000_000
const ARGON2_KIBIBYTES_MAX = 1024 ** 2
const ARGON2_PASSES_MAX = 100

export interface PasswordHash {
  /** As it stands in the file. */
  readonly text: string
  /** Compares in constant time; takes as long for a wrong password as for the right one. */
  matches(password: Buffer): Promise<boolean>
  /** What SCRAM needs; undefined for a hash of another kind. */
  readonly scram?: ScramKeys
}

const scrypt = promisify<Buffer, Buffer, number, ScryptOptions, Buffer>(scryptCallback)
const pbkdf2 = promisify(pbkdf2Callback)

/** Returns a line's second half for `password`, with a salt of its own. */
export async function hashPassword(password: Buffer, cost: number = SCRYPT_COST): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const key = await deriveScrypt(password, salt, KEY_BYTES, {
    cost,
    blockSize: SCRYPT_BLOCK_SIZE,
    parallelism: SCRYPT_PARALLELISM,
  })
  const parameters = `ln=${cost},r=${SCRYPT_BLOCK_SIZE},p=${SCRYPT_PARALLELISM}`
  return `$scrypt$${parameters}$${toUnpaddedBase64(salt)}$${toUnpaddedBase64(key)}`
}

/** A hash that no password has: what an unknown user is compared with while a file knows nobody. */
export function hashOfNobody(): PasswordHash {
  const parameters = { cost: SCRYPT_COST, blockSize: SCRYPT_BLOCK_SIZE, parallelism: 1 }
  return {
    text: '',
    matches: matchScrypt(randomBytes(SALT_BYTES), randomBytes(KEY_BYTES), parameters),
  }
}

/**
 * Understands the second half of a line. `verifyArgon2` is only needed for argon2id. Throws an `Error`
 * whose message says what is wrong with it.
 */
export function parsePasswordHash(
  text: string,
  verifyArgon2: VerifyArgon2 | undefined,
): PasswordHash {
  const [, format, ...fields] = text.split('$')
  if (!text.startsWith('$') || format === undefined) {
    throw new Error('the password is not hashed: set it with noctule user passwd')
  }
  const scram = parseScramKeys(format, fields)
  if (scram !== undefined) return { text, matches: matchScram(scram), scram }
  return { text, matches: matcherOf(format, fields, text, verifyArgon2) }
}

type Matcher = PasswordHash['matches']

function matcherOf(
  format: string,
  fields: readonly string[],
  text: string,
  verifyArgon2: VerifyArgon2 | undefined,
): Matcher {
  switch (format) {
    case 'scrypt':
      return parseScrypt(fields)
    case '7':
      return parsePbkdf2(fields)
    case '6':
      return parseSha512(fields)
    case 'argon2id':
      return parseArgon2(text, verifyArgon2)
    default:
      throw new Error(`there is no password format $${format.slice(0, 20)}$`)
  }
}

export function isArgon2(text: string): boolean {
  return text.startsWith('$argon2id$')
}

interface ScryptParameters {
  readonly cost: number
  readonly blockSize: number
  readonly parallelism: number
}

function parseScrypt([parameters = '', salt, key, ...rest]: readonly string[]): Matcher {
  const match = /^ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})$/.exec(parameters)
  if (match === null || rest.length > 0) throw new Error('not $scrypt$ln=…,r=…,p=…$SALT$KEY')
  const [cost = 0, blockSize = 0, parallelism = 0] = match.slice(1).map(Number)
  const isPossible = cost > 0 && blockSize > 0 && parallelism > 0
  if (!isPossible || scryptBytes({ cost, blockSize, parallelism }) > SCRYPT_BYTES_MAX) {
    throw new Error(`scrypt cannot work with ${parameters}`)
  }
  return matchScrypt(fromBase64(salt), fromBase64(key), { cost, blockSize, parallelism })
}

function matchScrypt(salt: Buffer, key: Buffer, parameters: ScryptParameters): Matcher {
  return async (password) =>
    timingSafeEqual(await deriveScrypt(password, salt, key.length, parameters), key)
}

function deriveScrypt(
  password: Buffer,
  salt: Buffer,
  keyBytes: number,
  parameters: ScryptParameters,
): Promise<Buffer> {
  const { cost, blockSize, parallelism } = parameters
  // Node wants a little more than the tables take.
  const maxmem = 2 * scryptBytes(parameters)
  return scrypt(password, salt, keyBytes, {
    cost: 2 ** cost,
    blockSize,
    parallelization: parallelism,
    maxmem,
  })
}

function scryptBytes({ cost, blockSize, parallelism }: ScryptParameters): number {
  return 128 * blockSize * (2 ** cost + parallelism)
}

function parsePbkdf2([count = '', saltText, keyText, ...rest]: readonly string[]): Matcher {
  const iterations = /^\d{1,8}$/.test(count) ? Number(count) : 0
  if (iterations < 1 || iterations > PBKDF2_ITERATIONS_MAX || rest.length > 0) {
    throw new Error('not $7$ITERATIONS$SALT$KEY')
  }
  const salt = fromBase64(saltText)
  const key = fromBase64(keyText)
  return async (password) =>
    timingSafeEqual(await pbkdf2(password, salt, iterations, key.length, 'sha512'), key)
}

function parseSha512([saltText, keyText, ...rest]: readonly string[]): Matcher {
  const salt = fromBase64(saltText)
  const key = fromBase64(keyText)
  if (key.length !== 64 || rest.length > 0) throw new Error('not $6$SALT$KEY with 64 bytes of KEY')
  return async (password) =>
    timingSafeEqual(createHash('sha512').update(password).update(salt).digest(), key)
}

function matchScram(keys: ScramKeys): Matcher {
  return async (password) => timingSafeEqual(await storedKeyOf(password, keys), keys.storedKey)
}

function parseArgon2(text: string, verify: VerifyArgon2 | undefined): Matcher {
  const form =
    /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,4}),p=(\d{1,3})\$[\w+/-]{11,128}\$[\w+/-]{16,256}$/
  const [kibibytes = 0, passes = 0] = form.exec(text)?.slice(1).map(Number) ?? []
  if (kibibytes === 0) throw new Error('not $argon2id$v=19$m=…,t=…,p=…$SALT$KEY')
  if (kibibytes > ARGON2_KIBIBYTES_MAX || passes > ARGON2_PASSES_MAX) {
    throw new Error(`argon2id with m=${kibibytes},t=${passes} would take too much of this machine`)
  }
  if (verify === undefined) throw new Error('argon2id is not loaded')
  return (password) => verify(text, password)
}
