/**
 * Walks the properties of an MQTT 5.0 packet and checks each against the table of
 * lib/protocol/properties.ts: known, allowed here, not repeated, whole, in range.
 *
 * One cursor serves any number of packets and allocates nothing for a property: PUBLISH goes through it.
 */

import { Buffer } from 'node:buffer'
import { MalformedPacketError, ProtocolError } from '../protocol/errors.ts'
import type { Properties } from '../protocol/packets.ts'
import {
  type PropertyPlace,
  type PropertyRule,
  propertyRuleByIdentifier,
  propertyRules,
} from '../protocol/properties.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import { readTwoByteInteger } from './fields.ts'
import { isWellFormedString } from './utf8.ts'
import { readVariableByteInteger, variableByteIntegerSize } from './variable-byte-integer.ts'

const NOTHING = Buffer.alloc(0)

const RESPONSE_TOPIC = 0x08
const SUBSCRIPTION_IDENTIFIER = 0x0b
const AUTHENTICATION_METHOD_BIT = 1 << 0x15
const AUTHENTICATION_DATA_BIT = 1 << 0x16

const placeBits: Readonly<Record<PropertyPlace, number>> = {
  connect: 1 << 0,
  will: 1 << 1,
  connack: 1 << 2,
  publish: 1 << 3,
  puback: 1 << 4,
  pubrec: 1 << 5,
  pubrel: 1 << 6,
  pubcomp: 1 << 7,
  subscribe: 1 << 8,
  suback: 1 << 9,
  unsubscribe: 1 << 10,
  unsuback: 1 << 11,
  disconnect: 1 << 12,
  auth: 1 << 13,
}

/** The places of each property as bits, by identifier; 0 for one that does not exist. */
const placesOfIdentifier = Uint16Array.from(
  propertyRuleByIdentifier,
  (rule) => rule?.places.reduce((bits, place) => bits | placeBits[place], 0) ?? 0,
)

export class PropertyCursor {
  /** First byte of the first property. */
  start = 0
  /** The byte after the last property. */
  end = 0
  rule: PropertyRule = propertyRules[0]!
  /** Where the identifier of the current property stands, and the byte after the property. */
  propertyStart = 0
  propertyEnd = 0
  /** The content of a string or binary without its length; the bytes of a number; a whole pair. */
  valueStart = 0
  valueEnd = 0
  /** The value of a numeric property; 0 for the others. */
  value = 0

  /** Not longer than until the last property: one cursor serves all, and would pin the chunk of a client that has gone. */
  #bytes: Buffer = NOTHING
  #place: PropertyPlace = 'connect'
  #placeBit = 0
  /** Bit n: identifier n was seen; `#seenHigh` has those from 32 on. */
  #seen = 0
  #seenHigh = 0

  /** Reads the Property Length at `at` and stands before the first property. */
  open(bytes: Buffer, at: number, end: number, place: PropertyPlace): void {
    const length = readVariableByteInteger(bytes, at, end)
    if (length === -1) throw new MalformedPacketError(`${titleOf(place)} without a Property Length`) // [MQTT-2.2.2-1]
    const start = at + variableByteIntegerSize(length)
    if (start + length > end) {
      throw new MalformedPacketError(`Property Length of ${titleOf(place)} runs past its end`)
    }
    this.#bytes = bytes
    this.#place = place
    this.#placeBit = placeBits[place]
    this.#seen = 0
    this.#seenHigh = 0
    this.start = start
    this.end = start + length
    this.propertyStart = start
    this.propertyEnd = start
  }

  /** Moves to the next property and checks it; returns false behind the last one. */
  next(): boolean {
    const at = this.propertyEnd
    if (at >= this.end) {
      this.#bytes = NOTHING
      this.#checkAuthentication()
      return false
    }
    const identifier = this.#bytes[at]!
    if ((placesOfIdentifier[identifier]! & this.#placeBit) === 0) this.#refuse(identifier)
    const rule = propertyRuleByIdentifier[identifier]!
    this.rule = rule
    this.propertyStart = at
    this.#checkFirst(identifier)
    this.#take()
    if (this.value < rule.min || this.value > rule.max) {
      this.#fail(`${nameOf(rule)} of ${this.value} in ${titleOf(this.#place)}`)
    }
    if (identifier === RESPONSE_TOPIC) this.#checkResponseTopic()
    return true
  }

  /** Sets value and offsets of the property at `propertyStart`. */
  #take(): void {
    const at = this.propertyStart + 1
    this.value = 0
    switch (this.rule.type) {
      case 'byte':
        this.#takeNumber(at, 1)
        break
      case 'two-byte':
        this.#takeNumber(at, 2)
        break
      case 'four-byte':
        this.#takeNumber(at, 4)
        break
      case 'variable':
        this.#takeVariable(at)
        break
      case 'string':
        this.valueEnd = this.#endOfString(at)
        this.valueStart = at + 2
        break
      case 'binary':
        this.valueEnd = this.#endOfLengthPrefixed(at)
        this.valueStart = at + 2
        break
      case 'pair':
        this.valueEnd = this.#endOfString(this.#endOfString(at)) // [MQTT-1.5.7-1]
        this.valueStart = at
        break
    }
    this.propertyEnd = this.valueEnd
  }

  #takeNumber(at: number, size: number): void {
    if (at + size > this.end) this.#failCutOff()
    let value = 0
    for (let i = at; i < at + size; i++) value = value * 256 + this.#bytes[i]!
    this.value = value
    this.valueStart = at
    this.valueEnd = at + size
  }

