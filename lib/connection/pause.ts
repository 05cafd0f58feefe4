/** Why nothing of a connection is worked on, and whether its transport is read. */

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

/** Where bytes come in: they are worked on while there is no reason not to. */
export class Inlet {
  readonly #transport: Transport
  #pauses = 0
  #isStopped = false

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Nothing is worked on. */
  get isPaused(): boolean {
    return this.#pauses !== 0
  }

  /**
   * Stops the transport as well, unless it is for a handler alone: that is mostly done before more comes, and to stop
   * and start the transport each time would cost more than it saves. A chunk that does come meanwhile stops it.
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
