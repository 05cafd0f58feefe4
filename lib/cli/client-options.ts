/** The flags that `pub` and `sub` share: where to connect, as whom, with which protocol and which will. */

import type { Options } from 'yargs'
import { SESSION_NEVER_EXPIRES, TWO_BYTE_INTEGER_MAX } from '../protocol/limits.ts'
import type { MqttVersion, Qos } from '../protocol/packets.ts'
import { type ScramMethod, scramMethods } from '../security/scram/keys.ts'
import { UsageError } from './failures.ts'
import { list, oneOf, parseWholeNumber, text, toggle, wholeNumber } from './flag-values.ts'

/** What yargs makes of `clientOptions`: undefined is a flag that was not given. */
export interface ClientFlags {
  readonly host?: string
  readonly port?: number
  readonly url?: string
  readonly username?: string
  readonly pw?: string
  readonly authMethod?: ScramMethod
  readonly id?: string
  readonly idPrefix?: string
  readonly keepalive?: number
  readonly protocolVersion?: MqttVersion
  readonly ws?: boolean
  readonly wsPath?: string
  readonly tls?: boolean
  readonly cafile?: string
  readonly cert?: string
  readonly key?: string
  readonly insecure?: boolean
  readonly disableCleanSession?: boolean
  readonly sessionExpiryInterval?: number
  readonly property?: readonly string[]
  readonly qos?: Qos
  readonly debug?: boolean
  readonly quiet?: boolean
  readonly willTopic?: string
  readonly willPayload?: string
  readonly willQos?: Qos
  readonly willRetain?: boolean
}

export const PORT_DEFAULTS = { mqtt: 1883, mqtts: 8883, ws: 8083, wss: 8083 } as const
export const WS_PATH_DEFAULT = '/mqtt'
export const HOST_DEFAULT = '127.0.0.1'
export const KEEP_ALIVE_DEFAULT_SECONDS = 60

export const qosValues: Readonly<Record<string, Qos>> = { 0: 0, 1: 1, 2: 2 }

const scramByName = Object.fromEntries(scramMethods.map((method) => [method, method]))

const versions: Readonly<Record<string, MqttVersion>> = {
  mqttv5: 5,
  5: 5,
  mqttv311: 4,
  311: 4,
  '3.1.1': 4,
  mqttv31: 3,
  31: 3,
  '3.1': 3,
}

const where = {
  host: text('-h', {
    alias: 'h',
    describe: 'Name or address of the broker',
    defaultDescription: HOST_DEFAULT,
  }),
  port: wholeNumber('-p', 1, TWO_BYTE_INTEGER_MAX, {
    alias: 'p',
    describe: 'Port of the broker',
    defaultDescription: '1883; 8883 with TLS; 8083 with --ws',
  }),
  url: text('-L', {
    alias: 'L',
    describe: 'All in one: mqtt://user:password@host:port/topic; also mqtts, ws and wss',
  }),
  ws: toggle({ describe: 'Connect by WebSocket' }),
  'ws-path': text('--ws-path', {
    describe: 'Path of the WebSocket',
    defaultDescription: WS_PATH_DEFAULT,
  }),
  tls: toggle({ describe: 'Connect by TLS, trusting the usual authorities' }),
  cafile: text('--cafile', { describe: 'Trust the authorities of this PEM file alone (TLS)' }),
  cert: text('--cert', { describe: "The client's own certificate, a PEM file (TLS)" }),
  key: text('--key', { describe: "The certificate's private key, a PEM file" }),
  insecure: toggle({
    describe: 'Do not verify the certificate of the broker (TLS): for tries only',
  }),
}

const identity = {
  username: text('-u', { alias: 'u', describe: 'User Name' }),
  pw: text('-P', { alias: 'P', describe: 'Password' }),
  'auth-method': oneOf('--auth-method', scramByName, {
    describe: 'Prove that we know the password, instead of sending it: SCRAM-SHA-256 or -512',
  }),
  id: text('-i', {
    alias: 'i',
    describe: 'Client Identifier',
    defaultDescription: 'a new one each time',
  }),
  'id-prefix': text('-I', {
    alias: 'I',
    describe: 'Client Identifier: this, and the number of the process',
  }),
}

const session = {
  'protocol-version': oneOf('-V', versions, {
    alias: 'V',
    describe: 'Version of MQTT: 5, 311 or 31 (mqttv5, mqttv311, mqttv31)',
    defaultDescription: '5',
  }),
  keepalive: wholeNumber('-k', 0, TWO_BYTE_INTEGER_MAX, {
    alias: 'k',
    describe: 'Keep Alive in seconds',
    defaultDescription: String(KEEP_ALIVE_DEFAULT_SECONDS),
  }),
  'disable-clean-session': toggle({
    alias: 'c',
    describe: 'Go on with the session of this Client Identifier, and leave it behind (needs -i)',
  }),
  'session-expiry-interval': {
    ...text('-x', {
      alias: 'x',
      describe: 'Seconds for which the broker keeps the session; -1: for ever',
      defaultDescription: '0; with -c for ever',
    }),
    coerce: parseSessionExpiry,
  },
  property: list({
    alias: 'D',
    describe: 'An MQTT 5 property, "PACKET NAME VALUE"; PACKET: connect, publish, subscribe, will…',
  }),
}

const will = {
  'will-topic': text('--will-topic', { describe: 'Topic of the will' }),
  'will-payload': text('--will-payload', {
    describe: 'Payload of the will',
    defaultDescription: 'empty',
  }),
  'will-qos': oneOf('--will-qos', qosValues, {
    describe: 'QoS of the will',
    defaultDescription: '0',
  }),
  'will-retain': toggle({ describe: 'The will is retained' }),
}

const reports = {
  debug: toggle({ alias: 'd', describe: 'Tell on standard error what happens' }),
  quiet: toggle({ describe: 'No messages about errors, only the exit code' }),
}

export const clientOptions: Readonly<Record<string, Options>> = {
  ...inGroup('Broker:', where),
  ...inGroup('Identity:', identity),
  ...inGroup('Session:', session),
  ...inGroup('Will, a message the broker publishes when we vanish:', will),
  ...inGroup('Reports:', reports),
}

/** Puts flags under one heading of --help. */
export function inGroup(
  group: string,
  options: Readonly<Record<string, Options>>,
): Record<string, Options> {
  return Object.fromEntries(
    Object.entries(options).map(([name, option]) => [name, { ...option, group }]),
  )
}

function parseSessionExpiry(written: unknown): number {
  if (typeof written !== 'string') throw new UsageError('-x was given twice; it has one value')
  if (written === '-1' || written === '∞') return SESSION_NEVER_EXPIRES
  return parseWholeNumber('-x', written, 0, SESSION_NEVER_EXPIRES)
}
