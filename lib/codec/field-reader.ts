/** Reads the fields of a packet that was checked, one after the other. What it returns is no view of the bytes. */

import { Buffer } from 'node:buffer'
import type { MqttVersion, Properties } from '../protocol/packets.ts'
import type { PropertyPlace } from '../protocol/properties.ts'
import { readTwoByteInteger } from './fields.ts'
import { readProperties } from './property-cursor.ts'
import { readVariableByteInteger, variableByteIntegerSize } from './variable-byte-integer.ts'

export class FieldReader {
  readonly #bytes: Buffer
  readonly #end: number
  readonly #version: MqttVersion
  #at: number

  constructor(bytes: Buffer, at: number, end: number, version: MqttVersion) {
    this.#bytes = bytes
    this.#at = at
    this.#end = end
    this.#version = version
  }

  get isAtEnd(): boolean {
    return this.#at === this.#end
  }

  byte(): number {
    return this.#bytes[this.#at++]!
  }

  twoByteInteger(): number {
    this.#at += 2
    return readTwoByteInteger(this.#bytes, this.#at - 2)
  }

  text(): string {
    const length = this.twoByteInteger()
    this.#at += length
    return this.#bytes.toString('utf8', this.#at - length, this.#at)
  }

  binary(): Buffer {
    const length = this.twoByteInteger()
    this.#at += length
    return Buffer.from(this.#bytes.subarray(this.#at - length, this.#at))
  }

  /** Empty where the version knows none, or the packet ends before them. */
  properties(place: PropertyPlace): Properties {
    if (this.#version < 5 || this.isAtEnd) return {}
    const properties = readProperties(this.#bytes, this.#at, this.#end, place)
    const length = readVariableByteInteger(this.#bytes, this.#at, this.#end)
    this.#at += variableByteIntegerSize(length) + length
    return properties
  }
}
