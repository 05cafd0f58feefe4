import { Buffer } from 'node:buffer'
import test from 'ava'
import fc from 'fast-check'
import {
  bodyStartOf,
  readVariableByteInteger,
  variableByteIntegerSize,
  writeVariableByteInteger,
} from '../../lib/codec/variable-byte-integer.ts'
import { refuses } from '../support/check.ts'
import { variable } from '../support/raw-packets.ts'

/** Table 1-1 of the standard: the first and last value of each size. */
const bounds = [
  [0, [0x00]],
  [127, [0x7f]],
  [128, [0x80, 0x01]],
  [16_383, [0xff, 0x7f]],
  [16_384, [0x80, 0x80, 0x01]],
  [2_097_151, [0xff, 0xff, 0x7f]],
  [2_097_152, [0x80, 0x80, 0x80, 0x01]],
  [268_435_455, [0xff, 0xff, 0xff, 0x7f]],
] as const

for (const [value, encoded] of bounds) {
  test(`${value} is written and read in ${encoded.length} bytes`, (t) => {
    const bytes = Buffer.alloc(6, 0xee)

    const next = writeVariableByteInteger(bytes, 1, value)

    t.is(next, 1 + encoded.length)
    t.deepEqual(bytes.subarray(1, next), Buffer.from(encoded))
    t.is(bytes[next], 0xee)
    t.is(readVariableByteInteger(bytes, 1, next), value)
    t.is(variableByteIntegerSize(value), encoded.length)
  })
}

test('any value is written as the pseudocode of the standard does, and read again', (t) => {
  const bytes = Buffer.alloc(4)

  fc.assert(
    fc.property(fc.integer({ min: 0, max: 268_435_455 }), (value) => {
      const size = writeVariableByteInteger(bytes, 0, value)
      t.deepEqual(bytes.subarray(0, size), variable(value))
      t.is(readVariableByteInteger(bytes, 0, size), value)
    }),
  )
})

test('an integer that does not end before the end is -1', (t) => {
  t.is(readVariableByteInteger(Buffer.from([0x00]), 0, 0), -1)
  t.is(readVariableByteInteger(Buffer.from([0x80, 0x01]), 0, 1), -1)
  t.is(readVariableByteInteger(Buffer.from([0xff, 0xff, 0xff, 0x7f]), 0, 3), -1)
})

for (const bytes of [
  [0x80, 0x00],
  [0xff, 0x80, 0x00],
  [0x80, 0x80, 0x80, 0x00],
]) {
  test(`[MQTT-1.5.5-1] a Variable Byte Integer of ${bytes.length} bytes that needs fewer is malformed`, (t) => {
    const padded = Buffer.from(bytes)

    refuses(
      t,
      () => readVariableByteInteger(padded, 0, padded.length),
      0x81,
      'Variable Byte Integer longer than needed',
    )
  })
}

test('a Variable Byte Integer of five bytes is malformed', (t) => {
  const bytes = Buffer.from([0x80, 0x80, 0x80, 0x80, 0x01])

  refuses(
    t,
    () => readVariableByteInteger(bytes, 0, 5),
    0x81,
    'Variable Byte Integer of more than four bytes',
  )
})

test('the body of a packet begins behind its Remaining Length', (t) => {
  t.is(bodyStartOf(Buffer.from([0xc0, 0x00]), 0, 2), 2)
  t.is(bodyStartOf(Buffer.from([0xee, 0x30, 0x80, 0x01]), 1, 132), 4)
})
