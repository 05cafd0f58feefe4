/** Decodes every packet of a client but PUBLISH: whole frames that `checkPacket` accepted. */

import assert from 'node:assert'
import type { Buffer } from 'node:buffer'
import {
  type Connect,
  type ConnectWill,
  type InboundPacket,
  type MqttVersion,
  PacketType,
  type PublishResponse,
  type Qos,
  type Subscribe,
  type SubscriptionRequest,
  type Unsubscribe,
} from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import { ConnectFlag, connectVersionAt } from './connect-check.ts'
import { FieldReader } from './field-reader.ts'
import { bodyStartOf } from './variable-byte-integer.ts'

/**
 * Decodes the whole, checked frame from `start` to `end`, which is not a PUBLISH; `version` is undefined
 * for a CONNECT. The result holds no view of `bytes`.
 */
export function decodePacket(
  bytes: Buffer,
  start: number,
  end: number,
  version: MqttVersion | undefined,
): InboundPacket {
  const type = bytes[start]! >> 4
  const bodyStart = bodyStartOf(bytes, start, end)
  if (type === PacketType.Connect) return decodeConnect(bytes, bodyStart, end)
  assert(version !== undefined, 'a CONNECT has told the version')
  const fields = new FieldReader(bytes, bodyStart, end, version)
  switch (type) {
    case PacketType.Puback:
      return decodeResponse('puback', fields)
    case PacketType.Pubrec:
      return decodeResponse('pubrec', fields)
    case PacketType.Pubrel:
      return decodeResponse('pubrel', fields)
    case PacketType.Pubcomp:
      return decodeResponse('pubcomp', fields)
    case PacketType.Subscribe:
      return decodeSubscribe(fields)
    case PacketType.Unsubscribe:
      return decodeUnsubscribe(fields)
    case PacketType.Pingreq:
      return { type: 'pingreq' }
    case PacketType.Disconnect:
      return { type: 'disconnect', ...decodeEnd('disconnect', fields) }
    case PacketType.Auth:
      return { type: 'auth', ...decodeEnd('auth', fields) }
  }
  return assert.fail(`packet type ${type} is not for decodePacket`)
}

// The fields of all packets are read in the order in which they stand in the objects below.

function decodeConnect(bytes: Buffer, bodyStart: number, end: number): Connect {
  const version = connectVersionAt(bytes, bodyStart)
  const fields = new FieldReader(bytes, bodyStart, end, version)
  fields.text() // Protocol Name
  fields.byte() // Protocol Version
  const flags = fields.byte()
  const has = (flag: number): boolean => (flags & flag) !== 0
  // MQTT 3.1 lets a client leave out what its flags promise (its section 3.1, "User name").
  const isThere = (flag: number): boolean => has(flag) && !fields.isAtEnd
  return {
    type: 'connect',
    protocolVersion: version,
    cleanStart: has(ConnectFlag.CleanStart),
    keepAliveSeconds: fields.twoByteInteger(),
    properties: fields.properties('connect'),
    clientIdentifier: fields.text(),
    will: has(ConnectFlag.Will) ? decodeWill(fields, flags) : undefined,
    userName: isThere(ConnectFlag.UserName) ? fields.text() : undefined,
    password: isThere(ConnectFlag.Password) ? fields.binary() : undefined,
  }
}

function decodeWill(fields: FieldReader, flags: number): ConnectWill {
  return {
    properties: fields.properties('will'),
    topicName: fields.text(),
    payload: fields.binary(),
    qos: ((flags & ConnectFlag.WillQosMask) >> 3) as Qos,
    retain: (flags & ConnectFlag.WillRetain) !== 0,
  }
}

function decodeResponse(type: PublishResponse['type'], fields: FieldReader): PublishResponse {
  return { type, packetIdentifier: fields.twoByteInteger(), ...decodeEnd(type, fields) }
}

/** Reason Code and properties: a packet may end before either (sections 3.4.2.1, 3.14.2.1, 3.15.2.1). */
function decodeEnd(
  place: PublishResponse['type'] | 'disconnect' | 'auth',
  fields: FieldReader,
): Pick<PublishResponse, 'reasonCode' | 'properties'> {
  return {
    reasonCode: fields.isAtEnd ? ReasonCode.Success : fields.byte(),
    properties: fields.properties(place),
  }
}

function decodeSubscribe(fields: FieldReader): Subscribe {
  const packetIdentifier = fields.twoByteInteger()
  const properties = fields.properties('subscribe')
  const subscriptions: SubscriptionRequest[] = []
  while (!fields.isAtEnd) subscriptions.push(decodeSubscription(fields))
  return { type: 'subscribe', packetIdentifier, subscriptions, properties }
}

function decodeSubscription(fields: FieldReader): SubscriptionRequest {
  const topicFilter = fields.text()
  const options = fields.byte()
  return {
    topicFilter,
    qos: (options & 0x03) as Qos,
    noLocal: (options & 0x04) !== 0,
    retainAsPublished: (options & 0x08) !== 0,
    retainHandling: ((options & 0x30) >> 4) as 0 | 1 | 2,
  }
}

function decodeUnsubscribe(fields: FieldReader): Unsubscribe {
  const packetIdentifier = fields.twoByteInteger()
  const properties = fields.properties('unsubscribe')
  const topicFilters: string[] = []
  while (!fields.isAtEnd) topicFilters.push(fields.text())
  return { type: 'unsubscribe', packetIdentifier, topicFilters, properties }
}
