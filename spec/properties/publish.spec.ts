import { Buffer } from 'node:buffer'
import { isDeepStrictEqual } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { Decoder } from '../../lib/codec/decoder.ts'
import { checkPacket } from '../../lib/codec/packet-check.ts'
import { readProperties } from '../../lib/codec/property-cursor.ts'
import { decodePublish, PublishHeader } from '../../lib/codec/publish-decoder.ts'
import { PublishEncoder, type PublishShape } from '../../lib/codec/publish-encoder.ts'
import { NamesAhead } from '../../lib/connection/names-ahead.ts'
import { ProtocolError } from '../../lib/protocol/errors.ts'
import { Message } from '../../lib/protocol/message.ts'
import type { MqttVersion, Properties } from '../../lib/protocol/packets.ts'
import { MatchCache } from '../../lib/router/match-cache.ts'
import { TopicTrie } from '../../lib/router/topic-trie.ts'
import { inboundPublish } from '../support/arbitrary-packets.ts'
import { decodePublishInFull, type PublishInFull } from '../support/publish-in-full.ts'
import {
  block,
  bodyStartOf,
  frame,
  join,
  properties,
  publishFrame,
} from '../support/raw-packets.ts'

const NOW = 1_700_000_000_000
const NOISE = Buffer.from([0xff, 0x26, 0x00])
const versions: readonly MqttVersion[] = [3, 4, 5]

/** All topics there were. */
const names = new MatchCache(new TopicTrie<never, never>())

interface Decoded {
  readonly message: Message
  readonly header: PublishHeader
}

/** Decodes a frame that stands amid other bytes, in memory of its own. */
function decodeFast(packet: Buffer, version: MqttVersion): Decoded {
  const bytes = join(NOISE, packet, NOISE)
  const [start, end] = [NOISE.length, NOISE.length + packet.length]
  const header = new PublishHeader()
  // Left over from the packet before.
  Object.assign(header, {
    isDuplicate: true,
    packetIdentifier: 9,
    topicAlias: 9,
    isPayloadUtf8: true,
  })
  const decode = (): Message =>
    decodePublish(bytes, start, bodyStartOf(bytes, start), end, version, NOW, header)
  const { topic } = decode()
  // A connection whose packet before had another topic, where this one is remembered.
  names.receiversOf(topic)
  const decoder = new Decoder(bytes.length)
  decoder.start = start
  const other = new PublishHeader(new NamesAhead(decoder, names))
  const again = decodePublish(bytes, start, bodyStartOf(bytes, start), end, version, NOW, other)
  if (again.topic !== topic) throw new Error(`${topic} is known as ${again.topic}`)
  const message = decode()
  // By then it is the Topic Name of the packet before.
  if (message.topic !== topic) throw new Error(`${topic} has become ${message.topic}`)
  return { message, header }
}

/** What a message says, in the form of the slow path. */
function inFull({ message, header }: Decoded): PublishInFull {
  const list = message.propertyBytes.subarray(message.propertiesStart, message.propertiesEnd)
  const propertyBlock = block(list)
  const forwarded = readProperties(propertyBlock, 0, propertyBlock.length, 'publish')
  if (header.topicAlias !== 0) forwarded.topicAlias = header.topicAlias
  if (message.expiresAt !== Number.POSITIVE_INFINITY) {
    forwarded.messageExpiryInterval = (message.expiresAt - NOW) / 1000
  }
  return {
    topic: message.topic,
    payload: Buffer.from(message.payload),
    qos: message.qos,
    retain: message.retain,
    dup: header.isDuplicate,
    packetIdentifier: header.packetIdentifier === 0 ? undefined : header.packetIdentifier,
    properties: forwarded,
  }
}

function isRefused(act: () => void): boolean {
  try {
    act()
    return false
  } catch (error) {
    if (error instanceof ProtocolError && error.reasonCode >= 0x80) return true
    throw error
  }
}

function isRefusedByCheck(packet: Buffer, version: MqttVersion): boolean {
  return isRefused(() => checkPacket(packet, 0, bodyStartOf(packet), packet.length, version))
}

/** `deepEqual` at a hundredth of its cost where both are equal. */
function same(t: ExecutionContext, actual: unknown, wanted: unknown): void {
  if (!isDeepStrictEqual(actual, wanted)) t.deepEqual(actual, wanted)
}

