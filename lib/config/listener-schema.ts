/**
 * The options of one listener, by its type. Read by `schema.ts` only; a mistake is reported at the field
 * that has to change.
 */

import * as z from 'zod'
import { SESSION_NEVER_EXPIRES, TWO_BYTE_INTEGER_MAX } from '../protocol/limits.ts'
import { parseAddressRange } from '../util/address.ts'
import { listenerLimits } from './limits-schema.ts'
import {
  choice,
  type Integer,
  integer,
  nameText,
  optionalInteger,
  optionalText,
  PATH_LENGTH_MAX,
  textLike,
  toggle,
} from './option-kinds.ts'

// Linux keeps 108 bytes for the path of a Unix socket, one of them the end mark; macOS 104.
const UNIX_PATH_LENGTH_MAX = 107
const LIST_LENGTH_MAX = 1000

// OpenSSL's, in bytes.
const PSK_HINT_LENGTH_MAX = 128

/** A list longer than this is a mistake, not a broker. */
export const LISTENERS_MAX = 100

const common = {
  name: nameText()
    .optional()
    .describe('Name in logs and metrics; by default the type and the position in the list: tcp-0.'),
  connectionsMax: integer(
    0,
    10_000_000,
    0,
    'How many clients may be connected to this listener at once; 0: as many as `connection.connectionsMax` allows.',
  ),
  maximumPacketSizeBytes: optionalInteger(
    32,
    268_435_460,
    'Largest packet accepted here; by default what `connection.maximumPacketSizeBytes` says.',
  ),
  allowAnonymous: z
    .boolean()
    .optional()
    .describe(
      'Whether clients without user name may connect here; by default what `security.allowAnonymous` says.',
    ),
}

/** What `connection.…` and `session.…` say, for one listener. */
function own(min: number, max: number, what: string, option: string): z.ZodOptional<z.ZodInt> {
  return optionalInteger(min, max, `${what} here; by default what \`${option}\` says.`)
}

const limits = {
  topicLevelsMax: own(
    1,
    TWO_BYTE_INTEGER_MAX,
    'How many levels a topic may have',
    'connection.topicLevelsMax',
  ),
  topicBytesMax: own(
    1,
    TWO_BYTE_INTEGER_MAX,
    'How long a topic may be',
    'connection.topicBytesMax',
  ),
  receiveMaximum: own(
    1,
    TWO_BYTE_INTEGER_MAX,
    'How many QoS 1 and 2 messages a client may have under way',
    'connection.receiveMaximum',
  ),
  keepAliveMinSeconds: own(
    0,
    TWO_BYTE_INTEGER_MAX,
    'Shortest Keep Alive',
    'connection.keepAliveMinSeconds',
  ),
  keepAliveMaxSeconds: own(
    0,
    TWO_BYTE_INTEGER_MAX,
    'Longest Keep Alive',
    'connection.keepAliveMaxSeconds',
  ),
  sessionExpiryMaxSeconds: own(
    0,
    SESSION_NEVER_EXPIRES,
    'Longest time a session is kept after its client left',
    'session.expiryMaxSeconds',
  ),
  ...listenerLimits,
}

const proxy = {
  proxyProtocol: toggle(
    false,
    'Whether each connection begins with a PROXY header, version 1 or 2, that tells the address of the client.',
  ),
  trustedProxies: z
    .array(
      z
        .string()
        .refine(
          (text) => parseAddressRange(text) !== undefined,
          'an IP address, or a range such as 10.0.0.0/8',
        ),
    )
    .max(LIST_LENGTH_MAX)
    .default([])
    .describe('Addresses and ranges whose PROXY header or X-Forwarded-For is believed.'),
}

const handshakes = {
  handshakeTimeoutMs: integer(
    100,
    300_000,
    10_000,
    'How long PROXY header, TLS and WebSocket handshake may take together.',
  ),
}

