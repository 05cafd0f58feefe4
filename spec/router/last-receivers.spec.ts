/** What is noted with a publisher of its last message. */

import test from 'ava'
import { startBroker } from '../support/broker.ts'
import { connectClient, type MemoryClient } from '../support/client.ts'
import { memoryInUse } from '../support/memory.ts'
import { durable } from '../support/messages.ts'

test('publishers of topics that are not remembered keep no receivers', async (t) => {
  const { broker } = await startBroker(t)
  for (let i = 0; i < 200; i++) {
    const subscriber = await connectClient(t, broker, durable(5, `subscriber ${i}`))
    for (const filter of ['long/#', 'long/+']) await subscriber.subscribe(t, filter)
    // Away, it gets nothing at QoS 0 that would count here.
    subscriber.destroy()
  }
  const publishers: MemoryClient[] = []
  for (let i = 0; i < 100; i++) {
    publishers.push(await connectClient(t, broker, { clientId: `publisher ${i}` }))
  }
  const publishAll = async (topic: string) => {
    for (const publisher of publishers) {
      publisher.publish(topic, 'x', { qos: 1, messageId: 1 })
      await publisher.expect(t, 'puback')
    }
  }
  await publishAll('long/short')
  const before = memoryInUse()

  await publishAll(`long/${'x'.repeat(300)}`)

  // Two filters of each subscriber match: they would be 200 objects with an array, 16,000 bytes.
  const each = (memoryInUse() - before) / publishers.length
  t.true(each < 8_000, `${each} bytes`)
})
