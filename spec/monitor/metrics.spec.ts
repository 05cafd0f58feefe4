/** What the metrics say when clients do things. */

import { join } from 'node:path'
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import test, { type ExecutionContext } from 'ava'
import { startBroker } from '../support/broker.ts'
import { connectClient, type MemoryClient, openClient } from '../support/client.ts'
import { ManualClock } from '../support/clock.ts'
import { certificateFiles, startEncrypted } from '../support/encrypted.ts'
import { HeldStore } from '../support/held-store.ts'
import { scrape, startMetered, urlOf, valueOf } from '../support/metrics.ts'
import { connectMqttJs, speaking } from '../support/mqtt-js.ts'
import { temporaryDirectory } from '../support/processes.ts'

const STALE_MS = 1000
const DAY_SECONDS = 86_400

test('packets and bytes of a real client are counted, both ways', async (t) => {
  const { broker, url } = await startMetered(t, { listeners: [{ type: 'tcp', port: 0 }] })
  const { client } = await connectMqttJs(t, broker.urls[0] ?? '', speaking(5))
  await client.client.subscribeAsync('a', { qos: 1 })
  await client.client.publishAsync('a', 'four', { qos: 1, retain: true })
  await client.settled()

  const families = await scrape(url)

  const values = {
    'noctule_clients_connected': 1,
    'noctule_connections': 1,
    'noctule_connections_opened_total': 1,
    'noctule_connects_accepted_total': 1,
    'noctule_subscriptions': 1,
    'noctule_shared_subscriptions': 0,
    'noctule_retained_messages': 1,
    'noctule_packets_total{packet="connect",direction="received"}': 1,
    'noctule_packets_total{packet="connack",direction="sent"}': 1,
    'noctule_packets_total{packet="publish",direction="received"}': 1,
    'noctule_packets_total{packet="publish",direction="sent"}': 1,
    'noctule_packets_total{packet="puback",direction="sent"}': 1,
    'noctule_publish_payload_bytes_total{direction="received"}': 4,
    'noctule_publish_payload_bytes_total{direction="sent"}': 4,
    'noctule_network_bytes_total{direction="received"}': broker.counters.bytesReceived,
    'noctule_store_durability{level="volatile"}': 1,
    'noctule_store_durability{level="disk"}': 0,
    'noctule_store_healthy': 1,
  }
  for (const [sample, value] of Object.entries(values)) {
    t.is(valueOf(families, sample), value, sample)
  }
})