const hostSentence = 'Address to listen on; 0.0.0.0 or :: for all interfaces of the machine.'
const host = z.string().min(1).max(255).default('127.0.0.1').describe(hostSentence)
const portSentence = 'Port to listen on; 0: a free one, which the log names.'
const port = (number: number): Integer => integer(0, 65_535, number, portSentence)

const file = (sentence: string): z.ZodOptional<z.ZodString> =>
  optionalText(PATH_LENGTH_MAX, `${sentence} Read again when it changes.`)

const encryption = {
  keyFile: file('Private key of the server, PEM; required unless there is a pskFile.'),
  certFile: file('Certificate of the server and those between it and its authority, PEM.'),
  caFile: file('Authorities that client certificates are checked against, PEM.'),
  crlFile: file(
    'Revocation lists of these authorities, PEM: one of each, as without its list a certificate is refused.',
  ),
  requestClientCertificate: choice(
    ['no', 'optional', 'required'],
    'no',
    'Whether clients are asked for a certificate, and refused without one.',
  ),
  userNameFromCertificate: choice(
    ['no', 'commonName', 'dns', 'email', 'uri'],
    'no',
    'The field of a client certificate (Common Name, or a Subject Alternative Name) that is the user name. Then no password is asked for, and what CONNECT says does not count.',
  ),
  pskFile: file(
    'Pre-shared keys, a line each: IDENTITY:HEXKEY, as in a psk_file of Mosquitto. The identity is the user name. No TLS newer than 1.2 on this listener then.',
  ),
  pskHint: optionalText(PSK_HINT_LENGTH_MAX, 'What clients are told to choose their identity by.'),
  minTlsVersion: choice(['TLSv1.2', 'TLSv1.3'], 'TLSv1.2', 'Oldest version of TLS accepted.'),
}

