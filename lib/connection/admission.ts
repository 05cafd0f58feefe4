/**
 * Whether there is room for a client that has sent CONNECT: bans, the load of the broker, and what its
 * address, listener, user and identifier may have at most.
 */

import { ReasonCode } from '../protocol/reason-codes.ts'
import { type ClientInfo, type Decision, denial } from '../security/access.ts'
import { type Ban, subjectOf } from '../security/bans/ban-file.ts'
import type { Scope } from './account.ts'
import { AccountGroup } from './account-group.ts'
import { refuse } from './connack.ts'
import type { Connection } from './connection.ts'

const FAILED_LOGINS: ReadonlySet<number> = new Set([
  ReasonCode.BadUserNameOrPassword,
  ReasonCode.NotAuthorized,
])

const EARLY: readonly Scope[] = ['address', 'listener']
const LATE: readonly Scope[] = ['user', 'client']

/** Judges what costs nothing to know, before anybody is asked about a password. Undefined: it may go on. */
export function findEarlyRefusal(connection: Connection): Decision | undefined {
  const { protection, counters } = connection.context
  const { userName } = connection.client as ClientInfo
  const ban = findBanOf(connection, userName)
  if (ban !== undefined) return ban
  const load = protection.overload.refusal()
  if (load !== undefined) {
    counters.limitsReached.overload++
    return load
  }
  return takeConnection(connection, EARLY)
}

/** Judges who it is, now that it is known, and has it count for user and client too. */
export function findLateRefusal(connection: Connection): Decision | undefined {
  const { protection, counters } = connection.context
  const { clientIdentifier, userName } = connection.client as ClientInfo
  const { accounts } = connection
  accounts.add(protection.accounts.ofUser(userName))
  accounts.add(protection.accounts.ofClient(clientIdentifier))
  const tooFast = takeConnection(connection, LATE)
  if (tooFast !== undefined) return tooFast
  const option = accounts.findFull('connections', 1, replacedBy(connection, clientIdentifier))
  if (option !== undefined) {
    counters.limitsReached.connections++
    return denial(ReasonCode.QuotaExceeded, `${option} is reached`, hintFor(option))
  }
  accounts.connect()
  return undefined
}

/** Whether an accepted client comes so often that it is banned now. */
export function findFlapping(connection: Connection): Decision | undefined {
  const { client, context } = connection
  const { bans } = context.protection
  bans.noteConnection(client as ClientInfo)
  return findBanOf(connection, client?.userName)
}

/**
 * Whether the client is banned as `claimed`, whom it says to be. An exchange that says it before the proof is asked
 * then: after it, the answer would tell who is banned that its guess was right.
 */
export function findBanOf(
  connection: Connection,
  claimed: string | undefined,
): Decision | undefined {
  const { protection, counters } = connection.context
  const client = connection.client as ClientInfo
  const userName = connection.transport.peer.userName ?? claimed ?? client.userName
  const ban = protection.bans.of({ ...client, userName })
  if (ban === undefined) return undefined
  counters.limitsReached.bans++
  return banned(ban)
}

function takeConnection(connection: Connection, scopes: readonly Scope[]): Decision | undefined {
  const { clock, counters } = connection.context
  const option = connection.accounts.takeConnection(clock.now(), scopes)
  if (option === undefined) return undefined
  counters.limitsReached.connectionRate++
  return denial(ReasonCode.ConnectionRateExceeded, `more than ${option}`, hintFor(option))
}

/** Wrong passwords are counted; other refusals, such as that the broker is busy, are not of the client's making. */
export function noteLogin(
  { context, client }: Connection,
  { isAllowed, reasonCode }: Pick<Decision, 'isAllowed' | 'reasonCode'>,
): void {
  const { bans } = context.protection
  if (isAllowed) bans.noteLogin(client as ClientInfo)
  else if (reasonCode !== undefined && FAILED_LOGINS.has(reasonCode)) {
    bans.noteFailedLogin(client as ClientInfo)
  }
}

/** Tells the client the rule that keeps it out, and closes. */
export function refuseAdmission(connection: Connection, decision: Decision): void {
  const reason = decision.rule as string
  refuse(connection, { ...decision, reason }, ReasonCode.QuotaExceeded, reason)
}

/** A connection has ended without CONNECT. */
export function takeSilent({ accounts, context }: Connection): void {
  accounts.takeConnection(context.clock.now(), EARLY)
}

/** A client that takes its own session over needs no second place. */
function replacedBy(
  { context }: Connection,
  clientIdentifier: string,
): { readonly by: AccountGroup; readonly count: number } | undefined {
  const session = context.registry.get(clientIdentifier)
  const { holder } = session ?? {}
  const isReplaced = session?.isOnline === true && holder instanceof AccountGroup
  return isReplaced ? { by: holder, count: 1 } : undefined
}

function banned(ban: Ban): Decision {
  const { reason = 'no reason given' } = ban
  const hint = `noctule ban remove ends it: ${subjectOf(ban)}`
  return denial(ReasonCode.Banned, `banned: ${reason}`, hint)
}

export function hintFor(option: string): string {
  return `raise ${option} if these clients are as they should be`
}
