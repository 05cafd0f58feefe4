/** What MQTT 5.0 adds, as MQTT.js uses it: properties, aliases, shared subscriptions, reason codes. */

import { Buffer } from 'node:buffer'
import type { ExecutionContext } from 'ava'
import test from 'ava'
import type { IClientOptions, IDisconnectPacket, IPublishPacket } from 'mqtt'
import {
  type Connected,
  connectMqttJs,
  type MqttJsClient,
  receivedOf,
  speaking,
  startListeningBroker,
} from '../support/mqtt-js.ts'

type Connect = (options?: IClientOptions) => Promise<Connected>

async function enter(t: ExecutionContext): Promise<{ connect: Connect }> {
  const { urls } = await startListeningBroker(t)
  const connect = (options: IClientOptions = {}) =>
    connectMqttJs(t, urls.tcp, { ...speaking(5), ...options })
  return { connect }
}

function payloads(packets: readonly IPublishPacket[]): string[] {
  return packets.map((packet) => receivedOf(packet).payload)
}

test('the properties of a message arrive as they were sent', async (t) => {
  const { connect } = await enter(t)
  const [{ client: publisher }, { client: subscriber }] = [await connect(), await connect()]
  const properties = {
    payloadFormatIndicator: true,
    contentType: 'application/json',
    responseTopic: 'answers/7',
    correlationData: Buffer.from([0, 255, 7]),
    userProperties: { unit: '°C', tag: ['a', 'b'] },
  }
  await subscriber.client.subscribeAsync('asked', {
    qos: 1,
    properties: { subscriptionIdentifier: 268_435_455 },
  })

  await publisher.client.publishAsync('asked', '{}', {
    qos: 1,
    properties: { ...properties, messageExpiryInterval: 100 },
  })
  const [packet] = await subscriber.take(1)

  const { messageExpiryInterval, subscriptionIdentifier, ...rest } = packet?.properties ?? {}
  t.deepEqual(JSON.parse(JSON.stringify(rest)), JSON.parse(JSON.stringify(properties)))
  t.is(subscriptionIdentifier, 268_435_455)
  t.true(messageExpiryInterval === 100 || messageExpiryInterval === 99)
})

test('a request is answered on its Response Topic with its Correlation Data', async (t) => {
  const { connect } = await enter(t)
  const [{ client: asking }, { client: answering }] = [await connect(), await connect()]
  await asking.client.subscribeAsync('answers/asking')
  await answering.client.subscribeAsync('questions')
  answering.client.on('message', (_topic, payload, { properties }) => {
    const { responseTopic = '', correlationData = Buffer.alloc(0) } = properties ?? {}
    answering.client.publish(responseTopic, `${payload.toString()}!`, {
      properties: { correlationData },
    })
  })

  await asking.client.publishAsync('questions', 'really', {
    properties: { responseTopic: 'answers/asking', correlationData: Buffer.from('no. 1') },
  })
  const [packet] = await asking.take(1)

  t.is(packet?.payload.toString(), 'really!')
  t.is(packet?.properties?.correlationData?.toString(), 'no. 1')
})

test('CONNACK names what the broker allows, and the identifier it has assigned', async (t) => {
  const { connect } = await enter(t)

  const { connack, client } = await connect({ clientId: '' })

  t.is(connack.reasonCode, 0)
  t.false(connack.sessionPresent)
  t.truthy(connack.properties?.assignedClientIdentifier)
  t.like(connack.properties, { receiveMaximum: 1024, topicAliasMaximum: 32 })
  t.deepEqual(await client.settled(), [])
})

for (const version of [4, 5] as const) {
  test(`three clients share a subscription, and each message goes to one of them (version ${version})`, async (t) => {
    const { connect } = await enter(t)
    const { client: publisher } = await connect()
    const members: MqttJsClient[] = []
    for (let i = 0; i < 3; i++) {
      // oxlint-disable-next-line no-await-in-loop -- One after the other, so that the turns are known.
      const { client } = await connect(speaking(version))
      // oxlint-disable-next-line no-await-in-loop -- The same.
      await client.client.subscribeAsync('$share/workers/jobs/+', { qos: 1 })
      members.push(client)
    }
    const expected = Array.from({ length: 90 }, (_, i) => String(i))

    for (const payload of expected) publisher.client.publish('jobs/any', payload, { qos: 1 })
    const shares = await Promise.all(members.map((member) => member.take(30)))
    const rest = await Promise.all(members.map((member) => member.settled()))

    const done = shares.flatMap(payloads)
    t.deepEqual(
      done.toSorted((a, b) => Number(a) - Number(b)),
      expected,
    )
    t.deepEqual(rest, [[], [], []])
  })
}

