/**
 * What is kept of a password for SCRAM (RFC 5802, 7677): enough to verify a proof, not enough to make one.
 *
 * ```
 * $scram-sha-256$i=16384$SALT$STOREDKEY$SERVERKEY
 * ```
 */

import { Buffer, isUtf8 } from 'node:buffer'
import { createHash, createHmac, pbkdf2 as pbkdf2Callback, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { fromBase64, toUnpaddedBase64 } from '../base64.ts'
import { preparePassword, saslprep } from './saslprep.ts'

export type ScramMethod = 'SCRAM-SHA-256' | 'SCRAM-SHA-512'

/** Their names as MQTT's Authentication Methods, and those of the hash functions. */
const digests: Readonly<Record<ScramMethod, 'sha256' | 'sha512'>> = {
  'SCRAM-SHA-256': 'sha256',
  'SCRAM-SHA-512': 'sha512',
}

export const scramMethods: readonly ScramMethod[] = ['SCRAM-SHA-256', 'SCRAM-SHA-512']

/** log2 of the iterations: 14 are 16,384, which a client pays at each CONNECT, and a thief at each guess. */
export const SCRAM_COST: number = 14
/** RFC 7677: at least 4096. */
export const SCRAM_COST_MIN: number = 12
const ITERATIONS_MIN = 2 ** SCRAM_COST_MIN
export const SCRAM_ITERATIONS_MAX = 10_000_000
export const SCRAM_SALT_BYTES = 16
const SALT_BYTES_MAX = 256

export interface ScramKeys {
  readonly method: ScramMethod
  readonly iterations: number
  readonly salt: Buffer
  readonly storedKey: Buffer
  readonly serverKey: Buffer
}

const pbkdf2 = promisify(pbkdf2Callback)

export function hmac(method: ScramMethod, key: Buffer, text: string | Buffer): Buffer {
  return createHmac(digests[method], key).update(text).digest()
}

export function hash(method: ScramMethod, bytes: Buffer): Buffer {
  return createHash(digests[method]).update(bytes).digest()
}

/** The slow step, done by a thread: PBKDF2 of a password that SASLprep has prepared. */
export function saltPassword(
  method: ScramMethod,
  prepared: Buffer,
  { salt, iterations }: Pick<ScramKeys, 'salt' | 'iterations'>,
): Promise<Buffer> {
  return pbkdf2(prepared, salt, iterations, digestBytes(method), digests[method])
}

/**
 * Returns a line's second half for `password`, with a salt of its own; rejects with a sentence for one that
 * clients could not send alike.
 */
export async function hashForScram(
  password: Buffer,
  method: ScramMethod,
  cost: number = SCRAM_COST,
): Promise<string> {
  if (!isUtf8(password)) throw new Error('it is not UTF-8')
  const prepared = Buffer.from(await saslprep(password.toString()))
  const salt = randomBytes(SCRAM_SALT_BYTES)
  const iterations = Math.round(2 ** cost)
  const keys = keysOf(method, await saltPassword(method, prepared, { salt, iterations }))
  const [saltText, storedKey, serverKey] = [salt, keys.storedKey, keys.serverKey].map((bytes) =>
    toUnpaddedBase64(bytes),
  )
  return `$${method.toLowerCase()}$i=${iterations}$${saltText}$${storedKey}$${serverKey}`
}

/** Returns the StoredKey of a password in plain, to be compared with the one that is kept. */
export async function storedKeyOf(password: Buffer, keys: ScramKeys): Promise<Buffer> {
  const { method } = keys
  return keysOf(method, await saltPassword(method, await preparePassword(password), keys)).storedKey
}

/** Returns undefined for a format that is not SCRAM's; throws an `Error` that says what is wrong. */
export function parseScramKeys(format: string, fields: readonly string[]): ScramKeys | undefined {
  const method = scramMethods.find((one) => one.toLowerCase() === format)
  if (method === undefined) return undefined
  const [count = '', saltText, storedText, serverText, ...rest] = fields
  const iterations = Number(/^i=(\d{1,8})$/.exec(count)?.[1] ?? 0)
  if (serverText === undefined || rest.length > 0 || iterations === 0) {
    throw new Error(`not $${format}$i=…$SALT$STOREDKEY$SERVERKEY`)
  }
  if (iterations < ITERATIONS_MIN || iterations > SCRAM_ITERATIONS_MAX) {
    throw new Error(`SCRAM has from ${ITERATIONS_MIN} to ${SCRAM_ITERATIONS_MAX} iterations`)
  }
  const [salt, storedKey, serverKey] = [saltText, storedText, serverText].map((one) =>
    fromBase64(one),
  ) as [Buffer, Buffer, Buffer]
  const bytes = digestBytes(method)
  if (storedKey.length !== bytes || serverKey.length !== bytes || salt.length > SALT_BYTES_MAX) {
    throw new Error(`a key of ${method} has ${bytes} bytes`)
  }
  return { method, iterations, salt, storedKey, serverKey }
}

export function clientKeyOf(method: ScramMethod, saltedPassword: Buffer): Buffer {
  return hmac(method, saltedPassword, 'Client Key')
}

export function serverKeyOf(method: ScramMethod, saltedPassword: Buffer): Buffer {
  return hmac(method, saltedPassword, 'Server Key')
}

function keysOf(
  method: ScramMethod,
  saltedPassword: Buffer,
): Pick<ScramKeys, 'storedKey' | 'serverKey'> {
  return {
    storedKey: hash(method, clientKeyOf(method, saltedPassword)),
    serverKey: serverKeyOf(method, saltedPassword),
  }
}

function digestBytes(method: ScramMethod): number {
  return method === 'SCRAM-SHA-256' ? 32 : 64
}
