/**
 * The properties of a PUBLISH, checked. Most clients send the same ones with each message: a block that is
 * byte for byte the one before is not checked again.
 */

import { Buffer } from 'node:buffer'
import { ProtocolError } from '../protocol/errors.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import { wordsOf } from '../util/words.ts'
import { PropertyCursor } from './property-cursor.ts'
import { isSame } from './same-bytes.ts'

/** Longer blocks are checked each time: each connection keeps one. */
const KNOWN_BYTES_MAX = 128

const PAYLOAD_FORMAT_INDICATOR = 0x01
const MESSAGE_EXPIRY_INTERVAL = 0x02
const SUBSCRIPTION_IDENTIFIER = 0x0b
const TOPIC_ALIAS = 0x23

const cursor = new PropertyCursor()

/** One object serves every packet of a connection. All offsets count from the Property Length. */
export class PublishProperties {
  /** First byte of the first property, and the byte after the last one. */
  start = 0
  end = 0
  /** Payload Format Indicator 1: the payload says it is UTF-8. */
  isPayloadUtf8 = false
  /** Message Expiry Interval, and where it stands; -1: nowhere. */
  expirySeconds = 0
  expiryAt = -1
  /** Topic Alias, never 0 on the wire, and where it stands; 0 and -1: none. */
  topicAlias = 0
  aliasAt = -1
  readonly #known = Buffer.allocUnsafeSlow(KNOWN_BYTES_MAX)
  readonly #knownView = wordsOf(this.#known)
  #knownLength = 0

  /** Reads the block whose length stands at `at`. Throws `ProtocolError` for what a client must not send. */
  read(bytes: Buffer, at: number, end: number): void {
    if (this.#isKnown(bytes, at, end)) return
    this.#knownLength = 0
    this.#check(bytes, at, end)
    if (this.end > KNOWN_BYTES_MAX) return
    bytes.copy(this.#known, 0, at, at + this.end)
    this.#knownLength = this.end
  }

  #isKnown(bytes: Buffer, at: number, end: number): boolean {
    const length = this.#knownLength
    if (length === 0 || at + length > end) return false
    return isSame(bytes, at, length, this.#known, 0, this.#knownView)
  }

  #check(bytes: Buffer, at: number, end: number): void {
    this.isPayloadUtf8 = false
    this.expirySeconds = 0
    this.expiryAt = -1
    this.topicAlias = 0
    this.aliasAt = -1
    cursor.open(bytes, at, end, 'publish')
    while (cursor.next()) {
      switch (cursor.rule.identifier) {
        case PAYLOAD_FORMAT_INDICATOR:
          this.isPayloadUtf8 = cursor.value === 1
          break
        case MESSAGE_EXPIRY_INTERVAL:
          this.expirySeconds = cursor.value
          this.expiryAt = cursor.propertyStart - at
          break
        case SUBSCRIPTION_IDENTIFIER:
          throw new ProtocolError(
            ReasonCode.ProtocolError,
            'Subscription Identifier in a PUBLISH of a client', // [MQTT-3.3.4-6]
          )
        case TOPIC_ALIAS:
          this.topicAlias = cursor.value
          this.aliasAt = cursor.propertyStart - at
          if (cursor.value === 0)
            throw new ProtocolError(ReasonCode.TopicAliasInvalid, 'Topic Alias 0') // [MQTT-3.3.2-8]
          break
      }
    }
    this.start = cursor.start - at
    this.end = cursor.end - at
  }
}
