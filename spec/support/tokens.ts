/** Tokens for tests, signed by jose, and the keys that belong to them. */

import { createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { type JWTPayload, SignJWT } from 'jose'

/** Where a `ManualClock` begins, in seconds. */
export const START_SECONDS = 1_700_000_000

export const secretText = 'thirty-two bytes and some more: 0123456789 0123456789 0123456789'
export const secret: KeyObject = createSecretKey(Buffer.from(secretText))

export interface KeyPair {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

export const rsa: KeyPair = generateKeyPairSync('rsa', { modulusLength: 2048 })
export const ec: KeyPair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
export const ec384: KeyPair = generateKeyPairSync('ec', { namedCurve: 'P-384' })
export const ec521: KeyPair = generateKeyPairSync('ec', { namedCurve: 'P-521' })
export const ed: KeyPair = generateKeyPairSync('ed25519')

export const pemOf = ({ publicKey }: KeyPair): string =>
  publicKey.export({ type: 'spki', format: 'pem' }).toString()

export const jwkOf = ({ publicKey }: KeyPair, fields: object = {}): object => ({
  ...publicKey.export({ format: 'jwk' }),
  ...fields,
})

/** A token for alice that is good for an hour, unless claims say otherwise. */
export function sign(
  key: KeyObject,
  alg: string,
  claims: JWTPayload = {},
  header: object = {},
): Promise<string> {
  const payload = { sub: 'alice', exp: START_SECONDS + 3600, ...claims }
  return new SignJWT(payload).setProtectedHeader({ alg, ...header }).sign(key)
}

/** A token of any header and claims with any signature. */
export function forge(header: object, claims: object, signature = ''): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part(header)}.${part(claims)}.${signature}`
}
