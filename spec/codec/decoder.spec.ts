import { Buffer } from 'node:buffer'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import fc from 'fast-check'
import { Decoder } from '../../lib/codec/decoder.ts'
import { refuses } from '../support/check.ts'
import { bodyStartOf, frame, join } from '../support/raw-packets.ts'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

const MIB = 1024 * 1024

/** The packets that `decoder` finds now, copied; at most `max`. */
function take(decoder: Decoder, max = Number.POSITIVE_INFINITY): Buffer[] {
  const packets: Buffer[] = []
  while (packets.length < max) {
    const packetType = decoder.next()
    if (packetType === 0) break
    const { bytes, start, bodyStart, end } = decoder
    const packet = Buffer.from(bytes.subarray(start, end))
    // Checked here, so that every test of the decoder checks it.
    if (packet[0]! >> 4 !== packetType || bodyStart - start !== bodyStartOf(packet)) {
      throw new Error('type or bodyStart is not that of the packet')
    }
    packets.push(packet)
  }
  return packets
}

function decoderWith(...chunks: readonly Buffer[]): Decoder {
  const decoder = new Decoder(MIB)
  for (const chunk of chunks) decoder.push(chunk)
  return decoder
}

const pingreq = frame(12, 0)
const small = frame(3, 0, Buffer.from('small'))
const middle = frame(3, 2, Buffer.alloc(300, 'm'))
const large = frame(3, 4, Buffer.alloc(20_000, 'l'))

const bodySize = fc.oneof(
  { weight: 6, arbitrary: fc.nat(20) },
  { weight: 2, arbitrary: fc.constantFrom(0, 127, 128, 300, 16_383, 16_384) },
  { weight: 1, arbitrary: fc.integer({ min: 1_000, max: 40_000 }) },
)
const anyPacket = fc
  .tuple(fc.integer({ min: 1, max: 15 }), fc.nat(15), bodySize, fc.nat(255))
  .map(([packetType, flags, size, fill]) => frame(packetType, flags, Buffer.alloc(size, fill)))

/** Sizes of chunks, and after how many packets reading pauses behind each. */
const cuts = fc.array(
  fc.tuple(
    fc.oneof(fc.constantFrom(1, 1, 2, 3), fc.integer({ min: 1, max: 30_000 })),
    fc.constantFrom(0, 1, 2, 100, 100),
  ),
  { minLength: 1, maxLength: 40, size: 'max' },
)

test('what is held counts whether it is whole or not, and no more when it is taken', (t) => {
  const decoder = decoderWith(join(pingreq, small), join(pingreq, large.subarray(0, 1_000)))
  t.is(decoder.heldBytes, 2 * pingreq.length + small.length + 1_000)

  take(decoder, 1)
  t.is(decoder.heldBytes, pingreq.length + small.length + 1_000)
  take(decoder)
  t.is(decoder.heldBytes, 1_000)
  decoder.push(large.subarray(1_000))
  t.is(take(decoder).length, 1)
  t.is(decoder.heldBytes, 0)
})

test('any chunking of a stream, and any pauses, give the same packets', (t) => {
  fc.assert(
    fc.property(fc.array(anyPacket, { maxLength: 12 }), cuts, (packets, plan) => {
      const stream = Buffer.concat(packets)
      const decoder = new Decoder(MIB)
      const found: Buffer[] = []
      for (let at = 0, i = 0; at < stream.length; i++) {
        const [size, max] = plan[i % plan.length]!
        decoder.push(Buffer.from(stream.subarray(at, at + size)))
        at += size
        found.push(...take(decoder, max))
      }
      found.push(...take(decoder))

      t.deepEqual(found, packets)
      t.is(decoder.heldBytes, 0)
    }),
    { numRuns: 500 },
  )
})

test('a stream that comes byte by byte gives the same packets', (t) => {
  const packets = [pingreq, small, middle, pingreq]
  const decoder = new Decoder(MIB)

  const found = Array.from(Buffer.concat(packets)).flatMap((byte) => {
    decoder.push(Buffer.from([byte]))
    return take(decoder)
  })

  t.deepEqual(found, packets)
})

test('a caller that stops in the middle of a chunk and pushes more loses nothing', (t) => {
  const decoder = decoderWith(join(pingreq, small, middle.subarray(0, 100)))
  t.deepEqual(take(decoder, 1), [pingreq])

  decoder.push(middle.subarray(100))
  decoder.push(large.subarray(0, 7))
  t.deepEqual(take(decoder, 1), [small])

  decoder.push(large.subarray(7))
  t.deepEqual(take(decoder), [middle, large])
})

