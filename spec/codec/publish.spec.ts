import { Buffer } from 'node:buffer'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import { decodePublish, PublishHeader } from '../../lib/codec/publish-decoder.ts'
import {
  PublishEncoder,
  type PublishFrame,
  type PublishShape,
  SHARED_PAYLOAD_MIN_BYTES,
} from '../../lib/codec/publish-encoder.ts'
import { ProtocolError } from '../../lib/protocol/errors.ts'
import { composeBody, Message } from '../../lib/protocol/message.ts'
import type { MqttVersion, Properties } from '../../lib/protocol/packets.ts'
import { refuses } from '../support/check.ts'
import { decodePublishInFull } from '../support/publish-in-full.ts'
import {
  block,
  bodyStartOf,
  frame,
  properties,
  property,
  text,
  twoBytes,
} from '../support/raw-packets.ts'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

const NOW = 1_700_000_000_000
const id = twoBytes(7)

function decode(packet: Buffer, version: MqttVersion, header = new PublishHeader()): Message {
  return decodePublish(packet, 0, bodyStartOf(packet), packet.length, version, NOW, header)
}

function shapeOf(change: Partial<PublishShape> = {}): PublishShape {
  const plain = { qos: 0, retain: false, subscriptionIdentifiers: undefined } as const
  return { version: 5, ...plain, topicAlias: 0, isTopicSent: true, ...change }
}

/** What a frame without a shared payload says. */
function contentOf(
  encoded: PublishFrame,
  version: MqttVersion,
): ReturnType<typeof decodePublishInFull> {
  return decodePublishInFull(encoded.bytes, encoded.start, encoded.end, version)
}

function messageWith(
  payload: Buffer,
  list: Buffer = Buffer.alloc(0),
  expiresAt = Number.POSITIVE_INFINITY,
): Message {
  return Message.fromBody(composeBody('t', list, payload), 1, false, expiresAt)
}

test('a Topic Name is judged by its own bytes, whatever the one before was', (t) => {
  const header = new PublishHeader()
  const read = (name: Buffer): string =>
    decode(frame(3, 0, Buffer.concat([twoBytes(name.length), name])), 4, header).topic

  for (const name of ['a/b', 'a/c', 'a/c', 'a/cd', 'b/cd', 'é', 'é', 'aé', 'a/b'])
    t.is(read(Buffer.from(name)), name)
  read(Buffer.from('é'))
  t.throws(() => read(Buffer.from([0xe9])), { instanceOf: ProtocolError })
  read(Buffer.from('a/b'))
  t.throws(() => read(Buffer.from('a/+')), { instanceOf: ProtocolError })
})

const topic = text('t')
const refusals: readonly (readonly [string, MqttVersion, Buffer, number, string])[] = [
  ['[MQTT-3.3.1-4] QoS 3', 4, frame(3, 6, topic, id), 0x81, 'PUBLISH with both QoS bits set'],
  ['[MQTT-3.3.1-2] DUP at QoS 0', 4, frame(3, 8, topic), 0x81, 'PUBLISH with DUP at QoS 0'],
  ['[MQTT-3.3.2-1] no Topic Name', 4, frame(3, 0, 0), 0x81, 'PUBLISH without a Topic Name'],
  [
    'a Topic Name that is cut off',
    4,
    frame(3, 0, 0, 2, 0x74),
    0x81,
    'PUBLISH whose Topic Name runs past its end',
  ],
  ['[MQTT-2.2.1-3] Packet Identifier 0', 4, frame(3, 2, topic, 0, 0), 0x81, 'Packet Identifier 0'],
  ['no Packet Identifier', 5, frame(3, 2, topic, 0), 0x81, 'PUBLISH without a Packet Identifier'],
  ['[MQTT-4.7.3-1] an empty topic in 3.1.1', 4, frame(3, 0, text('')), 0x90, 'empty Topic Name'],
  [
    'an empty topic without an alias',
    5,
    frame(3, 0, text(''), block()),
    0x82,
    'empty Topic Name without a Topic Alias',
  ],
  ['[MQTT-3.3.2-2] a wildcard +', 4, frame(3, 0, text('a/+')), 0x90, 'wildcard in a Topic Name'],
  ['[MQTT-3.3.2-2] a wildcard #', 4, frame(3, 0, text('ä/#')), 0x90, 'wildcard in a Topic Name'],
  [
    '[MQTT-1.5.4-1] a surrogate',
    4,
    frame(3, 0, text([0xed, 0xa0, 0x80])),
    0x81,
    'Topic Name is not well-formed UTF-8 without U+0000',
  ],
  [
    '[MQTT-4.7.3-2] U+0000',
    4,
    frame(3, 0, text('a\0')),
    0x81,
    'Topic Name is not well-formed UTF-8 without U+0000',
  ],
  [
    '[MQTT-3.3.2-8] Topic Alias 0',
    5,
    frame(3, 0, topic, block(property('topicAlias', 0))),
    0x94,
    'Topic Alias 0',
  ],
  [
    '[MQTT-3.3.4-6] a Subscription Identifier',
    5,
    frame(3, 0, topic, block(property('subscriptionIdentifiers', 1))),
    0x82,
    'Subscription Identifier in a PUBLISH of a client',
  ],
]

