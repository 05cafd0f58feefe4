/**
 * Closes a connection that is silent for one and a half times its Keep Alive [MQTT-3.1.2-22].
 *
 * The timer is not moved with each packet: when it fires it looks at when bytes last arrived, and waits for
 * the rest. While we pause reading, silence is ours and the clock stands. Bytes of a packet on its way count:
 * its client cannot send PINGREQ in the middle of it.
 */

import { KEEP_ALIVE_GRACE } from '../protocol/limits.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { Timer } from '../util/timers.ts'
import type { Connection } from './connection.ts'

export class KeepAlive {
  readonly #connection: Connection
  #timer: Timer | undefined
  #graceMs = 0

  constructor(connection: Connection) {
    this.#connection = connection
  }

  start(): void {
    const seconds = this.#connection.negotiated?.keepAliveSeconds ?? 0
    if (seconds === 0) return
    this.#graceMs = seconds * 1000 * KEEP_ALIVE_GRACE
    this.#wait(this.#graceMs)
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #wait(delayMs: number): void {
    this.#timer = this.#connection.context.timers.after(delayMs, () => this.#check())
  }

  #check(): void {
    const connection = this.#connection
    const silentMs = connection.context.clock.now() - connection.receivedAt
    if (connection.isPaused) this.#wait(this.#graceMs)
    else if (silentMs < this.#graceMs) this.#wait(this.#graceMs - silentMs)
    else connection.end(ReasonCode.KeepAliveTimeout, 'silent for 1.5 times its Keep Alive')
  }
}
