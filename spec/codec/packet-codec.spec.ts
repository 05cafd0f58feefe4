import { Buffer } from 'node:buffer'
import test from 'ava'
import { decodePacket } from '../../lib/codec/packet-decoder.ts'
import { encodePacket } from '../../lib/codec/packet-encoder.ts'
import { readProperties } from '../../lib/codec/property-cursor.ts'
import type {
  Connect,
  InboundPacket,
  MqttVersion,
  OutboundPacket,
  Properties,
  PublishResponse,
} from '../../lib/protocol/packets.ts'
import { check, decode } from '../support/check.ts'
import { decodePublishInFull, type PublishInFull } from '../support/publish-in-full.ts'
import {
  block,
  connectFrame,
  connectOf,
  frame,
  properties,
  property,
  publishFrame,
  text,
  twoBytes,
  type,
} from '../support/raw-packets.ts'

const id = twoBytes(0x0102)
const packetIdentifier = 0x0102
const versions: readonly MqttVersion[] = [3, 4, 5]

const method: Properties = { authenticationMethod: 'm', authenticationData: Buffer.alloc(0) }
const reason: Properties = { reasonString: 'r' }
const none = {}

function answer(
  name: PublishResponse['type'],
  reasonCode = 0,
  of: Properties = none,
): PublishResponse {
  return { type: name, packetIdentifier, reasonCode, properties: of }
}

function end<Name extends 'disconnect' | 'auth'>(
  name: Name,
  reasonCode: number,
  of: Properties = none,
): { type: Name; reasonCode: number; properties: Properties } {
  return { type: name, reasonCode, properties: of }
}

function codes(
  name: 'suback' | 'unsuback',
  reasonCodes: number[],
  of: Properties = none,
): OutboundPacket {
  return { type: name, packetIdentifier, reasonCodes, properties: of }
}

/** Decodes as a connection does: after the check. */
function take(packet: Buffer, version?: MqttVersion): InboundPacket {
  check(packet, version)
  return decode(packet, version)
}

const fullConnect: Connect = {
  type: 'connect',
  protocolVersion: 5,
  clientIdentifier: '\uFEFFclient ä',
  cleanStart: false,
  keepAliveSeconds: 65_535,
  userName: 'user',
  password: Buffer.from([0, 0xff]),
  will: {
    topicName: 'will/topic',
    payload: Buffer.from([0, 0xfe]),
    qos: 2,
    retain: true,
    properties: {
      willDelayInterval: 0,
      correlationData: Buffer.from('c'),
      userProperties: [['a', '1']],
    },
  },
  properties: {
    sessionExpiryInterval: 0xffff_ffff,
    receiveMaximum: 1,
    requestProblemInformation: 0,
    userProperties: [
      ['b', '2'],
      ['a', '1'],
      ['b', '1'],
    ],
  },
}

test('[MQTT-3.1.3-1] a CONNECT of 5.0 is decoded with all its fields in their order', (t) => {
  t.deepEqual(take(connectFrame(fullConnect)), fullConnect)
})

for (const protocolVersion of [3, 4] as const) {
  test(`a CONNECT of version ${protocolVersion} is decoded without properties`, (t) => {
    const will = {
      topicName: 'w',
      payload: Buffer.alloc(0),
      qos: 0,
      retain: false,
      properties: {},
    } as const
    const connect = { ...fullConnect, protocolVersion, cleanStart: true, will, properties: {} }

    t.deepEqual(take(connectFrame(connect)), connect)
  })
}

test('a CONNECT without Will, User Name and Password has none', (t) => {
  const bare = { will: undefined, userName: undefined, password: undefined, properties: {} }
  const connect: Connect = { ...fullConnect, ...bare, clientIdentifier: '' }

  t.deepEqual(take(connectFrame(connect)), connect)
})

test('a CONNECT of 3.1 may set the flags of User Name and Password and leave them out', (t) => {
  const protocolName = text('MQIsdp')
  const both = take(connectOf({ protocolName, level: 3, flags: 0xc2 }))
  const payload = [text('c'), text('u')]
  const one = take(connectOf({ protocolName, level: 3, flags: 0xc2, payload }))

  t.like(both, { clientIdentifier: 'c', userName: undefined, password: undefined })
  t.like(one, { clientIdentifier: 'c', userName: 'u', password: undefined })
})

test('a decoded CONNECT holds nothing of the chunk it came in', (t) => {
  const bytes = connectFrame(fullConnect)
  const connect = decodePacket(bytes, 0, bytes.length, undefined)

  bytes.fill(0)

  t.deepEqual(connect, fullConnect)
})

test('[MQTT-3.1.3-10] User Properties of a SUBSCRIBE keep their order', (t) => {
  const userProperties = [
    ['b', '1'],
    ['1', '2'],
    ['b', '3'],
  ] as const
  const of = properties({ subscriptionIdentifiers: [5], userProperties: [...userProperties] })

  const packet = take(frame(type.subscribe, 2, id, of, text('f'), 0x2e), 5)

  t.deepEqual(packet, {
    type: 'subscribe',
    packetIdentifier,
    subscriptions: [
      { topicFilter: 'f', qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 2 },
    ],
    properties: { subscriptionIdentifiers: [5], userProperties },
  })
})

