import test from 'ava'
import fc from 'fast-check'
import { blankPayload, isWhole, writePayload } from '../../lib/cli/bench/payload.ts'
import { chunkOf, skipProperties, walkPackets } from '../../lib/cli/bench/walk-packets.ts'

/** A packet of any type with a body of this size. */
function packetOf(first: number, size: number): Buffer {
  const digits: number[] = []
  let rest = size
  do {
    digits.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
    rest >>>= 7
  } while (rest > 0)
  return Buffer.concat([Buffer.from([first, ...digits]), Buffer.alloc(size, first)])
}

/** Returns the packets as first byte and size, and what is left over. */
function walk(bytes: Buffer): { readonly found: [number, number][]; readonly at: number } {
  const found: [number, number][] = []
  const taker = {
    takePacket: (first: number, _: unknown, start: number, end: number) => {
      found.push([first, end - start])
    },
  }
  return { found, at: walkPackets(chunkOf(bytes), bytes.length, taker) }
}

test('wherever bytes are cut, the same packets are found', (t) => {
  const packets = fc.array(fc.tuple(fc.integer({ min: 16, max: 255 }), fc.nat(20_000)), {
    maxLength: 8,
  })
  fc.assert(
    fc.property(packets, fc.nat(), (given, cut) => {
      const bytes = Buffer.concat(given.map(([first, size]) => packetOf(first, size)))
      const place = bytes.length === 0 ? 0 : cut % bytes.length
      const { found, at } = walk(bytes.subarray(0, place))
      const rest = walk(bytes.subarray(at))
      return (
        JSON.stringify([...found, ...rest.found]) === JSON.stringify(given) &&
        at + rest.at === bytes.length
      )
    }),
  )
  t.pass()
})

test('a Remaining Length without end is no MQTT', (t) => {
  t.throws(() => walk(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 1])), {
    instanceOf: RangeError,
    message: /has no end/,
  })
})

test('properties are skipped by their length, whatever they are', (t) => {
  t.is(skipProperties(Buffer.from([9, 0]), 1), 2)
  t.is(skipProperties(Buffer.from([9, 3, 1, 2, 3]), 1), 5)
  t.is(skipProperties(Buffer.concat([Buffer.from([0x80, 1]), Buffer.alloc(128)]), 0), 130)
})

test('any changed bit of a payload is found', (t) => {
  const bytes = blankPayload(45)
  const { view } = chunkOf(bytes)
  writePayload(view, 0, 123_456, 7, 8, 99)
  t.true(isWhole(view, 0, 45))

  for (let bit = 0; bit < 45 * 8; bit++) {
    const at = bit >> 3
    bytes[at] = (bytes[at] as number) ^ (1 << (bit & 7))
    t.false(isWhole(view, 0, 45), `bit ${bit}`)
    bytes[at] = bytes[at] ^ (1 << (bit & 7))
  }
})
