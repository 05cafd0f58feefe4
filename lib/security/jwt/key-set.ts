/**
 * Keys that signatures of tokens are verified with. Each knows for which algorithms it is good by what it
 * is: a public key is never taken for the secret of an HS token, whatever the token says.
 */

import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import type { SecurityJwtConfiguration } from '../../config/options.ts'
import { FileProblem } from '../file-problem.ts'

/** A larger set is none: each of its keys would be compared with each token. */
const KEYS_MAX: number = 100
/** How many keys that a token may mean are tried. */
const KEYS_TRIED_MAX: number = 4

export interface VerificationKey {
  readonly key: KeyObject
  /** `kid`; undefined: the token may say any. */
  readonly keyIdentifier: string | undefined
  readonly algorithms: readonly string[]
}

/** Returns the keys that may have signed a token: those it names and those without a name; all if it names none. */
export function candidatesIn(
  keys: readonly VerificationKey[],
  keyIdentifier: string | undefined,
  algorithm: string,
): readonly KeyObject[] {
  const good = keys.filter(
    (one) =>
      one.algorithms.includes(algorithm) &&
      (one.keyIdentifier ?? keyIdentifier) === (keyIdentifier ?? one.keyIdentifier),
  )
  return good.slice(0, KEYS_TRIED_MAX).map(({ key }) => key)
}

/** Bytes that the secret of an algorithm needs at least (RFC 7518, section 3.2). */
const secretBytesMin = { HS256: 32, HS384: 48, HS512: 64 } as const

/** A secret in a file. Throws a `FileProblem` if it is too short for an algorithm that is accepted. */
export function parseSecret(
  text: string,
  { secretEncoding, algorithms: accepted }: SecurityJwtConfiguration,
): VerificationKey[] {
  const line = text.replace(/\r?\n$/, '')
  const isBase64 = secretEncoding === 'base64'
  if (isBase64 && !/^[\w+/-]*={0,2}$/.test(line)) throw new FileProblem(1, 'this is not base64')
  const secret = Buffer.from(line, isBase64 ? 'base64' : 'utf8')
  for (const [algorithm, bytes] of Object.entries(secretBytesMin)) {
    if (!accepted.includes(algorithm) || secret.length >= bytes) continue
    throw new FileProblem(
      1,
      `the secret has ${secret.length} bytes, ${algorithm} needs ${bytes} at least`,
    )
  }
  const algorithms = accepted.filter((one) => Object.hasOwn(secretBytesMin, one))
  return [{ key: createSecretKey(secret), keyIdentifier: undefined, algorithms }]
}

const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]+?-----END \1-----/g

/** Public keys and certificates, PEM. Throws a `FileProblem` if one cannot be used. */
export function parsePem(text: string, accepted: readonly string[]): VerificationKey[] {
  const blocks = [...text.matchAll(PEM_BLOCK)]
  if (blocks.length === 0) throw new FileProblem(0, 'it has no public key in PEM')
  if (blocks.length > KEYS_MAX) throw new FileProblem(0, `it has more than ${KEYS_MAX} keys`)
  return blocks.map(([pem, label = '']) => {
    if (label.includes('PRIVATE')) {
      throw new FileProblem(0, 'it has a private key: the broker needs the public one alone')
    }
    const key = readKey(() => createPublicKey(pem))
    const algorithms = algorithmsOf(key).filter((one) => accepted.includes(one))
    if (algorithms.length > 0) return { key, keyIdentifier: undefined, algorithms }
    const good = algorithmsOf(key).join(', ') || 'nothing'
    throw new FileProblem(0, `a key in it is good for ${good}, and algorithms allows none of that`)
  })
}

function readKey(read: () => KeyObject): KeyObject {
  try {
    return read()
  } catch {
    throw new FileProblem(0, 'a key in it cannot be read')
  }
}

const byCurve: Readonly<Record<string, string>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
}
const RSA_BITS_MIN = 2048

function algorithmsOf({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject) {
  if (type === 'ed25519') return ['EdDSA', 'Ed25519']
  if (type === 'ec') return [byCurve[details?.namedCurve ?? ''] ?? '']
  const isLong = (details?.modulusLength ?? 0) >= RSA_BITS_MIN
  if (type !== 'rsa' || !isLong) return []
  return ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
}

interface Jwk {
  readonly kty?: unknown
  readonly kid?: unknown
  readonly use?: unknown
  readonly alg?: unknown
  readonly k?: unknown
}

/**
 * A JSON Web Key Set; keys in it that are for something else are left out. Throws a `FileProblem` if none is left.
 * `mayHaveSecrets`: what is fetched from a server is known to everybody who may fetch it.
 */
export function parseKeySet(
  text: string,
  accepted: readonly string[],
  mayHaveSecrets: boolean,
): VerificationKey[] {
  const keys = keysIn(text)
  if (keys.length > KEYS_MAX) throw new FileProblem(0, `it has more than ${KEYS_MAX} keys`)
  const good = keys.flatMap((jwk) => fromJwk(jwk, accepted, mayHaveSecrets) ?? [])
  if (good.length > 0) return good
  throw new FileProblem(0, `it has no key for ${accepted.join(', ')}`)
}

function keysIn(text: string): readonly Jwk[] {
  try {
    const { keys } = JSON.parse(text) as { keys?: unknown }
    if (Array.isArray(keys)) return keys.filter((key) => typeof key === 'object' && key !== null)
  } catch {
    // Said below.
  }
  throw new FileProblem(0, 'it is no JSON Web Key Set: {"keys": [...]}')
}

function fromJwk(
  jwk: Jwk,
  accepted: readonly string[],
  mayHaveSecrets: boolean,
): VerificationKey | undefined {
  const { kty, kid, use = 'sig', alg } = jwk
  if (use !== 'sig' || (kty === 'oct' && !mayHaveSecrets)) return undefined
  try {
    const key =
      kty === 'oct' ? secretFrom(jwk) : createPublicKey({ key: jwk as never, format: 'jwk' })
    const algorithms = (kty === 'oct' ? secretAlgorithms(key) : algorithmsOf(key)).filter(
      (one) => accepted.includes(one) && one === (alg ?? one),
    )
    const keyIdentifier = typeof kid === 'string' ? kid : undefined
    return algorithms.length === 0 ? undefined : { key, keyIdentifier, algorithms }
  } catch {
    return undefined // Of a kind that is not known here.
  }
}

function secretFrom({ k }: Jwk): KeyObject {
  return createSecretKey(Buffer.from(String(k), 'base64url'))
}

function secretAlgorithms({ symmetricKeySize = 0 }: KeyObject): string[] {
  const bounds = Object.entries(secretBytesMin)
  return bounds.filter(([, bytes]) => symmetricKeySize >= bytes).map(([algorithm]) => algorithm)
}