for (const version of [3, 4] as const) {
  test(`a SUBSCRIBE of version ${version} has the options of MQTT 5.0 off`, (t) => {
    const off = { noLocal: false, retainAsPublished: false, retainHandling: 0 }

    const packet = take(frame(type.subscribe, 2, id, text('f'), 1, text('g/#'), 2), version)

    t.deepEqual(packet, {
      type: 'subscribe',
      packetIdentifier,
      subscriptions: [
        { topicFilter: 'f', qos: 1, ...off },
        { topicFilter: 'g/#', qos: 2, ...off },
      ],
      properties: {},
    })
  })
}

const decoded: readonly (readonly [string, MqttVersion, Buffer, InboundPacket])[] = [
  ['a PUBACK of two bytes', 5, frame(type.puback, 0, id), answer('puback')],
  ['a PUBREC of three bytes', 5, frame(type.pubrec, 0, id, 0x97), answer('pubrec', 0x97)],
  [
    'a PUBREL with properties',
    5,
    frame(type.pubrel, 2, id, 0x92, block(property('reasonString', ''))),
    answer('pubrel', 0x92, { reasonString: '' }),
  ],
  ['a PUBREL of 3.1 with DUP', 3, frame(type.pubrel, 10, id), answer('pubrel')],
  ['a PUBCOMP of 3.1.1', 4, frame(type.pubcomp, 0, id), answer('pubcomp')],
  [
    'an UNSUBSCRIBE of 3.1 with DUP',
    3,
    frame(type.unsubscribe, 10, id, text('f')),
    { type: 'unsubscribe', packetIdentifier, topicFilters: ['f'], properties: {} },
  ],
  [
    'an UNSUBSCRIBE',
    5,
    frame(type.unsubscribe, 2, id, block(), text('f'), text('f')),
    { type: 'unsubscribe', packetIdentifier, topicFilters: ['f', 'f'], properties: {} },
  ],
  ['a PINGREQ', 4, frame(type.pingreq, 0), { type: 'pingreq' }],
  ['a DISCONNECT of 3.1.1', 4, frame(type.disconnect, 0), end('disconnect', 0)],
  ['a DISCONNECT without a reason code', 5, frame(type.disconnect, 0), end('disconnect', 0)],
  ['a DISCONNECT of one byte', 5, frame(type.disconnect, 0, 4), end('disconnect', 4)],
  [
    'a DISCONNECT with properties',
    5,
    frame(type.disconnect, 0, 4, block(property('sessionExpiryInterval', 0))),
    end('disconnect', 4, { sessionExpiryInterval: 0 }),
  ],
  ['an AUTH without a reason code', 5, frame(type.auth, 0), end('auth', 0)],
  [
    'an AUTH with a method',
    5,
    frame(type.auth, 0, 0x18, block(property('authenticationMethod', 'm'))),
    end('auth', 0x18, { authenticationMethod: 'm' }),
  ],
]

for (const [what, version, packet, expected] of decoded) {
  test(`${what} is decoded`, (t) => {
    t.deepEqual(take(packet, version), expected)
  })
}

for (const version of versions) {
  test(`a PUBLISH of version ${version} is decoded in full`, (t) => {
    const publish: PublishInFull = {
      topic: '\uFEFFa/ä',
      payload: Buffer.from([0, 0xff]),
      qos: 1,
      retain: true,
      dup: true,
      packetIdentifier,
      properties: version === 5 ? { topicAlias: 3, messageExpiryInterval: 0 } : {},
    }
    const bytes = publishFrame(publish, version)

    t.deepEqual(decodePublishInFull(bytes, 0, bytes.length, version), publish)
  })
}

function connack(
  reasonCode: number,
  sessionPresent = false,
  of: Properties = none,
): OutboundPacket {
  return { type: 'connack', sessionPresent, reasonCode, properties: of }
}

type Encoded = readonly [what: string, OutboundPacket, MqttVersion, Buffer]

function same(what: string, packet: OutboundPacket, expected: Buffer): readonly Encoded[] {
  return [
    [what, packet, 3, expected],
    [what, packet, 4, expected],
  ]
}

