/** `$SYS`: the topics of Mosquitto 2.1, the presence of clients, and whose topics these are. */

import type { ExecutionContext } from 'ava'
import test from 'ava'
import { startBroker } from '../support/broker.ts'
import { type AnyPacket, connectClient, type MemoryClient } from '../support/client.ts'
import { leadingTo, mosquittoClients } from '../support/mosquitto.ts'
import { startListeningBroker } from '../support/mqtt-js.ts'

const INTERVAL_MS = 10_000

const loads = [
  'connections',
  'sockets',
  'bytes/received',
  'bytes/sent',
  'messages/received',
  'messages/sent',
  'publish/dropped',
  'publish/received',
  'publish/sent',
]

const packets = [
  'connect',
  'connack',
  'publish',
  'puback',
  'pubrec',
  'pubrel',
  'pubcomp',
  'subscribe',
  'suback',
  'unsubscribe',
  'unsuback',
  'pingreq',
  'pingresp',
  'disconnect',
  'auth',
]

const others = [
  'bytes/received',
  'bytes/sent',
  'clients/active',
  'clients/connected',
  'clients/disconnected',
  'clients/expired',
  'clients/inactive',
  'clients/maximum',
  'clients/total',
  'connections/socket/count',
  'heap/current',
  'heap/maximum',
  'messages/received',
  'messages/sent',
  'messages/stored',
  'mqtt/publish/dropped',
  'packet/out/bytes',
  'packet/out/count',
  'publish/bytes/received',
  'publish/bytes/sent',
  'publish/messages/dropped',
  'publish/messages/received',
  'publish/messages/sent',
  'retained messages/count',
  'shared_subscriptions/count',
  'store/messages/bytes',
  'store/messages/count',
  'subscriptions/count',
  'uptime',
  'version',
]

/** Of Mosquitto 2.1, without those of bridges: `connection/<bridge>/state`. */
const mosquittoTopics: readonly string[] = [
  ...loads.flatMap((name) => ['1min', '5min', '15min'].map((span) => `load/${name}/${span}`)),
  ...packets.flatMap((name) => [`mqtt/${name}/received`, `mqtt/${name}/sent`]),
  ...others,
]
  .map((name) => `$SYS/broker/${name}`)
  .toSorted()

/** Topic → payload of the PUBLISH packets among `packets`. */
function valuesOf(received: readonly AnyPacket[]): Record<string, string> {
  const publishes = received.filter(({ cmd }) => cmd === 'publish')
  return Object.fromEntries(publishes.map(({ topic, payload }) => [topic, String(payload)]))
}

/** What a new subscription to `topicFilter` brings. */
async function retainedOf(
  t: ExecutionContext,
  client: MemoryClient,
  topicFilter: string,
): Promise<Record<string, string>> {
  await client.subscribe(t, topicFilter)
  const received = await client.settled()
  t.true(received.every(({ retain }) => retain === true))
  return valuesOf(received)
}

test('a subscriber to $SYS/broker/# gets the topics of Mosquitto 2.1, exactly', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker)

  const values = await retainedOf(t, client, '$SYS/broker/#')

  t.deepEqual(Object.keys(values).toSorted(), mosquittoTopics)
})

test('mosquitto_sub sees every topic of Mosquitto 2.1', async (t) => {
  const { broker, urls } = await startListeningBroker(t)
  const clients = mosquittoClients(t, broker, leadingTo(urls.tcp))
  if (clients === undefined) return

  const count = String(mosquittoTopics.length)
  const { stdout } = await clients.collect(['-t', '$SYS/broker/#', '-C', count, '-F', '%t|%r|%p'])

  const lines = stdout.trimEnd().split('\n')
  t.deepEqual(lines.map((line) => line.slice(0, line.indexOf('|'))).toSorted(), mosquittoTopics)
  t.true(lines.every((line) => /\|1\|(\d+(\.\d\d)?|\d+ seconds|noctule version .+)$/.test(line)))
})

