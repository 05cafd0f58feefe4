/**
 * The least that a program on Node can do and still look like a broker to a generator: it knows CONNECT, SUBSCRIBE to
 * exact topics, and PUBLISH, whose bytes it hands on as they are. At QoS 1 it acknowledges at once, and has the
 * receiver see the publisher's Packet Identifier. It checks nothing. What a broker costs beyond it is the price
 * of being one.
 */

import { createServer, type Socket } from 'node:net'

const CONNACK = Buffer.from([0x20, 2, 0, 0])

class Receiver {
  readonly topics: string[] = []
  readonly #socket: Socket
  #parts: Buffer[] = []

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** All that was put in a turn of the event loop leaves in one write. */
  put(bytes: Buffer): void {
    if (this.#parts.push(bytes) === 1 && due.push(this) === 1) setImmediate(flushAll)
  }

  flush(): void {
    const parts = this.#parts
    this.#parts = []
    this.#socket.write(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts))
  }
}

const receivers = new Map<string, Receiver[]>()
let due: Receiver[] = []

function flushAll(): void {
  const flushed = due
  due = []
  for (const receiver of flushed) receiver.flush()
}

/** Nobody comes back to a subscription. */
function forget(own: Receiver): void {
  for (const topic of own.topics) {
    const others = (receivers.get(topic) ?? []).filter((receiver) => receiver !== own)
    if (others.length > 0) receivers.set(topic, others)
    else receivers.delete(topic)
  }
}

/** The answer to a packet whose Packet Identifier stands at `at`, with what else it says. */
function acknowledgement(type: number, bytes: Buffer, at: number, ...rest: number[]): Buffer {
  return Buffer.from([type, 2 + rest.length, bytes[at] as number, bytes[at + 1] as number, ...rest])
}

/** Takes the packet from `at` to `end`, whose Remaining Length ends before `start`. */
function takePacket(own: Receiver, bytes: Buffer, at: number, start: number, end: number): void {
  switch ((bytes[at] as number) >> 4) {
    case 1:
      own.put(CONNACK)
      return
    case 3: {
      const topicEnd = start + 2 + bytes.readUInt16BE(start)
      const topic = bytes.toString('latin1', start + 2, topicEnd)
      if ((bytes[at] as number) & 2) own.put(acknowledgement(0x40, bytes, topicEnd))
      const packet = bytes.subarray(at, end)
      for (const receiver of receivers.get(topic) ?? []) receiver.put(packet)
      return
    }
    case 8: {
      const topic = bytes.toString('latin1', start + 4, start + 4 + bytes.readUInt16BE(start + 2))
      receivers.set(topic, [...(receivers.get(topic) ?? []), own])
      own.topics.push(topic)
      // The QoS that was asked for stands at the end.
      own.put(acknowledgement(0x90, bytes, start, bytes[end - 1] as number))
      return
    }
    case 12:
      own.put(Buffer.from([0xd0, 0]))
  }
}

/** Returns where the packet begins that is not whole. */
function walk(own: Receiver, bytes: Buffer): number {
  let at = 0
  while (at + 2 <= bytes.length) {
    let start = at + 1
    let length = 0
    let digit = 0x80
    for (let shift = 0; digit & 0x80; shift += 7) {
      if (start === bytes.length) return at
      digit = bytes[start++] as number
      length |= (digit & 0x7f) << shift
    }
    if (start + length > bytes.length) return at
    takePacket(own, bytes, at, start, start + length)
    at = start + length
  }
  return at
}

const server = createServer({ noDelay: true }, (socket) => {
  const own = new Receiver(socket)
  let begun: Buffer | undefined
  socket.on('error', () => socket.destroy())
  socket.on('close', () => forget(own))
  socket.on('data', (chunk: Buffer) => {
    const bytes = begun === undefined ? chunk : Buffer.concat([begun, chunk])
    const at = walk(own, bytes)
    begun = at < bytes.length ? bytes.subarray(at) : undefined
  })
})
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  console.log(`listens on mqtt://127.0.0.1:${(server.address() as { port: number }).port} `)
})
