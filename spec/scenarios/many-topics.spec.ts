/** A publisher of more topics than a processor has at hand: their packets are looked at ahead of their turn. */

import { Buffer } from 'node:buffer'
import test from 'ava'
import mqttPacket from 'mqtt-packet'
import { startBroker } from '../support/broker.ts'
import { connectClient } from '../support/client.ts'

/** More than are looked up one by one. */
const TOPICS = 6_000

test('each message of many topics in a chunk gets to those who want it then', async (t) => {
  const { broker } = await startBroker(t)
  const everything = await connectClient(t, broker, { version: 4 })
  await everything.subscribe(t, 'many/#')
  const some = await connectClient(t, broker, { version: 4 })
  const publisher = await connectClient(t, broker, { version: 4 })
  const packetOf = (i: number, round: number) =>
    mqttPacket.generate({
      cmd: 'publish',
      topic: `many/${i}/é`.slice(0, i % 9 === 0 ? undefined : -2),
      payload: `${round} ${i}`,
      qos: 0,
      retain: false,
      dup: false,
    })
  const publish = async (round: number, numbers: readonly number[]) => {
    publisher.sendBytes(Buffer.concat(numbers.map((i) => packetOf(i, round))))
    await publisher.settled()
  }
  const told = async (client: typeof some) => {
    const packets = await client.settled()
    return packets.map(({ topic, payload }) => `${topic} ${payload}`)
  }
  const sayOf = (i: number, round: number) => `many/${i}${i % 9 === 0 ? '/é' : ''} ${round} ${i}`
  const numbers = Array.from({ length: TOPICS }, (_, i) => i)
  const mixed = numbers.map((i) => (i * 7919) % TOPICS)

  await publish(1, numbers)
  t.deepEqual(
    await told(everything),
    numbers.map((i) => sayOf(i, 1)),
  )
  for (const i of [5, 9]) await some.subscribe(t, i === 9 ? 'many/9/é' : `many/${i}`)
  await publish(2, mixed)
  t.deepEqual(
    await told(everything),
    mixed.map((i) => sayOf(i, 2)),
  )
  t.deepEqual((await told(some)).toSorted(), [sayOf(5, 2), sayOf(9, 2)])

  everything.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['many/#'] })
  await everything.expect(t, 'unsuback')
  await publish(3, mixed)
  t.deepEqual(await told(everything), [])
  t.deepEqual((await told(some)).toSorted(), [sayOf(5, 3), sayOf(9, 3)])
})
