/** Turns the shared flags of `pub` and `sub` into what MQTT.js needs to connect. */

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { IClientOptions } from 'mqtt'
import { SESSION_NEVER_EXPIRES } from '../protocol/limits.ts'
import { isTopicName } from '../protocol/topics.ts'
import { fileSentence } from '../util/file-sentence.ts'
import { type BrokerUrl, parseBrokerUrl } from './broker-url.ts'
import {
  type ClientFlags,
  HOST_DEFAULT,
  KEEP_ALIVE_DEFAULT_SECONDS,
  PORT_DEFAULTS,
  WS_PATH_DEFAULT,
} from './client-options.ts'
import { UsageError } from './failures.ts'
import { type PropertiesByPlace, parsePropertyFlags } from './property-flags.ts'
import type { Credentials } from './scram-login.ts'

export interface ConnectRequest {
  /** For people: without user name and password. */
  readonly url: string
  /** Whether the broker is on this machine, so that one can start it. */
  readonly isLocal: boolean
  readonly options: IClientOptions
  /** From `-L`. */
  readonly topic: string | undefined
  /** From all `-D`. */
  readonly properties: PropertiesByPlace
  /** From --auth-method, and then `options` have no password. */
  readonly credentials: Credentials | undefined
}

/** A connection that is not answered within this time is given up. */
const CONNECT_TIMEOUT_MS = 10_000

/** Throws a sentence when the flags contradict each other. */
export function readConnectRequest(flags: ClientFlags, command: 'pub' | 'sub'): ConnectRequest {
  const properties = parsePropertyFlags(flags.property ?? [])
  if ((flags.protocolVersion ?? 5) < 5) refuseVersion5Flags(flags, properties)
  const target = readTarget(flags)
  const shownHost = target.host.includes(':') ? `[${target.host}]` : target.host
  const isWebSocket = target.protocol.startsWith('ws')
  const credentials = readCredentials(flags, target)
  return {
    credentials,
    url: `${target.protocol}://${shownHost}:${target.port}${isWebSocket ? target.path : ''}`,
    isLocal: /^(127\.|::1$|localhost$)/.test(target.host),
    topic: target.topic,
    properties,
    options: {
      protocol: target.protocol,
      // MQTT.js makes a URL of it for WebSockets.
      host: isWebSocket ? shownHost : target.host,
      port: target.port,
      ...(isWebSocket ? { path: target.path } : {}),
      ...readTls(flags),
      ...readIdentity(flags, credentials === undefined ? target : {}, command),
      ...readSession(flags, properties),
      ...readWill(flags, properties),
      connectTimeout: CONNECT_TIMEOUT_MS,
      resubscribe: false,
    },
  }
}

interface Target {
  readonly protocol: BrokerUrl['protocol']
  readonly host: string
  readonly port: number
  readonly path: string
  readonly topic: string | undefined
  readonly username: string | undefined
  readonly password: string | undefined
}

function readTarget(flags: ClientFlags): Target {
  const wantsTls = [flags.tls, flags.cafile, flags.cert, flags.insecure].some(Boolean)
  if (flags.url === undefined) {
    const protocol: Target['protocol'] = `${flags.ws ? 'ws' : 'mqtt'}${wantsTls ? 's' : ''}`
    return {
      protocol,
      host: flags.host ?? HOST_DEFAULT,
      port: flags.port ?? PORT_DEFAULTS[protocol],
      path: withSlash(flags.wsPath ?? WS_PATH_DEFAULT),
      topic: undefined,
      username: flags.username,
      password: flags.pw,
    }
  }
  if (flags.host !== undefined || flags.port !== undefined || flags.ws) {
    throw new UsageError('-L says where the broker is; leave -h, -p and --ws out')
  }
  const url = parseBrokerUrl(flags.url)
  if (wantsTls && (url.protocol === 'mqtt' || url.protocol === 'ws')) {
    throw new UsageError(`TLS was asked for, but -L begins with ${url.protocol}://`)
  }
  const isWebSocket = url.protocol.startsWith('ws')
  return {
    protocol: url.protocol,
    host: url.host,
    port: url.port ?? PORT_DEFAULTS[url.protocol],
    path: withSlash(flags.wsPath ?? (isWebSocket ? url.rest : undefined) ?? WS_PATH_DEFAULT),
    topic: isWebSocket ? undefined : url.rest,
    username: flags.username ?? url.username,
    password: flags.pw ?? url.password,
  }
}

