import { Buffer } from 'node:buffer'
import test from 'ava'
import fc from 'fast-check'
import { byteLines } from '../../lib/util/byte-lines.ts'

async function* inChunks(text: string, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function linesOf(chunks: AsyncIterable<Buffer>, lineBytesMax = 1e6): Promise<string[]> {
  const lines: string[] = []
  const makeError = () => new Error('too long')
  for await (const line of byteLines(chunks, lineBytesMax, makeError)) lines.push(String(line))
  return lines
}

test('lines are the same in whatever chunks they come, and the last needs no end', async (t) => {
  const line = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\n', ''))
  const property = fc.asyncProperty(
    fc.array(line),
    fc.integer({ min: 1, max: 9 }),
    async (lines, size) => {
      const whole = lines.map((text) => `${text}\n`).join('')
      t.deepEqual(await linesOf(inChunks(`${whole}rest`, size)), [...lines, 'rest'])
      t.deepEqual(await linesOf(inChunks(whole, size)), lines)
    },
  )
  await fc.assert(property)
})

test('a line that is too long is refused before it is gathered', async (t) => {
  const endless = (async function* () {
    for (;;) yield Buffer.alloc(10, 'x')
  })()

  await t.throwsAsync(linesOf(endless, 25), { message: 'too long' })
  await t.throwsAsync(linesOf(inChunks('123456\n', 3), 5), { message: 'too long' })
  t.deepEqual(await linesOf(inChunks('12345\n12345', 3), 5), ['12345', '12345'])
})
