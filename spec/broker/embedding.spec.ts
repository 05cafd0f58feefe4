import { Buffer } from 'node:buffer'
import test from 'ava'
import { Broker } from '../../lib/broker/broker.ts'
import { parseConfiguration } from '../../lib/config/load.ts'
import {
  type AccessHooks,
  type ApplicationMessage,
  type ClientInfo,
  ConfigurationError,
  createBroker,
  ListenError,
} from '../../lib/index.ts'
import { startBroker } from '../support/broker.ts'
import { connectClient, openClient, openTcpClient } from '../support/client.ts'
import { HeldStore } from '../support/held-store.ts'
import { until } from '../support/turns.ts'

test('a broker is one line, listens when the promise resolves, and ends with its scope', async (t) => {
  let url = ''
  {
    await using broker = await createBroker({ listeners: [{ type: 'tcp', port: 0 }] })
    url = broker.urls[0] as string
    const client = await openTcpClient(t, Number(new URL(url).port))
    client.connect()
    await client.expect(t, 'connack', { reasonCode: 0 })
  }

  const port = Number(new URL(url).port)
  await t.throwsAsync(openTcpClient(t, port), { code: 'ECONNREFUSED' })
})

test('a broker that is closed while it starts opens nothing, and start says so', async (t) => {
  let goOn = () => {}
  const held = new Promise<void>((resolve) => (goOn = resolve))
  const storage = new HeldStore()
  const open = storage.open.bind(storage)
  const asked = new Promise<void>((resolve) => {
    storage.open = async () => {
      resolve()
      await held
      return open()
    }
  })
  const configuration = parseConfiguration({ listeners: [{ type: 'tcp', port: 0 }] })
  const broker = new Broker(configuration, { storage })
  const starting = broker.start()
  await asked
  const closing = broker.close()
  goOn()

  await t.throwsAsync(starting, { message: 'The broker was closed while it started.' })
  await closing
  t.deepEqual(broker.urls, [])
})

test('options that do not exist are refused, with the one that was meant', async (t) => {
  const error = await t.throwsAsync(
    // @ts-expect-error -- the type checker says the same
    createBroker({ listeners: [], session: { queueMesagesMax: 5 } }),
    { instanceOf: ConfigurationError },
  )

  t.regex(error?.message ?? '', /session\.queueMesagesMax.*did you mean session\.queueMessagesMax/)
})

test('a hook that is misspelt is refused: nobody would ever ask it', async (t) => {
  const error = await t.throwsAsync(
    // @ts-expect-error -- the type checker says the same
    createBroker({ listeners: [], hooks: { authentcate: () => false, authorizePublish: true } }),
    { instanceOf: ConfigurationError },
  )

  t.regex(error?.message ?? '', /no option hooks\.authentcate; did you mean hooks\.authenticate\?/)
  t.regex(error?.message ?? '', /hooks\.authorizePublish must be a function/)
})

test('a port that is taken is told in one line, and nothing stays open', async (t) => {
  const first = await createBroker({ listeners: [{ type: 'tcp', port: 0 }] })
  t.teardown(() => first.close())
  const port = Number(new URL(first.urls[0] as string).port)

  const error = await t.throwsAsync(
    createBroker({
      listeners: [
        { type: 'ws', port: 0 },
        { type: 'tcp', port },
      ],
    }),
    { instanceOf: ListenError },
  )

  t.regex(error?.message ?? '', /^Cannot listen on 127\.0\.0\.1:\d+: the port is taken/)
})

test('publish reaches clients, and subscribe what clients publish', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)
  await client.subscribe(t, 'to/clients', { qos: 1 })
  const messages: ApplicationMessage[] = []
  broker.subscribe('from/+', (message) => messages.push(message))

  await broker.publish({
    topic: 'to/clients',
    payload: 'hello',
    qos: 1,
    properties: {
      contentType: 'text/plain',
      userProperties: [
        ['b', '1'],
        ['a', '2'],
        ['b', '3'],
      ],
    },
  })
  client.publish('from/client', 'hi', { properties: { userProperties: { x: 'y' } }, retain: true })
  const [publish] = await client.settled()

  t.like(publish, { cmd: 'publish', topic: 'to/clients', qos: 1 })
  t.is(publish?.properties.contentType, 'text/plain')
  t.deepEqual(messages, [
    {
      topic: 'from/client',
      payload: Buffer.from('hi'),
      qos: 0,
      retain: true,
      properties: { userProperties: [['x', 'y']] },
    },
  ])
})

