/** Changed rules apply to clients that are connected: their subscriptions are judged again, a few at a time. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Connection } from '../connection/connection.ts'
import { recheckSubscriptions } from '../connection/recheck.ts'

/** After so many connections the others have their turn. */
const CONNECTIONS_PER_TURN = 20

/** Returns what is to be called when rules have changed. */
export function onRuleChange(connections: ReadonlySet<Connection>): () => void {
  const change = new RuleChange(connections)
  return () => void change.apply()
}

class RuleChange {
  readonly #connections: ReadonlySet<Connection>
  #isRunning = false
  #isAskedAgain = false

  constructor(connections: ReadonlySet<Connection>) {
    this.#connections = connections
  }

  /** Rules have changed; once more while it runs makes it run once more. */
  async apply(): Promise<void> {
    this.#isAskedAgain = true
    if (this.#isRunning) return
    this.#isRunning = true
    while (this.#isAskedAgain) {
      this.#isAskedAgain = false
      await this.#recheckAll()
    }
    this.#isRunning = false
  }

  async #recheckAll(): Promise<void> {
    let count = 0
    for (const connection of Array.from(this.#connections)) {
      const { session, state } = connection
      if (state !== 'connected' || session === undefined) continue
      // A store that fails ends its connection as it does when the client unsubscribes.
      await recheckSubscriptions(connection, session).catch((error) => connection.fail(error))
      if (++count % CONNECTIONS_PER_TURN === 0) await nextTurn()
    }
  }
}
