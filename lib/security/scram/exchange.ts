/**
 * The broker's side of SCRAM (RFC 5802): a challenge, and the proof that the client knows the password. It
 * costs a few HMACs, whatever the client sends: the slow work is the client's.
 *
 * A user that is unknown is challenged as any other, and fails in the same words.
 */

import { Buffer } from 'node:buffer'
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { ReasonCode } from '../../protocol/reason-codes.ts'
import type { AuthenticationExchange, AuthenticationStep, Eventually } from '../access.ts'
import {
  hash,
  hmac,
  SCRAM_COST,
  SCRAM_SALT_BYTES,
  type ScramKeys,
  type ScramMethod,
} from './keys.ts'
import {
  type ClientFinal,
  type ClientFirst,
  parseClientFinal,
  parseClientFirst,
  ScramError,
} from './messages.ts'
import { saslprep } from './saslprep.ts'

const NONCE_BYTES = 18

/** Who knows users by what SCRAM needs. */
export interface ScramUsers {
  /** Undefined for a user that is unknown, `null` for one with another kind of hash. May throw `ScramError`. */
  scramKeysOf(userName: string, method: ScramMethod): Eventually<ScramKeys | null | undefined>
  /** What the others have: unknown users are challenged alike. The same one after a restart too. */
  scramExample(method: ScramMethod): ScramKeys | undefined
}

interface Challenged extends ClientFirst {
  /** As SASLprep has it. */
  readonly prepared: string
  readonly keys: ScramKeys
  readonly isKnown: boolean
  /** Of both. */
  readonly nonceOfBoth: string
  readonly serverFirst: string
}

export class ScramExchange implements AuthenticationExchange {
  readonly #method: ScramMethod
  readonly #users: ScramUsers
  readonly #makeNonce: () => string
  #state: 'first' | 'over' | Challenged = 'first'

  /** `makeNonce` is there for tests. */
  constructor(
    method: ScramMethod,
    users: ScramUsers,
    makeNonce: () => string = () => randomBytes(NONCE_BYTES).toString('base64'),
  ) {
    this.#method = method
    this.#users = users
    this.#makeNonce = makeNonce
  }

  async next(data: Buffer | undefined): Promise<AuthenticationStep> {
    const state = this.#state
    this.#state = 'over'
    try {
      if (state === 'over') throw new ScramError('other-error', 'the exchange is over')
      if (state === 'first') return await this.#challenge(parseClientFirst(data))
      return await this.#verify(state, parseClientFinal(data))
    } catch (error) {
      if (!(error instanceof ScramError)) throw error
      return failure(error, typeof state === 'object' ? state.prepared : undefined)
    }
  }

  async #challenge(first: ClientFirst): Promise<AuthenticationStep> {
    const prepared = await saslprep(first.userName).catch(({ message }: Error) => {
      throw new ScramError('invalid-username-encoding', `the user name: ${message}`)
    })
    const found = await this.#users.scramKeysOf(prepared, this.#method)
    const keys = found ?? this.#decoyFor(prepared)
    const nonceOfBoth = `${first.nonce}${this.#makeNonce()}`
    const serverFirst = `r=${nonceOfBoth},s=${keys.salt.toString('base64')},i=${keys.iterations}`
    const isKnown = found !== undefined && found !== null
    this.#state = { ...first, prepared, keys, isKnown, nonceOfBoth, serverFirst }
    return { kind: 'continue', data: Buffer.from(serverFirst), userName: prepared }
  }

  async #verify(challenged: Challenged, final: ClientFinal): Promise<AuthenticationStep> {
    const { prepared, keys, isKnown } = challenged
    const method = this.#method
    if (final.nonce !== challenged.nonceOfBoth) {
      throw new ScramError('other-error', 'the nonce is not the one of the challenge')
    }
    if (final.header !== challenged.header) {
      throw new ScramError('channel-bindings-dont-match', 'c= does not repeat how the client began')
    }
    const signed = `${challenged.bare},${challenged.serverFirst},${final.unproven}`
    const isProven = proves(method, keys, signed, final.proof)
    if (!isKnown) throw new ScramError('invalid-proof', 'no user of that name with SCRAM keys')
    if (!isProven) throw new ScramError('invalid-proof', 'wrong password')
    // While the client was computing, the user may have been changed.
    const now = await this.#users.scramKeysOf(prepared, method)
    if (now?.storedKey.equals(keys.storedKey) !== true) {
      throw new ScramError('invalid-proof', 'the user has been changed meanwhile')
    }
    const verifier = hmac(method, keys.serverKey, signed).toString('base64')
    return { kind: 'success', data: Buffer.from(`v=${verifier}`), userName: prepared }
  }

  /** Its salt is the same whenever that name is asked for, and nobody can tell it from a real one. */
  #decoyFor(userName: string): ScramKeys {
    const method = this.#method
    const example = this.#users.scramExample(method)
    const secret = example?.serverKey ?? decoySecret
    const saltBytes = example?.salt.length ?? SCRAM_SALT_BYTES
    const storedKey = hmac(method, secret, `stored ${userName}`)
    return {
      method,
      iterations: example?.iterations ?? 2 ** SCRAM_COST,
      salt: hmac(method, secret, `salt ${userName}`).subarray(0, saltBytes),
      storedKey,
      serverKey: storedKey,
    }
  }
}

/** Where no user has SCRAM keys, there is nobody to be told apart from. */
const decoySecret = randomBytes(32)

/** The proof is the ClientKey, hidden by a signature that whoever has the StoredKey can take off again. */
function proves(method: ScramMethod, keys: ScramKeys, signed: string, proof: Buffer): boolean {
  const { storedKey } = keys
  if (proof.length !== storedKey.length) return false
  const signature = hmac(method, storedKey, signed)
  const clientKey = proof.map((byte, i) => byte ^ (signature[i] as number)) as Buffer
  return timingSafeEqual(hash(method, clientKey), storedKey)
}

function failure({ code, message }: ScramError, userName: string | undefined): AuthenticationStep {
  const isProof = code === 'invalid-proof'
  return {
    kind: 'failure',
    reasonCode: reasonCodeOf(code),
    ...(!isProof && { reason: message }),
    data: Buffer.from(`e=${code}`),
    rule: `SCRAM: ${message}`,
    ...(userName !== undefined && { userName }),
    ...(isProof && { hint: 'noctule user passwd --scram sets a new password' }),
  }
}

function reasonCodeOf(code: ScramError['code']): number {
  if (code === 'invalid-proof') return ReasonCode.BadUserNameOrPassword
  return code === 'no-resources' ? ReasonCode.ServerUnavailable : ReasonCode.NotAuthorized
}
