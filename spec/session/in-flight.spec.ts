import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { Flight, InFlight } from '../../lib/session/in-flight.ts'
import { packetIdentifierOf } from '../../lib/storage/storage.ts'

function statesOf(inFlight: InFlight): [number, Flight][] {
  const states: [number, Flight][] = []
  inFlight.forEach((seq, state) => states.push([seq, state]))
  return states
}

test('Packet Identifiers follow the sequence number, from 1 to 65,535 and round again', (t) => {
  t.deepEqual(
    [0, 1, 65_533, 65_534, 65_535, 131_069].map(packetIdentifierOf),
    [1, 2, 65_534, 65_535, 1, 65_535],
  )
})

test('the low-water mark follows messages that complete in order', (t) => {
  const inFlight = new InFlight(0, 0)
  for (const seq of [1, 2, 3]) inFlight.begin(seq, 1)

  inFlight.complete(1)
  t.is(inFlight.lowWaterMark, 1)

  inFlight.complete(2)
  inFlight.complete(3)
  t.is(inFlight.lowWaterMark, 3)
  t.is(inFlight.count, 0)
})

test('the low-water mark waits for the oldest, then moves over all that completed before it', (t) => {
  const inFlight = new InFlight(0, 0)
  for (const seq of [1, 2, 3, 4]) inFlight.begin(seq, 1)

  inFlight.complete(3)
  inFlight.complete(2)
  t.is(inFlight.lowWaterMark, 0)

  inFlight.complete(1)
  t.is(inFlight.lowWaterMark, 3)
  t.deepEqual(statesOf(inFlight), [[4, Flight.AwaitsPuback]])
})

test('the low-water mark moves over numbers that were never sent', (t) => {
  const inFlight = new InFlight(0, 0)
  inFlight.begin(1, 1)
  inFlight.begin(4, 2)
  inFlight.begin(9, 1)

  inFlight.complete(1)
  t.is(inFlight.lowWaterMark, 3)

  inFlight.complete(4)
  t.is(inFlight.lowWaterMark, 8)
})

test('a gap of any size may lie behind a window that is empty', (t) => {
  const inFlight = new InFlight(0, 0)

  t.true(inFlight.hasRoomFor(10_000_000))
  inFlight.begin(10_000_000, 1)

  t.is(inFlight.lowWaterMark, 9_999_999)
  t.is(inFlight.seqOf(packetIdentifierOf(10_000_000)), 10_000_000)
})

test('[MQTT-2.2.1-4] a message that would need the identifier of a live one has no room', (t) => {
  const inFlight = new InFlight(0, 0)
  inFlight.begin(1, 1)
  for (let seq = 2; seq < 65_535; seq++) {
    inFlight.begin(seq, 1)
    inFlight.complete(seq)
  }
  t.true(inFlight.hasRoomFor(65_534))
  t.false(inFlight.hasRoomFor(65_536))
  t.is(packetIdentifierOf(65_536), packetIdentifierOf(1))

  inFlight.complete(1)
  t.true(inFlight.hasRoomFor(65_536))
  t.is(inFlight.lowWaterMark, 65_534)
})

test('an identifier stands for the message that is in flight, across the wrap', (t) => {
  const inFlight = new InFlight(65_530, 65_530)
  for (let seq = 65_531; seq <= 65_540; seq++) inFlight.begin(seq, 1)

  for (let seq = 65_531; seq <= 65_540; seq++) {
    t.is(inFlight.seqOf(packetIdentifierOf(seq)), seq)
  }
  t.is(inFlight.seqOf(packetIdentifierOf(65_541)), 0)
  t.is(inFlight.stateOf(inFlight.seqOf(packetIdentifierOf(65_530))), Flight.None)
})

test('a QoS 2 message awaits PUBREC, then PUBCOMP', (t) => {
  const inFlight = new InFlight(0, 0)
  inFlight.begin(1, 2)
  t.is(inFlight.stateOf(1), Flight.AwaitsPubrec)

  inFlight.receive(1)
  t.is(inFlight.stateOf(1), Flight.AwaitsPubcomp)
  t.is(inFlight.count, 1)

  inFlight.complete(1)
  inFlight.complete(1)
  t.is(inFlight.stateOf(1), Flight.None)
  t.is(inFlight.count, 0)
})

