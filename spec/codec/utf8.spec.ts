import { Buffer } from 'node:buffer'
import test from 'ava'
import fc from 'fast-check'
import { isWellFormedString } from '../../lib/codec/utf8.ts'

function isWellFormed(bytes: readonly number[]): boolean {
  // A broken character before and a NUL behind: neither belongs to the string.
  const surrounded = Buffer.from([0xc3, ...bytes, 0x00])
  return isWellFormedString(surrounded, 1, 1 + bytes.length)
}

const malformed: readonly (readonly [what: string, bytes: readonly number[]])[] = [
  ['a high surrogate, U+D800', [0xed, 0xa0, 0x80]],
  ['a low surrogate, U+DFFF', [0xed, 0xbf, 0xbf]],
  ['a surrogate pair in CESU-8', [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]],
  ['an overlong "/"', [0xc0, 0xaf]],
  ['an overlong U+0000', [0xc0, 0x80]],
  ['an overlong three-byte form', [0xe0, 0x80, 0xaf]],
  ['an overlong four-byte form', [0xf0, 0x80, 0x80, 0xaf]],
  ['a code point above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
  ['a continuation byte alone', [0x61, 0x80]],
  ['a character cut off at the end', [0x61, 0xe2, 0x82]],
  ['a byte that UTF-8 never has', [0x61, 0xff]],
]

for (const [what, bytes] of malformed) {
  test(`[MQTT-1.5.4-1] ${what} is not well-formed`, (t) => {
    t.false(isWellFormed(bytes))
  })
}

test('[MQTT-1.5.4-2] U+0000 is not allowed before, behind and between other characters', (t) => {
  t.false(isWellFormed([0x00]))
  t.false(isWellFormed([0x61, 0x00]))
  t.false(isWellFormed([0xc3, 0xa4, 0x00]))
  t.false(isWellFormed([0x61, 0xc3, 0xa4, 0x00, 0x62]))
})

test('[MQTT-1.5.4-3] U+FEFF is well-formed at any place', (t) => {
  t.true(isWellFormed([0xef, 0xbb, 0xbf]))
  t.true(isWellFormed([0x61, 0xef, 0xbb, 0xbf, 0x62]))
})

test('control characters, non-characters and the last code point are well-formed', (t) => {
  t.true(isWellFormed([]))
  t.true(isWellFormed([0x01, 0x1f, 0x7f]))
  t.true(isWellFormed([0xef, 0xbf, 0xbf]))
  t.true(isWellFormed([0xf4, 0x8f, 0xbf, 0xbf]))
})

test('every string that JavaScript can encode is well-formed, unless it has a U+0000', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      t.is(isWellFormed([...Buffer.from(text)]), !text.includes('\0'))
    }),
  )
})

test('random bytes are well-formed when they decode and encode to themselves', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 6 }), (random) => {
      const bytes = Buffer.from(random)
      const isSame = Buffer.from(bytes.toString('utf8')).equals(bytes)
      t.is(isWellFormed([...bytes]), isSame && !bytes.includes(0))
    }),
    { numRuns: 2_000 },
  )
})
