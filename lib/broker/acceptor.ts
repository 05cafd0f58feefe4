/** Takes the clients of one listener, or of the host program, and keeps to the limits that hold there. */

import type { ListenerConfiguration } from '../config/options.ts'
import { Connection } from '../connection/connection.ts'
import type { ConnectionContext, ConnectionLimits } from '../connection/context.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { Doorkeeper, Transport } from '../transport/transport.ts'
import { doorkeeperOf } from './doorkeeper.ts'

export class Acceptor {
  readonly #context: ConnectionContext
  readonly #listener: ListenerConfiguration | undefined
  readonly #limitsNow: (listener: ListenerConfiguration | undefined) => ConnectionLimits
  /** Those of a listener whose number is limited. */
  readonly #own = new Set<Connection>()
  readonly #doorkeeper: Doorkeeper
  #limited: ConnectionContext

  /** `limitsNow` says which limits the configuration in force has for a listener. */
  constructor(
    context: ConnectionContext,
    listener: ListenerConfiguration | undefined,
    limitsNow: (listener: ListenerConfiguration | undefined) => ConnectionLimits,
  ) {
    this.#context = context
    this.#listener = listener
    this.#limitsNow = limitsNow
    this.#doorkeeper = doorkeeperOf(context)
    this.#limited = { ...context, limits: limitsNow(listener) }
  }

  /** Clients to come have the limits of the configuration that is now in force. */
  reload(): void {
    this.#limited = { ...this.#context, limits: this.#limitsNow(this.#listener) }
  }

  readonly accept = (transport: Transport): void => {
    if (this.#isRefused(transport)) return
    const connection = new Connection(this.#limited, transport)
    const connectionsMax = this.#listener?.connectionsMax ?? 0
    if (connectionsMax > 0) this.#count(connection, connectionsMax)
  }

  #count(connection: Connection, connectionsMax: number): void {
    const own = this.#own
    own.add(connection)
    connection.onceClosed(() => own.delete(connection))
    if (own.size > connectionsMax && countOpen(own) > connectionsMax) {
      this.#context.counters.limitsReached.connections++
      connection.end(ReasonCode.QuotaExceeded, 'connectionsMax of the listener is reached')
    }
  }

  /** Whether its address is banned: nothing of it is read, and it is told nothing. */
  #isRefused(transport: Transport): boolean {
    const { address, listener } = transport.peer
    const rule = this.#doorkeeper.refusal(address, 'tcp')
    if (rule === undefined) return false
    this.#context.limitedLog.warn('refused', { address, listener, rule }, 'connection refused')
    transport.destroy()
    return true
  }
}

/** Connections whose client is still there; one that has ended may take a while until it is closed. */
function countOpen(connections: ReadonlySet<Connection>): number {
  let count = 0
  for (const { state } of connections) if (state !== 'closed') count++
  return count
}