const encoded: readonly Encoded[] = [
  ['a CONNACK', connack(0, true), 5, frame(type.connack, 0, 1, 0, block())],
  ['a CONNACK', connack(0, true), 4, frame(type.connack, 0, 1, 0)],
  ['a CONNACK without Session Present', connack(0, true), 3, frame(type.connack, 0, 0, 0)],
  [
    'a CONNACK that refuses',
    connack(0x87, false, reason),
    5,
    frame(type.connack, 0, 0, 0x87, properties(reason)),
  ],
  ...same('a CONNACK that refuses', connack(0x87, false, reason), frame(type.connack, 0, 0, 5)),
  ['a PUBACK', answer('puback'), 5, frame(type.puback, 0, id)],
  ...same('a PUBACK', answer('puback', 0x87, reason), frame(type.puback, 0, id)),
  ['a PUBREC that refuses', answer('pubrec', 0x97), 5, frame(type.pubrec, 0, id, 0x97, block())],
  [
    'a PUBREL with a reason',
    answer('pubrel', 0x92, reason),
    5,
    frame(type.pubrel, 2, id, 0x92, properties(reason)),
  ],
  ...same('a PUBREL', answer('pubrel'), frame(type.pubrel, 2, id)),
  [
    'a PUBCOMP with a property alone',
    answer('pubcomp', 0, reason),
    5,
    frame(type.pubcomp, 0, id, 0, properties(reason)),
  ],
  [
    'a SUBACK',
    codes('suback', [0, 1, 2, 0x8f]),
    5,
    frame(type.suback, 0, id, block(), [0, 1, 2, 0x8f]),
  ],
  [
    'a SUBACK with a reason',
    codes('suback', [0x80], reason),
    5,
    frame(type.suback, 0, id, properties(reason), 0x80),
  ],
  ...same(
    '[3.1.1: MQTT-3.9.3-2] a SUBACK',
    codes('suback', [2, 0x8f], reason),
    frame(type.suback, 0, id, [2, 0x80]),
  ),
  ['an UNSUBACK', codes('unsuback', [0, 0x11]), 5, frame(type.unsuback, 0, id, block(), [0, 0x11])],
  ...same('an UNSUBACK', codes('unsuback', []), frame(type.unsuback, 0, id)),
  ['a PINGRESP', { type: 'pingresp' }, 5, frame(type.pingresp, 0)],
  ...same('a PINGRESP', { type: 'pingresp' }, frame(type.pingresp, 0)),
  ['a DISCONNECT', end('disconnect', 0), 5, frame(type.disconnect, 0)],
  [
    'a DISCONNECT with a code',
    end('disconnect', 0x8e),
    5,
    frame(type.disconnect, 0, 0x8e, block()),
  ],
  [
    'a DISCONNECT with a property alone',
    end('disconnect', 0, reason),
    5,
    frame(type.disconnect, 0, 0, properties(reason)),
  ],
  ['an AUTH', end('auth', 0x18, method), 5, frame(type.auth, 0, 0x18, properties(method))],
  ['an AUTH of success', end('auth', 0), 5, frame(type.auth, 0)],
]

for (const [what, packet, version, expected] of encoded) {
  test(`${what} is encoded for version ${version}`, (t) => {
    t.deepEqual(encodePacket(packet, version), expected)
  })
}

test('a SUBACK of 300 codes has a Remaining Length of two bytes, with properties too', (t) => {
  const reasonCodes = Array.from({ length: 300 }, () => 1)
  const of: Properties = { reasonString: 'r'.repeat(200) }
  const packet = { type: 'suback', packetIdentifier, reasonCodes, properties: of } as const

  t.deepEqual(encodePacket(packet, 5), frame(type.suback, 0, id, properties(of), reasonCodes))
})

const serverProperties: Properties = {
  sessionExpiryInterval: 0,
  assignedClientIdentifier: '',
  serverKeepAlive: 0,
  authenticationMethod: '\uFEFFm',
  authenticationData: Buffer.alloc(0),
  responseInformation: 'ä',
  serverReference: '€',
  reasonString: '',
  receiveMaximum: 65_535,
  topicAliasMaximum: 0,
  maximumQos: 0,
  retainAvailable: 0,
  userProperties: [
    ['b', ''],
    ['10', 'x'],
    ['', 'y'],
    ['__proto__', 'z'],
    ['b', ''],
    ['2', 'x'],
  ],
  maximumPacketSize: 0xffff_ffff,
  wildcardSubscriptionAvailable: 0,
  subscriptionIdentifiersAvailable: 1,
  sharedSubscriptionAvailable: 0,
}

test('every property of a CONNACK arrives as it was given', (t) => {
  const bytes = encodePacket(connack(0, true, serverProperties), 5)
  const propertiesAt = 1 + 1 + 2

  t.deepEqual(bytes, frame(type.connack, 0, 1, 0, properties(serverProperties)))
  t.deepEqual(readProperties(bytes, propertiesAt, bytes.length, 'connack'), serverProperties)
})

test('a text that no string of MQTT can hold is refused rather than cut', (t) => {
  const of: Properties = { reasonString: 'ä'.repeat(32_768) }

  t.throws(() => encodePacket(connack(0, false, of), 5), { message: /at most 65,535 bytes/ })
})

for (const name of ['disconnect', 'auth'] as const) {
  test(`a server has no ${name} for a client of MQTT 3`, (t) => {
    const packet = { type: name, reasonCode: 0x8b, properties: none } as const

    t.throws(() => encodePacket(packet, 4), { message: /to a client of MQTT 3/ })
    t.throws(() => encodePacket(packet, 3), { message: /to a client of MQTT 3/ })
  })
}
