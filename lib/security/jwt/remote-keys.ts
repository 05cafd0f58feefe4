/**
 * A key set that is fetched from a server (`security.jwt.jwksUrl`): kept, fetched again when it has become
 * old or a token names a key that is not in it, but never sooner than the cooldown allows. While the server
 * is away the last set stays in force; without any, nobody is let in.
 */

import type { KeyObject } from 'node:crypto'
import type { SecurityJwtConfiguration } from '../../config/options.ts'
import type { Clock } from '../../util/clock.ts'
import type { Logger } from '../../util/logger.ts'
import type { HttpClient } from '../http/http-client.ts'
import { candidatesIn, parseKeySet, type VerificationKey } from './key-set.ts'

/** Longest set that is read. */
export const KEY_SET_BYTES_MAX: number = 512 * 1024

type Limits = Pick<
  SecurityJwtConfiguration,
  'algorithms' | 'jwksRefreshSeconds' | 'jwksCooldownSeconds'
>

export class RemoteKeys {
  readonly #limits: Limits
  readonly #server: HttpClient
  readonly #clock: Clock
  readonly #log: Logger
  #keys: readonly VerificationKey[] | undefined
  #fetchedAt = 0
  #triedAt = Number.NEGATIVE_INFINITY
  #fetching: Promise<void> | undefined

  constructor(limits: Limits, server: HttpClient, clock: Clock, log: Logger) {
    this.#limits = limits
    this.#server = server
    this.#clock = clock
    this.#log = log
    if (server.isExposed) {
      const message = 'keys of tokens come without TLS, so others could replace them: use https'
      log.warn({ option: 'security.jwt.jwksUrl', url: server.name }, message)
    }
  }

  /** Whether there is a set, new or old. */
  get areKnown(): boolean {
    return this.#keys !== undefined
  }

  /** The keys that may have signed a token; a promise if the server has to be asked for them. */
  find(
    keyIdentifier: string | undefined,
    algorithm: string,
  ): readonly KeyObject[] | Promise<readonly KeyObject[]> {
    const found = candidatesIn(this.#keys ?? [], keyIdentifier, algorithm)
    const isOld = this.#clock.now() - this.#fetchedAt >= this.#limits.jwksRefreshSeconds * 1000
    const fetching = found.length === 0 || isOld ? this.#refresh() : undefined
    if (found.length > 0 || fetching === undefined) return found
    return fetching.then(() => candidatesIn(this.#keys ?? [], keyIdentifier, algorithm))
  }

  /** Fetches the set, now. Never rejects: the log says what is wrong. */
  fetch(): Promise<void> {
    this.#triedAt = this.#clock.now()
    this.#fetching ??= this.#load()
      .catch((error: Error) => this.#complain(error))
      .finally(() => {
        this.#fetching = undefined
      })
    return this.#fetching
  }

  /** The fetch that is under way, or a new one; undefined while there may be none. */
  #refresh(): Promise<void> | undefined {
    const isTooSoon = this.#clock.now() - this.#triedAt < this.#limits.jwksCooldownSeconds * 1000
    return this.#fetching ?? (isTooSoon ? undefined : this.fetch())
  }

  async #load(): Promise<void> {
    const { status, body } = await this.#server.get()
    if (status !== 200) throw new Error(`it answered with status ${status}`)
    this.#keys = parseKeySet(body, this.#limits.algorithms, false)
    this.#fetchedAt = this.#clock.now()
    this.#log.info({ url: this.#server.name, keys: this.#keys.length }, 'keys of tokens fetched')
  }

  #complain({ message }: Error): void {
    if (this.#server.isClosed) return
    const consequence = this.areKnown
      ? 'those fetched before stay in force'
      : 'no token is accepted'
    const fields = { option: 'security.jwt.jwksUrl', url: this.#server.name, rule: message }
    this.#log.error(fields, `keys of tokens cannot be fetched: ${consequence}`)
  }
}
