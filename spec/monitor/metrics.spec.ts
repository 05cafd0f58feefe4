/** What the metrics say when clients do things. */

import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import test from 'ava'
import { startBroker } from '../support/broker.ts'
import { connectClient, openClient } from '../support/client.ts'
import { ManualClock } from '../support/clock.ts'
import { certificateFiles, startEncrypted, testAuthority } from '../support/encrypted.ts'
import { HeldStore } from '../support/held-store.ts'
import { scrape, startMetered, urlOf, valueOf } from '../support/metrics.ts'
import { connectMqttJs, speaking } from '../support/mqtt-js.ts'

const DAY_MS = 86_400_000

test('what a real client does is counted, both ways', async (t) => {
  const { broker, url } = await startMetered(t, { listeners: [{ type: 'tcp', port: 0 }] })
  const { client } = await connectMqttJs(t, broker.urls[0] ?? '', speaking(5))
  await client.client.subscribeAsync('a', { qos: 1 })
  await client.client.publishAsync('a', 'four', { qos: 1, retain: true })
  await client.take(1)

  const families = await scrape(url)

  const { bytesReceived } = broker.counters
  t.true(bytesReceived > 0)
  for (const [sample, value] of [
    ['noctule_clients_connected', 1],
    ['noctule_clients_disconnected', 0],
    ['noctule_connections', 1],
    ['noctule_connections_opened_total', 1],
    ['noctule_connects_accepted_total', 1],
    ['noctule_subscriptions', 1],
    ['noctule_shared_subscriptions', 0],
    ['noctule_retained_messages', 1],
    ['noctule_packets_total{packet="connect",direction="received"}', 1],
    ['noctule_packets_total{packet="connack",direction="sent"}', 1],
    ['noctule_packets_total{packet="publish",direction="received"}', 1],
    ['noctule_packets_total{packet="publish",direction="sent"}', 1],
    ['noctule_packets_total{packet="puback",direction="sent"}', 1],
    ['noctule_packets_total{packet="connect",direction="sent"}', 0],
    ['noctule_publish_payload_bytes_total{direction="received"}', 4],
    ['noctule_publish_payload_bytes_total{direction="sent"}', 4],
    ['noctule_network_bytes_total{direction="received"}', bytesReceived],
    ['noctule_store_durability{level="volatile"}', 1],
    ['noctule_store_durability{level="disk"}', 0],
    ['noctule_store_healthy', 1],
  ] as const) {
    t.is(valueOf(families, sample), value, sample)
  }
})

test('what waits for a client that is away, and what its full queue drops', async (t) => {
  const { broker, url } = await startMetered(t, { session: { queueMessagesMax: 3 } })
  const kept = { clientId: 'away', clean: false, properties: { sessionExpiryInterval: 1000 } }
  const away = await connectClient(t, broker, kept)
  await away.subscribe(t, 'a', { qos: 1 })
  await away.subscribe(t, '$share/g/b', { qos: 1 })
  away.destroy()
  await away.closed()
  for (const payload of '12345') await broker.publish({ topic: 'a', payload, qos: 1 })

  const families = await scrape(url)

  t.is(valueOf(families, 'noctule_queued_messages{client="disconnected"}'), 3)
  t.is(valueOf(families, 'noctule_queued_messages{client="connected"}'), 0)
  t.true((valueOf(families, 'noctule_queued_bytes') ?? 0) > 3)
  t.is(valueOf(families, 'noctule_publish_dropped_total{reason="queue-full"}'), 2)
  t.is(valueOf(families, 'noctule_publish_dropped_total{reason="expired"}'), 0)
  t.is(valueOf(families, 'noctule_clients_disconnected'), 1)
  t.is(valueOf(families, 'noctule_shared_subscriptions'), 1)
  t.is(valueOf(families, 'noctule_subscriptions'), 2)
})

test('what waits for the store', async (t) => {
  const storage = new HeldStore()
  storage.pressure = () => ({ isHealthy: false, pendingUnits: 7, pendingBytes: 700 })
  const { url } = await startMetered(t, { storage })

  const families = await scrape(url)

  t.is(valueOf(families, 'noctule_store_healthy'), 0)
  t.is(valueOf(families, 'noctule_store_pending_messages'), 7)
  t.is(valueOf(families, 'noctule_store_pending_bytes'), 700)
})

