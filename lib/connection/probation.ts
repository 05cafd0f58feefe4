/**
 * The time in which a connection has not proved yet who it is. It is bounded, and while the client has said
 * nothing its place may go to another one.
 */

import { ReasonCode } from '../protocol/reason-codes.ts'
import type { Timer } from '../util/timers.ts'
import type { Connection } from './connection.ts'

export class Probation {
  readonly #connection: Connection
  readonly #timer: Timer
  #leaveHalfOpen: (() => void) | undefined

  constructor(connection: Connection) {
    this.#connection = connection
    const { timers, limits } = connection.context
    this.#timer = timers.after(limits.connectTimeoutMs, () =>
      connection.end(
        ReasonCode.MaximumConnectTime,
        'no CONNECT within connection.connectTimeoutMs',
      ),
    )
    this.awaitClient()
  }

  /** The client has to say something: until then the connection is half-open. */
  awaitClient(): void {
    const connection = this.#connection
    const { halfOpen } = connection.context.protection
    this.#leaveHalfOpen = halfOpen.enter(connection.transport.peer.address, (rule) => {
      connection.context.counters.limitsReached.halfOpen++
      connection.end(ReasonCode.QuotaExceeded, rule)
    })
  }

  /** The client has said something: nobody else gets its place. */
  keepPlace(): void {
    this.#leaveHalfOpen?.()
    this.#leaveHalfOpen = undefined
  }

  /** It is let in, or gone. */
  end(): void {
    this.keepPlace()
    this.#timer.cancel()
  }
}