test('the figures count what has happened', async (t) => {
  const { broker, clock } = await startBroker(t)
  const [client, leaving] = [await connectClient(t, broker), await connectClient(t, broker)]
  client.publish('kept', 'four', { retain: true })
  client.publish('lost', '', { qos: 1, messageId: 7 })
  await client.expect(t, 'puback')
  await leaving.subscribe(t, '$share/g/x')
  leaving.destroy()
  await leaving.closed()
  await client.subscribe(t, 'kept')
  await clock.advance(42_000)
  await client.settled()

  const values = await retainedOf(t, client, '$SYS/broker/#')

  const expected = {
    'clients/connected': 1,
    'clients/maximum': 2,
    'connections/socket/count': 1,
    'mqtt/connect/received': 2,
    'mqtt/connack/sent': 2,
    'mqtt/publish/received': 2,
    'mqtt/puback/sent': 1,
    'mqtt/subscribe/received': 3,
    'publish/messages/received': 2,
    'publish/bytes/received': 4,
    'retained messages/count': 1,
    'store/messages/count': 1,
    'subscriptions/count': 2,
    'shared_subscriptions/count': 0,
    uptime: '42 seconds',
  }
  for (const [name, value] of Object.entries(expected)) {
    t.is(values[`$SYS/broker/${name}`], String(value), name)
  }
  t.true(Number(values['$SYS/broker/publish/messages/sent']) >= 1)
  t.true(Number(values['$SYS/broker/publish/bytes/sent']) >= 4)
  t.true(Number(values['$SYS/broker/bytes/received']) > 50)
  t.true(Number(values['$SYS/broker/heap/current']) > 10 ** 6)
  t.true(Number(values['$SYS/broker/heap/maximum']) >= 10 ** 6)
})

test('a figure that has changed is published on the interval, one that has not is not', async (t) => {
  const { broker, clock } = await startBroker(t)
  const client = await connectClient(t, broker)
  await retainedOf(t, client, '$SYS/broker/clients/connected')
  await retainedOf(t, client, '$SYS/broker/clients/maximum')
  await clock.advance(INTERVAL_MS)
  await client.settled()

  const leaving = await connectClient(t, broker)
  const second = await connectClient(t, broker)
  leaving.destroy()
  await leaving.closed()
  const early = await client.settled()
  await clock.advance(INTERVAL_MS)
  const onTime = await client.settled()
  second.destroy()
  await second.closed()
  await clock.advance(INTERVAL_MS)
  const later = await client.settled()

  t.deepEqual(early, [])
  t.deepEqual(valuesOf(onTime), {
    '$SYS/broker/clients/connected': '2',
    '$SYS/broker/clients/maximum': '3',
  })
  t.deepEqual(valuesOf(later), { '$SYS/broker/clients/connected': '1' })
  t.true(onTime.every(({ retain }) => retain === false))
})

test('who has been told another value than the last one published is told when it is back', async (t) => {
  const { broker, clock } = await startBroker(t)
  const [early, late] = [await connectClient(t, broker), await connectClient(t, broker)]
  await early.subscribe(t, '$SYS/broker/clients/connected')
  await clock.advance(INTERVAL_MS)
  const passing = await connectClient(t, broker)
  const told = await retainedOf(t, late, '$SYS/broker/clients/connected')

  passing.destroy()
  await passing.closed()
  await clock.advance(INTERVAL_MS)
  const received = await late.settled()

  t.deepEqual(told, { '$SYS/broker/clients/connected': '3' })
  t.deepEqual(valuesOf(received), { '$SYS/broker/clients/connected': '2' })
})

test('no figures are published where monitor.sysIntervalSeconds is 0', async (t) => {
  const { broker, clock } = await startBroker(t, { monitor: { sysIntervalSeconds: 0 } })
  const client = await connectClient(t, broker)

  const values = await retainedOf(t, client, '$SYS/broker/#')
  await clock.advance(INTERVAL_MS)

  t.deepEqual(values, {})
  t.deepEqual(await client.settled(), [])
})

test('$SYS is not among what # and +/# match', async (t) => {
  const { broker, clock } = await startBroker(t)
  const client = await connectClient(t, broker)

  const values = { ...(await retainedOf(t, client, '#')), ...(await retainedOf(t, client, '+/#')) }
  await clock.advance(INTERVAL_MS)

  t.deepEqual(values, {})
  t.deepEqual(await client.settled(), [])
})

test('a figure is not computed while nobody is subscribed to it', async (t) => {
  const { broker, clock } = await startBroker(t)
  const client = await connectClient(t, broker)
  let readings = 0
  Object.defineProperty(broker.counters, 'clientsExpired', { get: () => ++readings })

  await clock.advance(INTERVAL_MS)
  const readingsAlone = readings
  await client.subscribe(t, '$SYS/broker/clients/expired')
  await clock.advance(INTERVAL_MS)

  t.is(readingsAlone, 0)
  t.is(readings, 2)
})

for (const version of [3, 4, 5] as const) {
  for (const qos of [0, 1, 2] as const) {
    test(`a client cannot publish to $SYS at QoS ${qos} (version ${version})`, async (t) => {
      const { broker } = await startBroker(t)
      const client = await connectClient(t, broker, { version })
      await client.subscribe(t, '$SYS/#')
      await client.settled()

      client.publish('$SYS/broker/mine', 'x', {
        qos,
        retain: true,
        ...(qos > 0 && { messageId: 9 }),
      })

      if (qos > 0) {
        const answer = await client.expect(t, qos === 1 ? 'puback' : 'pubrec', { messageId: 9 })
        t.is(answer['reasonCode'] ?? 0, version === 5 ? 0x87 : 0)
      }
      t.deepEqual(await client.settled(), [])
      await client.subscribe(t, '$SYS/broker/mine')
      t.deepEqual(await client.settled(), [])
    })
  }
}

