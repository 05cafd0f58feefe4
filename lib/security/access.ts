/**
 * Who may connect, publish and subscribe: the questions the broker asks, as hooks of the host program.
 *
 * Each hook may answer at once or with a promise. While a promise is pending, nothing more of that
 * connection is read; other connections go on.
 */

import type { Buffer } from 'node:buffer'
import type { MqttVersion, Qos, UserProperty } from '../protocol/packets.ts'

/** A client as hooks, events and log lines know it. */
export interface ClientInfo {
  readonly clientIdentifier: string
  readonly userName: string | undefined
  readonly protocolVersion: MqttVersion
  /** Name of the listener it came in on. */
  readonly listener: string
  /** Remote address, behind a trusted proxy the one that the proxy named. */
  readonly address: string
  readonly port: number
  /** Common Name of a verified client certificate. */
  readonly certificateCommonName: string | undefined
}

/** A decision with its reasons. `rule` is what the log names: "acl line 7", "password file". */
export interface Decision {
  readonly isAllowed: boolean
  /** What an MQTT 5.0 client is told; the default is 0x87 not authorized, 0x86 on CONNECT. */
  readonly reasonCode?: number
  /** Human-readable text for the client. */
  readonly reason?: string
  readonly rule?: string
  /** What whoever runs the broker may do about it; for the log alone. */
  readonly hint?: string
}

/** `true` and `false` are decisions without reasons. */
export type Answer = boolean | Decision
export type Eventually<T> = T | Promise<T>

export interface AuthenticateRequest extends ClientInfo {
  readonly password: Buffer | undefined
  readonly userProperties: readonly UserProperty[]
}

export interface PublishRequest {
  readonly topic: string
  readonly qos: Qos
  readonly retain: boolean
  /** A view that is valid during the call: copy it to keep it. */
  readonly payload: Buffer
}

export interface SubscribeRequest {
  /** As the client wrote it, `$share/NAME/` included. */
  readonly topicFilter: string
  readonly qos: Qos
}

/** One step of an enhanced authentication (section 4.12). */
export type AuthenticationStep =
  | { readonly kind: 'continue'; readonly data?: Buffer }
  | { readonly kind: 'success'; readonly data?: Buffer; readonly userName?: string }
  | AuthenticationFailure

/** Beside what a `Decision` says. */
export interface AuthenticationFailure
  extends Pick<Decision, 'reasonCode' | 'reason' | 'rule' | 'hint'> {
  readonly kind: 'failure'
  /** What the client is told by the method's own words; a re-authentication has no place for it. */
  readonly data?: Buffer
  /** Who it said it was: for the log. */
  readonly userName?: string
}

/** An exchange under way: is given each piece of Authentication Data, the first from CONNECT or AUTH. */
export interface AuthenticationExchange {
  next(data: Buffer | undefined): Eventually<AuthenticationStep>
}

/**
 * Each of the three questions may be answered with `undefined`: then the next is asked who could know, the
 * files of `security.passwordFile` and `security.aclFile`. If nobody knows, the answer is no.
 */
export interface AccessHooks {
  /** May this client connect? Not asked for an enhanced authentication. */
  authenticate?(request: AuthenticateRequest): Eventually<Answer | undefined>
  /** May it publish this? Asked for a Will Message too, on CONNECT. */
  authorizePublish?(client: ClientInfo, request: PublishRequest): Eventually<Answer | undefined>
  /** May it subscribe to this? Asked for each Topic Filter. */
  authorizeSubscribe?(client: ClientInfo, request: SubscribeRequest): Eventually<Answer | undefined>
  /** Enhanced authentication: Authentication Method → what begins an exchange by that method. */
  readonly authenticationMethods?: Readonly<
    Record<string, (client: ClientInfo) => AuthenticationExchange>
  >
}

const UNDECIDED: Decision = { isAllowed: false, rule: 'nothing that was asked has allowed it' }

/** What nobody has decided is refused. */
export function toDecision(answer: Answer | undefined): Decision {
  return typeof answer === 'boolean' ? { isAllowed: answer } : (answer ?? UNDECIDED)
}

/** A decision against, with what an MQTT 5.0 client is told, what the log names, and what can be done. */
export function denial(reasonCode: number, rule: string, hint?: string): Decision {
  return { isAllowed: false, reasonCode, rule, ...(hint !== undefined && { hint }) }
}
