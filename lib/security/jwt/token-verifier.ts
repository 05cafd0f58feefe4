/**
 * A JSON Web Token and whether it is to be believed (RFC 7519): its signature by a key of ours, its times,
 * who made it and for whom. What is said about a token never contains it.
 */

import type { KeyObject } from 'node:crypto'
import type { errors, JWTPayload, JWTVerifyOptions } from 'jose'
import type { SecurityJwtConfiguration } from '../../config/options.ts'
import { ReasonCode } from '../../protocol/reason-codes.ts'
import type { Clock } from '../../util/clock.ts'
import { type Decision, denial } from '../access.ts'

/** Longest token that is looked at. */
export const TOKEN_LENGTH_MAX: number = 16_384

/** How much of a text that stands in a token is repeated in the log. */
const SHOWN_MAX = 64

type Jose = typeof import('jose')

export interface TokenHeader {
  readonly alg: string
  readonly kid: string | undefined
}

/** Returns the header of a text that is a token, whether or not it can be believed; undefined: it is none. */
export function readHeader(text: string): TokenHeader | undefined {
  const [, encoded] = /^([\w-]{4,})\.[\w-]*\.[\w-]*$/.exec(text) ?? []
  if (encoded === undefined) return undefined
  try {
    const header = JSON.parse(Buffer.from(encoded, 'base64url').toString()) as Partial<TokenHeader>
    const { alg, kid } = header
    if (typeof alg !== 'string') return undefined
    return { alg, kid: typeof kid === 'string' ? kid : undefined }
  } catch {
    return undefined
  }
}

export class TokenVerifier {
  readonly #options: SecurityJwtConfiguration
  readonly #clock: Clock
  #jose: Jose | undefined

  constructor(options: SecurityJwtConfiguration, clock: Clock) {
    this.#options = options
    this.#clock = clock
  }

  /** Loads what does the work: only brokers that verify tokens need it. */
  async load(): Promise<void> {
    this.#jose ??= await import('jose')
  }

  /** Returns what the token claims, or why it is refused. `keys`: those that may have signed it. */
  async verify(
    token: string,
    alg: string,
    keys: readonly KeyObject[],
  ): Promise<{ readonly claims: JWTPayload } | { readonly refusal: Decision }> {
    const { jwtVerify, errors } = this.#jose as Jose
    const options = this.#verifyOptions(alg)
    for (const key of keys) {
      try {
        const { payload } = await jwtVerify(token, key, options)
        return { claims: payload }
      } catch (error) {
        if (error instanceof errors.JWSSignatureVerificationFailed) continue
        if (!(error instanceof errors.JOSEError)) throw error
        return { refusal: refuseToken(...explain(error, this.#options)) }
      }
    }
    return {
      refusal: refuseToken(
        'its signature is not by a key that is known',
        'it was changed, or signed with another key: compare the keys of security.jwt',
      ),
    }
  }

  #verifyOptions(alg: string): JWTVerifyOptions {
    const { issuers, audiences, requireExpiry, clockToleranceSeconds } = this.#options
    return {
      algorithms: [alg],
      ...(issuers.length > 0 && { issuer: [...issuers] }),
      ...(audiences.length > 0 && { audience: [...audiences] }),
      requiredClaims: requireExpiry ? ['exp'] : [],
      clockTolerance: clockToleranceSeconds,
      currentDate: new Date(this.#clock.now()),
    }
  }
}

/** A refusal of a token: what is wrong with it, and what to do. */
export function refuseToken(why: string, hint: string): Decision {
  return denial(ReasonCode.BadUserNameOrPassword, `token: ${why}`, hint)
}

/** Text out of a token, fit for the log. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text
}

const READ = 'the client has to send a token as its issuer made it'

function explain(
  error: errors.JOSEError,
  { issuers, audiences }: SecurityJwtConfiguration,
): [why: string, hint: string] {
  const { claim, reason, payload } = error as Partial<errors.JWTClaimValidationFailed>
  if (claim === undefined || payload === undefined) return ['it cannot be read as a token', READ]
  if (reason === 'missing' && claim === 'exp') {
    return ['it has no exp', 'security.jwt.requireExpiry: false accepts tokens that never end']
  }
  switch (reason === 'invalid' ? 'a claim of another type' : claim) {
    case 'exp':
      return [`it expired at ${timeOf(payload.exp)}`, 'the client needs a new one']
    case 'nbf':
      return [
        `it is not valid before ${timeOf(payload.nbf)}`,
        'compare the clocks; security.jwt.clockToleranceSeconds allows for a difference',
      ]
    case 'iss':
      return [
        `its issuer is ${shown(payload.iss)}`,
        `security.jwt.issuers accepts ${issuers.join(', ')}`,
      ]
    case 'aud':
      return [
        `its audience is ${shown(payload.aud)}`,
        `security.jwt.audiences accepts ${audiences.join(', ')}`,
      ]
    default:
      return [`its ${claim} is not what it has to be`, READ]
  }
}

function timeOf(seconds: unknown): string {
  const date = new Date(Number(seconds) * 1000)
  return Number.isNaN(date.getTime()) ? shown(seconds) : date.toISOString()
}
