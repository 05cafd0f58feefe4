import test from 'ava'
import fc from 'fast-check'
import {
  OwedAcknowledgements,
  type OwedHandle,
  type SendAcknowledgement,
} from '../../lib/session/owed-acknowledgements.ts'

function makeOwed(): { owed: OwedAcknowledgements; sent: Parameters<SendAcknowledgement>[] } {
  const sent: Parameters<SendAcknowledgement>[] = []
  return { owed: new OwedAcknowledgements((...all) => sent.push(all)), sent }
}

test('acknowledgements leave in the order they were owed, in whatever order they settle', (t) => {
  const waits = fc.array(fc.tuple(fc.boolean(), fc.nat()), { maxLength: 50, size: 'max' })

  fc.assert(
    fc.property(waits, (plan) => {
      const { owed, sent } = makeOwed()
      const open: { handle: OwedHandle; reasonCode: number }[] = []
      plan.forEach(([isKnown, place], i) => {
        const type = i % 3 === 0 ? 'pubrec' : 'puback'
        if (isKnown) owed.acknowledge(type, i + 1, 0x10)
        else
          open.splice(place % (open.length + 1), 0, {
            handle: owed.add(type, i + 1),
            reasonCode: i,
          })
        if (place % 4 === 0) settleOne()
      })
      while (open.length > 0) settleOne()

      t.deepEqual(
        sent,
        plan.map(([isKnown], i) => [i % 3 === 0 ? 'pubrec' : 'puback', i + 1, isKnown ? 0x10 : i]),
      )
      t.is(owed.length, 0)

      function settleOne(): void {
        const first = open.shift()
        if (first !== undefined) owed.settle(first.handle, first.reasonCode)
      }
    }),
    { numRuns: 300 },
  )
})

test('an acknowledgement with nothing before it leaves at once', (t) => {
  const { owed, sent } = makeOwed()

  owed.acknowledge('puback', 7, 0)

  t.deepEqual(sent, [['puback', 7, 0]])
  t.is(owed.length, 0)
})

test('an acknowledgement waits for the one before it, and leaves with it', (t) => {
  const { owed, sent } = makeOwed()
  const first = owed.add('pubrec', 1)
  owed.acknowledge('puback', 2, 0x87)
  const third = owed.add('puback', 3)

  t.deepEqual(sent, [])
  t.is(owed.length, 3)

  owed.settle(first, 0)
  t.deepEqual(sent, [
    ['pubrec', 1, 0],
    ['puback', 2, 0x87],
  ])

  owed.settle(third, 0x10)
  t.deepEqual(sent[2], ['puback', 3, 0x10])
})

test('what is acknowledged while another is being sent comes behind it', (t) => {
  const sent: number[] = []
  const owed: OwedAcknowledgements = new OwedAcknowledgements((_, packetIdentifier) => {
    // Sending makes room: the connection reads on before the bytes are written.
    if (packetIdentifier < 3) owed.acknowledge('puback', packetIdentifier + 10, 0)
    sent.push(packetIdentifier)
  })
  const first = owed.add('puback', 1)
  owed.acknowledge('puback', 2, 0)

  owed.settle(first, 0)
  t.deepEqual(sent, [1, 2, 11, 12])
  t.is(owed.length, 0)
})

test('what settles while another is being sent comes behind it, once', (t) => {
  const sent: number[] = []
  const owed: OwedAcknowledgements = new OwedAcknowledgements((_, packetIdentifier) => {
    if (packetIdentifier === 1) owed.settle(owed.add('puback', 3), 0)
    sent.push(packetIdentifier)
  })

  owed.acknowledge('puback', 1, 0)
  owed.acknowledge('puback', 2, 0)

  t.deepEqual(sent, [1, 3, 2])
})

test('what is acknowledged while the only other one is being sent comes behind it', (t) => {
  const sent: number[] = []
  const owed: OwedAcknowledgements = new OwedAcknowledgements((_, packetIdentifier) => {
    if (packetIdentifier < 3) owed.acknowledge('puback', packetIdentifier + 1, 0)
    sent.push(packetIdentifier)
  })

  owed.acknowledge('puback', 1, 0)

  t.deepEqual(sent, [1, 2, 3])
})
