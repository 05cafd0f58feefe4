/** One retained message in memory, kept as small as a million of them demand. */

import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import type { Qos } from '../protocol/packets.ts'
import type { HeapItem } from '../util/min-heap.ts'
import { type PackedBytes, packBytes, unpackBytes } from '../util/packed-bytes.ts'

export class RetainedRecord implements HeapItem {
  readonly qos: Qos
  readonly expiresAt: number
  readonly version: number
  heapIndex = -1
  #body: PackedBytes | undefined

  constructor(body: Buffer, qos: Qos, expiresAt: number, version: number) {
    this.qos = qos
    this.expiresAt = expiresAt
    this.version = version
    this.#body = packBytes(body)
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

  /** In memory of its own: the caller may keep it. */
  body(): Buffer {
    return unpackBytes(this.#current())
  }

  /** It is not the message of its topic any more: whoever still holds it shall not hold its body. */
  retire(): void {
    this.#body = undefined
  }

  #current(): PackedBytes {
    assert(this.#body !== undefined, 'a retained message is read only while it is current')
    return this.#body
  }
}