const anyVersion = fc.constantFrom(...versions)
const publishAndVersion = anyVersion.chain((version) =>
  inboundPublish(version).map((publish) => [publish, version] as const),
)

test('the fast path says of every PUBLISH what the slow path says', (t) => {
  fc.assert(
    fc.property(publishAndVersion, ([publish, version]) => {
      const packet = publishFrame(publish, version)
      const fast = decodeFast(packet, version)

      same(t, inFull(fast), publish)
      same(t, inFull(fast), decodePublishInFull(packet, 0, packet.length, version))
      t.is(fast.header.isPayloadUtf8, publish.properties.payloadFormatIndicator === 1)
      t.is(fast.message.payloadLength, publish.payload.length)
    }),
    { numRuns: 1_500 },
  )
})

/** A PUBLISH with bytes of its body changed, cut or added, and any flags. */
const damaged = fc
  .record({
    of: publishAndVersion,
    version: anyVersion,
    flags: fc.option(fc.nat(15), { nil: undefined }),
    places: fc.array(
      fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(0, 0x23, 0x2b, 0x0b, 0x02))),
      { maxLength: 3 },
    ),
    length: fc.option(fc.nat(80), { nil: undefined }),
  })
  .map(({ of: [publish, own], version, flags, places, length }) => {
    const packet = publishFrame(publish, own)
    const body = Buffer.from(packet.subarray(bodyStartOf(packet)))
    for (const [place, byte] of places) if (body.length > 0) body[place % body.length] = byte
    return [frame(3, flags ?? packet[0]! & 15, body.subarray(0, length)), version] as const
  })

test('the fast path refuses what the check refuses, and nothing else', (t) => {
  let refused = 0
  let accepted = 0

  fc.assert(
    fc.property(damaged, ([packet, version]) => {
      const isBad = isRefusedByCheck(packet, version)
      t.is(
        isRefused(() => decodeFast(packet, version)),
        isBad,
      )
      if (isBad) refused++
      else {
        accepted++
        same(
          t,
          inFull(decodeFast(packet, version)),
          decodePublishInFull(packet, 0, packet.length, version),
        )
      }
    }),
    { numRuns: 5_000 },
  )

  // Both happen, else the test shows nothing.
  t.true(refused > 500 && accepted > 500)
})

/** A property written by hand, with the bytes of the wrong ones too. */
const strangeBlock = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        [0x01, 0],
        [0x01, 1],
        [0x01, 2],
        [0x02, 0, 0, 0, 9],
        [0x03, 0, 1, 0x61],
        [0x08, 0, 1, 0x2b],
      ),
      fc.constantFrom(
        [0x23, 0, 1],
        [0x23, 0, 0],
        [0x0b, 5],
        [0x09, 0, 0],
        [0x26, 0, 1, 0x61, 0, 0],
        [0x21, 0, 1],
      ),
      fc.constantFrom([0x03, 0, 1, 0], [0x26, 0, 1, 0xff, 0, 0], [0x03, 0, 9], [0x7f]),
    ),
    { maxLength: 5 },
  )
  .map((parts) => block(...parts))

test('[MQTT-3.3.4-6] the fast path refuses the property blocks that the check refuses, and cuts out its own', (t) => {
  fc.assert(
    fc.property(strangeBlock, fc.constantFrom('', 't'), (propertyBlock, topic) => {
      const packet = frame(3, 0, [0, topic.length], Buffer.from(topic), propertyBlock, [0x70])
      const isBad = isRefusedByCheck(packet, 5)
      t.is(
        isRefused(() => decodeFast(packet, 5)),
        isBad,
      )
      if (isBad) return
      same(t, inFull(decodeFast(packet, 5)), decodePublishInFull(packet, 0, packet.length, 5))
    }),
    { numRuns: 3_000 },
  )
  t.pass()
})

