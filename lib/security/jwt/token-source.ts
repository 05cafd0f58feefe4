/** Who may connect, by a JSON Web Token in place of a password (`security.jwt`). */

import type { KeyObject } from 'node:crypto'
import type { JWTPayload } from 'jose'
import type { SecurityConfiguration, SecurityJwtConfiguration } from '../../config/options.ts'
import { ReasonCode } from '../../protocol/reason-codes.ts'
import type { Clock } from '../../util/clock.ts'
import {
  type Admission,
  type AuthenticateRequest,
  type AuthenticationExchange,
  type AuthenticationStep,
  type ClientAcl,
  type ClientInfo,
  type Decision,
  denial,
  type Eventually,
} from '../access.ts'
import { WorkQueue } from '../work-queue.ts'
import {
  readHeader,
  refuseToken,
  shown,
  TOKEN_LENGTH_MAX,
  type TokenHeader,
  TokenVerifier,
} from './token-verifier.ts'

/** The name of our Authentication Method, by which a client can bring a new token in time. */
export const TOKEN_METHOD = 'JWT'

const BUSY = denial(
  ReasonCode.ServerBusy,
  'too many tokens wait to be verified (security.hashingQueueMax)',
  'many clients connect at once; if they are yours, raise security.hashingQueueMax',
)

const NO_KEYS = denial(
  ReasonCode.ServerUnavailable,
  'there are no keys to verify tokens with yet',
  'security.jwt.jwksUrl has to answer; the log says why it does not',
)

/**
 * How many signatures are verified at once. Each takes a thread some 50 µs, and its result waits for the next
 * turn of the event loop: with few at once, a loop that has much to do would verify few. So many hold up
 * the files of the store for a millisecond.
 */
const VERIFIED_AT_ONCE = 64

/** Where keys are found. */
export interface TokenKeys {
  /** Whether there are any. */
  readonly areKnown: boolean
  /** Those that may have signed a token. */
  find(keyIdentifier: string | undefined, algorithm: string): Eventually<readonly KeyObject[]>
}

/** Who brings a token, from where, and what it is called beside the token. */
type Bearer = Pick<ClientInfo, 'clientIdentifier' | 'userName' | 'address'>

export class TokenSource {
  readonly #options: SecurityJwtConfiguration
  readonly #keys: TokenKeys
  readonly #verifier: TokenVerifier
  readonly #queue: WorkQueue
  readonly #waitingMax: number
  /** Those that wait until keys have been fetched. */
  #waiting = 0

  constructor({ jwt, hashingQueueMax }: SecurityConfiguration, keys: TokenKeys, clock: Clock) {
    this.#options = jwt
    this.#keys = keys
    this.#verifier = new TokenVerifier(jwt, clock)
    this.#queue = new WorkQueue(VERIFIED_AT_ONCE, hashingQueueMax, clock)
    this.#waitingMax = hashingQueueMax
  }

  load(): Promise<void> {
    return this.#verifier.load()
  }

