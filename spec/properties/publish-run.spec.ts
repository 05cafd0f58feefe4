/**
 * Packets that come in one chunk, some of them alike, and the same packets one by one: every receiver is sent the same
 * bytes, and everything is counted the same. That goes for PUBLISH, and for what answers it at QoS 1 and 2.
 */

import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import mqttPacket, { type IPublishPacket } from 'mqtt-packet'
import type { CreateBrokerOptions } from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { connectClient, type MemoryClient, type Version } from '../support/client.ts'
import { CountingClock } from '../support/clock.ts'
import { turns } from '../support/deferred.ts'
import { recordFrames } from '../support/frames.ts'
import { bodyStartOf, join, type } from '../support/raw-packets.ts'

type Hooks = NonNullable<CreateBrokerOptions['hooks']>

const TOPICS = ['a', 'a/b', 'site/1/temperature/7', '$x/1', '$nobody']
const PAYLOAD_BYTES = [0, 9, 64, 2000]

/** PUBLISH packets of one publisher that differ in their Packet Identifier and payload alone. */
interface Row {
  readonly from: 0 | 1
  readonly topic: number
  readonly size: number
  readonly count: number
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  readonly kind: 'plain' | 'user property' | 'expiry' | 'UTF-8' | 'alias' | 'only alias' | 'twice'
}

const row: fc.Arbitrary<Row> = fc.record({
  from: fc.constantFrom(0, 1),
  topic: fc.nat(TOPICS.length - 1),
  size: fc.nat(PAYLOAD_BYTES.length - 1),
  count: fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 1, max: 9 }) }, fc.constant(150)),
  qos: fc.constantFrom(0, 0, 1, 1, 2),
  retain: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.constant(true)),
  kind: fc.constantFrom(
    'plain',
    'plain',
    'user property',
    'expiry',
    'UTF-8',
    'alias',
    'only alias',
    'twice',
  ),
})

const PUBLISHER_VERSIONS: readonly Version[] = [4, 5]

/** What a client answers to the `n`-th frame it gets; now and then twice, with a failure, or to what it never got. */
function answersTo(frame: Buffer, n: number, version: Version): Buffer[] {
  const answer = answerTo(frame, version === 5 && n % 17 === 5)
  if (answer === undefined) return []
  if (n % 13 === 7) return [answer, answer]
  return n % 19 === 3 ? [answer, join(answer[0]!, 2, 0xff, 0xfe)] : [answer]
}

function answerTo(frame: Buffer, isRefused: boolean): Buffer | undefined {
  const bodyStart = bodyStartOf(frame)
  const identifier = frame.subarray(bodyStart, bodyStart + 2)
  switch (frame[0]! >> 4) {
    case type.pubrec:
      return join(0x62, 2, identifier)
    case type.pubrel:
      return join(0x70, 2, identifier)
    case type.publish: {
      const qos = (frame[0]! >> 1) & 3
      const at = bodyStart + 2 + frame.readUInt16BE(bodyStart)
      const first = qos === 1 ? 0x40 : 0x50
      if (qos === 0) return undefined
      return isRefused
        ? join(first, 3, frame.subarray(at, at + 2), 0x80)
        : join(first, 2, frame.subarray(at, at + 2))
    }
  }
  return undefined
}

function packetOf({ from, topic, size, qos, retain, kind }: Row, number: number): Buffer {
  const payload = Buffer.alloc(PAYLOAD_BYTES[size]!, 'p')
  if (payload.length > 0) payload.write(`${number} `)
  if (kind === 'UTF-8' && number % 40 === 39) payload.fill(0xff)
  const protocolVersion = PUBLISHER_VERSIONS[from]!
  const packet: IPublishPacket = {
    cmd: 'publish',
    topic: kind === 'only alias' && protocolVersion === 5 ? '' : TOPICS[topic]!,
    payload,
    qos,
    retain,
    dup: false,
    // Of two with one identifier the second is sent again: at QoS 2 it is no new message.
    messageId: ((kind === 'twice' ? number & ~1 : number) % 0xffff) + 1,
    properties: {
      ...(kind === 'user property' && { userProperties: { unit: 'celsius' } }),
      ...(kind === 'expiry' && { messageExpiryInterval: 60 }),
      ...(kind === 'UTF-8' && { payloadFormatIndicator: true }),
      ...((kind === 'alias' || kind === 'only alias') && { topicAlias: topic + 1 }),
    },
  }
  return mqttPacket.generate(packet, { protocolVersion })
}