test('subscribe begins with the retained messages and ends with unsubscribe', async (t) => {
  const { broker } = await startBroker(t)
  await broker.publish({ topic: 'a', payload: 'kept', retain: true })
  const payloads: string[] = []

  const subscription = broker.subscribe('#', ({ payload }) => payloads.push(String(payload)))
  await broker.publish({ topic: 'b', payload: 'live' })
  subscription.unsubscribe()
  await broker.publish({ topic: 'c', payload: 'late' })

  t.deepEqual(payloads, ['kept', 'live'])
})

test('what a message handler throws harms nobody', async (t) => {
  const { broker } = await startBroker(t)
  const heard: string[] = []
  broker.subscribe('a', () => {
    throw new Error('a defect of the host')
  })
  broker.subscribe('a', ({ topic }) => heard.push(topic))

  await broker.publish({ topic: 'a' })

  t.deepEqual(heard, ['a'])
})

for (const isHeardFirst of [false, true]) {
  test(`a message whose handler publishes is kept for sessions, heard ${isHeardFirst ? 'before' : 'behind'} them`, async (t) => {
    const { broker } = await startBroker(t)
    const session = { clientId: 'kept', properties: { sessionExpiryInterval: 60 } }
    const answer = () =>
      broker.subscribe('a', () => void broker.publish({ topic: 'b', payload: 'answer' }))
    if (isHeardFirst) answer()
    const before = await connectClient(t, broker, session)
    await before.subscribe(t, 'a', { qos: 1 })
    before.destroy()
    if (!isHeardFirst) answer()

    const publisher = await connectClient(t, broker)
    publisher.publish('a', 'question', { qos: 1, messageId: 1 })
    await publisher.expect(t, 'puback', { reasonCode: 0 })
    const kept = await connectClient(t, broker, { ...session, clean: false })

    t.like((await kept.settled())[0], { cmd: 'publish', topic: 'a' })
  })
}

for (const topic of ['', 'a/+', 'a/#', '$SYS/broker/uptime', 'nul\0']) {
  test(`publish refuses the topic ${JSON.stringify(topic)}`, async (t) => {
    const { broker } = await startBroker(t)

    await t.throwsAsync(broker.publish({ topic }), { instanceOf: TypeError })
  })
}

test('subscribe refuses what is no Topic Filter', async (t) => {
  const { broker } = await startBroker(t)

  t.throws(() => broker.subscribe('a/#/b', () => {}), { instanceOf: TypeError })
})

test('events tell the life of a client in order', async (t) => {
  const { broker } = await startBroker(t)
  const events: unknown[] = []
  const note =
    (name: string) =>
    (...[first]: unknown[]) =>
      events.push([
        name,
        typeof first === 'object' && 'topic' in (first as object)
          ? (first as ApplicationMessage).topic
          : (first as ClientInfo).clientIdentifier,
      ])
  broker.on('connected', note('connected'))
  broker.on('subscribed', note('subscribed'))
  broker.on('published', note('published'))
  broker.on('delivered', note('delivered'))
  broker.on('unsubscribed', note('unsubscribed'))
  broker.on('disconnected', note('disconnected'))

  const client = await connectClient(t, broker, { clientId: 'c' })
  await client.subscribe(t, 'a')
  client.publish('a', 'x')
  client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['a'] })
  await client.settled()
  client.send({ cmd: 'disconnect' })
  await client.closed()

  t.deepEqual(events, [
    ['connected', 'c'],
    ['subscribed', 'c'],
    ['published', 'a'],
    ['delivered', 'a'],
    ['unsubscribed', 'c'],
    ['disconnected', 'c'],
  ])
})

test('a message event that is listened to no more is not made any more', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)
  let published = 0
  const count = () => published++
  broker.on('published', count)
  client.publish('a', '1')
  await client.settled()

  broker.off('published', count)
  client.publish('a', '2')
  await client.settled()

  t.is(published, 1)
})