for (const [what, version, packet, reasonCode, rule] of refusals) {
  test(`the fast path refuses ${what}`, (t) => {
    refuses(t, () => decode(packet, version), reasonCode, rule)
  })
}

test('[MQTT-1.5.4-3] U+FEFF at the start of a topic is part of it', (t) => {
  t.is(decode(frame(3, 0, text('\uFEFFa')), 4).topic, '\uFEFFa')
})

test('a message is a view of the packet until it is stored', (t) => {
  const packet = frame(3, 2, topic, id, Buffer.from('payload'))
  const message = decode(packet, 4)
  t.is(message.bytes, packet)

  const body = message.body()
  packet.fill(0)

  t.is(message.payload.toString(), 'payload')
  t.is(message.bytes, body)
})

function expiring(seconds: number): Message {
  return decode(frame(3, 0, topic, properties({ messageExpiryInterval: seconds })), 5)
}

test('the Message Expiry Interval counts from the moment of arrival', (t) => {
  t.is(expiring(0xffff_ffff).expiresAt, NOW + 4_294_967_295_000)
  t.true(expiring(0).isExpired(NOW))
  t.false(expiring(1).isExpired(NOW + 999))
})

for (const [version, others] of [
  [5, [3, 4]],
  [4, [5]],
  [3, [5]],
] as const) {
  test(`a plain PUBLISH of version ${version} is passed on to its like as it came, and to no other`, (t) => {
    const packet = frame(3, 0, topic, version === 5 ? properties({ contentType: 'c' }) : [], 0x70)
    const message = decode(packet, version)
    const encoder = new PublishEncoder()
    const passedOn = encoder.encode(message, shapeOf({ version }), NOW)

    t.is(passedOn.bytes, packet)
    t.is(passedOn.size, packet.length)
    for (const other of others) {
      t.not(encoder.encode(message, shapeOf({ version: other }), NOW).bytes, packet)
    }
    t.not(encoder.encode(message, shapeOf({ version, qos: 1 }), NOW).bytes, packet)
  })

  test(`a PUBLISH of version ${version} that differs in its flags alone is passed on with those of its receiver`, (t) => {
    // QoS 1, DUP, RETAIN.
    const packet = frame(3, 0x0b, topic, id, version === 5 ? [0] : [], 0x70)
    const encoder = new PublishEncoder()
    const message = decode(packet, version)

    const passedOn = encoder.encode(message, shapeOf({ version, qos: 1 }), NOW)

    t.is(passedOn.bytes, packet)
    t.true(passedOn.isPassedOn)
    t.is(passedOn.firstByte, 0x32)
    t.is(passedOn.packetIdentifierAt, packet.indexOf(id))
    t.is(encoder.encode(message, shapeOf({ version, qos: 1, retain: true }), NOW).firstByte, 0x33)
    t.false(encoder.encode(message, shapeOf({ version, qos: 0 }), NOW).isPassedOn)
  })
}

