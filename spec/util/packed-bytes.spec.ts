import { Buffer } from 'node:buffer'
import test from 'ava'
import { packBytes, unpackBytes } from '../../lib/util/packed-bytes.ts'

for (const size of [0, 1, 256, 4_096, 4_097, 100_000]) {
  test(`${size} bytes of any value come back from their packed form`, (t) => {
    const bytes = Buffer.from(Uint8Array.from({ length: size }, (_, i) => i))

    t.deepEqual(unpackBytes(packBytes(bytes)), bytes)
  })
}

test('only bytes that are worth it become a string', (t) => {
  t.is(typeof packBytes(Buffer.alloc(4_096)), 'string')

  const large = Buffer.alloc(4_097)
  t.is(packBytes(large), large)
})
