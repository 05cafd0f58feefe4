/** Members of shared subscriptions come and go: no message is lost, stranded or processed by two. */

import test, { type ExecutionContext } from 'ava'
import type { Broker } from '../../lib/index.ts'
import { seededRandom } from '../../lib/util/random.ts'
import { startBroker } from '../support/broker.ts'
import { type AnyPacket, connectClient, type MemoryClient } from '../support/client.ts'
import { HeldStore } from '../support/held-store.ts'
import { acknowledge, arrived, durable, payloads, publishes } from '../support/messages.ts'

type Kind = 'durable' | 'volatile'
const kinds: readonly Kind[] = ['durable', 'volatile']

/** Connects a member; a volatile one has a session that ends with its connection. */
async function connectMember(
  t: ExecutionContext,
  broker: Broker,
  name: string,
  kind: Kind,
  receiveMaximum = 2,
): Promise<MemoryClient> {
  const sessionExpiryInterval = kind === 'durable' ? 100 : 0
  return connectClient(t, broker, durable(5, name, { receiveMaximum, sessionExpiryInterval }))
}

async function join(
  t: ExecutionContext,
  broker: Broker,
  name: string,
  kind: Kind,
  receiveMaximum = 2,
): Promise<MemoryClient> {
  const member = await connectMember(t, broker, name, kind, receiveMaximum)
  await member.subscribe(t, '$share/g/a', { qos: 2 })
  return member
}

async function publishAll(
  t: ExecutionContext,
  broker: Broker,
  numbers: string,
  qos = 1,
): Promise<void> {
  const publisher = await connectClient(t, broker)
  for (const [i, payload] of Array.from(numbers).entries()) {
    publisher.publish('a', payload, { qos, messageId: i + 1 })
  }
  await publisher.settled()
  publisher.destroy()
}

async function leave(client: MemoryClient): Promise<void> {
  client.destroy()
  await client.closed()
}

/** Everything that comes as long as it is acknowledged. */
async function drain(client: MemoryClient): Promise<AnyPacket[]> {
  const got: AnyPacket[] = []
  for (let packets = await arrived(client); packets.length > 0; packets = await arrived(client)) {
    got.push(...publishes(packets))
    acknowledge(client, packets)
    for (const { cmd, messageId } of packets) {
      if (cmd === 'pubrel') client.send({ cmd: 'pubcomp', messageId })
    }
  }
  return got
}

function sorted(...packets: AnyPacket[][]): string {
  return payloads(packets.flat()).toSorted().join('')
}

for (const leaving of kinds) {
  for (const staying of kinds) {
    const who = `(${leaving} leaves, ${staying} stays)`

    test(`what was not sent to a member that leaves goes to another ${who}`, async (t) => {
      const { broker } = await startBroker(t)
      const first = await join(t, broker, 'first', leaving)
      const second = await join(t, broker, 'second', staying)
      await publishAll(t, broker, '12345678')
      const sent = publishes(await arrived(first))
      t.is(sent.length, 2)
      acknowledge(first, sent)
      const more = publishes(await arrived(first))
      acknowledge(first, more)
      await first.settled()

      await leave(first)

      t.is(sorted(sent, more, await drain(second)), '12345678')
      t.is(broker.counters.publishDropped, 0)
    })

    test(`a QoS 1 message that was not acknowledged goes to another when the session ends ${who}`, async (t) => {
      const { broker, clock } = await startBroker(t)
      const first = await join(t, broker, 'first', leaving, 10)
      await publishAll(t, broker, '123')
      const sent = publishes(await arrived(first))
      acknowledge(first, sent.slice(0, 1))
      await first.settled()
      const second = await join(t, broker, 'second', staying)
      await leave(first)

      if (leaving === 'durable') {
        t.deepEqual(await arrived(second), [])
        await clock.advance(101_000)
      }

      const got = await drain(second)
      t.is(sorted(got), '23')
      t.true(got.every(({ dup, qos }) => !dup && qos === 1))
      t.is(broker.counters.sharedLost, 0)
    })

    test(`[MQTT-4.8.2-5] a QoS 2 message that was sent goes to nobody else ${who}`, async (t) => {
      const { broker, clock } = await startBroker(t)
      const first = await join(t, broker, 'first', leaving, 3)
      await publishAll(t, broker, '12345', 2)
      const sent = publishes(await arrived(first))
      acknowledge(first, sent.slice(0, 1))
      await first.expect(t, 'pubrel')
      const second = await join(t, broker, 'second', staying)

      await leave(first)
      await clock.advance(101_000)

      t.is(sorted(await drain(second)), '45')
      // "1" was received: its client said so.
      t.is(broker.counters.sharedLost, 2)
    })

    test(`what waits for a member that unsubscribes goes to another ${who}`, async (t) => {
      const { broker } = await startBroker(t)
      const first = await join(t, broker, 'first', leaving)
      await publishAll(t, broker, '12345')
      const second = await join(t, broker, 'second', staying)

      first.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['$share/g/a'] })

      const own = await drain(first)
      t.is(sorted(own), '12')
      t.is(sorted(await drain(second)), '345')
    })
  }

  test(`the last member of a group keeps what waits, though it unsubscribes (${leaving})`, async (t) => {
    const { broker } = await startBroker(t)
    const only = await join(t, broker, 'only', leaving)
    await publishAll(t, broker, '12345')

    only.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['$share/g/a'] })

    t.is(sorted(await drain(only)), '12345')
  })

  test(`[MQTT-4.8.2-6] what a member refuses goes to nobody (${leaving})`, async (t) => {
    const { broker } = await startBroker(t)
    const first = await join(t, broker, 'first', leaving)
    await publishAll(t, broker, '1', 1)
    await publishAll(t, broker, '2', 2)
    const second = await join(t, broker, 'second', 'volatile')

    for (const { qos, messageId } of publishes(await arrived(first))) {
      first.send({ cmd: qos === 1 ? 'puback' : 'pubrec', messageId, reasonCode: 0x80 })
    }
    await arrived(first)
    await leave(first)
    await broker.discardSession('first')

    t.deepEqual(await arrived(second), [])
    t.is(broker.counters.sharedLost, 0)
  })

  test(`messages of a group whose last member ends are counted as dropped (${leaving})`, async (t) => {
    const { broker } = await startBroker(t)
    const only = await join(t, broker, 'only', leaving)
    await publishAll(t, broker, '12345')
    await arrived(only)

    await leave(only)
    await broker.discardSession('only')
    await arrived(await connectClient(t, broker))

    t.is(broker.counters.publishDropped, 5)
  })
}

