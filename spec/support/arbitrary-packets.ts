/** Random packets that a client may send, for property tests. */

import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import type {
  Connect,
  ConnectWill,
  InboundPacket,
  MqttVersion,
  Properties,
  PublishResponse,
  Subscribe,
  Unsubscribe,
} from '../../lib/protocol/packets.ts'
import { disconnectReasonCodesOfClients, reasonCodesOf } from '../../lib/protocol/reason-codes.ts'
import type { PublishInFull } from './publish-in-full.ts'

/** A packet and the version of its sender. */
export interface Sent<Packet> {
  version: MqttVersion
  packet: Packet
}

const bit = fc.constantFrom(0 as const, 1 as const)
const qos = fc.constantFrom(0 as const, 1 as const, 2 as const)
const uint16 = fc.integer({ min: 0, max: 65_535 })
const uint32 = fc.integer({ min: 0, max: 0xffff_ffff })
const packetIdentifier = fc.integer({ min: 1, max: 65_535 })
const bytes = fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array))

/** Any characters but U+0000; U+FEFF comes first now and then. */
const text = fc
  .tuple(
    fc.constantFrom('', '', '\uFEFF'),
    fc.oneof(fc.string({ maxLength: 20 }), fc.string({ unit: 'binary', maxLength: 8 })),
  )
  .map(([mark, rest]) => mark + rest.replaceAll('\0', '0'))
const topicName = text.map((name) => `${name.replaceAll(/[+#]/g, '/')}t`)
const topicFilter = fc.oneof(
  topicName,
  topicName.map((name) => `${name}/+/#`),
  topicName.map((name) => `$share/g/${name}`),
)

const userProperties = fc.array(
  fc.tuple(fc.oneof(text, fc.constantFrom('1', '0', '__proto__', 'a', 'b')), text),
  { minLength: 1, maxLength: 5 },
)
const allOptional = { requiredKeys: [] }

/** One kind of packet says nothing of authentication, the other has a method and perhaps data. */
function withAuthentication(others: fc.Arbitrary<Properties>): fc.Arbitrary<Properties> {
  const method = fc.record(
    { authenticationMethod: text, authenticationData: bytes },
    { requiredKeys: ['authenticationMethod'] },
  )
  return fc.oneof(
    others,
    fc.tuple(others, method).map(([other, authentication]) => ({ ...other, ...authentication })),
  )
}

const messageProperties = {
  payloadFormatIndicator: bit,
  messageExpiryInterval: uint32,
  contentType: text,
  responseTopic: topicName,
  correlationData: bytes,
  userProperties,
}
const responseProperties: fc.Arbitrary<Properties> = fc.record(
  { reasonString: text, userProperties },
  allOptional,
)

/** Arbitrary properties in MQTT 5.0, none in 3.x. */
function propertiesOf(
  version: MqttVersion,
  inVersion5: fc.Arbitrary<Properties>,
): fc.Arbitrary<Properties> {
  return version === 5 ? inVersion5 : fc.constant({})
}

function will(version: MqttVersion): fc.Arbitrary<ConnectWill> {
  const inVersion5 = fc.record({ ...messageProperties, willDelayInterval: uint32 }, allOptional)
  return fc.record({
    topicName,
    payload: bytes,
    qos,
    retain: fc.boolean(),
    properties: propertiesOf(version, inVersion5),
  })
}

function connect(version: MqttVersion): fc.Arbitrary<Connect> {
  const inVersion5 = fc.record(
    {
      sessionExpiryInterval: uint32,
      receiveMaximum: fc.integer({ min: 1, max: 65_535 }),
      maximumPacketSize: fc.integer({ min: 1, max: 0xffff_ffff }),
      topicAliasMaximum: uint16,
      requestProblemInformation: bit,
      requestResponseInformation: bit,
      userProperties,
    },
    allOptional,
  )
  return fc
    .record({
      type: fc.constant('connect' as const),
      protocolVersion: fc.constant(version),
      clientIdentifier: text,
      cleanStart: fc.boolean(),
      keepAliveSeconds: uint16,
      userName: fc.option(text, { nil: undefined }),
      password: fc.option(bytes, { nil: undefined }),
      will: fc.option(will(version), { nil: undefined }),
      properties: propertiesOf(version, withAuthentication(inVersion5)),
    })
    .filter(
      ({ userName, password }) => version === 5 || userName !== undefined || password === undefined,
    )
}

