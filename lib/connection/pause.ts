/** Why a connection is not being read, and whether it is. */

import type { Transport } from '../transport/transport.ts'

/** The reasons; each is a bit, as several may hold at once. */
export const Pause = {
  /** A handler waits for a hook or the store. */
  Handler: 1,
  /** A 3.x publisher has Receive Maximum messages unacknowledged: it is slowed, not closed. */
  OwedAcknowledgements: 2,
  /** The memory budget is nearly used up. */
  Memory: 4,
  /** The store has more to write than it may hold. */
  Store: 8,
  /** The client does not take the acknowledgements for what it sends. */
  Output: 16,
  /** It has been worked for long enough: the other connections have their turn. */
  Turn: 32,
  /** It, its user, its address or its listener has sent more per second than it may. */
  Rate: 64,
} as const
export type Pause = (typeof Pause)[keyof typeof Pause]

/** Whether a connection is read: not while there is a reason not to. */
export class Reading {
  readonly #transport: Transport
  #pauses = 0
  #isStopped = false

  constructor(transport: Transport) {
    this.#transport = transport
  }

  get isPaused(): boolean {
    return this.#pauses !== 0
  }

  /**
   * A handler is mostly done before more comes: to stop and start the transport for each would cost more than it
   * saves, so it goes on until a chunk comes meanwhile.
   */
  pause(reason: Pause): void {
    this.#pauses |= reason
    if (this.#pauses !== Pause.Handler) this.stop()
  }

  /** Says whether that was the last reason; `start` makes it read again. */
  unpause(reason: Pause): boolean {
    if ((this.#pauses & reason) === 0) return false
    this.#pauses &= ~reason
    return this.#pauses === 0
  }

  stop(): void {
    if (!this.#isStopped) this.#transport.pause()
    this.#isStopped = true
  }

  start(): void {
    if (this.#isStopped) this.#transport.resume()
    this.#isStopped = false
  }
}