type Write = (client: MemoryClient, packets: readonly Buffer[]) => void

const inOneChunk: Write = (client, packets) => {
  if (packets.length > 0) client.sendBytes(Buffer.concat(packets))
}

const oneByOne: Write = (client, packets) => {
  for (const packet of packets) client.sendBytes(packet)
}

/** Answers what has come, until nothing more comes; returns what that was, PUBLISH packets and all others. */
function answering(client: MemoryClient, write: Write) {
  const frames = recordFrames(client)
  let answered = 0
  // Which of the two comes first where a client hears itself is nobody's business.
  const publishes: string[] = []
  const others: string[] = []
  return {
    answer(): boolean {
      const fresh = frames().slice(answered)
      answered += fresh.length
      const answers = fresh.flatMap((frame) => {
        const like = frame[0]! >> 4 === type.publish ? publishes : others
        return answersTo(frame, like.push(frame.toString('latin1')), client.version)
      })
      write(client, answers)
      return fresh.length > 0
    },
    sent: [publishes, others],
  }
}

/** Returns what each receiver was sent, and what the broker counted. */
async function play(t: ExecutionContext, rows: readonly Row[], write: Write): Promise<unknown> {
  const { broker, clock } = await startBroker(t)
  const open = async (
    clientId: string,
    version: Version,
    filters: readonly object[],
    properties = {},
    asked = {},
  ) => {
    const client = await connectClient(t, broker, { clientId, version, properties })
    const subscriptions = filters.map((filter) => ({ qos: 0, ...filter }))
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions, properties: asked })
    await client.expect(t, 'suback')
    return client
  }
  const all = { topic: '#' }
  const publishers = [
    await open('from 4', 4, [{ topic: 'a' }]),
    await open('from 5', 5, [{ ...all, nl: true }]),
  ]
  for (const topic of TOPICS.keys()) publishers[1]!.sendBytes(packetOf({ ...ALIASED, topic }, 1))
  await turns(4)
  const receivers = [
    await open('plain 4', 4, [all]),
    await open('exact 4', 4, [{ topic: 'a' }, { topic: 'a/b' }]),
    await open('once 4', 4, [{ ...all, qos: 1 }]),
    await open('exactly once 5', 5, [{ ...all, qos: 2 }]),
    await open('few at once', 5, [{ ...all, qos: 2 }], { receiveMaximum: 3 }),
    await open('aliases at 1', 5, [{ ...all, qos: 1 }], { topicAliasMaximum: 2 }),
    await open('kept', 5, [{ topic: 'a/b', qos: 2 }], { sessionExpiryInterval: 60 }),
    await open('plain 5', 5, [all, { topic: '$x/+' }]),
    await open('identifier', 5, [{ topic: 'site/#' }], {}, { subscriptionIdentifier: 7 }),
    await open('overlap', 5, [all, { topic: 'a', qos: 1 }]),
    await open('aliases', 5, [all], { topicAliasMaximum: 3 }),
    await open('small', 5, [all], { maximumPacketSize: 60 }),
    await open('as published', 5, [{ ...all, rap: true }]),
    await open('shared 1', 4, [{ topic: '$share/g/$x/1' }]),
    await open('shared 2', 5, [{ topic: '$share/g/$x/1' }]),
  ]
  const local: string[] = []
  const subscription = broker.subscribe('a', ({ payload }) => {
    local.push(payload.toString())
    if (local.length === 3) subscription.unsubscribe()
  })
  await turns(8)
  const everybody = [...receivers, ...publishers].map((client) => answering(client, write))

  let number = 0
  for (const from of [0, 1]) {
    const packets = rows
      .filter((one) => one.from === from)
      .flatMap((one) => Array.from({ length: one.count }, () => packetOf(one, number++)))
    write(publishers[from]!, packets)
    do await turns(8)
    while (everybody.map((one) => one.answer()).includes(true))
  }
  const frames = everybody.map((one) => one.sent)
  const watcher = await open('watcher', 4, [
    { topic: '$SYS/broker/publish/#' },
    { topic: '$SYS/broker/messages/+' },
    { topic: '$SYS/broker/bytes/sent' },
  ])
  await clock.advance(60_000)
  const counts = (await watcher.settled())
    .filter(({ retain }) => retain === false)
    .map(({ topic, payload }) => `${topic} ${payload}`)
  return { frames, counts: counts.toSorted(), local }
}