test('a message of an earlier connection waits to be sent again, then is in flight as before', (t) => {
  const inFlight = new InFlight(3, 3)
  inFlight.restore(4, Flight.AwaitsResend)
  inFlight.restore(6, Flight.AwaitsPubcomp)
  inFlight.restore(7, Flight.AwaitsResend)

  inFlight.begin(4, 1)
  inFlight.begin(7, 2)
  t.is(inFlight.count, 3)
  t.deepEqual(statesOf(inFlight), [
    [4, Flight.AwaitsPuback],
    [6, Flight.AwaitsPubcomp],
    [7, Flight.AwaitsPubrec],
  ])

  inFlight.complete(4)
  t.is(inFlight.lowWaterMark, 5)
})

test('of a session that had sent much, only what is restored is in flight', (t) => {
  const inFlight = new InFlight(100, 1_100)
  t.deepEqual(statesOf(inFlight), [])
  t.is(inFlight.stateOf(500), Flight.None)

  inFlight.restore(116, Flight.AwaitsPuback)
  inFlight.restore(132, Flight.AwaitsPubcomp)
  inFlight.begin(1_101, 1)
  t.is(inFlight.count, 3)
  t.deepEqual(
    statesOf(inFlight).map(([seq]) => seq),
    [116, 132, 1_101],
  )

  inFlight.complete(132)
  inFlight.complete(116)
  t.is(inFlight.lowWaterMark, 1_100)
})

/** The window under test and the list it must be equal to. */
interface Pair {
  readonly inFlight: InFlight
  readonly live: Map<number, Flight>
}

type Step = (t: ExecutionContext, pair: Pair) => void

const begin = fc.tuple(fc.constantFrom(1, 1, 1, 2, 40), fc.constantFrom(1, 2)).map(
  ([gap, qos]): Step =>
    (_, { inFlight, live }) => {
      const seq = inFlight.last + gap
      if (!inFlight.hasRoomFor(seq)) return
      inFlight.begin(seq, qos)
      live.set(seq, qos === 1 ? Flight.AwaitsPuback : Flight.AwaitsPubrec)
    },
)
/** A gap that takes the sequence numbers round the identifiers soon. */
const leap = fc.integer({ min: 10_000, max: 65_534 }).map(
  (gap): Step =>
    (_, { inFlight, live }) => {
      const seq = inFlight.last + gap
      if (!inFlight.hasRoomFor(seq)) return
      inFlight.begin(seq, 1)
      live.set(seq, Flight.AwaitsPuback)
    },
)
/** The oldest mostly, or any other. */
const someone = fc.oneof(fc.constant(0), fc.nat())
const complete = someone.map(
  (n): Step =>
    (t, { inFlight, live }) => {
      const seq = [...live.keys()].toSorted((a, b) => a - b)[n % (live.size || 1)]
      if (seq === undefined) return
      t.is(inFlight.seqOf(packetIdentifierOf(seq)), seq)
      inFlight.complete(seq)
      live.delete(seq)
    },
)
const receive = someone.map(
  (n): Step =>
    (_, { inFlight, live }) => {
      const waiting = [...live].filter(([, state]) => state === Flight.AwaitsPubrec)
      const seq = waiting[n % (waiting.length || 1)]?.[0]
      if (seq === undefined) return
      inFlight.receive(seq)
      live.set(seq, Flight.AwaitsPubcomp)
    },
)
const resend = fc.constant<Step>((_, { inFlight, live }) => {
  for (const [seq, state] of live) {
    if (state === Flight.AwaitsPubcomp) continue
    inFlight.restore(seq, Flight.AwaitsResend)
    live.set(seq, Flight.AwaitsResend)
  }
})

test('the window equals a list of what is in flight, whatever begins, completes and is sent again', (t) => {
  const step = fc.oneof(
    { weight: 10, arbitrary: begin },
    { weight: 8, arbitrary: complete },
    { weight: 3, arbitrary: receive },
    { weight: 1, arbitrary: resend },
    { weight: 1, arbitrary: leap },
  )

  fc.assert(
    fc.property(fc.nat(200_000), fc.array(step, { maxLength: 120, size: 'max' }), (low, plan) => {
      const pair: Pair = { inFlight: new InFlight(low, low), live: new Map() }
      const { inFlight, live } = pair
      for (const run of plan) {
        run(t, pair)
        const sorted = [...live].toSorted(([a], [b]) => a - b)
        t.deepEqual(statesOf(inFlight), sorted)
        t.is(inFlight.count, live.size)
        t.is(inFlight.lowWaterMark, sorted[0] === undefined ? inFlight.last : sorted[0][0] - 1)
        t.is(new Set(sorted.map(([seq]) => packetIdentifierOf(seq))).size, live.size)
      }
    }),
    { numRuns: 200 },
  )
})