test('the coming and going of a client is told, with its identifier in one topic level', async (t) => {
  const { broker, clock } = await startBroker(t, { monitor: { nodeName: 'bat-1' } })
  const witness = await connectClient(t, broker)
  await witness.subscribe(t, '$SYS/brokers/bat-1/clients/+/+')
  await witness.settled()
  const clientId = 'a/b+#ü %'

  const client = await connectClient(t, broker, { clientId, username: 'me', keepalive: 30 })
  const [connected] = await witness.settled()
  await clock.advance(1000)
  client.send({ cmd: 'disconnect', reasonCode: 0 })
  await client.closed()
  const [disconnected] = await witness.settled()

  const topic = '$SYS/brokers/bat-1/clients/a%2Fb%2B%23%C3%BC%20%25'
  t.like(connected, { topic: `${topic}/connected`, retain: false })
  t.like(JSON.parse(String(connected?.['payload'])), {
    clientid: clientId,
    username: 'me',
    proto_ver: 5,
    keepalive: 30,
    connected_at: clock.now() - 1000,
  })
  t.like(disconnected, { topic: `${topic}/disconnected`, retain: false })
  const { clientid, reason, disconnected_at } = JSON.parse(String(disconnected?.['payload']))
  t.is(clientid, clientId)
  t.is(disconnected_at, clock.now())
  t.regex(reason, /./)
})

test('connected is retained while the client is connected, disconnected never', async (t) => {
  const { broker } = await startBroker(t)
  const client = await connectClient(t, broker, { clientId: 'here' })
  const witness = await connectClient(t, broker, { clientId: 'witness' })
  await witness.subscribe(t, '$SYS/brokers/+/clients/here/+', { qos: 0, rap: true })
  const [retained] = await witness.settled()

  client.destroy()
  await client.closed()
  const [live] = await witness.settled()
  const afterwards = await retainedOf(t, witness, '$SYS/brokers/+/clients/#')

  t.like(retained, { topic: '$SYS/brokers/noctule/clients/here/connected', retain: true })
  t.like(live, { topic: '$SYS/brokers/noctule/clients/here/disconnected', retain: false })
  t.deepEqual(Object.keys(afterwards), ['$SYS/brokers/noctule/clients/witness/connected'])
})

test('a live connected message is marked as retained to who wants it as published', async (t) => {
  const { broker } = await startBroker(t)
  const witness = await connectClient(t, broker)
  await witness.subscribe(t, '$SYS/brokers/+/clients/new/+', { rap: true })

  await connectClient(t, broker, { clientId: 'new' })
  const [connected] = await witness.settled()

  t.like(connected, { topic: '$SYS/brokers/noctule/clients/new/connected', retain: true })
})

test('presence is not told where monitor.presence is off', async (t) => {
  const { broker } = await startBroker(t, { monitor: { presence: false } })
  const witness = await connectClient(t, broker)
  await witness.subscribe(t, '$SYS/brokers/+/clients/#')

  const client = await connectClient(t, broker)
  client.destroy()
  await client.closed()

  t.deepEqual(await witness.settled(), [])
})

test('a client whose identifier makes no possible topic is served without presence', async (t) => {
  const { broker } = await startBroker(t)
  const witness = await connectClient(t, broker)
  await witness.subscribe(t, '$SYS/brokers/#')
  await witness.settled()

  const client = await connectClient(t, broker, { clientId: '/'.repeat(30_000) })
  const ownPackets = await client.settled()
  const isServed = !client.isClosed
  const present = await retainedOf(t, witness, '$SYS/brokers/+/clients/+/connected')
  client.destroy()
  await client.closed()

  t.deepEqual(ownPackets, [])
  t.true(isServed)
  t.is(Object.keys(present).length, 1)
  t.deepEqual(await witness.settled(), [])
})

test('what acknowledgements survive, and how the store keeps up, is told', async (t) => {
  const { broker } = await startBroker(t)
  const witness = await connectClient(t, broker)

  t.deepEqual(await retainedOf(t, witness, '$SYS/brokers/+/store/#'), {
    '$SYS/brokers/noctule/store/durability': 'volatile',
    '$SYS/brokers/noctule/store/healthy': 'true',
    '$SYS/brokers/noctule/store/pending/messages': '0',
    '$SYS/brokers/noctule/store/pending/bytes': '0',
  })
})