  /** Answers with undefined for a client that brings none. */
  authenticate({
    clientIdentifier,
    userName,
    password,
    address,
  }: Bearer & Pick<AuthenticateRequest, 'password'>): Promise<Admission> | undefined {
    const inPassword = password?.toString('latin1') ?? ''
    const header = readHeader(inPassword)
    if (header !== undefined) {
      return this.#judge(inPassword, header, { clientIdentifier, userName, address })
    }
    if (!this.#options.allowInUserName || userName === undefined) return undefined
    const other = readHeader(userName)
    if (other === undefined) return undefined
    return this.#judge(userName, other, { clientIdentifier, userName: undefined, address })
  }

  /** The Authentication Method: the token is the Authentication Data, and there is one step. */
  exchange({ clientIdentifier, userName, address }: ClientInfo): AuthenticationExchange {
    return {
      next: async (data): Promise<AuthenticationStep> => {
        const token = data?.toString('latin1') ?? ''
        const header = readHeader(token)
        const { isAllowed, ...answer } =
          header === undefined
            ? refuseToken('there is none in the Authentication Data', 'the client has to send it')
            : await this.#judge(token, header, { clientIdentifier, userName, address })
        return { kind: isAllowed ? 'success' : 'failure', ...answer }
      },
    }
  }

  async #judge(token: string, header: TokenHeader, bearer: Bearer): Promise<Admission> {
    const { alg, kid } = header
    if (token.length > TOKEN_LENGTH_MAX) {
      return refuseToken(`it has more than ${TOKEN_LENGTH_MAX} characters`, 'give it fewer claims')
    }
    if (!this.#options.algorithms.includes(alg)) {
      return refuseToken(
        `it is signed with ${shown(alg)}`,
        `security.jwt.algorithms accepts ${this.#options.algorithms.join(', ')}`,
      )
    }
    const keys = await this.#findKeys(kid, alg)
    if (keys === undefined) return BUSY
    if (keys.length === 0) return this.#keys.areKnown ? unknownKey(header) : NO_KEYS
    const verify = () => this.#verifier.verify(token, alg, keys)
    const verified = await this.#queue.run(verify, bearer.address)
    if (verified === undefined) return BUSY
    return 'refusal' in verified ? verified.refusal : this.#admit(verified.claims, bearer)
  }

  /** Undefined: too many wait for keys. */
  async #findKeys(
    keyIdentifier: string | undefined,
    algorithm: string,
  ): Promise<readonly KeyObject[] | undefined> {
    const keys = this.#keys.find(keyIdentifier, algorithm)
    if (!(keys instanceof Promise)) return keys
    if (this.#waiting >= this.#waitingMax) return undefined
    this.#waiting++
    return keys.finally(() => this.#waiting--)
  }

  /** From what a token claims to what its client is granted. */
  #admit(claims: JWTPayload, bearer: Bearer): Admission {
    const { userNameClaim, aclClaim, clockToleranceSeconds } = this.#options
    const userName = claims[userNameClaim]
    if (typeof userName !== 'string' || userName === '') {
      const hint = 'security.jwt.userNameClaim names the claim that is the user name'
      return refuseToken(`its claim ${userNameClaim} is ${shown(userName)}`, hint)
    }
    const other = this.#findOther(claims, userName, bearer)
    if (other !== undefined) return other
    const { exp } = claims
    const acl = claims[aclClaim]
    return {
      isAllowed: true,
      rule: 'token',
      userName,
      ...(exp !== undefined && { expiresAt: (exp + clockToleranceSeconds) * 1000 }),
      // Whatever stands there: it is understood, or the client refused, when the grant is taken.
      ...(acl !== undefined && { acl: acl as ClientAcl }),
    }
  }

  /** Why the token is somebody else's; undefined: it is not. */
  #findOther(claims: JWTPayload, userName: string, bearer: Bearer): Decision | undefined {
    const { requireSameUserName, clientIdentifierClaim: claim } = this.#options
    // In MQTT 3.x there is no password without a user name: who has none to send leaves it empty.
    const isOther = (bearer.userName ?? '') !== '' && bearer.userName !== userName
    if (requireSameUserName && isOther) {
      return refuseToken(
        `it is for user ${shown(userName)}`,
        'the client has to send that user name, or none; or set security.jwt.requireSameUserName: false',
      )
    }
    if (claim === undefined || claims[claim] === bearer.clientIdentifier) return undefined
    return denial(
      ReasonCode.NotAuthorized,
      `token: its claim ${claim} is ${shown(claims[claim])}`,
      'security.jwt.clientIdentifierClaim says that it must be the Client Identifier',
    )
  }
}

function unknownKey({ kid, alg }: TokenHeader): Decision {
  const key = kid === undefined ? `no key is known for ${alg}` : `its key ${shown(kid)} is unknown`
  return refuseToken(key, 'compare the keys of security.jwt with those of who signs')
}
