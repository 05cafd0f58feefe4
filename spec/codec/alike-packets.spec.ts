import { Buffer } from 'node:buffer'
import test from 'ava'
import fc from 'fast-check'
import { countAlike } from '../../lib/codec/alike-packets.ts'

const IDENTIFIER_AT = 6
const PAYLOAD_AT = 12
const PACKET_BYTES = 20

/** Changes one byte of a packet, which stands at `at` in it. */
interface Change {
  readonly packet: number
  readonly at: number
}

const change: fc.Arbitrary<Change> = fc.record({
  packet: fc.integer({ min: 1, max: 5 }),
  at: fc.nat(PACKET_BYTES - 1),
})

/** Six packets, each with an identifier of 257, with `changes`. */
function rowOf(changes: readonly Change[]): Buffer {
  const bytes = Buffer.alloc(6 * PACKET_BYTES, 1)
  for (const { packet, at } of changes) bytes[packet * PACKET_BYTES + at]! ^= 0x20
  return bytes
}

test('packets are alike up to the first that differs in more than identifier and payload', (t) => {
  const property = fc.property(
    fc.array(change, { maxLength: 4 }),
    fc.boolean(),
    fc.integer({ min: 1, max: 8 }),
    (changes, hasIdentifier, max) => {
      const matters = ({ at }: Change): boolean =>
        at < PAYLOAD_AT && !(hasIdentifier && (at === IDENTIFIER_AT || at === IDENTIFIER_AT + 1))
      const differing = changes.filter(matters).map(({ packet }) => packet)
      // A change that is made twice is none.
      fc.pre(new Set(changes.map(({ packet, at }) => `${packet} ${at}`)).size === changes.length)
      const identifierAt = hasIdentifier ? IDENTIFIER_AT : 0
      const count = countAlike(rowOf(changes), 0, identifierAt, PAYLOAD_AT, PACKET_BYTES, max)
      return count === Math.min(max, 6, ...differing)
    },
  )
  t.notThrows(() => fc.assert(property, { numRuns: 1000 }))
})

test('a packet whose identifier is 0 is not alike', (t) => {
  const bytes = rowOf([])
  bytes.writeUInt16BE(0x0100, 2 * PACKET_BYTES + IDENTIFIER_AT)
  bytes.writeUInt16BE(0, 3 * PACKET_BYTES + IDENTIFIER_AT)

  t.is(countAlike(bytes, 0, IDENTIFIER_AT, PAYLOAD_AT, PACKET_BYTES, 32), 3)
})

test('a packet that has not come whole does not count', (t) => {
  const bytes = rowOf([]).subarray(0, 3 * PACKET_BYTES - 1)

  t.is(countAlike(bytes, 0, IDENTIFIER_AT, PAYLOAD_AT, PACKET_BYTES, 32), 2)
})