const ALIASED: Row = {
  from: 1,
  topic: 0,
  size: 1,
  count: 1,
  qos: 0,
  retain: false,
  kind: 'alias',
}

test('receivers see no difference between one chunk and packets one by one', async (t) => {
  t.timeout(120_000)
  const property = fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 8 }), async (rows) => {
    assert.deepStrictEqual(await play(t, rows, inOneChunk), await play(t, rows, oneByOne))
  })
  await t.notThrowsAsync(fc.assert(property, { numRuns: 60 }))
})

const alike = (count: number, qos: 0 | 1 = 0): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => packetOf({ ...ALIASED, from: 0, qos }, i)))

interface Asked {
  readonly version: Version
  readonly filter: string
  readonly qos: 0 | 1
}

/** A client that may be sent what another publishes, which is of MQTT 3.1.1. */
async function startRoom(
  t: ExecutionContext,
  options: CreateBrokerOptions,
  { version = 4, filter = 'a', qos = 0 }: Partial<Asked> = {},
) {
  const { broker } = await startBroker(t, options)
  const subscriber = await connectClient(t, broker, { version })
  await subscriber.subscribe(t, filter, { qos })
  const publisher = await connectClient(t, broker, { version: 4 })
  return { broker, subscriber, publisher }
}

test('events tell of each of the messages that came in one chunk', async (t) => {
  const { broker, publisher } = await startRoom(t, {})
  const told: string[] = []
  broker.on('published', ({ payload }) => told.push(`published ${String(payload)}`))
  broker.on('delivered', ({ payload }) => told.push(`delivered ${String(payload)}`))

  publisher.sendBytes(alike(5))
  await publisher.settled()

  t.is(told.filter((word) => word.startsWith('published')).length, 5)
  t.is(new Set(told).size, 10)
})

const limits = { burstSeconds: 1 }

test('of messages that come in one chunk no more are taken than the rate allows', async (t) => {
  const perClient = { messagesInPerSecond: 10 }
  const { publisher, subscriber } = await startRoom(t, { limits, perClient })

  publisher.sendBytes(alike(30))
  await turns(8)

  t.is((await subscriber.settled()).length, 10)
})

test('a client that may be sent few messages a second is not sent a row of them', async (t) => {
  const perClient = { messagesOutPerSecond: 10 }
  const { publisher, subscriber } = await startRoom(t, { limits, perClient })

  publisher.sendBytes(alike(30))
  await publisher.settled()

  t.is((await subscriber.settled()).length, 10)
})

test('who sends a row of messages has its turn ended as if each came by itself', async (t) => {
  const clock = new CountingClock()
  const { publisher, subscriber } = await startRoom(t, { clock }, { version: 5 })
  await publisher.settled()
  clock.readings = 0

  publisher.sendBytes(alike(960))
  await publisher.settled()

  // Looked at when 16 packets have come since the last time, and a row is no more than 32.
  t.true(clock.readings >= 960 / 48, `the clock was read ${clock.readings} times`)
  t.is((await subscriber.settled()).length, 960)
})

for (const qos of [0, 1] as const) {
  test(`a receiver whose messages are judged is sent none of those it may not have, at QoS ${qos}`, async (t) => {
    const hooks: Hooks = {
      authenticate: () => true,
      authorizeSubscribe: () => ({ isAllowed: true, isFiltered: true }),
      authorizeReceive: (_, { topic }) => topic !== 'a',
    }
    const { publisher, subscriber } = await startRoom(t, { hooks }, { filter: '#', qos })

    const allowed = packetOf({ ...ALIASED, from: 0, topic: 1 }, 0)
    publisher.sendBytes(Buffer.concat([alike(5, qos), allowed]))
    await publisher.settled()

    t.deepEqual(
      (await subscriber.settled()).map(({ topic }) => topic),
      ['a/b'],
    )
  })
}
