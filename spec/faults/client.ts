/**
 * A client with a durable session that comes back whenever its connection is lost, and keeps the promises of
 * a client over that: what subclasses add. It speaks MQTT 3.1.1 through mqtt-packet.
 */

import type { Buffer } from 'node:buffer'
import { createConnection, type Socket } from 'node:net'
import mqttPacket, { type Packet } from 'mqtt-packet'

/** Where the broker is, and what all clients together have to do with it. */
export interface Address {
  /** Where it listens at the moment. */
  readonly port: number
  /** How many packets have come from it. */
  heard: number
  /** How many connections to it are open. */
  connections: number
}

export interface Received {
  readonly cmd: string
  readonly messageId: number
  readonly qos: number
  readonly topic: string
  readonly payload: Buffer
  readonly dup: boolean
  readonly sessionPresent: boolean
  readonly returnCode: number
}

const RETRY_MS = 20

export abstract class FaultClient {
  readonly clientId: string
  /** How often the broker had forgotten the session. */
  lostSessions = 0
  #hadSession = false
  readonly #address: Address
  #socket: Socket | undefined
  #isWanted = false
  #isConnected = false

  constructor(address: Address, clientId: string) {
    this.#address = address
    this.clientId = clientId
  }

  /** Whether the broker has accepted the present connection. */
  get isConnected(): boolean {
    return this.#isConnected
  }

  get isStopped(): boolean {
    return !this.#isWanted
  }

  protected get isClean(): boolean {
    return false
  }

  protected get will(): Record<string, unknown> | undefined {
    return undefined
  }

  protected abstract connected(sessionPresent: boolean): void
  protected abstract received(packet: Received): void

  /** Connects, and again whenever the connection is lost, until `stop`. */
  start(): void {
    this.#isWanted = true
    this.#connect()
  }

  /** Breaks the connection and stays away. */
  stop(): void {
    this.#isWanted = false
    this.#socket?.destroy()
    this.#isConnected = false
  }

  send(packet: Record<string, unknown>): void {
    const socket = this.#socket
    if (socket === undefined || socket.destroyed) return
    socket.write(mqttPacket.generate(packet as unknown as Packet))
  }

  #connect(): void {
    if (!this.#isWanted) return
    const socket = createConnection({ port: this.#address.port, host: '127.0.0.1', noDelay: true })
    this.#socket = socket
    const parser = mqttPacket.parser({ protocolVersion: 4 })
    parser.on('packet', (packet: Packet) => {
      this.#address.heard++
      if (this.#socket === socket) this.#take(packet as unknown as Received)
    })
    socket.on('data', (chunk) => parser.parse(chunk))
    socket.on('error', () => {})
    socket.on('connect', () => {
      this.#address.connections++
      socket.once('close', () => this.#address.connections--)
      const { clientId, will, isClean: clean } = this
      this.send({
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: 4,
        clean,
        clientId,
        keepalive: 0,
        ...(will && { will }),
      })
    })
    socket.on('close', () => {
      if (this.#socket !== socket) return
      this.#isConnected = false
      setTimeout(() => this.#socket === socket && this.#connect(), RETRY_MS)
    })
  }

  #take(packet: Received): void {
    if (packet.cmd !== 'connack') return this.received(packet)
    if (packet.returnCode !== 0) {
      this.#socket?.destroy()
      return
    }
    if (this.#hadSession && !packet.sessionPresent && !this.isClean) this.lostSessions++
    this.#hadSession = true
    this.#isConnected = true
    this.connected(packet.sessionPresent)
  }
}
