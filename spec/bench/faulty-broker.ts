/**
 * A broker that forwards at QoS 0 and 1 between exact topics, and does to every so-manieth message what a broker must
 * not do. It says how often it did.
 */

import type { ExecutionContext } from 'ava'
import type { IPublishPacket } from 'mqtt-packet'
import { type ScriptedPeer, startScriptedBroker } from '../support/scripted-broker.ts'

export type Fault =
  | 'none'
  | 'lose'
  | 'double'
  | 'reorder'
  | 'corrupt the filling'
  | 'corrupt the header'
  | 'shorten'
  | 'misroute'
  | 'acknowledge something else'
  | 'stand still once'

export interface FaultyBroker {
  readonly port: number
  /** How many messages it has treated so. */
  readonly struck: () => number
}

/** The first messages are left alone, so that each fault has something before it. */
const EVERY = 7

export const STANDSTILL_MS = 200

function standStill(): void {
  const end = performance.now() + STANDSTILL_MS
  while (performance.now() < end);
}

export async function startFaultyBroker(t: ExecutionContext, fault: Fault): Promise<FaultyBroker> {
  const receivers = new Map<string, ScriptedPeer>()
  const held = new Map<string, IPublishPacket>()
  const counts = new Map<string, number>()
  let struck = 0

  const forward = (topic: string, packet: IPublishPacket) => {
    receivers.get(topic)?.send({ ...packet, messageId: packet.qos === 0 ? 0 : 1 })
  }
  const release = (topic: string) => {
    const packet = held.get(topic)
    held.delete(topic)
    if (packet !== undefined) forward(topic, packet)
    return packet !== undefined
  }
  const strike = (packet: IPublishPacket) => {
    const { topic } = packet
    const payload = Buffer.from(packet.payload)
    switch (fault) {
      case 'none':
      case 'acknowledge something else':
        break
      case 'stand still once':
        if (struck++ === 0) standStill()
        break
      case 'lose':
        struck++
        return
      case 'double':
        struck++
        forward(topic, packet)
        break
      case 'reorder':
        held.set(topic, packet)
        return
      case 'corrupt the filling':
        struck++
        payload[payload.length - 1] = 0
        break
      case 'corrupt the header':
        struck++
        payload[9] = (payload[9] as number) ^ 0x40
        break
      case 'shorten':
        struck++
        forward(topic, { ...packet, payload: payload.subarray(1) })
        return
      case 'misroute': {
        struck++
        const other = [...receivers.keys()].find((one) => one !== topic) as string
        forward(other, packet)
        return
      }
    }
    forward(topic, { ...packet, payload })
  }
  const publish = (packet: IPublishPacket) => {
    const { topic } = packet
    const count = (counts.get(topic) ?? 0) + 1
    counts.set(topic, count)
    if (count % EVERY === 0) {
      strike(packet)
      return
    }
    forward(topic, packet)
    // One that nothing has overtaken is in order after all.
    if (release(topic)) struck++
  }

  const { port } = await startScriptedBroker(
    t,
    (packet, peer) => {
      if (packet.cmd === 'connect') {
        peer.send({ cmd: 'connack', returnCode: 0, sessionPresent: false })
      } else if (packet.cmd === 'subscribe') {
        const granted = packet.subscriptions.map(({ qos }) => qos)
        for (const { topic } of packet.subscriptions) receivers.set(topic, peer)
        peer.send({ cmd: 'suback', messageId: packet.messageId ?? 0, granted })
      } else if (packet.cmd === 'publish') {
        if (packet.qos === 1) {
          const error = fault === 'acknowledge something else' ? 1 : 0
          peer.send({ cmd: 'puback', messageId: (packet.messageId ?? 0) + error })
        }
        publish(packet)
      } else if (packet.cmd === 'pingreq') {
        for (const topic of receivers.keys()) release(topic)
        peer.send({ cmd: 'pingresp' })
      }
    },
    4,
  )
  return { port, struck: () => struck }
}
