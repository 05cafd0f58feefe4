import { Buffer } from 'node:buffer'
import test from 'ava'
import fc from 'fast-check'
import { Decoder } from '../../lib/codec/decoder.ts'
import { TOPICS_AHEAD_MAX, TopicsAhead } from '../../lib/codec/topics-ahead.ts'
import { PacketType } from '../../lib/protocol/packets.ts'
import { frame, text } from '../support/raw-packets.ts'

const PINGREQ = frame(PacketType.Pingreq, 0)

function publishOf(topicName: string, payloadLength = 1): Buffer {
  return frame(PacketType.Publish, 0, text(topicName), Buffer.alloc(payloadLength))
}

function topicsOf(bytes: Buffer, start: number): string[] {
  const ahead = new TopicsAhead(256)
  ahead.find(bytes, start)
  return Array.from({ length: ahead.count }, (_, i) =>
    bytes.toString('latin1', ahead.starts[i], ahead.ends[i]),
  )
}

const topic = fc.stringMatching(/^[a-z/]{1,20}$/)
const payloadLength = fc.oneof(fc.nat(100), fc.nat(20_000))
const publish = fc.record({ topic, payloadLength }).map((packet) => ({
  ...packet,
  bytes: publishOf(packet.topic, packet.payloadLength),
}))

test('the topics of the next packets are found, up to one that is large or cut', (t) => {
  const packets = fc.array(publish, { maxLength: 2 * TOPICS_AHEAD_MAX })

  fc.assert(
    fc.property(packets, fc.double({ min: 0, max: 1, noNaN: true }), (all, share) => {
      const whole = Buffer.concat(all.map(({ bytes }) => bytes))
      const bytes = whole.subarray(0, Math.floor(whole.length * share))
      const expected: string[] = []
      let at = 0
      for (const packet of all.slice(0, TOPICS_AHEAD_MAX)) {
        at += packet.bytes.length
        if (packet.bytes.length > 0x4002 || at > bytes.length) break
        expected.push(packet.topic)
      }
      t.deepEqual(topicsOf(bytes, 0), expected)
    }),
  )
})

test('other packets end the search, and topics that are too long', (t) => {
  const [first, second] = [publishOf('a'), publishOf('b')]
  const [longest, tooLong] = ['x'.repeat(256), 'x'.repeat(257)]
  t.deepEqual(topicsOf(Buffer.concat([first, publishOf(longest)]), 0), ['a', longest])
  t.deepEqual(topicsOf(Buffer.concat([first, publishOf(tooLong), second]), 0), ['a'])
  t.deepEqual(topicsOf(Buffer.concat([first, PINGREQ, second]), 0), ['a'])
  t.deepEqual(topicsOf(Buffer.concat([PINGREQ, first]), 0), [])
  t.deepEqual(topicsOf(Buffer.concat([PINGREQ, first, second]), PINGREQ.length), ['a', 'b'])
})

test('whatever the bytes are, a topic is found within them, and a packet is not looked at twice', (t) => {
  const noise = fc
    .uint8Array({ maxLength: 300 })
    .map((bytes) => Buffer.from(bytes.map((byte, i) => (i % 7 === 0 ? 0x30 : byte))))

  fc.assert(
    fc.property(noise, fc.nat(300), (bytes, start) => {
      const ahead = new TopicsAhead(256)
      ahead.find(bytes, start)
      let at = start
      for (let i = 0; i < ahead.count; i++) {
        t.true((ahead.starts[i] as number) >= at + 4)
        t.true((ahead.ends[i] as number) >= (ahead.starts[i] as number))
        at = ahead.ends[i] as number
      }
      t.true(ahead.count === 0 ? ahead.end === start : at <= ahead.end && ahead.end <= bytes.length)
    }),
  )
})

test('a decoder forgets with a chunk how far somebody has looked ahead in it', (t) => {
  const decoder = new Decoder(1000)
  const packet = publishOf('topic')
  decoder.push(packet)
  t.is(decoder.next(), PacketType.Publish)
  decoder.aheadEnd = packet.length
  decoder.next()
  decoder.push(Buffer.concat([packet, packet]))
  t.is(decoder.aheadEnd, 0)

  // The end of one packet, and a whole one behind it in other memory.
  decoder.next()
  decoder.next()
  decoder.next()
  decoder.push(packet.subarray(0, 5))
  decoder.next()
  decoder.push(Buffer.concat([packet.subarray(5), packet]))
  t.is(decoder.next(), PacketType.Publish)
  decoder.aheadEnd = packet.length
  t.is(decoder.next(), PacketType.Publish)
  t.is(decoder.aheadEnd, 0)
})
