/**
 * What a source has changed applies to clients that are connected: subscriptions are judged again, a few at a time, and
 * whose user is gone, or has another password, is disconnected.
 */

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Connection } from '../connection/connection.ts'
import type { ConnectionContext } from '../connection/context.ts'
import { recheckClient } from '../connection/recheck.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { AccessChanges } from '../security/access-sources.ts'

/** After so many connections the others have their turn. */
const CONNECTIONS_PER_TURN = 20

/** Returns what is to be called when a file has changed. */
export function applyTo(connections: ReadonlySet<Connection>): AccessChanges {
  const change = new RuleChange(connections)
  return {
    rulesChanged: () => void change.apply(),
    usersChanged(userNames) {
      for (const connection of Array.from(connections)) {
        if (!userNames.has(connection.client?.userName ?? '')) continue
        connection.end(
          ReasonCode.NotAuthorized,
          'its user was removed or disabled, or has another password',
        )
      }
    },
  }
}

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
      await recheckClient(connection, session).catch((error) => connection.fail(error))
      if (++count % CONNECTIONS_PER_TURN === 0) await nextTurn()
    }
  }
}
