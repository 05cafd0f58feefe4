/** The client's side of SCRAM (RFC 5802), for `--auth-method`: neither side sends the password. */

import { Buffer } from 'node:buffer'
import { randomBytes, timingSafeEqual } from 'node:crypto'
import {
  clientKeyOf,
  hash,
  hmac,
  SCRAM_ITERATIONS_MAX,
  type ScramMethod,
  saltPassword,
  serverKeyOf,
} from '../security/scram/keys.ts'
import { encodeName } from '../security/scram/messages.ts'
import { preparePassword, saslprep } from '../security/scram/saslprep.ts'

const NONCE_BYTES = 18
const HEADER = 'n,,'
const SERVER_FIRST =
  /^r=(?<nonce>[^,]+),s=(?<salt>[A-Za-z0-9+/=]+),i=(?<iterations>\d{1,9})(?:,.*)?$/su

export interface Credentials {
  readonly method: ScramMethod
  readonly userName: string
  readonly password: Buffer
}

/** One exchange after the other, each begun with `begin`. */
export class ScramLogin {
  readonly method: ScramMethod
  readonly #userName: string
  readonly #password: Buffer
  readonly #makeNonce: () => string
  #nonce = ''
  #verifier: Buffer | undefined

  private constructor({ method, userName, password }: Credentials, makeNonce: () => string) {
    this.method = method
    this.#userName = encodeName(userName)
    this.#password = password
    this.#makeNonce = makeNonce
  }

  /** Rejects with a sentence if the name cannot be sent. `makeNonce` is there for tests. */
  static async of(
    credentials: Credentials,
    makeNonce: () => string = () => randomBytes(NONCE_BYTES).toString('base64'),
  ): Promise<ScramLogin> {
    const userName = await saslprep(credentials.userName)
    const password = await preparePassword(credentials.password)
    return new ScramLogin({ ...credentials, userName, password }, makeNonce)
  }

  /** What goes into CONNECT, or into the AUTH of a re-authentication. */
  begin(): Buffer {
    this.#nonce = this.#makeNonce()
    this.#verifier = undefined
    return Buffer.from(`${HEADER}${this.#bare}`)
  }

  /** Returns the proof for the broker's challenge; rejects with a sentence for one that is none. */
  async answer(challenge: Buffer | undefined): Promise<Buffer> {
    const serverFirst = challenge?.toString() ?? ''
    const { nonce, salt, iterations } = SERVER_FIRST.exec(serverFirst)?.groups ?? {}
    const count = Number(iterations ?? 0)
    if (nonce === undefined || salt === undefined || count < 1) {
      throw new Error(`the broker does not speak ${this.method}`)
    }
    if (!nonce.startsWith(this.#nonce) || nonce === this.#nonce || count > SCRAM_ITERATIONS_MAX) {
      throw new Error('the broker answers somebody else, or asks for too much')
    }
    const { method } = this
    const asked = { salt: Buffer.from(salt, 'base64'), iterations: count }
    const salted = await saltPassword(method, this.#password, asked)
    const unproven = `c=${Buffer.from(HEADER).toString('base64')},r=${nonce}`
    const signed = `${this.#bare},${serverFirst},${unproven}`
    const clientKey = clientKeyOf(method, salted)
    const signature = hmac(method, hash(method, clientKey), signed)
    const proof = Buffer.from(clientKey.map((byte, i) => byte ^ (signature[i] as number)))
    this.#verifier = Buffer.from(
      `v=${hmac(method, serverKeyOf(method, salted), signed).toString('base64')}`,
    )
    return Buffer.from(`${unproven},p=${proof.toString('base64')}`)
  }

  /** Whether the broker knows the user too, by the data of its CONNACK or last AUTH. */
  isProven(data: Buffer | undefined): boolean {
    const verifier = this.#verifier
    if (verifier === undefined || data?.length !== verifier.length) return false
    return timingSafeEqual(data, verifier)
  }

  get #bare(): string {
    return `n=${this.#userName},r=${this.#nonce}`
  }
}