test('limits, bans and refusals', async (t) => {
  const { broker, url } = await startMetered(t, {
    hooks: { authenticate: ({ userName }) => userName === 'alice', authorizePublish: () => false },
    limits: { loopback: true },
    perAddress: { connectionsMax: 1 },
    bans: { failedLoginsMax: 1 },
  })
  const alice = openClient(broker, 5, { address: '192.0.2.1' })
  alice.connect({ username: 'alice' })
  await alice.expect(t, 'connack', { reasonCode: 0 })
  alice.publish('a', 'x', { qos: 1, messageId: 1 })
  await alice.expect(t, 'puback')
  openClient(broker, 5, { address: '192.0.2.3' })
  const full = openClient(broker, 5, { address: '192.0.2.1' })
  full.connect({ username: 'alice' })
  await full.closed()
  for (let i = 0; i < 3; i++) {
    const stranger = openClient(broker, 5, { address: '192.0.2.2' })
    stranger.connect({ username: 'mallory', password: 'guess' })
    await stranger.closed()
  }

  const families = await scrape(url)

  for (const [sample, value] of [
    ['noctule_limits_reached_total{limit="connections"}', 1],
    ['noctule_limits_reached_total{limit="bans"}', 1],
    ['noctule_bans', 1],
    ['noctule_connections_half_open', 1],
    ['noctule_refused_total{packet="connect",reason="quota-exceeded"}', 1],
    ['noctule_refused_total{packet="connect",reason="bad-user-name-or-password"}', 2],
    ['noctule_refused_total{packet="connect",reason="banned"}', 1],
    ['noctule_refused_total{packet="publish",reason="not-authorized"}', 1],
    ['noctule_refused_total{packet="subscribe",reason="not-authorized"}', 0],
  ] as const) {
    t.is(valueOf(families, sample), value, sample)
  }
})

test('an event loop that is late, and how much memory there is', async (t) => {
  let sample = () => {}
  let time = 0
  const load = {
    now: () => time,
    every: (_: number, callback: () => void) => {
      sample = callback
      return () => {}
    },
    memoryShare: () => 0.5,
  }
  const { url } = await startMetered(t, { load })
  for (let i = 0; i < 3; i++) {
    time += 500 + 1500
    sample()
  }

  const families = await scrape(url)

  t.is(valueOf(families, 'noctule_event_loop_delay_seconds'), 1.5)
  t.is(valueOf(families, 'noctule_memory_used_ratio'), 0.5)
  t.is(valueOf(families, 'noctule_overloaded{cause="event-loop"}'), 1)
  t.is(valueOf(families, 'noctule_overloaded{cause="memory"}'), 0)
})

test('certificates say when they end, as $SYS says the days', async (t) => {
  const { caFile, crlFile, ...files } = await certificateFiles(t)
  const clock = new ManualClock()
  const own = { name: 'door', caFile, crlFile, requestClientCertificate: 'required' } as const
  const monitor = { metrics: { port: 0 } }
  const { broker } = await startEncrypted(t, files, own, { clock, monitor })
  const metric = 'noctule_certificate_expiry_timestamp_seconds'
  const read = async (file: string) =>
    valueOf(await scrape(urlOf(broker)), `${metric}{listener="door",file="${file}"}`)
  const endOf = (path: string) => new X509Certificate(readFileSync(path)).validTo
  const daysOf = async (kind: string) => {
    const client = await connectClient(t, broker)
    await client.subscribe(t, `$SYS/brokers/noctule/listeners/door/${kind}/days`)
    return Number((await client.expect(t, 'publish')).payload)
  }

  t.is(await read('certificate'), Date.parse(endOf(files.certFile)) / 1000)
  t.is(await read('ca'), Date.parse(endOf(caFile)) / 1000)
  t.is(await daysOf('crl'), Math.floor((((await read('crl')) ?? 0) * 1000 - clock.now()) / DAY_MS))
  files.writeServer(await (await testAuthority).server([-1, 12.5]))
  const renewed = Date.parse(endOf(files.certFile)) / 1000
  await broker.reload(broker.configuration)
  await clock.advance(1000)

  t.is(await read('certificate'), renewed)
})

test('without certificates nothing is said of their end', async (t) => {
  const { url } = await startMetered(t)

  t.false((await scrape(url)).has('noctule_certificate_expiry_timestamp_seconds'))
})

test('which program it is, and when it was started', async (t) => {
  const { broker, clock } = await startBroker(t, {
    monitor: { nodeName: 'north', metrics: { port: 0 } },
  })
  const families = await scrape(urlOf(broker))

  t.regex(
    [...(families.get('noctule_build_info')?.samples.keys() ?? [])].join(''),
    /^\{version="\d+\.\d+\.\d+",node="north",nodejs="v\d+\.\d+\.\d+"\}$/,
  )
  t.is(valueOf(families, 'noctule_start_time_seconds'), clock.now() / 1000)
  t.true((valueOf(families, 'process_resident_memory_bytes') ?? 0) > 10_000_000)
  t.true((valueOf(families, 'process_cpu_seconds_total') ?? 0) > 0)
})
