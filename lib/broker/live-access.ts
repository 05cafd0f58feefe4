/**
 * What a source has changed applies to clients that are connected: subscriptions are judged again, a few at a time, and
 * whose user is gone, or has another password, is disconnected.
 */

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Connection } from '../connection/connection.ts'
import type { ConnectionContext, RuleChanges } from '../connection/context.ts'
import { recheckClient } from '../connection/recheck.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { AccessChanges } from '../security/access-sources.ts'

/** After so many connections the others have their turn. */
const CONNECTIONS_PER_TURN = 20

/** Returns what is to be called when pre-shared keys of a listener are gone, or others. */
export function endIdentities(connections: ReadonlySet<Connection>) {
  return (listener: string, identities: ReadonlySet<string>): void => {
    for (const connection of Array.from(connections)) {
      const { peer } = connection.transport
      if (peer.listener !== listener || !identities.has(peer.userName ?? '')) continue
      connection.end(ReasonCode.NotAuthorized, 'its pre-shared key was removed or changed')
    }
  }
}

/** Whom people have banned goes, though it is connected [MQTT 5.0 has 0x8A for CONNACK alone]. */
export async function endBanned({ connections, protection }: ConnectionContext): Promise<void> {
  let count = 0
  for (const connection of Array.from(connections)) {
    if (++count % CONNECTIONS_PER_TURN === 0) await nextTurn()
    const { client, transport } = connection
    const who = client ?? { clientIdentifier: '', userName: undefined, ...transport.peer }
    const ban = protection.bans.ofConnected(who)
    if (ban === undefined) continue
    connection.end(ReasonCode.AdministrativeAction, `banned: ${ban.reason ?? 'no reason given'}`)
  }
}

/** Hears from the sources what has changed. */
export class LiveAccess implements AccessChanges, RuleChanges {
  readonly #connections: ReadonlySet<Connection>
  #isRunning = false
  /** How many changes the run that is under way, or was last, knows of. */
  #appliedCount = 0
  changeCount = 0

  constructor(connections: ReadonlySet<Connection>) {
    this.#connections = connections
  }

  rulesChanged(): void {
    this.changeCount++
    if (!this.#isRunning) void this.#recheck()
  }

  usersChanged(userNames: ReadonlySet<string>): void {
    for (const connection of Array.from(this.#connections)) {
      if (!userNames.has(connection.client?.userName ?? '')) continue
      connection.end(
        ReasonCode.NotAuthorized,
        'its user was removed or disabled, or has another password',
      )
    }
  }

  /** Once more while it runs makes it run once more. */
  async #recheck(): Promise<void> {
    this.#isRunning = true
    while (this.#appliedCount !== this.changeCount) {
      this.#appliedCount = this.changeCount
      // Answers that were given by now have become subscriptions by then.
      await nextTurn()
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
      await recheckClient(connection, session).catch((error) => connection.fail(error))
      if (++count % CONNECTIONS_PER_TURN === 0) await nextTurn()
    }
  }
}