const webSocket = {
  path: textLike(/^\/[^?#\s]{0,1000}$/, 'a URL path that begins with /')
    .default('/mqtt')
    .describe('URL path of the WebSocket endpoint.'),
  allowedOrigins: z
    .array(z.string().min(1).max(PATH_LENGTH_MAX))
    .max(LIST_LENGTH_MAX)
    .optional()
    .describe(
      'Origins of the web pages that may connect, such as https://example.org; unset: all.',
    ),
}

const unixSocket = {
  path: z.string().min(1).max(UNIX_PATH_LENGTH_MAX).describe('File of the socket.'),
  mode: textLike(/^0?[0-7]{3}$/, "three octal digits in quotes, such as '660'")
    .default('660')
    .describe('Permissions of the socket file.'),
}

/** For editors; what is said of it comes from `checkEncryption`. */
const KEYED = { anyOf: [{ required: ['keyFile', 'certFile'] }, { required: ['pskFile'] }] }

// `type` comes first for the sake of generated files.
const tcp = z.strictObject({
  type: z.literal('tcp'),
  host,
  port: port(1883),
  ...proxy,
  ...handshakes,
  ...common,
  ...limits,
})
const tls = z
  .strictObject({
    type: z.literal('tls'),
    host,
    port: port(8883),
    ...encryption,
    ...proxy,
    ...handshakes,
    ...common,
    ...limits,
  })
  .meta(KEYED)
const ws = z.strictObject({
  type: z.literal('ws'),
  host,
  port: port(8083),
  ...webSocket,
  ...proxy,
  ...handshakes,
  ...common,
  ...limits,
})
const wss = z
  .strictObject({
    type: z.literal('wss'),
    host,
    port: port(8084),
    ...webSocket,
    ...encryption,
    ...proxy,
    ...handshakes,
    ...common,
    ...limits,
  })
  .meta(KEYED)
const unix = z.strictObject({ type: z.literal('unix'), ...unixSocket, ...common, ...limits })

/** The list of listeners with its default: TCP and WebSocket, reachable from this machine only. */
export const listenersSchema: z.ZodType = z
  .array(z.discriminatedUnion('type', [tcp, tls, ws, wss, unix]).superRefine(checkListener))
  .max(LISTENERS_MAX)
  .superRefine(checkDuplicates)
  .prefault([
    { type: 'tcp', host: '127.0.0.1', port: 1883 },
    { type: 'ws', host: '127.0.0.1', port: 8083, path: '/mqtt' },
  ])
  .describe('Where clients arrive. Each entry has a type: tcp, tls, ws, wss or unix.')

interface AnyListener extends AnyEncryption {
  readonly type: string
  readonly name?: string | undefined
  readonly host?: string
  readonly port?: number
  readonly proxyProtocol?: boolean
  readonly trustedProxies?: readonly string[]
}

/** Returns the name by which a listener is known: its own, or made of type and position. */
export function listenerName(listener: AnyListener, index: number): string {
  return listener.name ?? `${listener.type}-${index}`
}

interface AnyEncryption {
  readonly keyFile?: string | undefined
  readonly certFile?: string | undefined
  readonly caFile?: string | undefined
  readonly crlFile?: string | undefined
  readonly requestClientCertificate?: string
  readonly userNameFromCertificate?: string
  readonly pskFile?: string | undefined
  readonly pskHint?: string | undefined
  readonly minTlsVersion?: string
}

function checkListener(listener: AnyListener, context: z.RefinementCtx): void {
  if (listener.type === 'tls' || listener.type === 'wss') checkEncryption(listener, context)
  // Whoever may send a PROXY header chooses the address that rules and logs see.
  if (listener.proxyProtocol === true && listener.trustedProxies?.length === 0) {
    const message = 'the addresses of the proxies, since proxyProtocol is true'
    context.addIssue({ code: 'custom', path: ['trustedProxies'], message })
  }
}

function checkEncryption(listener: AnyEncryption, context: z.RefinementCtx): void {
  const { keyFile, certFile, caFile, crlFile, pskFile } = listener
  const { requestClientCertificate: request = 'no', userNameFromCertificate: field = 'no' } =
    listener
  const require = (path: keyof AnyEncryption, message: string): void => {
    context.addIssue({ code: 'custom', path: [path], message })
  }
  const isKeyed = pskFile !== undefined && keyFile === undefined && certFile === undefined
  if (keyFile === undefined && !isKeyed) require('keyFile', 'a file')
  if (certFile === undefined && !isKeyed) require('certFile', 'a file')
  // Without authorities of one's own, any certificate of any public authority would be let in.
  if (request !== 'no' && caFile === undefined) {
    require('caFile', `a file, since requestClientCertificate is ${request}`)
  }
  if (request !== 'no' && isKeyed) {
    require('certFile', `a file, since requestClientCertificate is ${request}`)
  }
  if (request === 'no' && (field !== 'no' || crlFile !== undefined)) {
    const because = field === 'no' ? 'there is a crlFile' : `userNameFromCertificate is ${field}`
    require('requestClientCertificate', `optional or required, since ${because}`)
  }
  if (pskFile === undefined && listener.pskHint !== undefined) {
    require('pskFile', 'a file, since there is a pskHint')
  }
  if (pskFile !== undefined && listener.minTlsVersion === 'TLSv1.3') {
    require('minTlsVersion', 'TLSv1.2, since pre-shared keys need it')
  }
}

function checkDuplicates(listeners: readonly AnyListener[], context: z.RefinementCtx): void {
  const names = new Set<string>()
  const addresses = new Set<string>()
  for (const [index, listener] of listeners.entries()) {
    const name = listenerName(listener, index)
    const address = `${listener.host}:${listener.port}`
    if (names.has(name)) {
      context.addIssue({ code: 'custom', path: [index, 'name'], message: 'a name of its own' })
    }
    if (addresses.has(address)) {
      context.addIssue({ code: 'custom', path: [index, 'port'], message: 'a port of its own' })
    }
    names.add(name)
    if (listener.port !== undefined && listener.port !== 0) addresses.add(address)
  }
}
