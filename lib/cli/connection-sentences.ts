/** Why there is no connection, in one sentence that says what to do about it. */

import type { IConnackPacket, IDisconnectPacket } from 'mqtt'
import { describeReasonCode, ReasonCode } from '../protocol/reason-codes.ts'
import type { ConnectRequest } from './connect-request.ts'

/** What `error` can be: a system error, one of OpenSSL's, or MQTT.js's own without a code. */
export type ConnectionError = Error & { readonly code?: string | number; readonly reason?: unknown }

/** What a sentence needs to know of whoever wanted to connect. */
type Attempt = Pick<ConnectRequest, 'url' | 'isLocal' | 'options'>

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

const SENTENCES: Readonly<Record<string, string>> = {
  ENOTFOUND: 'nobody knows a host of this name',
  EAI_AGAIN: 'the name server did not answer; it cannot be looked up now',
  EHOSTUNREACH: 'there is no way to this host',
  ENETUNREACH: 'there is no way to this network',
  ETIMEDOUT: 'no answer. Is the address right, and does a firewall let you through?',
  EACCES: 'this machine does not allow it',
  ECONNRESET: 'the other side hung up. Does this port speak MQTT, and with or without TLS?',
  EPIPE: 'the other side hung up. Does this port speak MQTT, and with or without TLS?',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  CERT_HAS_EXPIRED: "the broker's certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "the broker's certificate is made out to another name than this",
  EPROTO: NOT_TLS,
  ERR_SSL_WRONG_VERSION_NUMBER: NOT_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NOT_TLS,
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: CLIENT_CERTIFICATE,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'the broker does not trust our certificate (--cert)',
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: `the TLS handshake failed; perhaps ${CLIENT_CERTIFICATE}`,
}

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
  const isVersion = code === 1 || code === ReasonCode.UnsupportedProtocolVersion
  const hint = isVersion ? '. Try another version: -V 5, -V 311 or -V 31' : ''
  const said = quoteReason(packet.properties?.reasonString)
  return `The broker at ${request.url} refused the connection: ${described}${said}${hint}`
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

function explain({ isLocal, options }: Attempt, error: ConnectionError | undefined): string {
  if (error === undefined) return SENTENCES.ECONNRESET as string
  if (error.code === 'ECONNREFUSED') {
    const hint = isLocal ? ' Start one with: noctule start' : ''
    return `nothing listens there. Is the broker running?${hint}`
  }
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
  return SENTENCES[error.code] ?? error.message
}
