/** What happens when more waits for a client than its session may keep. */

import test, { type ExecutionContext } from 'ava'
import type { Broker } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { type ConnectOptions, connectClient, type MemoryClient } from '../support/client.ts'
import { acknowledge, arrived, durable, payloads } from '../support/messages.ts'

type Policy = 'drop-oldest' | 'drop-newest' | 'disconnect'

const bounds = {
  queueMessagesMax: { queueMessagesMax: 3 },
  // Each message counts with what it costs to keep, so three of these fit.
  queueBytesMax: { queueBytesMax: 3 * (1_000 + 520) },
}
const PADDING = '.'.repeat(999)

async function publishAll(t: ExecutionContext, broker: Broker, numbers: string): Promise<void> {
  const publisher = await connectClient(t, broker)
  for (const [i, number] of Array.from(numbers).entries()) {
    publisher.publish('a', number + PADDING, { qos: 1, messageId: i + 1 })
  }
  await publisher.settled()
  publisher.destroy()
}

/** Everything that comes as long as it is acknowledged, as "1234". */
async function drain(client: MemoryClient): Promise<string> {
  let got = ''
  for (let packets = await arrived(client); packets.length > 0; packets = await arrived(client)) {
    got += payloads(packets)
      .map((payload) => payload[0])
      .join('')
    acknowledge(client, packets)
  }
  return got
}

for (const [bound, limits] of Object.entries(bounds)) {
  for (const [queuePolicy, kept] of [
    ['drop-oldest', '456'],
    ['drop-newest', '123'],
    ['disconnect', '123'],
  ] as const) {
    test(`an offline session keeps what ${bound} and ${queuePolicy} allow`, async (t) => {
      const { broker } = await startBroker(t, { session: { ...limits, queuePolicy } })
      const dropped: unknown[] = []
      broker.on('dropped', (...drop) => dropped.push(drop))
      const before = await connectClient(t, broker, durable(4, 'c'))
      await before.subscribe(t, 'a', { qos: 1 })
      before.destroy()
      await before.closed()

      await publishAll(t, broker, '123456')

      const after = await connectClient(t, broker, durable(4, 'c'))
      t.is(await drain(after), kept)
      t.is(broker.counters.publishDropped, 3)
      // Of an older message only the store still knows the topic.
      const topic = queuePolicy === 'drop-oldest' ? undefined : 'a'
      t.deepEqual(
        dropped,
        Array.from({ length: 3 }, () => ['c', topic, 'queue full']),
      )
    })
  }

  for (const isDurable of [false, true]) {
    const kind = isDurable ? 'durable' : 'volatile'
    const options: ConnectOptions = durable(5, 'c', {
      receiveMaximum: 2,
      sessionExpiryInterval: isDurable ? 60 : 0,
    })

    for (const [queuePolicy, kept] of [
      ['drop-oldest', '12678'],
      ['drop-newest', '12345'],
    ] as const) {
      test(`a slow client of a ${kind} session gets what ${bound} and ${queuePolicy} allow`, async (t) => {
        const { broker } = await startBroker(t, { session: { ...limits, queuePolicy } })
        const slow = await connectClient(t, broker, options)
        await slow.subscribe(t, 'a', { qos: 1 })

        await publishAll(t, broker, '12345678')

        t.is(await drain(slow), kept)
        t.is(broker.counters.publishDropped, 3)
      })
    }

    test(`a slow client of a ${kind} session is sent away by ${bound} and disconnect`, async (t) => {
      const queuePolicy: Policy = 'disconnect'
      const { broker } = await startBroker(t, { session: { ...limits, queuePolicy } })
      const slow = await connectClient(t, broker, options)
      await slow.subscribe(t, 'a', { qos: 1 })

      await publishAll(t, broker, '12345678')

      const said = await slow.closed()
      t.like(said.at(-1), { cmd: 'disconnect', reasonCode: 0x97 })
      const after = await connectClient(t, broker, options)
      t.is(await drain(after), isDurable ? '12345' : '')
    })
  }
}

test('what was sent once is never dropped, and stands in front of what the queue keeps', async (t) => {
  const { broker } = await startBroker(t, { session: { queueMessagesMax: 2 } })
  const before = await connectClient(t, broker, durable(5, 'c', { receiveMaximum: 3 }))
  await before.subscribe(t, 'a', { qos: 1 })
  await publishAll(t, broker, '123')
  await arrived(before)
  before.destroy()
  await before.closed()
  await publishAll(t, broker, '45')
  const after = await connectClient(t, broker, durable(5, 'c', { receiveMaximum: 1 }))

  await publishAll(t, broker, '678')

  t.is(await drain(after), '12378')
})
