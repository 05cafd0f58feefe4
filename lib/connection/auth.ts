/** AUTH: enhanced authentication on CONNECT, and re-authentication later (section 4.12). */

import { ProtocolError } from '../protocol/errors.ts'
import type { Auth, Connect, Properties } from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type {
  AuthenticationExchange,
  AuthenticationFailure,
  AuthenticationStep,
  ClientInfo,
  Grant,
} from '../security/access.ts'
import type { Session } from '../session/session.ts'
import type { Timer } from '../util/timers.ts'
import { findBanOf, noteLogin, refuseAdmission } from './admission.ts'
import { admit } from './admit.ts'
import { refuse } from './connack.ts'
import type { Connection } from './connection.ts'
import { takeGrant } from './grant.ts'
import { recheckClient } from './recheck.ts'

/** How much of a name that the client chose is repeated in the log and to the client. */
const METHOD_SHOWN_MAX = 64

/** An enhanced authentication of this connection (section 4.12). */
export interface Authentication {
  readonly method: string
  exchange: AuthenticationExchange | undefined
  /** The CONNECT that waits for it; undefined in a re-authentication. */
  connect: Connect | undefined
  /** Ends a re-authentication that does not go on; a CONNECT has the timer of its connection. */
  timer: Timer | undefined
}

/** CONNECT named an Authentication Method. */
export async function beginAuthentication(connection: Connection, connect: Connect): Promise<void> {
  const method = connect.properties.authenticationMethod as string
  const begin = beginnerOf(connection, method)
  if (begin === undefined) {
    const rule = describeUnknown(method)
    refuse(connection, { reason: rule }, ReasonCode.BadAuthenticationMethod, rule) // [MQTT-4.12.0-1]
    return
  }
  const exchange = begin(connection.client as ClientInfo)
  connection.authentication = { method, exchange, connect, timer: undefined }
  await takeStep(connection, await exchange.next(connect.properties.authenticationData))
}

type Begin = (client: ClientInfo) => AuthenticationExchange

function beginnerOf(connection: Connection, method: string): Begin | undefined {
  const methods = connection.context.hooks.authenticationMethods
  // The client chose the name: "constructor" is no method.
  return methods !== undefined && Object.hasOwn(methods, method) ? methods[method] : undefined
}

function describeUnknown(method: string): string {
  return `no Authentication Method ${JSON.stringify(method.slice(0, METHOD_SHOWN_MAX))}`
}

export function handleAuth(connection: Connection, auth: Auth): Promise<void> {
  const authentication = connection.authentication
  const method = auth.properties.authenticationMethod
  if (authentication === undefined) {
    throw new ProtocolError(
      ReasonCode.ProtocolError,
      'AUTH without an Authentication Method in CONNECT',
    ) // [MQTT-4.12.0-7]
  }
  if (method !== authentication.method) {
    throw new ProtocolError(ReasonCode.ProtocolError, 'AUTH with another Authentication Method') // [MQTT-4.12.0-5] [MQTT-4.12.1-1]
  }
  if (auth.reasonCode === ReasonCode.ReAuthenticate && connection.state === 'connected') {
    beginAgain(connection, authentication)
  } else if (
    auth.reasonCode !== ReasonCode.ContinueAuthentication || // [MQTT-4.12.0-3]
    authentication.exchange === undefined
  ) {
    throw new ProtocolError(ReasonCode.ProtocolError, 'AUTH out of turn')
  }
  return continueWith(connection, authentication.exchange as AuthenticationExchange, auth)
}

async function continueWith(
  connection: Connection,
  exchange: AuthenticationExchange,
  auth: Auth,
): Promise<void> {
  await takeStep(connection, await exchange.next(auth.properties.authenticationData))
}

function beginAgain(connection: Connection, authentication: Authentication): void {
  const { method } = authentication
  const begin = beginnerOf(connection, method)
  if (begin === undefined) {
    throw new ProtocolError(ReasonCode.BadAuthenticationMethod, describeUnknown(method))
  }
  authentication.exchange = begin(connection.client as ClientInfo)
  const { timers, limits } = connection.context
  authentication.timer ??= timers.after(limits.connectTimeoutMs, () =>
    connection.end(
      ReasonCode.NotAuthorized,
      'a re-authentication that was not completed within connection.connectTimeoutMs',
    ),
  )
}

/** Does what the exchange decided, during CONNECT or later. */
async function takeStep(connection: Connection, step: AuthenticationStep): Promise<void> {
  if (connection.state === 'closed') return
  const authentication = connection.authentication as Authentication
  const properties: Properties = { authenticationMethod: authentication.method } // [MQTT-4.12.0-5]
  if (step.data !== undefined) properties.authenticationData = step.data
  switch (step.kind) {
    case 'continue':
      if (connection.state !== 'connected') {
        const ban = findBanOf(connection, step.userName)
        if (ban !== undefined) {
          refuseAdmission(connection, ban)
          return
        }
        connection.state = 'authenticating'
        connection.probation?.awaitClient()
      }
      connection.outlet.send({
        type: 'auth',
        reasonCode: ReasonCode.ContinueAuthentication, // [MQTT-4.12.0-2]
        properties,
      })
      return
    case 'success':
      await succeed(connection, authentication, step, properties)
      return
    case 'failure':
      fail(connection, step, properties)
  }
}

async function succeed(
  connection: Connection,
  authentication: Authentication,
  grant: Grant,
  properties: Properties,
): Promise<void> {
  const { userName } = connection.client as ClientInfo
  const { connect } = authentication
  // Subscriptions and rules of this connection are those of whom it was opened for.
  const isAnother = grant.userName !== undefined && grant.userName !== userName
  if (connect === undefined && isAnother) {
    fail(connection, ANOTHER_USER, properties)
    return
  }
  authentication.exchange = undefined
  authentication.timer?.cancel()
  authentication.timer = undefined
  authentication.connect = undefined
  const refusal = takeGrant(connection, grant)
  if (refusal === undefined) noteLogin(connection, { isAllowed: true })
  if (refusal !== undefined) {
    fail(connection, refusal, properties)
  } else if (connect === undefined) {
    await goOn(connection, properties)
  } else {
    connection.state = 'connecting'
    await admit(connection, connect, properties)
  }
}

/** It has authenticated again, perhaps with other rules and another end. */
async function goOn(connection: Connection, properties: Properties): Promise<void> {
  connection.expiry.restart()
  await recheckClient(connection, connection.session as Session)
  if (connection.state !== 'connected') return
  connection.outlet.send({ type: 'auth', reasonCode: ReasonCode.Success, properties })
}

const ANOTHER_USER: Omit<AuthenticationFailure, 'kind'> = {
  rule: 'a re-authentication as another user',
}

function fail(
  connection: Connection,
  failure: Omit<AuthenticationFailure, 'kind'>,
  properties: Properties,
): void {
  const { reasonCode = ReasonCode.NotAuthorized, reason, userName } = failure
  const why = failure.rule ?? reason
  const rule = `enhanced authentication failed${why === undefined ? '' : `: ${why}`}`
  if (userName !== undefined) {
    connection.client = { ...(connection.client as ClientInfo), userName }
  }
  noteLogin(connection, { isAllowed: false, reasonCode })
  if (connection.state === 'connected') {
    connection.end(reasonCode, rule) // [MQTT-4.12.1-2]
    return
  }
  refuse(connection, { ...failure, reasonCode, rule }, reasonCode, rule, properties) // [MQTT-4.12.0-4]
}
