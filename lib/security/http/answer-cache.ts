/**
 * What a service has answered about the topics of a client, known again for a while so that a PUBLISH does not
 * have to wait. It goes with the connection, and with `clear`.
 */

import type { SecurityHttpConfiguration } from '../../config/options.ts'
import type { Clock } from '../../util/clock.ts'
import { forgetOldest } from '../../util/oldest.ts'
import type { ClientInfo, Decision } from '../access.ts'

/** Longer topics are asked about each time, so that what is kept for a client stays small. */
const KEY_LENGTH_MAX: number = 256

type Limits = Pick<SecurityHttpConfiguration, 'cacheAllowSeconds' | 'cacheDenySeconds' | 'cacheMax'>

interface Known {
  /** Undefined: the service leaves it to others. */
  readonly answer: Decision | undefined
  readonly endsAt: number
}

/** Topic and what is asked about it → answer, the oldest first. */
export type KnownAnswers = Map<string, Known>

export class AnswerCache {
  readonly #limits: Limits
  readonly #clock: Clock
  #clients = new WeakMap<ClientInfo, KnownAnswers>()

  constructor(limits: Limits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
  }

  /** What is known of a client now. An answer that comes after `clear` is put where nobody looks. */
  of(client: ClientInfo): KnownAnswers {
    const known = this.#clients.get(client)
    if (known !== undefined) return known
    const answers: KnownAnswers = new Map()
    this.#clients.set(client, answers)
    return answers
  }

  find(answers: KnownAnswers, key: string): Known | undefined {
    const known = answers.get(key)
    return known !== undefined && known.endsAt > this.#clock.now() ? known : undefined
  }

  keep(answers: KnownAnswers, key: string, answer: Decision | undefined): void {
    const { cacheAllowSeconds, cacheDenySeconds, cacheMax } = this.#limits
    const seconds = answer?.isAllowed === true ? cacheAllowSeconds : cacheDenySeconds
    if (seconds === 0 || cacheMax === 0 || key.length > KEY_LENGTH_MAX) return
    answers.delete(key)
    answers.set(key, { answer, endsAt: this.#clock.now() + seconds * 1000 })
    forgetOldest(answers, cacheMax)
  }

  clear(): void {
    this.#clients = new WeakMap()
  }
}
