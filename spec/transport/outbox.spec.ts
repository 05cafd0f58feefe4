/** The outbox: one write per turn, order, and the rule that written memory is never touched again. */

import { Buffer } from 'node:buffer'
import test from 'ava'
import * as fc from 'fast-check'
import { FLUSH_BYTES, Flusher } from '../../lib/transport/flusher.ts'
import { Outbox, REFERENCE_MIN_BYTES } from '../../lib/transport/outbox.ts'
import { peerOf } from '../../lib/transport/peer.ts'
import { NO_EVENTS } from '../../lib/transport/socket-transport.ts'
import type { Transport } from '../../lib/transport/transport.ts'
import { seededRandom } from '../../lib/util/random.ts'

/** Keeps what is written, and a copy of how it was at that time. */
class Sink implements Transport {
  readonly peer = peerOf('sink', 'memory', 'memory', 0)
  events = NO_EVENTS
  pendingBytes = 0
  readonly writes: Buffer[] = []
  readonly #copies: Buffer[] = []

  write(bytes: Buffer): void {
    this.writes.push(bytes)
    this.#copies.push(Buffer.from(bytes))
  }

  get text(): string {
    return Buffer.concat(this.writes).toString('latin1')
  }

  get isUntouched(): boolean {
    return this.writes.every((bytes, i) => bytes.equals(this.#copies[i] ?? Buffer.alloc(0)))
  }

  pause(): void {}
  resume(): void {}
  close(): void {}
  destroy(): void {}
}

/** A flusher whose turns end when the test says so. */
function manualFlusher(): { flusher: Flusher; endTurn: () => void; scheduled: () => number } {
  const waiting: (() => void)[] = []
  const flusher = new Flusher((flush) => waiting.push(flush))
  const endTurn = (): void => {
    for (const flush of waiting.splice(0)) flush()
  }
  return { flusher, endTurn, scheduled: () => waiting.length }
}

function appendText(outbox: Outbox, text: string): void {
  outbox.append(Buffer.from(text, 'latin1'), 0, text.length)
}

function reserveText(outbox: Outbox, text: string): void {
  const at = outbox.reserve(text.length)
  outbox.block.write(text, at, 'latin1')
}

/** Not a part of the memory that Node has for small buffers. */
function ownMemory(text: string): Buffer {
  const bytes = Buffer.allocUnsafeSlow(text.length)
  bytes.write(text, 'latin1')
  return bytes
}

test('what a turn produces is written once for each connection', (t) => {
  const { flusher, endTurn, scheduled } = manualFlusher()
  const sinks = [new Sink(), new Sink()] as const
  const first = new Outbox(sinks[0], flusher)
  const second = new Outbox(sinks[1], flusher)

  appendText(first, 'one ')
  reserveText(second, 'three ')
  reserveText(first, 'two')
  appendText(second, 'four')
  const writtenEarly = sinks.map(({ writes }) => writes.length)
  const flushes = scheduled()
  endTurn()

  t.deepEqual(writtenEarly, [0, 0])
  t.is(flushes, 1)
  t.deepEqual(
    sinks.map(({ writes }) => writes.map(String)),
    [['one two'], ['three four']],
  )
})

test('each turn has a flush of its own, and a turn without output has none', (t) => {
  const { flusher, endTurn, scheduled } = manualFlusher()
  const sink = new Sink()
  const outbox = new Outbox(sink, flusher)

  appendText(outbox, 'first')
  endTurn()
  endTurn()
  const flushesBetween = scheduled()
  appendText(outbox, 'second')
  endTurn()

  t.is(flushesBetween, 0)
  t.deepEqual(sink.writes.map(String), ['first', 'second'])
})

test('setImmediate ends the turn by default', async (t) => {
  const sink = new Sink()
  const outbox = new Outbox(sink, new Flusher())

  appendText(outbox, 'bytes')
  await Promise.resolve()
  const writtenEarly = sink.writes.length
  await new Promise((resolve) => setImmediate(resolve))

  t.is(writtenEarly, 0)
  t.is(sink.text, 'bytes')
})

test('flushing by hand writes at once, and the turn has nothing left', (t) => {
  const { flusher, endTurn } = manualFlusher()
  const sinks = [new Sink(), new Sink()] as const
  const first = new Outbox(sinks[0], flusher)
  const second = new Outbox(sinks[1], flusher)

  appendText(first, 'one')
  first.flush()
  appendText(second, 'two')
  flusher.flushNow()
  const early = sinks.map(({ text }) => text)
  endTurn()

  t.deepEqual(early, ['one', 'two'])
  t.deepEqual(
    sinks.map(({ writes }) => writes.length),
    [1, 1],
  )
})

test('64 KiB are written without waiting for the turn to end', (t) => {
  const { flusher, endTurn } = manualFlusher()
  const sink = new Sink()
  const outbox = new Outbox(sink, flusher)

  for (let i = 0; i < 65; i++) appendText(outbox, String(i % 10).repeat(1024))
  const lengthsEarly = sink.writes.map(({ length }) => length)
  endTurn()

  t.deepEqual(lengthsEarly, [FLUSH_BYTES])
  t.is(sink.text.length, 65 * 1024)
  t.is(sink.writes.length, 2)
})

test('large pieces are written by reference between the small ones', (t) => {
  const { flusher, endTurn } = manualFlusher()
  const sink = new Sink()
  const outbox = new Outbox(sink, flusher)
  const large = Buffer.alloc(REFERENCE_MIN_BYTES + 10, 'L')

  appendText(outbox, 'head')
  outbox.append(large, 5, REFERENCE_MIN_BYTES + 5)
  appendText(outbox, 'tail')
  endTurn()

  t.is(sink.text, `head${'L'.repeat(REFERENCE_MIN_BYTES)}tail`)
  t.is(sink.writes[1]?.buffer, large.buffer)
  t.is(sink.writes[1]?.byteOffset, large.byteOffset + 5)
})

test('what came in goes out again without a copy, to all receivers in one view', (t) => {
  const { flusher, endTurn } = manualFlusher()
  const sinks = [new Sink(), new Sink(), new Sink()] as const
  const [first, second, third] = sinks.map((sink) => new Outbox(sink, flusher)) as [
    Outbox,
    Outbox,
    Outbox,
  ]
  const chunk = ownMemory('-one two -')

  for (const outbox of [first, second]) outbox.append(chunk, 1, 5)
  reserveText(third, 'zero ')
  for (const outbox of [first, second, third]) outbox.append(chunk, 5, 9)
  reserveText(first, 'and more')
  const pending = [first, second, third].map(({ pendingBytes }) => pendingBytes)
  endTurn()
  for (const outbox of [second, third]) outbox.append(chunk, 1, 9)
  endTurn()

  t.deepEqual(pending, [16, 8, 9])
  t.deepEqual(
    sinks.map(({ writes }) => writes.map(String)),
    [['one two and more'], ['one two ', 'one two '], ['zero two ', 'one two ']],
  )
  t.is(sinks[1].writes[0]?.buffer, chunk.buffer)
  t.is(sinks[1].writes[1], sinks[2].writes[1])
  t.not(sinks[0].writes[0]?.buffer, chunk.buffer)
})

test('packets of one chunk are copied, each for the caller to change', (t) => {
  const { flusher, endTurn } = manualFlusher()
  const sinks = [new Sink(), new Sink()] as const
  const [all, half] = sinks.map((sink) => new Outbox(sink, flusher)) as [Outbox, Outbox]
  const chunk = Buffer.alloc(1_000 * 64, '.'.repeat(64))
  const before = Buffer.from(chunk)
  const take = (outbox: Outbox, packet: number): void => {
    const at = outbox.take(chunk, packet * 64, (packet + 1) * 64)
    outbox.block.writeUInt16BE(packet, at)
  }
  const taken = (sink: Sink): number[] =>
    Array.from({ length: sink.text.length / 64 }, (_, i) =>
      Buffer.from(sink.text, 'latin1').readUInt16BE(i * 64),
    )

  for (let i = 0; i < 1_000; i++) {
    take(all, i)
    if (i % 2 === 0) take(half, i)
  }
  endTurn()

  const numbers = Array.from({ length: 1_000 }, (_, i) => i)
  t.deepEqual(taken(sinks[0]), numbers)
  t.deepEqual(
    taken(sinks[1]),
    numbers.filter((i) => i % 2 === 0),
  )
  t.deepEqual(chunk, before)
})

test('pending bytes count what is gathered, blocked bytes only what the socket has not taken', (t) => {
  const { flusher } = manualFlusher()
  const sink = new Sink()
  const outbox = new Outbox(sink, flusher)

  sink.pendingBytes = 1000
  appendText(outbox, 'gathered')

  t.is(outbox.pendingBytes, 1008)
  t.is(outbox.blockedBytes, 1000)
})

test('connections share a slab as long as it lasts', (t) => {
  const { flusher, endTurn } = manualFlusher()
  const sinks = Array.from({ length: 100 }, () => new Sink())
  const outboxes = sinks.map((sink) => new Outbox(sink, flusher))

  for (const outbox of outboxes) reserveText(outbox, 'message')
  endTurn()

  const slabs = new Set(sinks.map(({ writes }) => writes[0]?.buffer))
  t.is(slabs.size, 1)
})

test('a single connection that writes little in each turn fills its slab to the end', (t) => {
  const { flusher, endTurn } = manualFlusher()
  const sink = new Sink()
  const outbox = new Outbox(sink, flusher)

  for (let i = 0; i < FLUSH_BYTES / 1024; i++) {
    reserveText(outbox, 'x'.repeat(1024))
    endTurn()
  }

  t.is(new Set(sink.writes.map(({ buffer }) => buffer)).size, 1)
})

test('who is sent about as much as in the turn before has room for it at once', (t) => {
  const { flusher, endTurn } = manualFlusher()
  const sinks = [new Sink(), new Sink()] as const
  const outboxes = sinks.map((sink) => new Outbox(sink, flusher))

  for (let turn = 0; turn < 12; turn++) {
    for (let i = 0; i < 20; i++) for (const outbox of outboxes) reserveText(outbox, 'x'.repeat(100))
    endTurn()
  }

  // 2000 bytes for each in a turn; regions that grew by moving would take nearly twice as much.
  const slabs = new Set(sinks.flatMap(({ writes }) => writes.map(({ buffer }) => buffer)))
  t.is(slabs.size, 1)
})

test('who was sent much once takes no more memory than others for a small message to all', (t) => {
  const { flusher, endTurn } = manualFlusher()
  const sinks = Array.from({ length: 20 }, () => new Sink())
  const outboxes = sinks.map((sink) => new Outbox(sink, flusher))
  for (const outbox of outboxes) {
    reserveText(outbox, 'x'.repeat(15_000))
    endTurn()
  }

  for (const outbox of outboxes) reserveText(outbox, 'small')
  endTurn()
  const slabs = new Set(sinks.map(({ writes }) => writes.at(-1)?.buffer))
  t.true(slabs.size <= 2)
})

test('a blocked connection is given memory of its own size', (t) => {
  const { flusher, endTurn } = manualFlusher()
  const sink = new Sink()
  const outbox = new Outbox(sink, flusher)

  sink.pendingBytes = 1
  appendText(outbox, 'message')
  endTurn()

  t.is(sink.text, 'message')
  t.is(sink.writes[0]?.buffer.byteLength, 7)
})

test('a small part of a large chunk is copied, and a large one that is a small part', (t) => {
  const { flusher, endTurn } = manualFlusher()
  const sink = new Sink()
  const outbox = new Outbox(sink, flusher)
  const chunk = Buffer.alloc(40 * REFERENCE_MIN_BYTES, '.')

  for (const size of [7, REFERENCE_MIN_BYTES]) {
    outbox.append(chunk, 0, size)
    endTurn()
    t.is(sink.writes.at(-1)?.length, size)
    t.not(sink.writes.at(-1)?.buffer, chunk.buffer)
  }
})

test('a large piece is offered to the socket before the next is judged', (t) => {
  const { flusher } = manualFlusher()
  const sink = new Sink()
  const outbox = new Outbox(sink, flusher)

  appendText(outbox, 'small ')
  outbox.append(Buffer.alloc(REFERENCE_MIN_BYTES, 'L'), 0, REFERENCE_MIN_BYTES)

  t.is(sink.text, `small ${'L'.repeat(REFERENCE_MIN_BYTES)}`)
})

test('an idle outbox holds no block', (t) => {
  const { flusher, endTurn } = manualFlusher()
  const outbox = new Outbox(new Sink(), flusher)

  const before = outbox.block.length
  appendText(outbox, 'message')
  endTurn()

  t.is(before, 0)
  t.is(outbox.block.length, 0)
  t.is(outbox.pendingBytes, 0)
})

test('an outbox that gets something while others are flushed is flushed with the next turn', (t) => {
  const { flusher, endTurn } = manualFlusher()
  const late = new Sink()
  const lateOutbox = new Outbox(late, flusher)
  const sink = new Sink()
  sink.write = () => appendText(lateOutbox, 'late')
  const outbox = new Outbox(sink, flusher)

  appendText(outbox, 'early')
  endTurn()
  const writtenInFirst = late.writes.length
  endTurn()

  t.is(writtenInFirst, 0)
  t.is(late.text, 'late')
})

class Lane {
  readonly sink = new Sink()
  expected = ''
  readonly #outbox: Outbox

  constructor(flusher: Flusher) {
    this.#outbox = new Outbox(this.sink, flusher)
  }

  take(action: number, text: string): void {
    if (action === 1) {
      this.sink.pendingBytes = text.length % 2
      return
    }
    if (action === 2) this.#outbox.flush()
    if (action === 3) this.#send('append', text, text.length)
    else if (action === 4) this.#send('take', text, text.length)
    else if (action === 5) this.#send('take', text, Math.ceil(text.length / 3))
    else {
      reserveText(this.#outbox, text)
      this.expected += text
    }
  }

  /** As packets that stand one behind the other, up to `length`; what follows is for somebody else. */
  #send(how: 'append' | 'take', text: string, length: number): void {
    const bytes = Buffer.from(text, 'latin1')
    const size = 1 + Math.floor(bytes.length / 7)
    for (let at = 0; at < length; at += size) {
      this.#outbox[how](bytes, at, Math.min(at + size, length))
    }
    this.expected += text.slice(0, length)
  }
}

/** No two places of it look the same for long. */
const random = seededRandom(1)
const NOISE = Buffer.from(Array.from({ length: 200_000 }, () => 33 + random.below(90))).toString(
  'latin1',
)

type Step = readonly [outbox: number, action: number, size: number]

test('whatever is done, bytes leave in order and written memory is never touched again', (t) => {
  const size = fc.oneof(fc.nat(200), fc.nat(5000), fc.nat(80_000))
  const step: fc.Arbitrary<Step> = fc.tuple(fc.nat(2), fc.nat(6), size)

  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const { flusher, endTurn } = manualFlusher()
      const lanes = [0, 1, 2].map(() => new Lane(flusher))
      for (const [i, [index, action, length]] of steps.entries()) {
        const text = NOISE.slice(i * 1000, i * 1000 + length)
        if (action === 0) endTurn()
        else lanes[index]?.take(action, text)
      }
      endTurn()
      return lanes.every(({ sink, expected }) => sink.text === expected && sink.isUntouched)
    }),
  )
  t.pass()
})