for (const version of [4, 5] as const) {
  test(`hooks decide who connects, publishes and subscribes (version ${version})`, async (t) => {
    const { broker } = await startBroker(t, {
      hooks: {
        authenticate: async ({ userName, password }) =>
          userName === 'ann' && String(password) === 'secret',
        authorizePublish: (_, { topic }) => topic.startsWith('own/'),
        authorizeSubscribe: async (_, { topicFilter }) => topicFilter.startsWith('own/'),
      },
    })
    const stranger = openClient(broker, version)
    stranger.connect({ username: 'bob', password: 'guess' })
    await stranger.expect(t, 'connack', version === 5 ? { reasonCode: 0x86 } : { returnCode: 4 })
    await stranger.closed()

    const ann = await connectClient(t, broker, { version, username: 'ann', password: 'secret' })
    const refused = await ann.subscribe(t, 'foreign/#')
    const granted = await ann.subscribe(t, 'own/#')
    ann.publish('foreign/a', 'x', { qos: 1, messageId: 7 })
    ann.publish('own/a', 'y', { qos: 1, messageId: 8 })
    const packets = await ann.settled()

    t.deepEqual(refused.granted, [version === 5 ? 0x87 : 0x80])
    t.deepEqual(granted.granted, [0])
    t.deepEqual(
      packets.map(({ cmd, messageId, topic, reasonCode }) => [cmd, topic ?? messageId, reasonCode]),
      [
        ['puback', 7, version === 5 ? 0x87 : undefined],
        ['publish', 'own/a', undefined],
        ['puback', 8, version === 5 ? 0 : undefined],
      ],
    )
  })
}

test('a hook that answers late holds back its own connection only, in order', async (t) => {
  const answers: ((answer: boolean) => void)[] = []
  const { broker } = await startBroker(t, {
    hooks: {
      authorizePublish: ({ clientIdentifier }) =>
        clientIdentifier === 'slow' ? new Promise((resolve) => answers.push(resolve)) : true,
    },
  })
  const [reader, slow, quick] = [
    await connectClient(t, broker),
    await connectClient(t, broker, { clientId: 'slow' }),
    await connectClient(t, broker, { clientId: 'quick' }),
  ]
  await reader.subscribe(t, '#')

  slow.publish('slow/1', '')
  slow.publish('slow/2', '')
  quick.publish('quick', '')
  await until(() => answers.length === 1)
  await reader.expect(t, 'publish', { topic: 'quick' })
  answers[0]?.(true)
  await reader.expect(t, 'publish', { topic: 'slow/1' })
  await until(() => answers.length === 2)
  answers[1]?.(true)

  await reader.expect(t, 'publish', { topic: 'slow/2' })
})

test('hooks may answer with promises of another make', async (t) => {
  /** What is no Promise, and can be waited for. */
  const later = <T>(answer: T) =>
    ({
      // oxlint-disable-next-line unicorn/no-thenable
      then: (resolve: (answer: T) => void) => void setImmediate(resolve, answer),
    }) as unknown as Promise<T>
  const hooks: AccessHooks = {
    authenticate: ({ userName }) => later(userName === 'alice'),
    authorizeSubscribe: (_, { topicFilter }) => later(topicFilter === 'a'),
    authorizePublish: (_, { topic }) => later(topic === 'a'),
  }
  const { broker } = await startBroker(t, { hooks })
  const stranger = openClient(broker)
  stranger.connect({ username: 'bob' })
  await stranger.expect(t, 'connack', { reasonCode: 0x86 })

  const client = await connectClient(t, broker, { username: 'alice' })
  await client.subscribe(t, 'a')
  client.send({ cmd: 'subscribe', messageId: 2, subscriptions: [{ topic: 'b', qos: 0 }] })
  await client.expect(t, 'suback', { granted: [0x87] })
  client.publish('b', 'refused', { qos: 1, messageId: 3 })
  await client.expect(t, 'puback', { reasonCode: 0x87 })
  client.publish('a', 'taken')
  await client.expect(t, 'publish', { topic: 'a' })
})

test('discardSession ends a connection and forgets its session', async (t) => {
  const { broker } = await startBroker(t)
  const options = { clientId: 'c', clean: false, properties: { sessionExpiryInterval: 100 } }
  const client = await connectClient(t, broker, options)

  t.true(await broker.discardSession('c'))
  t.like((await client.closed())[0], { cmd: 'disconnect', reasonCode: 0x98 })
  t.false(await broker.discardSession('c'))
  const again = openClient(broker, 5)
  again.connect(options)
  await again.expect(t, 'connack', { sessionPresent: false })
})
