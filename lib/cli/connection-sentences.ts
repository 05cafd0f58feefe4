/** Why there is no connection, in one sentence that says what to do about it. */

import type { PeerCertificate } from 'node:tls'
import type { IClientOptions, IConnackPacket, IDisconnectPacket } from 'mqtt'
import { describeReasonCode, ReasonCode } from '../protocol/reason-codes.ts'
import type { ConnectRequest } from './connect-request.ts'

/** What `error` can be: a system error, one of OpenSSL's, or MQTT.js's own without a code. */
export type ConnectionError = Error & { readonly code?: string | number; readonly reason?: unknown }

/** What a sentence needs to know of whoever wanted to connect. */
interface Attempt extends Pick<ConnectRequest, 'url' | 'isLocal'> {
  readonly options: Pick<IClientOptions, 'protocolVersion' | 'connectTimeout'> & {
    readonly username?: string | undefined
  }
}

const RETURN_CODES: Readonly<Record<number, string>> = {
  1: 'unacceptable protocol version',
  2: 'Client Identifier rejected',
  3: 'server unavailable',
  4: 'bad user name or password',
  5: 'not authorized',
}

const UNTRUSTED =
  "nobody we trust has signed the broker's certificate. Name its authority with --cafile"
const NOT_TLS = 'what listens there does not speak TLS'
const CLIENT_CERTIFICATE = 'the broker wants a certificate from us: --cert and --key'
const HUNG_UP = 'the other side hung up. Does this port speak MQTT, and with or without TLS?'
const HUNG_UP_TLS =
  'the other side hung up. Does this port speak TLS? Does it want a certificate (--cert), or refuse ours? Its log says why'
/** A certificate may have thousands. */
const NAMES_SHOWN_MAX = 300
const OTHER_VERSION = '. Try another version: -V 5, -V 311 or -V 31'
const NO_USER_NAME = '. No user name was given: -u NAME -P PASSWORD, or in the URL'
const TRY_INSECURE = '--insecure connects without verifying it'

const SENTENCES: Readonly<Record<string, string>> = {
  ENOTFOUND: 'nobody knows a host of this name',
  EAI_AGAIN: 'the name server did not answer; it cannot be looked up now',
  EHOSTUNREACH: 'there is no way to this host',
  ENETUNREACH: 'there is no way to this network',
  ETIMEDOUT: 'no answer. Is the address right, and does a firewall let you through?',
  EACCES: 'this machine does not allow it',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  CERT_HAS_EXPIRED: `the broker's certificate has expired: it has to be renewed there. ${TRY_INSECURE}`,
  CERT_NOT_YET_VALID: `the broker's certificate is not valid yet. Are the clocks right? ${TRY_INSECURE}`,
  INVALID_PURPOSE: `the broker's certificate is not made for servers. ${TRY_INSECURE}`,
}

/** What OpenSSL says, whatever code Node gives it. */
const TLS_FAILURES: readonly (readonly [RegExp, string])[] = [
  [/wrong version number|packet length too long/i, NOT_TLS],
  [/alert certificate required/i, CLIENT_CERTIFICATE],
  [/alert unknown ca/i, 'the broker does not trust our certificate (--cert)'],
  [
    /alert (bad|unsupported) certificate|alert certificate/i,
    'the broker refuses our certificate (--cert)',
  ],
  [
    /alert protocol version|unsupported protocol/i,
    'the broker speaks no version of TLS that we do',
  ],
  [
    /alert handshake failure|no cipher/i,
    `the TLS handshake failed: perhaps ${CLIENT_CERTIFICATE}, or a pre-shared key`,
  ],
]

/** `error` is undefined when the other side closed the connection without a word. */
export function cannotConnect(request: Attempt, error: ConnectionError | undefined): string {
  return `Cannot connect to ${request.url}: ${explain(request, error)}`
}

/** A CONNACK with a code that is not zero. */
export function connectionRefused(request: Attempt, packet: IConnackPacket): string {
  const isVersion5 = request.options.protocolVersion === 5
  const code = (isVersion5 ? packet.reasonCode : packet.returnCode) ?? packet.returnCode ?? 0
  const name = RETURN_CODES[code]
  const described =
    name === undefined ? describeReasonCode(code) : `${describeReasonCode(code)} ${name}`
  const said = quoteReason(packet.properties?.reasonString)
  const hint = hintFor(code, request)
  return `The broker at ${request.url} refused the connection: ${described}${said}${hint}`
}

function hintFor(code: number, { options }: Attempt): string {
  if (code === 1 || code === ReasonCode.UnsupportedProtocolVersion) return OTHER_VERSION
  const isUnauthorized = code === 5 || code === ReasonCode.NotAuthorized
  return isUnauthorized && options.username === undefined ? NO_USER_NAME : ''
}

/** A DISCONNECT of the broker. */
export function disconnectedBy(url: string, packet: IDisconnectPacket): string {
  const code = packet.reasonCode ?? 0
  const said = quoteReason(packet.properties?.reasonString)
  return `The broker at ${url} closed the connection: ${describeReasonCode(code)}${said}`
}

/** Returns ` ("…")`, or nothing when the broker gave no Reason String. */
export function quoteReason(reasonString: string | undefined): string {
  return reasonString === undefined ? '' : ` (${JSON.stringify(reasonString)})`
}

function explain(attempt: Attempt, error: ConnectionError | undefined): string {
  const { isLocal, options } = attempt
  if (error === undefined || HANG_UPS.has(error.code)) return explainHangUp(attempt)
  if (error.code === 'ECONNREFUSED') {
    const hint = isLocal ? ' Start one with: noctule start' : ''
    return `nothing listens there. Is the broker running?${hint}`
  }
  if (error.code === 'ERR_TLS_CERT_ALTNAME_INVALID') return explainOtherName(error)
  if (error.message === 'connack timeout') {
    const waited = `no answer within ${(options.connectTimeout ?? 0) / 1000} s`
    return `${waited}. Is it an MQTT broker, and does a firewall let you through?`
  }
  const status = /^Unexpected server response: (\d+)$/.exec(error.message)?.[1]
  if (status !== undefined) {
    return `a web server answers with status ${status}, no WebSocket at this path (--ws-path)`
  }
  // MQTT.js's parser has no codes: it did not understand what came.
  if (error.code === undefined) return `what answers there is no MQTT broker: ${error.message}`
  const failure = TLS_FAILURES.find(([pattern]) => pattern.test(error.message))
  return SENTENCES[error.code] ?? failure?.[1] ?? error.message
}

const HANG_UPS: ReadonlySet<string | number | undefined> = new Set(['ECONNRESET', 'EPIPE'])

function explainHangUp({ url }: Attempt): string {
  return /^(mqtts|wss):/.test(url) ? HUNG_UP_TLS : HUNG_UP
}

/** Node adds the certificate to this error. */
function explainOtherName(error: ConnectionError & { readonly cert?: PeerCertificate }): string {
  const { subjectaltname = '', subject } = error.cert ?? {}
  const names = subjectaltname === '' ? String(subject?.CN) : subjectaltname
  // Whoever answers there has written them.
  const others = names.replaceAll(/(DNS|IP Address):/g, '').replaceAll(/[^\x20-\x7e]/g, '?')
  return `the broker's certificate is made out to other names than this: ${others.slice(0, NAMES_SHOWN_MAX)}. Connect by one of them (-h). ${TRY_INSECURE}`
}
