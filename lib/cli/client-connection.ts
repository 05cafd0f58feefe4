/**
 * One connection of `pub` or `sub` to the broker, on top of MQTT.js: errors become sentences, the first
 * attempt is the only one, and a lost connection comes back only if the command wants it.
 */

import { Socket } from 'node:net'
import { callbackify } from 'node:util'
import type { IClientOptions, IConnackPacket, IDisconnectPacket, MqttClient } from 'mqtt'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { ConnectRequest } from './connect-request.ts'
import {
  type ConnectionError,
  cannotConnect,
  connectionRefused,
  disconnectedBy,
} from './connection-sentences.ts'
import { CommandFailure, UsageError } from './failures.ts'
import type { Report } from './report.ts'
import { type Credentials, ScramLogin } from './scram-login.ts'

type AuthPacket = Parameters<MqttClient['handleAuth']>[0]

export interface ConnectionEvents {
  /** At the first connection and at each later one. */
  connected(connack: IConnackPacket): void
  /** There is no connection and there will be none. */
  lost(failure: CommandFailure): void
}

const RECONNECT_MS = 1_000
const RECONNECT_MS_MAX = 30_000

/** A broker that does not close its side of the connection is not waited for any longer. */
const CLOSE_TIMEOUT_MS = 2_000

/** After these the same client may be welcome again; after all others it would be sent away again. */
const PASSING: ReadonlySet<number | undefined> = new Set([
  undefined,
  ReasonCode.Success,
  ReasonCode.ServerBusy,
  ReasonCode.ServerShuttingDown,
  ReasonCode.KeepAliveTimeout,
  ReasonCode.MaximumConnectTime,
])

export class ClientConnection {
  readonly client: MqttClient
  readonly #request: ConnectRequest
  readonly #events: ConnectionEvents
  readonly #report: Report
  readonly #login: ScramLogin | undefined
  #state: 'connecting' | 'connected' | 'waiting' | 'closed' = 'connecting'
  #refusal: IConnackPacket | undefined
  #disconnect: IDisconnectPacket | undefined
  #error: ConnectionError | undefined

  /** Begins to connect; MQTT.js is loaded here since it takes 0.2 s. */
  static async open(
    request: ConnectRequest,
    wantsReconnect: boolean,
    events: ConnectionEvents,
    report: Report,
  ): Promise<ClientConnection> {
    const { connect } = await import('mqtt')
    report.debug(`Connecting to ${request.url} as "${request.options.clientId}"`)
    const reconnectPeriod = wantsReconnect ? RECONNECT_MS : 0
    const { credentials } = request
    const login = credentials === undefined ? undefined : await loginWith(credentials)
    const client = connect(withLogin({ ...request.options, reconnectPeriod }, login))
    // Nagle's algorithm would hold back each packet until the broker's system acknowledges the last.
    if (client.stream instanceof Socket) client.stream.setNoDelay()
    return new ClientConnection(client, request, events, report, login)
  }