for (const qos of [1, 2]) {
  test(`[MQTT-4.8.2-4] delivery that has begun is completed when the member returns (QoS ${qos})`, async (t) => {
    const { broker } = await startBroker(t)
    const before = await join(t, broker, 'first', 'durable')
    await publishAll(t, broker, '12', qos)
    const sent = publishes(await arrived(before))
    const other = await join(t, broker, 'second', 'durable')
    await leave(before)
    t.deepEqual(await arrived(other), [])

    const after = await connectMember(t, broker, 'first', 'durable')

    const again = publishes(await arrived(after))
    t.deepEqual(
      again.map(({ payload, dup, messageId }) => [String(payload), dup, messageId]),
      sent.map(({ payload, messageId }) => [String(payload), true, messageId]),
    )
    acknowledge(after, again)
    await drain(after)
    t.deepEqual(await arrived(other), [])
    t.is(broker.counters.sharedLost, 0)
  })
}

for (const coming of kinds) {
  test(`a member that comes online gets what waits for those who are offline (${coming})`, async (t) => {
    const { broker } = await startBroker(t)
    if (coming === 'durable') await leave(await join(t, broker, 'coming', coming))
    await leave(await join(t, broker, 'away', 'durable'))
    await publishAll(t, broker, '123456')

    const member = await (coming === 'durable' ? connectMember : join)(t, broker, 'coming', coming)

    t.is(sorted(await drain(member)), '123456')
  })
}

test('messages wait for members that are all offline', async (t) => {
  const { broker } = await startBroker(t)
  for (const name of ['a', 'b']) await leave(await join(t, broker, name, 'durable'))
  await publishAll(t, broker, '1234')

  const a = await connectMember(t, broker, 'a', 'durable')
  const gotA = await drain(a)
  const gotB = await drain(await connectMember(t, broker, 'b', 'durable'))

  t.is(sorted(gotA, gotB), '1234')
})

test('a message that is handed over comes with the options of its new member', async (t) => {
  const { broker } = await startBroker(t)
  const options = { qos: 2, properties: { subscriptionIdentifier: 1 } }
  const first = await connectMember(t, broker, 'first', 'durable', 1)
  await first.subscribe(t, '$share/g/a', options)
  await publishAll(t, broker, '123', 2)
  await arrived(first)
  const second = await connectMember(t, broker, 'second', 'durable', 1)
  await second.subscribe(t, '$share/g/a', { qos: 1, properties: { subscriptionIdentifier: 2 } })
  await leave(first)
  await arrived(second)
  await leave(second)

  const again = await drain(await connectMember(t, broker, 'second', 'durable', 1))

  t.deepEqual(
    again.map(({ payload, qos, properties }) => [
      String(payload),
      qos,
      properties.subscriptionIdentifier,
    ]),
    [
      ['2', 1, 2],
      ['3', 1, 2],
    ],
  )
})

test('a session that ends hands over before one of its Client Identifier begins', async (t) => {
  const { broker } = await startBroker(t)
  const first = await join(t, broker, 'first', 'durable', 10)
  await publishAll(t, broker, '123456')
  await arrived(first)
  const second = await join(t, broker, 'second', 'durable', 10)

  const anew = await connectClient(t, broker, { clientId: 'first', clean: true })

  t.deepEqual(await arrived(anew), [])
  t.is(sorted(await drain(second)), '123456')
})

