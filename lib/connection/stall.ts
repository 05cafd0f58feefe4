/**
 * Ends a connection of which nothing more is read because its client takes nothing of what it is sent: its
 * keep-alive clock stands, so a client that never reads again would stay for ever.
 */

import { ReasonCode } from '../protocol/reason-codes.ts'
import type { Timer } from '../util/timers.ts'
import type { Connection } from './connection.ts'

/** How long a client may leave its acknowledgements untaken. */
const STALL_MS = 60_000

export class Stall {
  readonly #connection: Connection
  #timer: Timer | undefined

  constructor(connection: Connection) {
    this.#connection = connection
  }

  start(): void {
    const rule = 'took nothing of what was sent to it for a minute'
    this.#timer ??= this.#connection.context.timers.after(STALL_MS, () =>
      this.#connection.end(ReasonCode.QuotaExceeded, rule),
    )
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