test('a large PUBLISH, which is not copied, is passed on only as it came', (t) => {
  const payload = Buffer.alloc(SHARED_PAYLOAD_MIN_BYTES)
  const message = (flags: number): Message =>
    decode(frame(3, flags, topic, flags > 1 ? id : [], payload), 4)
  const encode = (of: Message, wanted: Partial<PublishShape>): boolean =>
    new PublishEncoder().encode(of, shapeOf({ version: 4, ...wanted }), NOW).isPassedOn

  t.true(encode(message(0), {}))
  t.true(encode(message(1), { retain: true }))
  t.false(encode(message(1), {}))
  t.false(encode(message(2), { qos: 1 }))
})

test('what leaves at QoS 0 with the same flags and Topic Alias leaves as it came', (t) => {
  const isVerbatim = (
    packet: Buffer,
    wanted: Partial<PublishShape>,
    version: 4 | 5 = 5,
  ): boolean => {
    const frameOf = new PublishEncoder().encode(
      decode(packet, version),
      shapeOf({ version, ...wanted }),
      NOW,
    )
    return frameOf.isVerbatim
  }
  const plain = frame(3, 0, topic, 0x70)
  t.true(isVerbatim(plain, {}, 4))
  t.false(isVerbatim(frame(3, 1, topic, 0x70), {}, 4))
  t.true(isVerbatim(frame(3, 1, topic, 0x70), { retain: true }, 4))
  t.false(isVerbatim(frame(3, 2, topic, id, 0x70), { qos: 1 }, 4))
  t.false(isVerbatim(frame(3, 2, topic, id, 0x70), {}, 4))

  const using = frame(3, 0, [0, 0], properties({ contentType: 'c', topicAlias: 0x0107 }), 0x70)
  t.true(isVerbatim(using, { topicAlias: 0x0107, isTopicSent: false }))
  t.false(isVerbatim(using, { topicAlias: 7, isTopicSent: false }))
  t.false(isVerbatim(using, { topicAlias: 0x0101, isTopicSent: false }))
  t.false(isVerbatim(using, {}))
})

test('a PUBLISH with a Topic Alias is passed on with that of its receiver, if both have the topic or neither', (t) => {
  const properties5 = properties({ contentType: 'c', topicAlias: 7 })
  const setting = frame(3, 2, topic, id, properties5, 0x70)
  const using = frame(3, 2, [0, 0], id, properties5, 0x70)
  const encode = (packet: Buffer, isTopicSent: boolean) =>
    new PublishEncoder().encode(
      decode(packet, 5),
      shapeOf({ version: 5, qos: 1, topicAlias: 9, isTopicSent }),
      NOW,
    )

  for (const [packet, isTopicSent] of [
    [setting, true],
    [using, false],
  ] as const) {
    const passedOn = encode(packet, isTopicSent)
    t.is(passedOn.bytes, packet)
    t.is(passedOn.packetIdentifierAt, packet.indexOf(id))
    t.is(passedOn.topicAliasAt, packet.lastIndexOf(Buffer.from([0, 7])))
    t.not(encode(packet, !isTopicSent).bytes, packet)
  }
})

const differing: Record<string, readonly [flags: number, of: Properties]> = {
  'with a Topic Alias': [0, { topicAlias: 1 }],
  'with a Message Expiry Interval': [0, { messageExpiryInterval: 60 }],
  'at QoS 1': [2, {}],
}

for (const [what, [flags, of]] of Object.entries(differing)) {
  test(`a PUBLISH ${what} is not passed on as it came`, (t) => {
    const packet = frame(3, flags, topic, flags === 2 ? id : [], properties(of), 0x70)

    const encoded = new PublishEncoder().encode(decode(packet, 5), shapeOf(), NOW)

    t.not(encoded.bytes, packet)
    t.is(contentOf(encoded, 5).properties.topicAlias, undefined)
    t.false(contentOf(encoded, 5).retain)
  })
}