test('a chunk that ends one packet and holds others gives all of them', (t) => {
  const decoder = decoderWith(large.subarray(0, 5_000))
  t.deepEqual(take(decoder), [])
  t.is(decoder.heldBytes, 5_000)

  decoder.push(join(large.subarray(5_000), small, middle.subarray(0, 1)))
  t.deepEqual(take(decoder), [large, small])
  t.is(decoder.heldBytes, 1)

  decoder.push(middle.subarray(1))
  t.deepEqual(take(decoder), [middle])
  t.is(decoder.heldBytes, 0)
})

test('a packet is a view of the chunk it came in', (t) => {
  const chunk = join(small, pingreq)
  const decoder = decoderWith(chunk)

  decoder.next()

  t.is(decoder.bytes, chunk)
})

test('a packet of exactly the largest size is taken, one byte more is refused from the fixed header', (t) => {
  const decoder = new Decoder(300)
  const exact = frame(3, 0, Buffer.alloc(297))
  decoder.push(exact)
  t.deepEqual(take(decoder), [exact])

  decoder.push(frame(3, 0, Buffer.alloc(298)).subarray(0, 3))
  refuses(t, () => decoder.next(), 0x95, 'packet of 301 bytes where 300 are allowed')
  t.is(decoder.heldBytes, 3)
})

for (const [title, bytes] of Object.entries({
  'of two bytes that one could say': [0x30, 0x80, 0x00],
  'of two bytes for 127': [0x30, 0xff, 0x00],
  'of three bytes that two could say': [0x30, 0x80, 0x81, 0x00],
  'of four bytes for nothing': [0x30, 0x80, 0x80, 0x80, 0x00],
})) {
  test(`[MQTT-1.5.5-1] a Remaining Length ${title} is malformed, however it comes`, (t) => {
    const rule = 'Remaining Length longer than needed'
    refuses(t, () => decoderWith(Buffer.from(bytes)).next(), 0x81, rule)

    const decoder = new Decoder(MIB)
    for (const byte of bytes.slice(0, -1)) {
      decoder.push(Buffer.from([byte]))
      t.is(decoder.next(), 0)
    }
    decoder.push(Buffer.from([0]))
    refuses(t, () => decoder.next(), 0x81, rule)
  })
}

test('a Remaining Length of five bytes is malformed as soon as the fourth has come', (t) => {
  const decoder = decoderWith(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff]))

  refuses(t, () => decoder.next(), 0x81, 'Remaining Length of more than four bytes')
})

test('a packet of type 0 is malformed', (t) => {
  refuses(t, () => decoderWith(Buffer.from([0x00, 0x00])).next(), 0x81, 'packet type 0')
})

test('the largest length there is gives the size of the packet, for the limit to judge', (t) => {
  const decoder = decoderWith(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]))

  const rule = `packet of 268435460 bytes where ${MIB} are allowed`
  refuses(t, () => decoder.next(), 0x95, rule)
})

/** Bytes of all Buffers that are alive. */
async function bufferBytes(): Promise<number> {
  await new Promise((resolve) => setImmediate(resolve))
  collectGarbage()
  collectGarbage() // The first hands dead buffers to a thread; the second waits for it.
  return process.memoryUsage().arrayBuffers
}

// Serial: they compare what the whole process holds.
test.serial(
  'memory held for partial packets follows what has come, not what is announced',
  async (t) => {
    const header = Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f])
    const before = await bufferBytes()
    const decoders = Array.from({ length: 500 }, () => new Decoder(300 * MIB))
    for (const decoder of decoders) {
      decoder.push(join(header, Buffer.alloc(100)))
      decoder.next()
    }
    t.true((await bufferBytes()) - before < 500 * 5_000)

    for (const decoder of decoders) {
      for (let i = 0; i < 10; i++) decoder.push(Buffer.alloc(1_000))
      t.is(decoder.heldBytes, 10_105)
    }
    t.true((await bufferBytes()) - before < 500 * 21_000)
  },
)

test.serial('a partial packet does not hold the chunk that its first bytes came in', async (t) => {
  const before = await bufferBytes()
  const decoders = Array.from({ length: 200 }, () => {
    const decoder = decoderWith(
      Buffer.concat([frame(3, 0, Buffer.alloc(64_000)), middle.subarray(0, 50)]),
    )
    take(decoder)
    return decoder
  })

  t.true((await bufferBytes()) - before < 200 * 5_000)
  for (const decoder of decoders) decoder.push(middle.subarray(50))
  t.true(decoders.every((decoder) => take(decoder)[0]?.equals(middle)))
})

test.serial('a decoder whose packets are all taken holds no chunk', async (t) => {
  const before = await bufferBytes()
  const decoders = Array.from({ length: 200 }, () => {
    const decoder = decoderWith(frame(3, 0, Buffer.alloc(64_000)))
    take(decoder)
    return decoder
  })

  t.true((await bufferBytes()) - before < 200 * 100)
  t.true(decoders.every(({ heldBytes }) => heldBytes === 0))
})