test('what a connection remembers of one PUBLISH changes nothing about the next', (t) => {
  const almostSame = strangeBlock.chain((one) =>
    fc.tuple(
      fc.constant(one),
      fc.oneof(
        fc.constant(one),
        strangeBlock,
        fc.tuple(fc.nat(), fc.nat(255)).map(([place, byte]) => {
          const other = Buffer.from(one)
          other[place % other.length] = byte
          return other
        }),
      ),
    ),
  )
  let known = 0

  fc.assert(
    fc.property(almostSame, ([before, after]) => {
      const header = new PublishHeader()
      const decode = (propertyBlock: Buffer, into: PublishHeader): unknown => {
        const packet = frame(3, 0, [0, 1, 0x74], propertyBlock, [0x70])
        const bodyStart = bodyStartOf(packet)
        try {
          const message = decodePublish(packet, 0, bodyStart, packet.length, 5, NOW, into)
          return inFull({ message, header: into })
        } catch (error) {
          return String(error)
        }
      }
      decode(before, header)
      same(t, decode(after, header), decode(after, new PublishHeader()))
      if (before.equals(after)) known++
    }),
    { numRuns: 3_000 },
  )
  t.true(known > 500)
})

/** A message as routing sees it, and what it says. */
interface Sample {
  readonly message: Message
  readonly publish: PublishInFull
}

const payload = fc
  .tuple(fc.constantFrom(0, 1, 20, 127, 16_383, 16_384, 40_000), fc.nat(255))
  .map(([size, fill]) => Buffer.alloc(size, fill))
const sample: fc.Arbitrary<Sample> = fc
  .tuple(publishAndVersion, payload, fc.boolean(), fc.string({ minLength: 1, maxLength: 5 }))
  .map(([[inbound, version], content, isStored, aliased]) => {
    const publish = { ...inbound, payload: content }
    const { message, header } = decodeFast(publishFrame(publish, version), version)
    if (header.topicAlias !== 0 && publish.topic === '') {
      publish.topic = aliased
      message.topic = aliased
    }
    if (isStored) message.body()
    return { message, publish }
  })

const shape: fc.Arbitrary<PublishShape> = fc
  .record({
    version: fc.constantFrom(...versions, 5 as const, 5 as const),
    qos: fc.constantFrom(0, 0, 1, 2),
    retain: fc.constantFrom(false, false, true),
    subscriptionIdentifiers: fc.option(
      fc.array(fc.constantFrom(1, 127, 128, 16_384, 268_435_455), { minLength: 1, maxLength: 3 }),
      { nil: undefined },
    ),
    topicAlias: fc.constantFrom(0, 0, 1, 65_535),
    isTopicSent: fc.boolean(),
  })
  .map((any) => ({
    ...any,
    subscriptionIdentifiers: any.version === 5 ? any.subscriptionIdentifiers : undefined,
    topicAlias: any.version === 5 ? any.topicAlias : 0,
    isTopicSent: any.isTopicSent || any.version !== 5 || any.topicAlias === 0,
  }))

function expected({ publish }: Sample, wanted: PublishShape, now: number): PublishInFull {
  const { messageExpiryInterval, topicAlias: _, ...forwarded } = publish.properties
  const of: Properties = wanted.version === 5 ? { ...forwarded } : {}
  if (wanted.version === 5) {
    if (messageExpiryInterval !== undefined) {
      const left = Math.ceil((NOW + messageExpiryInterval * 1000 - now) / 1000)
      of.messageExpiryInterval = Math.max(1, left)
    }
    if (wanted.topicAlias !== 0) of.topicAlias = wanted.topicAlias
    if (wanted.subscriptionIdentifiers !== undefined) {
      of.subscriptionIdentifiers = [...wanted.subscriptionIdentifiers]
    }
  }
  return {
    topic: wanted.isTopicSent ? publish.topic : '',
    payload: publish.payload,
    qos: wanted.qos,
    retain: wanted.retain,
    dup: false,
    packetIdentifier: wanted.qos === 0 ? undefined : 0x0102,
    properties: of,
  }
}

/** The packet as the connection sends it: its own copy, with its own Packet Identifier and Topic Alias. */
function sent(
  encoder: PublishEncoder,
  { message }: Sample,
  wanted: PublishShape,
  now: number,
): Buffer {
  const encoded = encoder.encode(message, wanted, now)
  const head = Buffer.from(encoded.bytes.subarray(encoded.start, encoded.end))
  head[0] = encoded.firstByte
  if (wanted.qos > 0) head.writeUInt16BE(0x0102, encoded.packetIdentifierAt)
  if (encoded.topicAliasAt > 0) head.writeUInt16BE(wanted.topicAlias, encoded.topicAliasAt)
  const packet = encoded.hasSharedPayload ? join(head, message.payload) : head
  if (packet.length !== encoded.size) throw new Error('size is not that of the packet')
  return packet
}

