/** One retained message in memory, kept as small as a million of them demand. */

import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import type { Qos } from '../protocol/packets.ts'
import type { HeapItem } from '../util/min-heap.ts'

/**
 * Bodies up to this size are kept as strings of one byte per character: a `Buffer` of
 * 100 bytes takes 494 bytes of resident memory, such a string 158 (a million of each, Node 20).
 */
const STRING_LENGTH_MAX = 4096

export class RetainedRecord implements HeapItem {
  readonly qos: Qos
  readonly expiresAt: number
  readonly version: number
  heapIndex = -1
  #body: string | Buffer | undefined

  constructor(body: Buffer, qos: Qos, expiresAt: number, version: number) {
    this.qos = qos
    this.expiresAt = expiresAt
    this.version = version
    this.#body = body.length <= STRING_LENGTH_MAX ? body.toString('latin1') : ownBuffer(body)
  }

  get isCurrent(): boolean {
    return this.#body !== undefined
  }

  get bodyLength(): number {
    return this.#body?.length ?? 0
  }

  /** Read from the body, which begins with it, rather than kept twice. */
  get topic(): string {
    const body = this.#current()
    if (typeof body !== 'string') return body.toString('utf8', 2, 2 + body.readUInt16BE(0))
    const length = (body.charCodeAt(0) << 8) | body.charCodeAt(1)
    return Buffer.from(body.slice(2, 2 + length), 'latin1').toString('utf8')
  }

  /** A `Buffer` of its own size: one from the pool would pin 8 KiB for whoever queues it. */
  body(): Buffer {
    const body = this.#current()
    if (typeof body !== 'string') return body
    const copy = Buffer.allocUnsafeSlow(body.length)
    copy.write(body, 'latin1')
    return copy
  }

  /** It is not the message of its topic any more: whoever still holds it shall not hold its body. */
  retire(): void {
    this.#body = undefined
  }

  #current(): string | Buffer {
    assert(this.#body !== undefined, 'a retained message is read only while it is current')
    return this.#body
  }
}

function ownBuffer(body: Buffer): Buffer {
  if (body.length === body.buffer.byteLength) return body
  const copy = Buffer.allocUnsafeSlow(body.length)
  body.copy(copy)
  return copy
}
