/**
 * Pairs of user and password that were found right a short while ago, so that a fleet that reconnects does
 * not have to be hashed once more. No password is kept: a pair is known by its HMAC, under a key that this
 * process alone has and that ends with it.
 */

import type { Buffer } from 'node:buffer'
import { createHmac, randomBytes } from 'node:crypto'
import type { Clock } from '../util/clock.ts'
import { forgetOldest } from '../util/oldest.ts'

export class VerifiedPasswords {
  readonly #key = randomBytes(32)
  readonly #clock: Clock
  readonly #sizeMax: number
  readonly #lifetimeMs: number
  /** HMAC → when it ends, the oldest first. */
  readonly #pairs = new Map<string, number>()

  /** `sizeMax` pairs for `lifetimeSeconds` each; 0 of either keeps none. */
  constructor(clock: Clock, sizeMax: number, lifetimeSeconds: number) {
    this.#clock = clock
    this.#sizeMax = sizeMax
    this.#lifetimeMs = lifetimeSeconds * 1000
  }

  has(userName: string, password: Buffer): boolean {
    if (this.#pairs.size === 0) return false
    const endsAt = this.#pairs.get(this.#digest(userName, password))
    return endsAt !== undefined && endsAt > this.#clock.now()
  }

  add(userName: string, password: Buffer): void {
    if (this.#sizeMax === 0 || this.#lifetimeMs === 0) return
    const digest = this.#digest(userName, password)
    this.#pairs.delete(digest)
    this.#pairs.set(digest, this.#clock.now() + this.#lifetimeMs)
    forgetOldest(this.#pairs, this.#sizeMax)
  }

  clear(): void {
    this.#pairs.clear()
  }

  /** The length before the name keeps "ab" + "c" and "a" + "bc" apart. */
  #digest(userName: string, password: Buffer): string {
    return createHmac('sha256', this.#key)
      .update(`${userName.length}:${userName}`)
      .update(password)
      .digest('base64')
  }
}
