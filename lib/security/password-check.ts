/**
 * Compares passwords, for all sources together: so many at once, so many waiting, and those that were found
 * right a short while ago again at once.
 */

import { Buffer } from 'node:buffer'
import type { SecurityConfiguration } from '../config/options.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { Clock } from '../util/clock.ts'
import type { Decision } from './access.ts'
import type { PasswordHash } from './password-hash.ts'
import { VerifiedPasswords } from './verified-passwords.ts'
import { WorkQueue } from './work-queue.ts'

type Limits = Pick<
  SecurityConfiguration,
  'hashingConcurrency' | 'hashingQueueMax' | 'passwordCacheMax' | 'passwordCacheSeconds'
>

export const BUSY: Decision = {
  isAllowed: false,
  reasonCode: ReasonCode.ServerBusy,
  rule: 'too many passwords wait to be compared (security.hashingQueueMax)',
  hint: 'many clients connect at once; if they are yours, raise security.hashingQueueMax or hashingConcurrency',
}

export class PasswordCheck {
  readonly #queue: WorkQueue
  readonly #verified: VerifiedPasswords

  constructor(limits: Limits, clock: Clock) {
    this.#queue = new WorkQueue(limits.hashingConcurrency, limits.hashingQueueMax, clock)
    this.#verified = new VerifiedPasswords(
      clock,
      limits.passwordCacheMax,
      limits.passwordCacheSeconds,
    )
  }

  /**
   * Says whether a password of a client at `address` is that of `hash`; undefined if too many wait. A hash has a salt of its own, so
   * one that was found right before tells whose it is.
   */
  async isRight(
    hash: PasswordHash,
    password: Buffer | undefined,
    address?: string,
  ): Promise<boolean | undefined> {
    if (password === undefined) return this.pretend(hash, password, address)
    if (this.#verified.has(hash.text, password)) return true
    const isRight = await this.#queue.run(() => hash.matches(password), address)
    if (isRight === true) this.#verified.add(hash.text, password)
    return isRight
  }

  /** Takes as long as finding a wrong password, and never finds a right one; undefined as above. */
  async pretend(
    decoy: PasswordHash,
    password: Buffer | undefined,
    address?: string,
  ): Promise<false | undefined> {
    const given = password ?? Buffer.alloc(0)
    return this.#queue.run(async () => (await decoy.matches(given)) && false, address)
  }
}