function response(version: MqttVersion): fc.Arbitrary<PublishResponse> {
  return fc.constantFrom('puback', 'pubrec', 'pubrel', 'pubcomp').chain((type) =>
    fc.record({
      type: fc.constant(type),
      packetIdentifier,
      reasonCode: version === 5 ? fc.constantFrom(...reasonCodesOf[type]) : fc.constant(0),
      properties: propertiesOf(version, responseProperties),
    }),
  )
}

function subscribe(version: MqttVersion): fc.Arbitrary<Subscribe> {
  const inVersion5 = fc.record(
    {
      subscriptionIdentifiers: fc.tuple(fc.integer({ min: 1, max: 268_435_455 })),
      userProperties,
    },
    allOptional,
  )
  const options = {
    noLocal: fc.boolean(),
    retainAsPublished: fc.boolean(),
    retainHandling: fc.constantFrom(0 as const, 1 as const, 2 as const),
  }
  const off = {
    noLocal: fc.constant(false),
    retainAsPublished: fc.constant(false),
    retainHandling: fc.constant(0 as const),
  }
  const request = fc
    .record({ topicFilter, qos, ...(version === 5 ? options : off) })
    .filter((each) => !each.noLocal || !each.topicFilter.startsWith('$share/'))
  return fc.record({
    type: fc.constant('subscribe' as const),
    packetIdentifier,
    subscriptions: fc.array(request, { minLength: 1, maxLength: 4 }),
    properties: propertiesOf(version, inVersion5),
  })
}

function unsubscribe(version: MqttVersion): fc.Arbitrary<Unsubscribe> {
  return fc.record({
    type: fc.constant('unsubscribe' as const),
    packetIdentifier,
    topicFilters: fc.array(topicFilter, { minLength: 1, maxLength: 4 }),
    properties: propertiesOf(version, fc.record({ userProperties }, allOptional)),
  })
}

function ending(version: MqttVersion): fc.Arbitrary<InboundPacket> {
  const type = fc.constant('disconnect' as const)
  if (version !== 5) {
    return fc.record({ type, reasonCode: fc.constant(0), properties: fc.constant({}) })
  }
  const ofDisconnect = fc.record(
    { sessionExpiryInterval: uint32, reasonString: text, userProperties },
    allOptional,
  )
  const ofAuth = fc.record(
    { authenticationMethod: text, authenticationData: bytes, reasonString: text, userProperties },
    { requiredKeys: ['authenticationMethod'] },
  )
  return fc.oneof(
    fc.record({
      type,
      reasonCode: fc.constantFrom(...disconnectReasonCodesOfClients),
      properties: ofDisconnect,
    }),
    fc.record({
      type: fc.constant('auth' as const),
      reasonCode: fc.constantFrom(...reasonCodesOf.auth),
      properties: ofAuth,
    }),
  )
}

/** Every packet that a client may send in `version`, PUBLISH aside. */
export function inboundPacket(version: MqttVersion): fc.Arbitrary<InboundPacket> {
  return fc.oneof(
    { weight: 3, arbitrary: connect(version) },
    { weight: 2, arbitrary: response(version) },
    { weight: 2, arbitrary: subscribe(version) },
    unsubscribe(version),
    ending(version),
    fc.constant({ type: 'pingreq' as const }),
  )
}

/** Every PUBLISH that a client may send in `version`. */
export function inboundPublish(version: MqttVersion): fc.Arbitrary<PublishInFull> {
  const alias = fc.integer({ min: 1, max: 65_535 })
  const named = fc.record({ ...messageProperties, topicAlias: alias }, allOptional)
  const aliased = fc.record(
    { ...messageProperties, topicAlias: alias },
    { requiredKeys: ['topicAlias'] },
  )
  const withTopic = fc.tuple(topicName, propertiesOf(version, named))
  const addressed =
    version === 5 ? fc.oneof(withTopic, fc.tuple(fc.constant(''), aliased)) : withTopic
  return fc
    .tuple(addressed, bytes, qos, fc.boolean(), fc.boolean(), packetIdentifier)
    .map(([[topic, properties], payload, level, retain, dup, identifier]) => ({
      topic,
      payload,
      qos: level,
      retain,
      dup: level > 0 && dup,
      packetIdentifier: level > 0 ? identifier : undefined,
      properties,
    }))
}
