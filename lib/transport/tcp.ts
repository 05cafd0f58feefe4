/** MQTT over TCP. Without PROXY headers a client is a transport as soon as it is accepted. */

import type { Socket } from 'node:net'
import { Gate } from './gate.ts'
import type { NetworkOptions } from './listen.ts'
import { listenNetwork } from './listen.ts'
import { addressOf, peerOf } from './peer.ts'
import { SocketTransport } from './socket-transport.ts'
import type { AcceptTransport, Listener } from './transport.ts'

/** Listens for MQTT clients; throws a `ListenError` if it cannot. */
export async function listenTcp(
  options: NetworkOptions,
  accept: AcceptTransport,
): Promise<Listener> {
  const gate = new Gate(options, 'tcp')
  const arrived = options.proxyProtocol === true ? acceptProxied : acceptDirect
  return listenNetwork(options, 'mqtt', '', arrived, () => gate.close())

  function acceptDirect(socket: Socket): void {
    const peer = peerOf(gate.name, 'tcp', addressOf(socket), socket.remotePort ?? 0)
    accept(new SocketTransport(socket, peer))
  }

  function acceptProxied(socket: Socket): void {
    gate.enter(socket, (arrival) => {
      arrival.pass()
      accept(new SocketTransport(socket, arrival.peer()))
      socket.resume()
    })
  }
}
