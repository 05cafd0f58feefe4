/**
 * What stands in `$SYS/broker/`, exactly the topics of Mosquitto 2.1, so that dashboards and exporters fit; and the
 * metrics that say the same.
 */

import type { Connection } from '../connection/connection.ts'
import { PacketType } from '../protocol/packets.ts'
import type { RetainedMessages } from '../retained/retained-messages.ts'
import type { Router } from '../router/router.ts'
import type { SessionRegistry } from '../session/session-registry.ts'
import type { Clock } from '../util/clock.ts'
import type { Counters } from '../util/counters.ts'
import { counter, type Figure, gauge, type Reading, sum, together, topic } from './figure.ts'
import { LoadAverage, loadPeriods } from './load-averages.ts'

interface FigureParts {
  readonly counters: Counters
  readonly registry: SessionRegistry
  readonly router: Router
  readonly retained: RetainedMessages
  readonly connections: ReadonlySet<Connection>
  readonly clock: Clock
  readonly version: string
}

export interface BrokerFigures {
  readonly figures: readonly Figure[]
  readonly loads: readonly LoadAverage[]
}

export function brokerFigures(parts: FigureParts): BrokerFigures {
  const loads = loadFigures(parts)
  const figures = [
    ...clientFigures(parts),
    ...trafficFigures(parts),
    ...keptFigures(parts),
    ...processFigures(parts),
    ...loads.figures,
  ]
  return { figures, loads: loads.averages }
}

function clientFigures({ registry, counters, connections }: FigureParts): Figure[] {
  return [
    gauge('noctule_clients_connected', 'Clients that are connected.', {
      value: () => registry.onlineCount,
      topics: ['clients/connected', 'clients/active'],
    }),
    gauge('noctule_clients_disconnected', 'Sessions that are kept for clients that are away.', {
      value: () => registry.size - registry.onlineCount,
      topics: ['clients/disconnected', 'clients/inactive'],
    }),
    counter('noctule_sessions_expired_total', 'Sessions whose time was over.', {
      value: () => counters.clientsExpired,
      topics: ['clients/expired'],
    }),
    topic('clients/maximum', () => counters.clientsMaximum),
    topic('clients/total', () => registry.size),
    gauge('noctule_connections', 'Network connections that are open, with CONNECT or not yet.', {
      value: () => connections.size,
      topics: ['connections/socket/count'],
    }),
    counter('noctule_connections_opened_total', 'Network connections that were accepted.', {
      value: () => counters.socketsOpened,
    }),
    counter('noctule_connects_accepted_total', 'CONNECT packets that led to a session.', {
      value: () => counters.connectionsOpened,
    }),
  ]
}

function trafficFigures(parts: FigureParts): Figure[] {
  const { counters, connections } = parts
  return [
    counter(
      'noctule_network_bytes_total',
      'Bytes of MQTT that went over the network, TLS and WebSocket frames aside.',
      ...bothWays(
        [() => counters.bytesReceived, 'bytes/received'],
        [() => counters.bytesSent, 'bytes/sent'],
      ),
    ),
    topic('messages/received', () => sum(counters.packetsReceived)),
    topic('messages/sent', () => sum(counters.packetsSent)),
    counter(
      'noctule_publish_payload_bytes_total',
      'Bytes of the payloads of PUBLISH packets.',
      ...bothWays(
        [() => counters.publishBytesReceived, 'publish/bytes/received'],
        [() => counters.publishBytesSent, 'publish/bytes/sent'],
      ),
    ),
    counter('noctule_packets_total', 'MQTT control packets.', ...packetReadings(counters)),
    topic('publish/messages/dropped', () => counters.publishDropped),
    topic('mqtt/publish/dropped', () => counters.publishDropped),
    gauge('noctule_output_buffer_bytes', 'Bytes that wait for the network of clients.', {
      value: () => sum(connections, ({ transport }) => transport.pendingBytes),
      topics: ['packet/out/bytes'],
    }),
  ]
}

type Way = readonly [value: Reading['value'], ...topics: string[]]

