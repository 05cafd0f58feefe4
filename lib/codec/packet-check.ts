/**
 * Checks the raw bytes of a packet before anything is decoded: decoders need not look twice.
 *
 * What passes here is a packet that a client may send in its version, with every field whole and every
 * byte accounted for. What depends on the state of the connection is the handlers' business.
 */

import type { Buffer } from 'node:buffer'
import { MalformedPacketError, ProtocolError } from '../protocol/errors.ts'
import { type MqttVersion, PacketType } from '../protocol/packets.ts'
import type { PropertyPlace } from '../protocol/properties.ts'
import {
  describeReasonCode,
  disconnectReasonCodesOfClients,
  ReasonCode,
  reasonCodesOf,
} from '../protocol/reason-codes.ts'
import { isShared } from '../protocol/topics.ts'
import { checkConnect } from './connect-check.ts'
import { checkPacketIdentifier, checkString, checkTopicName } from './fields.ts'
import { PropertyCursor, skipProperties } from './property-cursor.ts'

const SUBSCRIPTION_IDENTIFIER = 0x0b
const TOPIC_ALIAS = 0x23
const DUP_FLAG = 0x08

const cursor = new PropertyCursor()

/**
 * Checks the packet whose fixed header begins at `start`, whose body begins at `bodyStart`, behind the
 * Remaining Length, and ends before `end`. `version` is undefined as long as no CONNECT was seen.
 * Throws `ProtocolError` or `MalformedPacketError` with the rule that was broken.
 */
export function checkPacket(
  bytes: Buffer,
  start: number,
  bodyStart: number,
  end: number,
  version: MqttVersion | undefined,
): void {
  const first = bytes[start]!
  const type = first >> 4
  if (version === undefined) {
    if (type !== PacketType.Connect) fail('first packet is not a CONNECT') // [MQTT-3.1.0-1]
    checkFlags('CONNECT', first, 0)
    checkConnect(bytes, bodyStart, end) // [MQTT-3.1.4-1]
    return
  }
  switch (type) {
    case PacketType.Connect:
      return fail('second CONNECT on one connection') // [MQTT-3.1.0-2]
    case PacketType.Publish:
      return checkPublish(bytes, first, bodyStart, end, version)
    case PacketType.Puback:
    case PacketType.Pubrec:
    case PacketType.Pubrel:
    case PacketType.Pubcomp:
      return checkResponse(bytes, first, bodyStart, end, version)
    case PacketType.Subscribe:
      checkFlags('SUBSCRIBE', withoutDup(first, version), 2) // [MQTT-3.8.1-1]
      return checkSubscribe(bytes, bodyStart, end, version)
    case PacketType.Unsubscribe:
      checkFlags('UNSUBSCRIBE', withoutDup(first, version), 2) // [MQTT-3.10.1-1]
      return checkUnsubscribe(bytes, bodyStart, end, version)
    case PacketType.Pingreq:
      checkFlags('PINGREQ', first, 0)
      return checkEmpty('PINGREQ', bodyStart, end)
    case PacketType.Disconnect:
      checkFlags('DISCONNECT', first, 0) // [MQTT-3.14.1-1]
      return checkDisconnect(bytes, bodyStart, end, version)
    case PacketType.Auth:
      checkFlags('AUTH', first, 0) // [MQTT-3.15.1-1]
      return checkAuth(bytes, bodyStart, end, version)
    default:
      return fail(`packet of type ${type}, which a client must not send`)
  }
}

/** A malformed packet has four bits other than the standard demands [MQTT-2.1.3-1]. */
function checkFlags(title: string, first: number, flags: number): void {
  if ((first & 0x0f) !== flags) {
    throw new MalformedPacketError(`${title} with reserved bits of its fixed header changed`)
  }
}

/** MQTT 3.1 sets DUP on PUBREL, SUBSCRIBE and UNSUBSCRIBE sent again (its section 2.1). */
function withoutDup(first: number, version: MqttVersion): number {
  return version === 3 ? first & ~DUP_FLAG : first
}

