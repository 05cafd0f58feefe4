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
  textLike,
  toggle,
} from './option-kinds.ts'

const PATH_LENGTH_MAX = 4096

// Linux keeps 108 bytes for the path of a Unix socket, one of them the end mark; macOS 104.
const UNIX_PATH_LENGTH_MAX = 107
const LIST_LENGTH_MAX = 1000

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

const hostSentence = 'Address to listen on; 0.0.0.0 or :: for all interfaces of the machine.'
const host = z.string().min(1).max(255).default('127.0.0.1').describe(hostSentence)
const portSentence = 'Port to listen on; 0: a free one, which the log names.'
const port = (number: number): Integer => integer(0, 65_535, number, portSentence)

const encryption = {
  keyFile: z.string().min(1).max(PATH_LENGTH_MAX).describe('Private key of the server, PEM.'),
  certFile: z
    .string()
    .min(1)
    .max(PATH_LENGTH_MAX)
    .describe('Certificate of the server and those between it and its authority, PEM.'),
  caFile: optionalText(
    PATH_LENGTH_MAX,
    'Authorities that client certificates are checked against, PEM.',
  ),
  requestClientCertificate: choice(
    ['no', 'optional', 'required'],
    'no',
    'Whether clients are asked for a certificate, and refused without one.',
  ),
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

// `type` comes first for the sake of generated files.
const tcp = z.strictObject({
  type: z.literal('tcp'),
  host,
  port: port(1883),
  ...proxy,
  ...common,
  ...limits,
})
const tls = z.strictObject({
  type: z.literal('tls'),
  host,
  port: port(8883),
  ...encryption,
  ...proxy,
  ...common,
  ...limits,
})
const ws = z.strictObject({
  type: z.literal('ws'),
  host,
  port: port(8083),
  ...webSocket,
  ...proxy,
  ...common,
  ...limits,
})
const wss = z.strictObject({
  type: z.literal('wss'),
  host,
  port: port(8084),
  ...webSocket,
  ...encryption,
  ...proxy,
  ...common,
  ...limits,
})
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

interface AnyListener {
  readonly type: string
  readonly name?: string | undefined
  readonly host?: string
  readonly port?: number
  readonly caFile?: string | undefined
  readonly requestClientCertificate?: string
  readonly proxyProtocol?: boolean
  readonly trustedProxies?: readonly string[]
}

/** Returns the name by which a listener is known: its own, or made of type and position. */
export function listenerName(listener: AnyListener, index: number): string {
  return listener.name ?? `${listener.type}-${index}`
}

function checkListener(listener: AnyListener, context: z.RefinementCtx): void {
  const { requestClientCertificate: request = 'no' } = listener
  // Without authorities of one's own, any certificate of any public authority would be let in.
  if (request !== 'no' && listener.caFile === undefined) {
    const message = `a file, since requestClientCertificate is ${request}`
    context.addIssue({ code: 'custom', path: ['caFile'], message })
  }
  // Whoever may send a PROXY header chooses the address that rules and logs see.
  if (listener.proxyProtocol === true && listener.trustedProxies?.length === 0) {
    const message = 'the addresses of the proxies, since proxyProtocol is true'
    context.addIssue({ code: 'custom', path: ['trustedProxies'], message })
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
