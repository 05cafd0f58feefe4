/** A broker that answers as a test tells it: refusals, silence and hanging up, which no real one does on demand. */

import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { ExecutionContext } from 'ava'
import { generate, type Packet, parser } from 'mqtt-packet'

/** Answers a packet of the client, or does not. */
export type Script = (packet: Packet, peer: ScriptedPeer) => void

export interface ScriptedPeer {
  send(packet: Packet): void
  hangUp(): void
}

export interface ScriptedBroker {
  readonly port: number
  /** All packets that came, in their order. */
  readonly received: readonly Packet[]
}

/** Takes the connection of a client with MQTT 5.0. */
export const welcome: Packet = { cmd: 'connack', reasonCode: 0, sessionPresent: false }

export async function startScriptedBroker(
  t: ExecutionContext,
  script: Script,
  protocolVersion: 4 | 5 = 5,
): Promise<ScriptedBroker> {
  const received: Packet[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    const peer = {
      send: (packet: Packet) => void socket.write(generate(packet, { protocolVersion })),
      hangUp: () => void socket.end(),
    }
    const packets = parser({ protocolVersion })
    packets.on('packet', (packet: Packet) => {
      received.push(packet)
      script(packet, peer)
    })
    socket.on('data', (bytes) => packets.parse(bytes))
    socket.on('error', () => socket.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  return { port: (server.address() as { port: number }).port, received }
}