function bothWays(received: Way, sent: Way, labels: Reading['labels'] = {}): Reading[] {
  const reading = (direction: string, [value, ...topics]: Way): Reading => ({
    value,
    topics,
    labels: { ...labels, direction },
  })
  return [reading('received', received), reading('sent', sent)]
}

function packetReadings({ packetsReceived, packetsSent }: Counters): Reading[] {
  return Object.entries(PacketType).flatMap(([name, type]) => {
    const packet = name.toLowerCase()
    const more = (way: string) => (packet === 'publish' ? [`publish/messages/${way}`] : [])
    return bothWays(
      [() => packetsReceived[type], `mqtt/${packet}/received`, ...more('received')],
      [() => packetsSent[type], `mqtt/${packet}/sent`, ...more('sent')],
      { packet },
    )
  })
}

function keptFigures({ registry, retained, router }: FigureParts): Figure[] {
  const queues = together(() => {
    const waiting = { connected: 0, disconnected: 0, bytes: 0 }
    for (const { isOnline, queuedCount, queuedBytes } of registry.sessions()) {
      waiting[isOnline ? 'connected' : 'disconnected'] += queuedCount
      waiting.bytes += queuedBytes
    }
    return waiting
  })
  const count = () => retained.count + queues().connected + queues().disconnected
  return [
    gauge(
      'noctule_queued_messages',
      'Messages at QoS 1 and 2 that wait for clients, those under way aside.',
      {
        value: () => queues().connected,
        labels: { client: 'connected' },
        topics: ['packet/out/count'],
      },
      { value: () => queues().disconnected, labels: { client: 'disconnected' } },
    ),
    gauge('noctule_queued_bytes', 'Bytes of the messages that wait for clients.', {
      value: () => queues().bytes,
    }),
    topic('messages/stored', count),
    topic('store/messages/count', count),
    topic('store/messages/bytes', () => retained.bytes + queues().bytes),
    gauge('noctule_retained_messages', 'Retained messages.', {
      value: () => retained.count,
      topics: ['retained messages/count'],
    }),
    gauge('noctule_retained_bytes', 'Bytes of retained messages.', {
      value: () => retained.bytes,
    }),
    gauge('noctule_subscriptions', 'Subscriptions, shared ones among them.', {
      value: () => router.subscriptionCount,
      topics: ['subscriptions/count'],
    }),
    gauge('noctule_shared_subscriptions', 'Subscriptions that are shared, one for each member.', {
      value: () => router.sharedSubscriptionCount,
      topics: ['shared_subscriptions/count'],
    }),
  ]
}

function processFigures({ clock, version }: FigureParts): Figure[] {
  const startedAt = clock.now()
  return [
    gauge('process_resident_memory_bytes', 'Memory of the process.', {
      value: () => process.memoryUsage.rss(),
      topics: ['heap/current'],
    }),
    topic('heap/maximum', () => process.resourceUsage().maxRSS * 1024),
    gauge('noctule_start_time_seconds', 'When the broker was made, in seconds since 1970.', {
      value: () => startedAt / 1000,
      topics: ['uptime'],
      shown: () => `${Math.floor((clock.now() - startedAt) / 1000)} seconds`,
    }),
    topic('version', () => `noctule version ${version}`),
  ]
}

function loadFigures({ counters }: FigureParts): { figures: Figure[]; averages: LoadAverage[] } {
  const totals: Record<string, () => number> = {
    connections: () => counters.connectionsOpened,
    sockets: () => counters.socketsOpened,
    'bytes/received': () => counters.bytesReceived,
    'bytes/sent': () => counters.bytesSent,
    'messages/received': () => sum(counters.packetsReceived),
    'messages/sent': () => sum(counters.packetsSent),
    'publish/dropped': () => counters.publishDropped,
    'publish/received': () => counters.packetsReceived[PacketType.Publish] as number,
    'publish/sent': () => counters.packetsSent[PacketType.Publish] as number,
  }
  const averages: LoadAverage[] = []
  const figures: Figure[] = []
  for (const [name, total] of Object.entries(totals)) {
    const average = new LoadAverage(total)
    averages.push(average)
    for (const period of loadPeriods) {
      figures.push(topic(`load/${name}/${period}`, () => average.get(period).toFixed(2)))
    }
  }
  return { figures, averages }
}