function checkPublish(
  bytes: Buffer,
  first: number,
  bodyStart: number,
  end: number,
  version: MqttVersion,
): void {
  const qos = (first >> 1) & 3
  if (qos === 3) throw new MalformedPacketError('PUBLISH with both QoS bits set') // [MQTT-3.3.1-4]
  if (qos === 0 && (first & DUP_FLAG) !== 0) {
    throw new MalformedPacketError('PUBLISH with DUP at QoS 0') // [MQTT-3.3.1-2]
  }
  const topicEnd = checkTopicName(bytes, bodyStart, end, 'Topic Name') // [MQTT-3.3.2-1] [MQTT-3.3.2-2]
  const isTopicEmpty = topicEnd === bodyStart + 2
  const at = qos === 0 ? topicEnd : checkPacketIdentifier(bytes, topicEnd, end) // [MQTT-2.2.1-2]
  if (version === 5) {
    checkPublishProperties(bytes, at, end, isTopicEmpty)
  } else if (isTopicEmpty) {
    throw new ProtocolError(ReasonCode.TopicNameInvalid, 'empty Topic Name') // [MQTT-4.7.3-1]
  }
}

function checkPublishProperties(
  bytes: Buffer,
  at: number,
  end: number,
  isTopicEmpty: boolean,
): void {
  let hasAlias = false
  cursor.open(bytes, at, end, 'publish')
  while (cursor.next()) {
    const identifier = cursor.rule.identifier
    if (identifier === SUBSCRIPTION_IDENTIFIER) {
      fail('Subscription Identifier in a PUBLISH of a client') // [MQTT-3.3.4-6]
    }
    if (identifier === TOPIC_ALIAS) {
      if (cursor.value === 0) throw new ProtocolError(ReasonCode.TopicAliasInvalid, 'Topic Alias 0') // [MQTT-3.3.2-8]
      hasAlias = true
    }
  }
  if (isTopicEmpty && !hasAlias) fail('empty Topic Name without a Topic Alias')
}

function checkResponse(
  bytes: Buffer,
  first: number,
  bodyStart: number,
  end: number,
  version: MqttVersion,
): void {
  switch (first >> 4) {
    case PacketType.Puback:
      checkFlags('PUBACK', first, 0)
      return checkResponseBody(bytes, bodyStart, end, version, 'puback') // [MQTT-3.4.2-1]
    case PacketType.Pubrec:
      checkFlags('PUBREC', first, 0)
      return checkResponseBody(bytes, bodyStart, end, version, 'pubrec') // [MQTT-3.5.2-1]
    case PacketType.Pubrel:
      checkFlags('PUBREL', withoutDup(first, version), 2) // [MQTT-3.6.1-1]
      return checkResponseBody(bytes, bodyStart, end, version, 'pubrel') // [MQTT-3.6.2-1]
    default:
      checkFlags('PUBCOMP', first, 0)
      return checkResponseBody(bytes, bodyStart, end, version, 'pubcomp') // [MQTT-3.7.2-1]
  }
}

function checkResponseBody(
  bytes: Buffer,
  bodyStart: number,
  end: number,
  version: MqttVersion,
  place: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp',
): void {
  let at = checkPacketIdentifier(bytes, bodyStart, end)
  if (version === 5 && at < end) {
    checkReasonCode(bytes[at]!, reasonCodesOf[place], place)
    at++
    // Without a Property Length there are no properties (section 3.4.2.2.1).
    if (at < end) at = skipProperties(bytes, at, end, place)
  }
  checkEmpty(place.toUpperCase(), at, end)
}

