/** Many small packets to few writes: the buffers of connections, before a transport that takes everything. */

import { Flusher } from '../../lib/transport/flusher.ts'
import { Outbox } from '../../lib/transport/outbox.ts'
import type { Transport } from '../../lib/transport/transport.ts'
import { packetWith } from './decode.ts'
import type { MicroCase } from './harness.ts'

/** Counts what is written. */
class Drain implements Transport {
  readonly peer = {
    listener: 'none',
    protocol: 'memory',
    address: '',
    port: 0,
    certificate: undefined,
    userName: undefined,
  } as const
  events: Transport['events'] = { received() {}, drained() {}, closed() {} }
  readonly pendingBytes = 0
  written = 0

  write(bytes: Buffer): void {
    this.written += bytes.length
  }

  pause(): void {}
  resume(): void {}
  close(): void {}
  destroy(): void {}
}

export const outboxCases: readonly MicroCase[] = [
  outboxCase('outbox, 100 packets to one connection', 1, 100),
  outboxCase('outbox, 20 packets to each of 50', 50, 20),
  outboxCase('outbox, one packet to each of 500', 500, 1),
]

function outboxCase(name: string, connections: number, packetsEach: number): MicroCase {
  const packet = packetWith({})
  const drain = new Drain()
  const flusher = new Flusher(() => {})
  const outboxes = Array.from({ length: connections }, () => new Outbox(drain, flusher))
  const run = () => {
    for (let i = 0; i < packetsEach; i++) {
      for (const outbox of outboxes) outbox.append(packet, 0, packet.length)
    }
    flusher.flushNow()
    return drain.written
  }
  return { name, operations: connections * packetsEach, run }
}