test('what the encoder writes says what the message says, whatever it wrote before', (t) => {
  const step = fc.record({
    which: fc.nat(2),
    shape,
    delayMs: fc.constantFrom(0, 0, 0, 1, 999, 1_000, 5_000_000_000_000),
    afterwards: fc.constantFrom('nothing', 'nothing', 'nothing', 'nothing', 'store', 'release'),
  })

  fc.assert(
    fc.property(
      fc.tuple(sample, sample, sample),
      fc.array(step, { minLength: 1, maxLength: 30, size: 'max' }),
      (samples, steps) => {
        const encoder = new PublishEncoder()
        let now = NOW
        for (const { which, shape: wanted, delayMs, afterwards } of steps) {
          const one = samples[which]!
          now += delayMs
          const packet = sent(encoder, one, wanted, now)
          const decoded = decodePublishInFull(packet, 0, packet.length, wanted.version)
          same(t, decoded, expected(one, wanted, now))
          if (afterwards === 'store') one.message.body()
          if (afterwards === 'release') encoder.release()
        }
      },
    ),
    { numRuns: 400 },
  )
  t.pass()
})

test('[MQTT-3.3.2-18] [MQTT-3.3.1-3] every shape of one message stays right while others are written', (t) => {
  const plainShape = shape.map((any) => ({
    ...any,
    subscriptionIdentifiers: undefined,
    topicAlias: 0,
    isTopicSent: true,
  }))

  fc.assert(
    fc.property(sample, fc.array(fc.tuple(plainShape, shape), { maxLength: 12 }), (one, shapes) => {
      const encoder = new PublishEncoder()
      const frames = shapes.map(([shared, own]) => {
        const encoded = encoder.encode(one.message, shared, NOW)
        encoder.encode(one.message, own, NOW)
        return { encoded, shared }
      })
      for (const { encoded, shared } of frames) {
        const head = Buffer.from(encoded.bytes.subarray(encoded.start, encoded.end))
        head[0] = encoded.firstByte
        if (shared.qos > 0) head.writeUInt16BE(0x0102, encoded.packetIdentifierAt)
        const packet = encoded.hasSharedPayload ? join(head, one.message.payload) : head
        const decoded = decodePublishInFull(packet, 0, packet.length, shared.version)
        same(t, decoded, expected(one, shared, NOW))
      }
    }),
    { numRuns: 300 },
  )
  t.pass()
})

test('a message comes back from its stored form as it was, in memory of its own', (t) => {
  fc.assert(
    fc.property(sample, ({ message, publish }) => {
      const { qos, retain, expiresAt } = message
      const body = message.body()
      const stored = Message.fromBody(Buffer.from(body), qos, retain, expiresAt)
      const none = new PublishHeader()
      const { topicAlias: _, ...forwarded } = publish.properties
      const content = { ...publish, properties: forwarded, dup: false, packetIdentifier: undefined }

      same(t, inFull({ message: stored, header: none }), content)
      same(t, inFull({ message, header: none }), content)
      t.is(message.body(), body)
      t.is(body.buffer.byteLength, body.length)
      same(t, stored.body(), body)
      t.is(stored.keptBytes, message.keptBytes)
    }),
    { numRuns: 500 },
  )
})

test('the properties that are forwarded keep their order, repetitions and all', (t) => {
  const userProperties = [
    ['b', '1'],
    ['a', '2'],
    ['b', '1'],
    ['1', '3'],
    ['', ''],
  ] as const
  const of: Properties = {
    topicAlias: 3,
    userProperties: [...userProperties],
    messageExpiryInterval: 8,
  }
  const packet = frame(3, 0, [0, 1, 0x74], properties(of))

  const { message } = decodeFast(packet, 5)
  const packetSent = sent(
    new PublishEncoder(),
    { message, publish: decodePublishInFull(packet, 0, packet.length, 5) },
    {
      version: 5,
      qos: 1,
      retain: false,
      subscriptionIdentifiers: [1],
      topicAlias: 0,
      isTopicSent: true,
    },
    NOW,
  )

  const { userProperties: forwarded } = decodePublishInFull(
    packetSent,
    0,
    packetSent.length,
    5,
  ).properties
  t.deepEqual(forwarded, [...userProperties])
})
