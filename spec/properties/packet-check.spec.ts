import { Buffer } from 'node:buffer'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { ProtocolError } from '../../lib/protocol/errors.ts'
import type { InboundPacket, MqttVersion } from '../../lib/protocol/packets.ts'
import { inboundPacket, inboundPublish } from '../support/arbitrary-packets.ts'
import { check, decode } from '../support/check.ts'
import { decodePublishInFull } from '../support/publish-in-full.ts'
import { bodyStartOf, frame, packetFrame, publishFrame } from '../support/raw-packets.ts'

const versions: readonly MqttVersion[] = [3, 4, 5]
const anyVersion = fc.constantFrom(...versions, undefined)

function versionFor(packet: Buffer, version: MqttVersion): MqttVersion | undefined {
  return packet[0]! >> 4 === 1 ? undefined : version
}

/** A frame that a client may send, and the version to check it with. */
function validFrame(): fc.Arbitrary<readonly [Buffer, MqttVersion | undefined]> {
  return fc.constantFrom(...versions).chain((version) =>
    fc
      .oneof(
        inboundPacket(version).map((packet) => packetFrame(packet, version)),
        inboundPublish(version).map((publish) => publishFrame(publish, version)),
      )
      .map((packet) => [packet, versionFor(packet, version)] as const),
  )
}

/** The frame with another body, and a Remaining Length to match. */
function withBody(packet: Buffer, change: (body: Buffer) => Buffer): Buffer {
  return frame(packet[0]! >> 4, packet[0]! & 15, change(packet.subarray(bodyStartOf(packet))))
}

/** What `packet` says if the check accepts it; it may fail with a `ProtocolError` only. */
function contentOf(
  packet: Buffer,
  version: MqttVersion | undefined,
): { is: unknown; again: () => unknown } | undefined {
  try {
    check(packet, version)
  } catch (error) {
    if (error instanceof ProtocolError && error.reasonCode >= 0x80) return undefined
    throw error
  }
  // From here on nothing may throw: what the check accepts, mqtt-packet accepts.
  if (packet[0]! >> 4 === 3 && version !== undefined) {
    const publish = decodePublishInFull(packet, 0, packet.length, version)
    const same = publishFrame(publish, version)
    return { is: publish, again: () => decodePublishInFull(same, 0, same.length, version) }
  }
  const is = decode(packet, version)
  const sent = packetFrame(is, versionOf(is, version))
  return { is, again: () => decode(sent, version) }
}

function versionOf(packet: InboundPacket, version: MqttVersion | undefined): MqttVersion {
  return packet.type === 'connect' ? packet.protocolVersion : (version ?? 5)
}

/** Refused, or content that a frame of the test's own encoder carries too. */
function isRefusedOrUnderstood(
  t: ExecutionContext,
  packet: Buffer,
  version: MqttVersion | undefined,
): void {
  const content = contentOf(packet, version)
  if (content !== undefined) t.deepEqual(content.again(), content.is)
}

for (const version of versions) {
  test(`every packet a client of version ${version} may send is accepted and decoded to what it says`, (t) => {
    fc.assert(
      fc.property(inboundPacket(version), (packet) => {
        const bytes = packetFrame(packet, version)
        check(bytes, versionFor(bytes, version))
        t.deepEqual(decode(bytes, versionFor(bytes, version)), packet)
      }),
      { numRuns: 500 },
    )
  })

  test(`every PUBLISH a client of version ${version} may send is accepted and decoded to what it says`, (t) => {
    fc.assert(
      fc.property(inboundPublish(version), (publish) => {
        const bytes = publishFrame(publish, version)
        check(bytes, version)
        t.deepEqual(decodePublishInFull(bytes, 0, bytes.length, version), publish)
      }),
      { numRuns: 500 },
    )
  })
}

test('random bytes in a packet of any type are refused, or understood as one valid packet', (t) => {
  const random = fc.tuple(
    fc.integer({ min: 0, max: 15 }),
    fc.oneof(fc.constantFrom(0, 2), fc.integer({ min: 0, max: 15 })),
    fc.uint8Array({ maxLength: 24 }),
  )

  fc.assert(
    fc.property(random, anyVersion, ([packetType, flags, body], version) => {
      isRefusedOrUnderstood(t, frame(packetType, flags, Buffer.from(body)), version)
    }),
    { numRuns: 3_000 },
  )
  t.pass()
})

test('a valid packet with some bytes changed is refused, or understood as another one', (t) => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 })

  fc.assert(
    fc.property(validFrame(), changes, ([packet, version], places) => {
      const changed = withBody(packet, (body) => {
        const copy = Buffer.from(body)
        for (const [place, byte] of places) copy[place % Math.max(copy.length, 1)] = byte
        return copy.subarray(0, body.length)
      })
      isRefusedOrUnderstood(t, changed, version)
    }),
    { numRuns: 3_000 },
  )
  t.pass()
})

test('a valid packet with any other first byte is refused, or understood as another one', (t) => {
  fc.assert(
    fc.property(validFrame(), fc.nat(255), anyVersion, ([packet], first, version) => {
      const changed = Buffer.from(packet)
      changed[0] = first
      isRefusedOrUnderstood(t, changed, version)
    }),
    { numRuns: 3_000 },
  )
  t.pass()
})

test('a valid packet cut at any byte is refused, or understood as another one', (t) => {
  fc.assert(
    fc.property(validFrame(), ([packet, version]) => {
      const size = packet.length - bodyStartOf(packet)
      for (let end = 0; end < size; end++) {
        isRefusedOrUnderstood(
          t,
          withBody(packet, (body) => body.subarray(0, end)),
          version,
        )
      }
    }),
  )
  t.pass()
})

test('a valid packet with one byte more is refused, unless it is payload or a first reason code', (t) => {
  fc.assert(
    fc.property(validFrame(), fc.nat(255), ([packet, version], byte) => {
      const longer = withBody(packet, (body) => Buffer.concat([body, Buffer.of(byte)]))
      const content = contentOf(longer, version)
      if (content === undefined) return
      t.deepEqual(content.again(), content.is)
      // A reason code follows what was left out; a payload has no end of its own.
      const isPublish = packet[0]! >> 4 === 3
      const isFirstCode = version === 5 && packet.length - bodyStartOf(packet) <= 2
      t.true(isPublish || isFirstCode)
    }),
    { numRuns: 2_000 },
  )
  t.pass()
})
