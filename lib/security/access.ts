/**
 * Who may connect, publish and subscribe: the questions the broker asks, as hooks of the host program.
 *
 * Each hook may answer at once or with a promise. While a promise is pending, nothing more of that
 * connection is read; other connections go on.
 */

import type { Buffer } from 'node:buffer'
import type { MqttVersion, Qos, UserProperty } from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { PeerCertificate } from '../transport/transport.ts'

/** A client as hooks, events and log lines know it. */
export interface ClientInfo {
  readonly clientIdentifier: string
  /** Proved by certificate or pre-shared key, or as CONNECT says. */
  readonly userName: string | undefined
  readonly protocolVersion: MqttVersion
  /** Name of the listener it came in on. */
  readonly listener: string
  /** Remote address, behind a trusted proxy the one that the proxy named. */
  readonly address: string
  readonly port: number
  /** Common Name of a verified client certificate. */
  readonly certificateCommonName: string | undefined
  /** All that a verified client certificate says. */
  readonly certificate?: PeerCertificate | undefined
  /** When its connection ends unless it authenticates again, in ms since 1970; unset: never. */
  readonly expiresAt?: number | undefined
  /** What it may publish and subscribe to; unset: what the rules of all say. */
  readonly acl?: ClientAcl | undefined
}

/**
 * What one client may publish and subscribe to, and nothing else: Topic Filters for each, or rules as they
 * stand in an ACL file, in their order: `['deny write home/key', 'allow all home/#']`. `%u`, `%c` and `%cn`
 * are the client's own names. At most 256 filters or rules.
 */
export type ClientAcl =
  | { readonly publish?: readonly string[]; readonly subscribe?: readonly string[] }
  | readonly string[]

/** What a client is given when it is let in. What is left out is not limited. */
export interface Grant {
  /** Who it is from now on, whatever user name CONNECT had: in rules, events and the log. */
  readonly userName?: string
  /**
   * When its connection ends, in ms since 1970: an MQTT 5.0 client is told 0xA0, maximum connect time. If
   * it authenticates again before (section 4.12.1), what is granted then holds instead.
   */
  readonly expiresAt?: number
  /** Asked after the hooks of the host program and before `security.http` and `security.aclFile`. */
  readonly acl?: ClientAcl
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
  /**
   * Of a subscription that is allowed: not all that it matches may be received, and `authorizeReceive` is
   * asked about each message. A Shared Subscription is refused then: what one member may not receive would
   * be lost to the others.
   */
  readonly isFiltered?: boolean
}

/** `true` and `false` are decisions without reasons. */
export type Answer = boolean | Decision

/** Whether a client may connect; if so, with what it is granted. */
export interface Admission extends Decision, Grant {}
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

/** A message on its way to a client. */
export interface ReceiveRequest {
  readonly topic: string
  readonly qos: Qos
}

/** One step of an enhanced authentication (section 4.12). */
export type AuthenticationStep =
  | {
      readonly kind: 'continue'
      readonly data?: Buffer
      /** Who the client says to be, if it has said so: who is banned is not asked for the proof. */
      readonly userName?: string
    }
  | ({ readonly kind: 'success'; readonly data?: Buffer } & Grant)
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
 * Each of the first three questions may be answered with `undefined`: then the next is asked who could
 * know, whom the configuration names below `security`. If nobody knows, the answer is no.
 */
export interface AccessHooks {
  /**
   * May this client connect, as whom, for how long? Not asked for an enhanced authentication, nor where a
   * certificate or pre-shared key has proved the user name.
   */
  authenticate?(request: AuthenticateRequest): Eventually<boolean | Admission | undefined>
  /** May it publish this? Asked for a Will Message too, on CONNECT. */
  authorizePublish?(client: ClientInfo, request: PublishRequest): Eventually<Answer | undefined>
  /**
   * May it subscribe to this? Asked for each Topic Filter, and again for those of a session that is taken up
   * if there is `authorizeReceive`, or rules that may have changed: until it is answered nothing is sent.
   */
  authorizeSubscribe?(client: ClientInfo, request: SubscribeRequest): Eventually<Answer | undefined>
  /**
   * May it be sent this? Asked at the moment of sending, about clients with a subscription that
   * `isFiltered` alone, and answered at once: what is not allowed is left out.
   */
  authorizeReceive?(client: ClientInfo, request: ReceiveRequest): Answer | undefined
  /** Enhanced authentication: Authentication Method → what begins an exchange by that method. */
  readonly authenticationMethods?: Readonly<
    Record<string, (client: ClientInfo) => AuthenticationExchange>
  >
}

const UNDECIDED: Decision = { isAllowed: false, rule: 'nothing that was asked has allowed it' }

/** What nobody has decided is refused. */
export function toDecision<D extends Decision = Decision>(
  answer: boolean | D | undefined,
): D | Decision {
  return typeof answer === 'boolean' ? { isAllowed: answer } : (answer ?? UNDECIDED)
}

/** Whether it was refused because nobody could be asked, which says nothing about the client. */
export function isFailure({ isAllowed, reasonCode }: Decision): boolean {
  const { ServerUnavailable, ServerBusy } = ReasonCode
  return !isAllowed && (reasonCode === ServerUnavailable || reasonCode === ServerBusy)
}

/** A decision against, with what an MQTT 5.0 client is told, what the log names, and what can be done. */
export function denial(reasonCode: number, rule: string, hint?: string): Decision {
  return { isAllowed: false, reasonCode, rule, ...(hint !== undefined && { hint }) }
}
