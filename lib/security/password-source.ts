/** Who may connect, by a password file (`security.passwordFile`) that is live: a changed file is in force at once. */

import { Buffer } from 'node:buffer'
import { createHmac, randomBytes } from 'node:crypto'
import type { SecurityConfiguration } from '../config/options.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { Clock } from '../util/clock.ts'
import type { AuthenticateRequest, Decision } from './access.ts'
import { HashQueue } from './hash-queue.ts'
import { parsePasswordFile, type Users } from './password-file.ts'
import { hashOfNobody, type PasswordHash } from './password-hash.ts'
import { VerifiedPasswords } from './verified-passwords.ts'

type Limits = Pick<
  SecurityConfiguration,
  'hashingConcurrency' | 'hashingQueueMax' | 'passwordCacheMax' | 'passwordCacheSeconds'
>

const ALLOWED: Decision = { isAllowed: true, rule: 'password file' }

const BUSY: Decision = {
  isAllowed: false,
  reasonCode: ReasonCode.ServerBusy,
  rule: 'too many passwords wait to be compared (security.hashingQueueMax)',
  hint: 'many clients connect at once; if they are yours, raise security.hashingQueueMax or hashingConcurrency',
}

const WRONG: Decision = {
  isAllowed: false,
  reasonCode: ReasonCode.BadUserNameOrPassword,
  rule: 'password file: wrong password',
  hint: 'noctule user passwd sets a new one',
}

/** Who somebody says to be, and from where. */
type Claim = Pick<AuthenticateRequest, 'userName' | 'password'> & {
  readonly address?: string | undefined
}

export class PasswordSource {
  readonly #queue: HashQueue
  readonly #verified: VerifiedPasswords
  readonly #decoyKey = randomBytes(32)
  #users: Users = new Map()
  #hashes: readonly PasswordHash[] = []

  constructor(limits: Limits, clock: Clock) {
    this.#queue = new HashQueue(limits.hashingConcurrency, limits.hashingQueueMax, clock)
    this.#verified = new VerifiedPasswords(
      clock,
      limits.passwordCacheMax,
      limits.passwordCacheSeconds,
    )
  }

  /**
   * Takes a file's text into force; rejects with a `FileProblem`, and then nothing has changed. Returns
   * the users whose line is gone or another one.
   */
  async use(text: string): Promise<ReadonlySet<string>> {
    const users = await parsePasswordFile(text)
    const before = [...this.#users]
    this.#users = users
    this.#hashes = users.size > 0 ? [...users.values()] : [hashOfNobody()]
    this.#verified.clear()
    const changed = before.filter(([name, { text: old }]) => users.get(name)?.text !== old)
    return new Set(changed.map(([name]) => name))
  }

  /**
   * Resolves with undefined for a client without user name, and for a user that the file does not know;
   * finding that out takes as long as finding a wrong password.
   */
  async authenticate({ userName, password, address }: Claim): Promise<Decision | undefined> {
    if (userName === undefined) return undefined
    const users = this.#users
    const hash = users.get(userName)
    const given = password ?? Buffer.alloc(0)
    if (hash !== undefined && this.#verified.has(userName, given)) return ALLOWED
    const compared = hash ?? this.#decoyFor(userName)
    const isRight = await this.#queue.run(() => compared.matches(given), address)
    if (isRight === undefined) return BUSY
    // While it was compared, the file may have changed.
    if (users !== this.#users) return this.authenticate({ userName, password, address })
    if (hash === undefined) return undefined
    if (!isRight || password === undefined) return WRONG
    this.#verified.add(userName, given)
    return ALLOWED
  }

  /** An unknown user is compared with a user of the file, always the same one: times tell nothing. */
  #decoyFor(userName: string): PasswordHash {
    const digest = createHmac('sha256', this.#decoyKey).update(userName).digest()
    return this.#hashes[digest.readUInt32LE() % this.#hashes.length] as PasswordHash
  }
}