  private constructor(
    client: MqttClient,
    request: ConnectRequest,
    events: ConnectionEvents,
    report: Report,
    login: ScramLogin | undefined,
  ) {
    this.client = client
    this.#login = login
    if (login !== undefined) answerWith(login, client)
    this.#request = request
    this.#events = events
    this.#report = report
    client.on('packetreceive', (packet) => {
      if (packet.cmd === 'connack' && isRefusal(packet)) this.#refusal = packet
    })
    client.on('connect', (connack) => this.#handleConnect(connack))
    client.on('disconnect', (packet) => {
      this.#disconnect = packet
    })
    client.on('error', (error) => {
      this.#error ??= error
    })
    // MQTT.js keeps errors without a code to itself, those of a WebSocket for one.
    client.stream.on('error', (error: Error) => {
      this.#error ??= error
    })
    client.on('close', () => this.#handleClose())
    client.on('reconnect', () => {
      Object.assign(client.options, withLogin(client.options, login))
      client.options.reconnectPeriod = Math.min(
        (client.options.reconnectPeriod ?? RECONNECT_MS) * 2,
        RECONNECT_MS_MAX,
      )
    })
  }

  /** Sends DISCONNECT and waits for the end. Throws when the broker had a complaint after all. */
  async close(): Promise<void> {
    await this.abandon()
    const { reasonCode = 0 } = this.#disconnect ?? {}
    if (this.#disconnect !== undefined && reasonCode >= ReasonCode.UnspecifiedError) {
      throw new CommandFailure(disconnectedBy(this.#request.url, this.#disconnect))
    }
  }

  /** Closes as well as it goes: for a command that has failed already. */
  async abandon(): Promise<void> {
    const wasConnected = this.#state === 'connected'
    this.#state = 'closed'
    const properties = this.#request.properties.disconnect
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.client.stream.destroy(), CLOSE_TIMEOUT_MS)
      const done = () => {
        clearTimeout(timer)
        resolve()
      }
      if (wasConnected) {
        // Messages without acknowledgement do not keep us: whoever closes has waited for them.
        this.client.outgoing = {}
        this.client.once('close', done)
        this.client.end(false, properties === undefined ? {} : { properties })
      } else {
        this.client.end(true, done)
      }
    })
    this.#report.debug('Disconnected')
  }

  #handleConnect(connack: IConnackPacket): void {
    if (this.#state === 'closed') return
    const { url, options } = this.#request
    if (this.#login?.isProven(connack.properties?.authenticationData) === false) {
      this.#giveUp(`${url} did not prove that it knows the password: it may not be our broker`)
      return
    }
    const { assignedClientIdentifier = options.clientId } = connack.properties ?? {}
    const resumed = connack.sessionPresent ? ', its session goes on' : ''
    this.#report.debug(`Connected to ${url} as "${assignedClientIdentifier}"${resumed}`)
    this.#state = 'connected'
    this.#error = undefined
    if ((this.client.options.reconnectPeriod ?? 0) > 0) {
      this.client.options.reconnectPeriod = RECONNECT_MS
    }
    this.#events.connected(connack)
  }

  #handleClose(): void {
    switch (this.#state) {
      case 'closed':
        return
      case 'connecting':
        return this.#giveUp(this.#whyNotConnected())
      case 'waiting':
        if (this.#refusal !== undefined) return this.#giveUp(this.#whyNotConnected())
        this.#report.debug(this.#whyNotConnected())
        break
      case 'connected': {
        const reason = this.#whyLost()
        const mayReturn = PASSING.has(this.#disconnect?.reasonCode)
        if (!mayReturn || this.client.options.reconnectPeriod === 0) return this.#giveUp(reason)
        this.#state = 'waiting'
        this.#report.warn(`${reason}. Trying again`)
        break
      }
    }
    this.#disconnect = undefined
    this.#error = undefined
  }

  #whyNotConnected(): string {
    return this.#refusal === undefined
      ? cannotConnect(this.#request, this.#error)
      : connectionRefused(this.#request, this.#refusal)
  }

  #whyLost(): string {
    const { url } = this.#request
    if (this.#disconnect !== undefined) return disconnectedBy(url, this.#disconnect)
    const why = this.#error === undefined ? 'the broker closed it' : this.#error.message
    return `The connection to ${url} was lost: ${why}`
  }

  #giveUp(sentence: string): void {
    this.#state = 'closed'
    this.client.end(true)
    this.#events.lost(new CommandFailure(sentence))
  }
}

async function loginWith(credentials: Credentials): Promise<ScramLogin> {
  try {
    return await ScramLogin.of(credentials)
  } catch (error) {
    throw new UsageError(`-u: ${(error as Error).message}`)
  }
}

/** Each connection begins with a nonce of its own. */
function withLogin(options: IClientOptions, login: ScramLogin | undefined): IClientOptions {
  if (login === undefined) return options
  const begun = { authenticationMethod: login.method, authenticationData: login.begin() }
  return { ...options, properties: { ...options.properties, ...begun } }
}

function answerWith(login: ScramLogin, client: MqttClient): void {
  const authenticationMethod = login.method
  client.handleAuth = callbackify(async ({ properties }: AuthPacket) => {
    const authenticationData = await login.answer(properties?.authenticationData)
    return {
      cmd: 'auth' as const,
      reasonCode: ReasonCode.ContinueAuthentication,
      properties: { authenticationMethod, authenticationData },
    }
  }) as MqttClient['handleAuth']
}

function isRefusal({ reasonCode = 0, returnCode = 0 }: IConnackPacket): boolean {
  return reasonCode !== 0 || returnCode !== 0
}