test('what a member of a shared subscription leaves unfinished goes to another', async (t) => {
  const { connect } = await enter(t)
  const { client: publisher } = await connect()
  const { client: leaving } = await connect({ clientId: 'leaving' })
  leaving.client.handleMessage = () => {}
  const { client: staying } = await connect({ clientId: 'staying' })
  await leaving.client.subscribeAsync('$share/g/jobs', { qos: 1 })
  await publisher.client.publishAsync('jobs', 'first', { qos: 1 })
  await leaving.take(1)

  await staying.client.subscribeAsync('$share/g/jobs', { qos: 1 })
  await leaving.breakOff()
  const { payload } = await staying.next()

  t.is(payload, 'first')
})

test('Topic Aliases that the client assigns stand for their topics', async (t) => {
  const { connect } = await enter(t)
  const { client: publisher } = await connect({ autoAssignTopicAlias: true })
  const { client: subscriber } = await connect()
  await subscriber.client.subscribeAsync('alias/#', { qos: 1 })
  const sentTopics: string[] = []
  publisher.client.on('packetsend', (packet) => {
    if (packet.cmd === 'publish') sentTopics.push(packet.topic)
  })

  for (const payload of ['1', '2', '3']) {
    // oxlint-disable-next-line no-await-in-loop -- In order.
    await publisher.client.publishAsync('alias/long/topic', payload, { qos: 1 })
  }
  const packets = await subscriber.take(3)

  t.deepEqual(sentTopics, ['alias/long/topic', '', ''])
  t.deepEqual(
    packets.map(({ topic, payload }) => [topic, payload.toString()]),
    ['1', '2', '3'].map((payload) => ['alias/long/topic', payload]),
  )
})

test('Topic Aliases that the broker assigns are understood by the client', async (t) => {
  const { connect } = await enter(t)
  const { client: publisher } = await connect()
  const { client: subscriber } = await connect({ properties: { topicAliasMaximum: 2 } })
  await subscriber.client.subscribeAsync('alias/#', { qos: 1 })
  const topics = ['alias/a', 'alias/b', 'alias/c', 'alias/a', 'alias/c', 'alias/b', 'alias/a']

  for (const topic of topics) publisher.client.publish(topic, topic, { qos: 1 })
  const packets = await subscriber.take(topics.length)

  t.deepEqual(
    packets.map(({ topic }) => topic),
    topics,
  )
  t.deepEqual(payloads(packets), topics)
  t.true(packets.some(({ properties }) => properties?.topicAlias !== undefined))
})

test('No Local, Retain As Published and Retain Handling are kept', async (t) => {
  const { connect } = await enter(t)
  const [{ client }, { client: other }] = [await connect(), await connect()]
  await other.client.publishAsync('kept', 'old', { qos: 1, retain: true })
  await client.client.subscribeAsync('kept', { qos: 1, nl: true, rap: true, rh: 2 })

  await client.client.publishAsync('kept', 'own', { qos: 1 })
  await other.client.publishAsync('kept', 'new', { qos: 1, retain: true })
  const packets = await client.settled()

  t.like(packets.map(receivedOf), [{ payload: 'new', retain: true }])
  t.is(packets.length, 1)
})

test('a client whose identifier another one takes is told so', async (t) => {
  const { connect } = await enter(t)
  const { client: first } = await connect({ clientId: 'same' })
  const disconnected = new Promise<IDisconnectPacket>((resolve) => {
    first.client.once('disconnect', resolve)
  })

  const { client: second } = await connect({ clientId: 'same' })
  const { reasonCode } = await disconnected

  t.is(reasonCode, 0x8e)
  t.deepEqual(await second.settled(), [])
})

test('a publication that is not permitted is refused with its reason code, and the client stays', async (t) => {
  const { connect } = await enter(t)
  const { client } = await connect()

  for (const qos of [1, 2] as const) {
    // oxlint-disable-next-line no-await-in-loop -- One after the other.
    await t.throwsAsync(client.client.publishAsync('$SYS/mine', 'x', { qos }), { code: 0x87 })
  }

  t.true(client.client.connected)
  t.deepEqual(await client.settled(), [])
})

test('a will with properties and a delay of zero is published with them', async (t) => {
  const { connect } = await enter(t)
  const [{ client: witness }, { client: leaving }] = [
    await connect(),
    await connect({
      will: {
        topic: 'last/words',
        payload: Buffer.from('bye'),
        qos: 2,
        retain: true,
        properties: { contentType: 'text/plain', userProperties: { a: 'b' }, willDelayInterval: 0 },
      },
    }),
  ]
  await witness.client.subscribeAsync('last/words', { qos: 2, rap: true })

  await leaving.breakOff()
  const [packet] = await witness.take(1)

  t.like(packet, { qos: 2, retain: true })
  t.is(packet?.properties?.contentType, 'text/plain')
  t.like(packet?.properties?.userProperties, { a: 'b' })
})
