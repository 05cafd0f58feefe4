/**
 * A client that speaks packets, for tests: it sends whatever it is told, right or wrong, and says what
 * comes back. Packets to the broker are encoded by mqtt-packet, or given as bytes.
 */

import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import type { ExecutionContext } from 'ava'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { type Broker, connectInMemory, type InMemoryClientEnd, type Peer } from '../../lib/index.ts'

export type Version = 3 | 4 | 5
/** A packet as mqtt-packet reads it. */
// oxlint-disable-next-line typescript/no-explicit-any -- packets of fifteen shapes, compared field by field
export type AnyPacket = Record<string, any> & { cmd: string }

export interface ConnectOptions {
  readonly version?: Version
  readonly clientId?: string
  readonly clean?: boolean
  readonly keepalive?: number
  readonly properties?: Record<string, unknown>
  readonly will?: Record<string, unknown>
  readonly username?: string
  readonly password?: string
}

let clients = 0

/** Something that carries bytes both ways. */
interface Wire {
  write(bytes: Buffer): void
  destroy(): void
}

export class TestClient {
  readonly version: Version
  /** What has come and was not asked for yet. */
  readonly packets: AnyPacket[] = []
  /** Every byte that has come. */
  receivedBytes = 0
  isClosed = false
  wire: Wire = { write() {}, destroy() {} }
  readonly #parser
  #wake: () => void = () => {}

  constructor(version: Version) {
    this.version = version
    this.#parser = mqttPacket.parser({ protocolVersion: version })
    this.#parser.on('packet', (packet: Packet) => {
      this.packets.push(packet as AnyPacket)
      this.#wake()
    })
  }

  take(chunk: Buffer): void {
    this.receivedBytes += chunk.length
    this.#parser.parse(Buffer.from(chunk))
  }

  noteClosed(): void {
    this.isClosed = true
    this.#wake()
  }

  send(packet: Record<string, unknown> & { cmd: string }): void {
    const bytes = mqttPacket.generate(packet as unknown as Packet, {
      protocolVersion: this.version,
    })
    this.wire.write(bytes)
  }

  sendBytes(bytes: Buffer | readonly number[]): void {
    this.wire.write(Buffer.from(bytes as number[]))
  }

  /** The next packet, whatever it is; `undefined` when the connection has closed instead. */
  async next(): Promise<AnyPacket | undefined> {
    while (this.packets.length === 0 && !this.isClosed) await this.#change()
    return this.packets.shift()
  }

  /** The next packet, which must be a `cmd` that has these fields. */
  async expect(
    t: ExecutionContext,
    cmd: string,
    fields: Record<string, unknown> = {},
  ): Promise<AnyPacket> {
    const packet = await this.next()
    if (packet === undefined) throw new Error(`expected ${cmd}, but the connection is closed`)
    t.is(packet.cmd, cmd, `expected ${cmd}, got ${JSON.stringify(packet)}`)
    if (Object.keys(fields).length > 0) t.like(packet, fields)
    return packet
  }

  /** Waits until the broker has closed the connection; returns what came before. */
  async closed(): Promise<AnyPacket[]> {
    while (!this.isClosed) await this.#change()
    return this.packets.splice(0)
  }

  /**
   * Everything that has come once the broker has handled all sent so far: a PINGREQ goes last, and
   * what stands before its answer is returned.
   */
  async settled(): Promise<AnyPacket[]> {
    this.send({ cmd: 'pingreq' })
    const before: AnyPacket[] = []
    for (;;) {
      const packet = await this.next()
      if (packet === undefined || packet.cmd === 'pingresp') return before
      before.push(packet)
    }
  }

  connect(options: ConnectOptions = {}): void {
    const { version: _, password, will, clientId, clean = true, keepalive = 0, ...rest } = options
    this.send({
      cmd: 'connect',
      protocolId: this.version === 3 ? 'MQIsdp' : 'MQTT',
      protocolVersion: this.version,
      clean,
      keepalive,
      clientId: clientId ?? `client-${++clients}`,
      ...(password !== undefined && { password: Buffer.from(password) }),
      ...(will !== undefined && { will: { qos: 0, retain: false, payload: 'gone', ...will } }),
      ...rest,
    })
  }

  async subscribe(
    t: ExecutionContext,
    topic: string,
    options: Record<string, unknown> = {},
  ): Promise<AnyPacket> {
    const { properties, messageId = 1, ...subscription } = options
    this.send({
      cmd: 'subscribe',
      messageId,
      subscriptions: [{ topic, qos: 0, ...subscription }],
      ...(properties !== undefined && { properties }),
    })
    return this.expect(t, 'suback', { messageId })
  }

  publish(topic: string, payload: string | Buffer, options: Record<string, unknown> = {}): void {
    this.send({ cmd: 'publish', topic, payload, qos: 0, dup: false, retain: false, ...options })
  }

  destroy(): void {
    this.wire.destroy()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}

/** A client on the in-memory transport, not yet connected; `end` is the transport's client side. */
export interface MemoryClient extends TestClient {
  end: InMemoryClientEnd
}

export function openClient(
  broker: Broker,
  version: Version = 5,
  peer: Partial<Peer> = {},
): MemoryClient {
  const client = new TestClient(version) as MemoryClient
  const end = connectInMemory((transport) => broker.accept(transport), peer)
  end.onData = (chunk) => client.take(chunk)
  end.onClose = () => client.noteClosed()
  client.end = end
  client.wire = end
  return client
}

/** A client that is connected; its CONNACK has been checked and taken. */
export async function connectClient(
  t: ExecutionContext,
  broker: Broker,
  options: ConnectOptions = {},
): Promise<MemoryClient> {
  const client = openClient(broker, options.version ?? 5)
  client.connect(options)
  await client.expect(t, 'connack', client.version === 5 ? { reasonCode: 0 } : { returnCode: 0 })
  return client
}

/** A client on a real TCP connection. */
export async function openTcpClient(
  t: ExecutionContext,
  port: number,
  version: Version = 5,
): Promise<TestClient> {
  const client = new TestClient(version)
  const socket = createConnection({ port, host: '127.0.0.1', noDelay: true })
  t.teardown(() => socket.destroy())
  socket.on('data', (chunk) => client.take(chunk))
  socket.on('error', () => {})
  socket.on('close', () => client.noteClosed())
  client.wire = socket
  await once(socket, 'connect')
  return client
}
