/** Who may connect, by a password file (`security.passwordFile`) that is live: a changed file is in force at once. */

import { createHmac, randomBytes } from 'node:crypto'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { AuthenticateRequest, Decision } from './access.ts'
import { BUSY, type PasswordCheck } from './password-check.ts'
import { parsePasswordFile, type Users } from './password-file.ts'
import { hashOfNobody, type PasswordHash } from './password-hash.ts'
import type { ScramUsers } from './scram/exchange.ts'
import type { ScramKeys, ScramMethod } from './scram/keys.ts'

const ALLOWED: Decision = { isAllowed: true, rule: 'password file' }

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

export class PasswordSource implements ScramUsers {
  readonly #check: PasswordCheck
  readonly #decoyKey = randomBytes(32)
  #users: Users = new Map()
  #hashes: readonly PasswordHash[] = []

  constructor(check: PasswordCheck) {
    this.#check = check
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
    const isRight = await (hash === undefined
      ? this.#check.pretend(this.#decoyFor(userName), password, address)
      : this.#check.isRight(hash, password, address))
    if (isRight === undefined) return BUSY
    // While it was compared, the file may have changed.
    if (users !== this.#users) return this.authenticate({ userName, password, address })
    if (hash === undefined) return undefined
    return isRight ? ALLOWED : WRONG
  }

  scramKeysOf(userName: string, method: ScramMethod): ScramKeys | null | undefined {
    const user = this.#users.get(userName)
    if (user === undefined) return undefined
    return user.scram?.method === method ? user.scram : null
  }

  /** That of the first line: it changes seldom. */
  scramExample(method: ScramMethod): ScramKeys | undefined {
    for (const { scram } of this.#users.values()) if (scram?.method === method) return scram
    return undefined
  }

  /** An unknown user is compared with a user of the file, always the same one: times tell nothing. */
  #decoyFor(userName: string): PasswordHash {
    const digest = createHmac('sha256', this.#decoyKey).update(userName).digest()
    return this.#hashes[digest.readUInt32LE() % this.#hashes.length] as PasswordHash
  }
}