function withSlash(path: string): string {
  return path.startsWith('/') ? path : `/${path}`
}

function readTls({ cafile, cert, key, insecure }: ClientFlags): IClientOptions {
  if (cafile === undefined && cert === undefined && key === undefined) {
    return { rejectUnauthorized: !insecure }
  }
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError('--cert and --key belong together; one of them is missing')
  }
  const files = {
    ...(cafile === undefined ? {} : { ca: readFlagFile('--cafile', cafile) }),
    ...(cert === undefined ? {} : { cert: readFlagFile('--cert', cert) }),
    ...(key === undefined ? {} : { key: readFlagFile('--key', key) }),
  }
  try {
    // Only to find mistakes now: MQTT.js makes its own.
    createSecureContext(files)
  } catch (error) {
    const { reason, message } = error as Error & { readonly reason?: string }
    const flags = Object.keys(files).map((name) => (name === 'ca' ? '--cafile' : `--${name}`))
    throw new UsageError(
      `${flags.join(', ')}: these PEM files cannot be used: ${reason ?? message}`,
    )
  }
  return { ...files, rejectUnauthorized: !insecure }
}

function readIdentity(
  { id, idPrefix, disableCleanSession, protocolVersion }: ClientFlags,
  { username, password }: Partial<Target>,
  command: string,
): IClientOptions {
  if (id !== undefined && idPrefix !== undefined) throw new UsageError('Give -i or -I, not both')
  if (disableCleanSession && (id ?? '') === '' && idPrefix === undefined) {
    throw new UsageError('-c goes on with a session, so it needs its Client Identifier: -i')
  }
  if (password !== undefined && username === undefined && (protocolVersion ?? 5) < 5) {
    throw new UsageError('-P needs -u: before MQTT 5 there is no password without a user name')
  }
  const generated = `noctule-${command}-${randomBytes(4).toString('hex')}`
  return {
    clientId: id ?? (idPrefix === undefined ? generated : `${idPrefix}${process.pid}`),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  }
}

function readCredentials(
  { authMethod: method }: ClientFlags,
  { username: userName, password }: Target,
): Credentials | undefined {
  if (method === undefined) return undefined
  if (userName !== undefined && password !== undefined) {
    return { method, userName, password: Buffer.from(password) }
  }
  throw new UsageError('--auth-method needs a user name (-u) and a password (-P)')
}

function readSession(flags: ClientFlags, { connect }: PropertiesByPlace): IClientOptions {
  const version = flags.protocolVersion ?? 5
  const isResumed = flags.disableCleanSession === true
  const expiry = flags.sessionExpiryInterval ?? (isResumed ? SESSION_NEVER_EXPIRES : undefined)
  const properties = {
    ...(expiry === undefined ? {} : { sessionExpiryInterval: expiry }),
    ...connect,
  }
  return {
    protocolVersion: version,
    protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
    clean: !isResumed,
    keepalive: flags.keepalive ?? KEEP_ALIVE_DEFAULT_SECONDS,
    ...(version === 5 ? { properties } : {}),
  }
}

function readWill(flags: ClientFlags, { will }: PropertiesByPlace): IClientOptions {
  const { willTopic, willPayload, willQos, willRetain } = flags
  if (willTopic === undefined) {
    if ([willPayload, willQos, willRetain, will].some((given) => given !== undefined)) {
      throw new UsageError('A will needs its topic: --will-topic')
    }
    return {}
  }
  if (!isTopicName(willTopic)) {
    throw new UsageError(`--will-topic "${willTopic}" is empty or has a wildcard`)
  }
  const properties = will === undefined ? {} : { properties: will }
  return {
    will: {
      topic: willTopic,
      payload: willPayload ?? '',
      qos: willQos ?? 0,
      retain: willRetain ?? false,
      ...properties,
    },
  }
}

function refuseVersion5Flags(flags: ClientFlags, properties: PropertiesByPlace): void {
  if (flags.authMethod !== undefined) throw new UsageError('--auth-method needs MQTT 5 (-V 5)')
  if (flags.sessionExpiryInterval !== undefined) throw new UsageError('-x needs MQTT 5 (-V 5)')
  if (Object.keys(properties).length > 0) throw new UsageError('-D needs MQTT 5 (-V 5)')
}

/** Reads a file that a flag names; tells which flag when it cannot. */
export function readFlagFile(flag: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    const why = fileSentence(error as NodeJS.ErrnoException)
    throw new UsageError(`Cannot read ${flag} ${path}: ${why}`)
  }
}