test('a large payload is shared by reference, a smaller one is copied', (t) => {
  const encoder = new PublishEncoder()
  const sizes = [SHARED_PAYLOAD_MIN_BYTES - 1, SHARED_PAYLOAD_MIN_BYTES].map((size) => {
    const encoded = encoder.encode(messageWith(Buffer.alloc(size)), shapeOf(), NOW)
    return [encoded.hasSharedPayload, encoded.end - encoded.start, encoded.size]
  })

  t.deepEqual(sizes, [
    [false, 16_383 + 8, 16_383 + 8],
    [true, 8, 16_384 + 8],
  ])
})

test('the same shape of the same message is encoded once', (t) => {
  const encoder = new PublishEncoder()
  const message = messageWith(Buffer.from('p'))
  const first = encoder.encode(message, shapeOf({ qos: 1 }), NOW)
  const bytes = Buffer.from(first.bytes.subarray(first.start, first.end))
  const { start } = first

  encoder.encode(message, shapeOf({ qos: 2 }), NOW)
  const again = encoder.encode(message, shapeOf({ qos: 1 }), NOW)

  t.is(again.start, start)
  t.deepEqual(again.bytes.subarray(again.start, again.end), bytes)
})

test('[MQTT-3.3.2-6] the interval sent is what came less the seconds waited, at least one, at most what fits', (t) => {
  const encoder = new PublishEncoder()
  const message = messageWith(Buffer.from('p'), undefined, NOW + 10_000)
  const intervals = [0, 1, 1_000, 9_999, 20_000].map((waitedMs) => {
    const encoded = encoder.encode(message, shapeOf(), NOW + waitedMs)
    return contentOf(encoded, 5).properties.messageExpiryInterval
  })
  t.deepEqual(intervals, [10, 10, 9, 1, 1])

  const lasting = messageWith(Buffer.from('p'), undefined, NOW + 1e15)
  const { messageExpiryInterval } = contentOf(encoder.encode(lasting, shapeOf(), NOW), 5).properties
  t.is(messageExpiryInterval, 0xffff_ffff)
})

test('properties larger than the room of the encoder are written whole, in each shape', (t) => {
  const of: Properties = {
    userProperties: Array.from({ length: 4 }, (_, i) => [`${i}`, 'v'.repeat(65_000)]),
  }
  const list = properties(of).subarray(3)
  const message = messageWith(Buffer.from('p'), list)
  const encoder = new PublishEncoder()

  for (const qos of [0, 1, 2, 0] as const) {
    const encoded = encoder.encode(
      message,
      shapeOf({ qos, subscriptionIdentifiers: qos ? [qos] : undefined }),
      NOW,
    )
    const { userProperties, subscriptionIdentifiers } = contentOf(encoded, 5).properties
    t.deepEqual(userProperties, of.userProperties)
    t.deepEqual(subscriptionIdentifiers, qos ? [qos] : undefined)
  }
})

test('an encoder that is released holds neither message nor the chunk it came in', async (t) => {
  const encoder = new PublishEncoder()
  const references = (() => {
    const packet = frame(3, 0, topic, Buffer.alloc(50_000))
    const message = decode(packet, 4)
    const big = messageWith(Buffer.from('p'), property('contentType', 'c'.repeat(60_000)))
    encoder.encode(message, shapeOf({ version: 4 }), NOW)
    encoder.encode(big, shapeOf(), NOW)
    return [packet, message, big].map((each) => new WeakRef(each))
  })()

  encoder.release()
  await new Promise((resolve) => setImmediate(resolve)) // A WeakRef holds until the turn ends.
  collectGarbage()

  t.deepEqual(
    references.map((reference) => reference.deref() === undefined),
    [true, true, true],
  )
})
