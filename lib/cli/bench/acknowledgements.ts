/** Acknowledgements that leave in one write: four bytes each, in all versions of MQTT. */

import type { Link } from './link.ts'

const ACKNOWLEDGEMENT_BYTES = 4
const BYTES_AT_FIRST = 1024

export class Acknowledgements {
  #bytes: Buffer = Buffer.allocUnsafeSlow(BYTES_AT_FIRST)
  #length = 0

  /** `first` is the first byte of the packet: type and flags. */
  add(first: number, packetId: number): void {
    if (this.#length === this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(this.#bytes.length * 2)
      this.#bytes.copy(larger)
      this.#bytes = larger
    }
    const at = this.#length
    this.#bytes[at] = first
    this.#bytes[at + 1] = 2
    this.#bytes[at + 2] = packetId >>> 8
    this.#bytes[at + 3] = packetId
    this.#length += ACKNOWLEDGEMENT_BYTES
  }

  flush(link: Link): void {
    if (this.#length === 0) return
    const isFree = link.write(this.#bytes.subarray(0, this.#length))
    if (!isFree) this.#bytes = Buffer.allocUnsafeSlow(this.#bytes.length)
    this.#length = 0
  }
}