function checkSubscribe(bytes: Buffer, bodyStart: number, end: number, version: MqttVersion): void {
  let at = checkPacketIdentifier(bytes, bodyStart, end)
  if (version === 5) at = skipProperties(bytes, at, end, 'subscribe')
  if (at === end) fail('SUBSCRIBE without a Topic Filter') // [MQTT-3.8.3-2]
  while (at < end) {
    const filterEnd = checkTopicFilter(bytes, at, end) // [MQTT-3.8.3-1]
    if (filterEnd === end)
      throw new MalformedPacketError('Topic Filter without Subscription Options')
    const options = bytes[filterEnd]!
    if (version === 5) checkSubscriptionOptions(bytes, at, filterEnd, options)
    else if (options > 2) throw new MalformedPacketError(`Requested QoS byte of ${options}`) // [3.1.1: MQTT-3.8.3-4]
    at = filterEnd + 1
  }
}

function checkSubscriptionOptions(
  bytes: Buffer,
  filterAt: number,
  filterEnd: number,
  options: number,
): void {
  if ((options & 0xc0) !== 0) {
    throw new MalformedPacketError('reserved bits in the Subscription Options') // [MQTT-3.8.3-5]
  }
  if ((options & 0x03) === 3) fail('Maximum QoS 3 in the Subscription Options')
  if ((options & 0x30) === 0x30) fail('Retain Handling 3 in the Subscription Options')
  if ((options & 0x04) !== 0 && isShared(bytes.toString('utf8', filterAt + 2, filterEnd))) {
    fail('No Local on a Shared Subscription') // [MQTT-3.8.3-4]
  }
}

function checkUnsubscribe(
  bytes: Buffer,
  bodyStart: number,
  end: number,
  version: MqttVersion,
): void {
  let at = checkPacketIdentifier(bytes, bodyStart, end)
  if (version === 5) at = skipProperties(bytes, at, end, 'unsubscribe')
  if (at === end) fail('UNSUBSCRIBE without a Topic Filter') // [MQTT-3.10.3-2]
  while (at < end) at = checkTopicFilter(bytes, at, end) // [MQTT-3.10.3-1]
}

/** Whether the filter makes sense is answered per filter, in SUBACK or UNSUBACK. */
function checkTopicFilter(bytes: Buffer, at: number, end: number): number {
  const filterEnd = checkString(bytes, at, end, 'Topic Filter')
  if (filterEnd === at + 2) {
    throw new ProtocolError(ReasonCode.TopicFilterInvalid, 'empty Topic Filter') // [MQTT-4.7.3-1]
  }
  return filterEnd
}

function checkDisconnect(
  bytes: Buffer,
  bodyStart: number,
  end: number,
  version: MqttVersion,
): void {
  let at = bodyStart
  if (version === 5 && at < end) {
    checkReasonCode(bytes[at]!, disconnectReasonCodesOfClients, 'disconnect') // [MQTT-3.14.2-1]
    at++
    // Without a Property Length there are no properties (section 3.14.2.2.1).
    if (at < end) at = skipProperties(bytes, at, end, 'disconnect')
  }
  checkEmpty('DISCONNECT', at, end)
}

function checkAuth(bytes: Buffer, bodyStart: number, end: number, version: MqttVersion): void {
  if (version !== 5) fail('AUTH from a client of MQTT 3')
  if (bodyStart === end) return // Success without properties (section 3.15.2.1).
  checkReasonCode(bytes[bodyStart]!, reasonCodesOf.auth, 'auth') // [MQTT-3.15.2-1]
  checkEmpty('AUTH', skipProperties(bytes, bodyStart + 1, end, 'auth'), end)
}

function checkReasonCode(code: number, allowed: ReadonlySet<number>, place: PropertyPlace): void {
  if (!allowed.has(code)) {
    fail(`${place.toUpperCase()} of a client with reason code ${describeReasonCode(code)}`)
  }
}

function checkEmpty(title: string, at: number, end: number): void {
  if (at !== end) throw new MalformedPacketError(`bytes behind the last field of ${title}`)
}

function fail(rule: string): never {
  throw new ProtocolError(ReasonCode.ProtocolError, rule)
}
