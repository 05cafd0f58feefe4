/** What a client was granted when it was let in: its name, its rules, and when its connection ends. */

import { ReasonCode } from '../protocol/reason-codes.ts'
import { type ClientInfo, type Decision, denial, type Grant } from '../security/access.ts'
import { bindClientAcl } from '../security/client-acl.ts'
import type { Timer } from '../util/timers.ts'
import type { Connection } from './connection.ts'

const HINT = 'who lets it in has to grant more time; compare the clocks'

/**
 * Takes it over in place of what was granted before; returns why it cannot be, and then has not. A name
 * that a certificate or a pre-shared key has proved stands, as it does against CONNECT.
 */
export function takeGrant(
  connection: Connection,
  { userName: granted, expiresAt, acl }: Grant,
): Decision | undefined {
  const userName = connection.transport.peer.userName ?? granted
  const before = connection.client as ClientInfo
  if (expiresAt !== undefined && !(expiresAt > connection.context.clock.now())) {
    return denial(ReasonCode.NotAuthorized, 'what lets it in has expired already', HINT)
  }
  if (userName === undefined && expiresAt === before.expiresAt && acl === before.acl)
    return undefined
  const client = { ...before, userName: userName ?? before.userName, expiresAt, acl }
  try {
    bindClientAcl(client)
  } catch (error) {
    const rule = `what the client may cannot be understood: ${(error as Error).message}`
    return denial(
      ReasonCode.NotAuthorized,
      rule,
      'docs/authentication.md says what an acl looks like',
    )
  }
  connection.client = client
  return undefined
}

/** Ends a connection when what let its client in is not valid any more. */
export class Expiry {
  readonly #connection: Connection
  #timer: Timer | undefined

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** Watches for what was granted last. */
  restart(): void {
    this.stop()
    const { client, context } = this.#connection
    const expiresAt = client?.expiresAt
    if (expiresAt === undefined) return
    this.#timer = context.timers.after(Math.max(0, expiresAt - context.clock.now()), () =>
      this.#connection.end(
        ReasonCode.MaximumConnectTime,
        'what let the client in has expired, and it has not authenticated again',
      ),
    )
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