test('DISCONNECT with a Session Expiry of 0 hands over though the client is back at once', async (t) => {
  const { broker } = await startBroker(t)
  const first = await join(t, broker, 'first', 'durable', 10)
  await publishAll(t, broker, '123456')
  await arrived(first)
  const second = await join(t, broker, 'second', 'durable', 10)

  first.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 0 } })
  const anew = await connectClient(t, broker, durable(5, 'first'))

  t.deepEqual(await arrived(anew), [])
  t.is(sorted(await drain(second)), '123456')
})

for (const how of ['goes offline', 'ends', 'unsubscribes'] as const) {
  test(`a message is passed on if its member ${how} while the store writes it`, async (t) => {
    const storage = new HeldStore()
    const { broker } = await startBroker(t, { storage })
    const first = await join(t, broker, 'first', 'durable')
    storage.isHolding = true
    await publishAll(t, broker, '12')
    const second = await join(t, broker, 'second', 'volatile')

    if (how === 'unsubscribes') {
      first.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['$share/g/a'] })
      await arrived(first)
    } else {
      await leave(first)
      if (how === 'ends') await broker.discardSession('first')
    }
    for (let i = 0; i < 2; i++) storage.complete()

    t.is(sorted(await drain(second)), '12')
    if (how === 'unsubscribes') t.deepEqual(await arrived(first), [])
  })
}

/** A store that takes its time for what belongs to hand-overs. */
class SlowStore extends HeldStore {
  override async readQueue(...parameters: Parameters<HeldStore['readQueue']>) {
    await new Promise((resolve) => setImmediate(resolve))
    return super.readQueue(...parameters)
  }

  override async handOver(...parameters: Parameters<HeldStore['handOver']>) {
    await new Promise((resolve) => setImmediate(resolve))
    return super.handOver(...parameters)
  }
}

test('what is on its way from one member to another stays when that one leaves as well', async (t) => {
  const { broker } = await startBroker(t, { storage: new SlowStore() })
  const members = [
    await join(t, broker, 'a', 'durable', 1),
    await join(t, broker, 'b', 'durable', 1),
  ]
  await publishAll(t, broker, '12345678')

  for (const member of members) member.destroy()
  for (const member of members) await member.closed()

  const back = [
    await connectMember(t, broker, 'a', 'durable'),
    await connectMember(t, broker, 'b', 'durable'),
  ]
  const got: AnyPacket[] = []
  // The slow store hands over one message a turn, longer than a member waits for the next.
  while (got.length < 8) for (const member of back) got.push(...(await drain(member)))
  t.is(sorted(got), '12345678')
  t.is(broker.counters.publishDropped, 0)
})

test('members that come and go at random lose nothing and process nothing twice', async (t) => {
  const { broker } = await startBroker(t)
  const processed: string[] = []
  const members = new Map<string, MemoryClient>()
  const known = new Set<string>()
  let published = ''
  for (let round = 0; round < 40; round++) {
    const name = `m${(round * 7) % 4}`
    const member = members.get(name)
    if (member === undefined) {
      const connect = known.has(name) ? connectMember : join
      members.set(name, await connect(t, broker, name, 'durable'))
      known.add(name)
    } else {
      members.delete(name)
      processed.push(...payloads(await drain(member)))
      await leave(member)
    }
    const fresh = [0, 1, 2, 3, 4].map((i) => String.fromCodePoint(0x100 + 5 * round + i)).join('')
    await publishAll(t, broker, fresh)
    published += fresh
  }

  for (const name of ['m0', 'm1', 'm2', 'm3']) {
    if (!members.has(name)) members.set(name, await connectMember(t, broker, name, 'durable'))
  }
  for (const member of members.values()) processed.push(...payloads(await drain(member)))

  t.is(processed.toSorted().join(''), published)
  t.is(broker.counters.publishDropped, 0)
})

for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(`members that break off in the middle lose nothing, though the store is slow (seed ${seed})`, async (t) => {
    const random = seededRandom(seed)
    const { broker } = await startBroker(t, { storage: new SlowStore(), random })
    const names = ['m0', 'm1', 'm2', 'm3']
    const members = new Map<string, MemoryClient>()
    for (const name of names) members.set(name, await join(t, broker, name, 'durable'))
    const received = new Set<string>()
    let published = ''
    for (let round = 0; round < 60; round++) {
      const name = names[random.below(4)] as string
      const member = members.get(name)
      if (member === undefined) members.set(name, await connectMember(t, broker, name, 'durable'))
      else {
        const packets = await member.settled()
        if (random.below(2) === 0) {
          acknowledge(member, packets)
          for (const payload of payloads(packets)) received.add(payload)
        }
        members.delete(name)
        await leave(member)
      }
      const fresh = [0, 1, 2].map((i) => String.fromCodePoint(0x100 + 3 * round + i)).join('')
      await publishAll(t, broker, fresh)
      published += fresh
    }

    for (const name of names) {
      if (!members.has(name)) members.set(name, await connectMember(t, broker, name, 'durable'))
    }
    for (let idle = 0; idle < 20; idle++) {
      for (const member of members.values()) {
        for (const payload of payloads(await drain(member))) received.add(payload)
      }
    }

    t.is([...received].toSorted().join(''), published)
    t.is(broker.counters.publishDropped, 0)
  })
}