  #takeVariable(at: number): void {
    this.value = readVariableByteInteger(this.#bytes, at, this.end)
    if (this.value === -1) this.#failCutOff()
    this.valueStart = at
    this.valueEnd = at + variableByteIntegerSize(this.value)
  }

  /** A length that itself runs past the properties gives an end behind them too. */
  #endOfLengthPrefixed(at: number): number {
    const end = at + 2 + readTwoByteInteger(this.#bytes, at)
    if (end > this.end) this.#failCutOff()
    return end
  }

  #endOfString(at: number): number {
    const end = this.#endOfLengthPrefixed(at)
    if (!isWellFormedString(this.#bytes, at + 2, end)) {
      throw new MalformedPacketError(
        `${nameOf(this.rule)} is not well-formed UTF-8 without U+0000`, // [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-3.3.2-13] [MQTT-3.3.2-19]
      )
    }
    return end
  }

  #checkFirst(identifier: number): void {
    const bit = 1 << (identifier & 31)
    const seen = identifier < 32 ? this.#seen : this.#seenHigh
    if ((seen & bit) !== 0) {
      const isSecondOfSubscribe =
        identifier === SUBSCRIPTION_IDENTIFIER && this.#place === 'subscribe'
      if (!this.rule.repeatable || isSecondOfSubscribe) {
        this.#fail(`${nameOf(this.rule)} more than once in ${titleOf(this.#place)}`)
      }
    }
    if (identifier < 32) this.#seen |= bit
    else this.#seenHigh |= bit
  }

  #checkResponseTopic(): void {
    for (let i = this.valueStart; i < this.valueEnd; i++) {
      const byte = this.#bytes[i]
      if (byte === 0x2b || byte === 0x23) this.#fail('wildcard in a Response Topic') // [MQTT-3.3.2-14]
    }
  }

  #checkAuthentication(): void {
    if ((this.#seen & AUTHENTICATION_METHOD_BIT) !== 0) return
    if ((this.#seen & AUTHENTICATION_DATA_BIT) !== 0) {
      this.#fail('Authentication Data without an Authentication Method')
    }
    if (this.#place === 'auth') this.#fail('AUTH without an Authentication Method') // Section 3.15.2.2.2.
  }

  /** An identifier that must not stand here makes a packet malformed (section 2.2.2.2). */
  #refuse(identifier: number): never {
    const rule = propertyRuleByIdentifier[identifier]
    const what = rule === undefined ? `unknown property 0x${identifier.toString(16)}` : nameOf(rule)
    throw new MalformedPacketError(`${what} in ${titleOf(this.#place)}`)
  }

  #failCutOff(): never {
    throw new MalformedPacketError(
      `${nameOf(this.rule)} runs past the properties of ${titleOf(this.#place)}`,
    )
  }

  #fail(rule: string): never {
    throw new ProtocolError(ReasonCode.ProtocolError, rule)
  }
}

const reader = new PropertyCursor()

/**
 * Returns the properties whose length stands at `at`, checked. Binary values are copied, so they do not
 * hold the chunk that came from the socket; User Properties keep their order.
 */
export function readProperties(
  bytes: Buffer,
  at: number,
  end: number,
  place: PropertyPlace,
): Properties {
  const properties: Properties = {}
  reader.open(bytes, at, end, place)
  while (reader.next()) {
    const { rule, valueStart, valueEnd } = reader
    if (rule.type === 'pair') {
      properties.userProperties ??= []
      properties.userProperties.push(readPair(bytes, valueStart, valueEnd))
    } else if (rule.type === 'variable') {
      properties.subscriptionIdentifiers ??= []
      properties.subscriptionIdentifiers.push(reader.value)
    } else {
      Object.assign(properties, { [rule.name]: readValue(bytes, rule, valueStart, valueEnd) })
    }
  }
  return properties
}

function readValue(
  bytes: Buffer,
  rule: PropertyRule,
  start: number,
  end: number,
): string | Buffer | number {
  if (rule.type === 'string') return bytes.toString('utf8', start, end)
  return rule.type === 'binary' ? Buffer.from(bytes.subarray(start, end)) : reader.value
}

/** Checks the properties whose length stands at `at` and returns the offset behind them. */
export function skipProperties(
  bytes: Buffer,
  at: number,
  end: number,
  place: PropertyPlace,
): number {
  reader.open(bytes, at, end, place)
  while (reader.next());
  return reader.end
}

function readPair(bytes: Buffer, start: number, end: number): readonly [string, string] {
  const nameEnd = start + 2 + readTwoByteInteger(bytes, start)
  return [bytes.toString('utf8', start + 2, nameEnd), bytes.toString('utf8', nameEnd + 2, end)]
}

/** "Receive Maximum" of `receiveMaximum`, "User Property" of `userProperties`. */
function nameOf(rule: PropertyRule): string {
  const words = rule.name.replaceAll(/[A-Z]/g, (letter) => ` ${letter}`)
  const one = rule.repeatable ? words.replace(/ies$/, 'y').replace(/s$/, '') : words
  return one.charAt(0).toUpperCase() + one.slice(1)
}

function titleOf(place: PropertyPlace): string {
  return place === 'will' ? 'Will Properties' : place.toUpperCase()
}
