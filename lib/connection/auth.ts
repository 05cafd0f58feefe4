/** AUTH: enhanced authentication on CONNECT, and re-authentication later (section 4.12). */

import { ProtocolError } from '../protocol/errors.ts'
import type { Auth, Connect, Properties } from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { AuthenticationExchange, AuthenticationStep, ClientInfo } from '../security/access.ts'
import { noteLogin } from './admission.ts'
import { admit } from './admit.ts'
import { refuse } from './connack.ts'
import type { Connection } from './connection.ts'

/** How much of a name that the client chose is repeated in the log and to the client. */
const METHOD_SHOWN_MAX = 64

/** An enhanced authentication of this connection (section 4.12). */
export interface Authentication {
  readonly method: string
  exchange: AuthenticationExchange | undefined
  /** The CONNECT that waits for it; undefined in a re-authentication. */
  connect: Connect | undefined
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
  connection.authentication = { method, exchange, connect }
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
    authentication.exchange = beginAgain(connection, method)
  } else if (
    auth.reasonCode !== ReasonCode.ContinueAuthentication || // [MQTT-4.12.0-3]
    authentication.exchange === undefined
  ) {
    throw new ProtocolError(ReasonCode.ProtocolError, 'AUTH out of turn')
  }
  return continueWith(connection, authentication.exchange, auth)
}

async function continueWith(
  connection: Connection,
  exchange: AuthenticationExchange,
  auth: Auth,
): Promise<void> {
  await takeStep(connection, await exchange.next(auth.properties.authenticationData))
}

function beginAgain(connection: Connection, method: string): AuthenticationExchange {
  const begin = beginnerOf(connection, method)
  if (begin === undefined) {
    throw new ProtocolError(ReasonCode.BadAuthenticationMethod, describeUnknown(method))
  }
  return begin(connection.client as ClientInfo)
}

/** Does what the exchange decided, during CONNECT or later. */
async function takeStep(connection: Connection, step: AuthenticationStep): Promise<void> {
  if (connection.state === 'closed') return
  const authentication = connection.authentication as Authentication
  const properties: Properties = { authenticationMethod: authentication.method } // [MQTT-4.12.0-5]
  if (step.kind !== 'failure' && step.data !== undefined) properties.authenticationData = step.data
  switch (step.kind) {
    case 'continue':
      if (connection.state !== 'connected') connection.state = 'authenticating'
      connection.outlet.send({
        type: 'auth',
        reasonCode: ReasonCode.ContinueAuthentication, // [MQTT-4.12.0-2]
        properties,
      })
      return
    case 'success':
      await succeed(connection, authentication, step.userName, properties)
      return
    case 'failure':
      fail(connection, step.reasonCode ?? ReasonCode.NotAuthorized, step.reason)
  }
}

async function succeed(
  connection: Connection,
  authentication: Authentication,
  userName: string | undefined,
  properties: Properties,
): Promise<void> {
  authentication.exchange = undefined
  if (userName !== undefined) {
    connection.client = { ...(connection.client as ClientInfo), userName }
  }
  noteLogin(connection, { isAllowed: true })
  const { connect } = authentication
  authentication.connect = undefined
  if (connect === undefined) {
    connection.outlet.send({ type: 'auth', reasonCode: ReasonCode.Success, properties })
  } else {
    connection.state = 'connecting'
    await admit(connection, connect, properties)
  }
}

function fail(connection: Connection, reasonCode: number, reason: string | undefined): void {
  noteLogin(connection, { isAllowed: false, reasonCode })
  const rule = `enhanced authentication failed${reason === undefined ? '' : `: ${reason}`}`
  if (connection.state === 'connected')
    connection.end(reasonCode, rule) // [MQTT-4.12.1-2]
  else refuse(connection, reason === undefined ? {} : { reason }, reasonCode, rule) // [MQTT-4.12.0-4]
}
