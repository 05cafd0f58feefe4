/** The topics of `$SYS/broker/`: exactly those of Mosquitto 2.1, so that dashboards and exporters fit. */

import type { Connection } from '../connection/connection.ts'
import type { ConnectionContext } from '../connection/context.ts'
import { PacketType } from '../protocol/packets.ts'
import type { RetainedMessages } from '../retained/retained-messages.ts'
import type { Router } from '../router/router.ts'
import type { SessionRegistry } from '../session/session-registry.ts'
import type { Durability, Store } from '../storage/storage.ts'
import type { Clock } from '../util/clock.ts'
import type { Counters, LimitName } from '../util/counters.ts'
import { LoadAverage, loadPeriods } from './load-averages.ts'

export interface FigureParts {
  readonly counters: Counters
  readonly registry: SessionRegistry
  readonly router: Router
  readonly retained: RetainedMessages
  readonly connections: ReadonlySet<Connection>
  readonly clock: Clock
  readonly version: string
}

/** Computes the present value of one topic. */
export type Figure = () => number | string

export interface BrokerFigures {
  /** Topic below `$SYS/broker/` → its value. */
  readonly figures: ReadonlyMap<string, Figure>
  readonly loads: readonly LoadAverage[]
}

const packets = Object.entries(PacketType).map(
  ([name, type]) => [name.toLowerCase(), type] as const,
)

export function brokerFigures(parts: FigureParts): BrokerFigures {
  const loads = loadFigures(parts)
  const figures = new Map<string, Figure>([
    ...clientFigures(parts),
    ...trafficFigures(parts),
    ...keptFigures(parts),
    ...processFigures(parts),
    ...loads.figures,
  ])
  return { figures, loads: loads.averages }
}

type Entry = readonly [string, Figure]

function clientFigures({ registry, counters, connections }: FigureParts): Entry[] {
  const connected = () => registry.onlineCount
  const disconnected = () => registry.size - registry.onlineCount
  return [
    ['clients/connected', connected],
    ['clients/active', connected],
    ['clients/disconnected', disconnected],
    ['clients/inactive', disconnected],
    ['clients/expired', () => counters.clientsExpired],
    ['clients/maximum', () => counters.clientsMaximum],
    ['clients/total', () => registry.size],
    ['connections/socket/count', () => connections.size],
  ]
}

function trafficFigures({ counters, connections, registry }: FigureParts): Entry[] {
  const publishReceived = () => counters.packetsReceived[PacketType.Publish] as number
  const publishSent = () => counters.packetsSent[PacketType.Publish] as number
  const perPacket = packets.flatMap(([name, type]): Entry[] => [
    [`mqtt/${name}/received`, () => counters.packetsReceived[type] as number],
    [`mqtt/${name}/sent`, () => counters.packetsSent[type] as number],
  ])
  return [
    ['bytes/received', () => counters.bytesReceived],
    ['bytes/sent', () => counters.bytesSent],
    ['messages/received', () => sum(counters.packetsReceived)],
    ['messages/sent', () => sum(counters.packetsSent)],
    ['publish/bytes/received', () => counters.publishBytesReceived],
    ['publish/bytes/sent', () => counters.publishBytesSent],
    ['publish/messages/received', publishReceived],
    ['publish/messages/sent', publishSent],
    ['publish/messages/dropped', () => counters.publishDropped],
    ...perPacket,
    ['mqtt/publish/dropped', () => counters.publishDropped],
    ['packet/out/bytes', () => sum(connections, ({ transport }) => transport.pendingBytes)],
    [
      'packet/out/count',
      () => sum(registry.sessions(), (session) => (session.isOnline ? session.queuedCount : 0)),
    ],
  ]
}

function keptFigures({ registry, retained, router }: FigureParts): Entry[] {
  const count = () => retained.count + sum(registry.sessions(), (session) => session.queuedCount)
  return [
    ['messages/stored', count],
    ['store/messages/count', count],
    [
      'store/messages/bytes',
      () => retained.bytes + sum(registry.sessions(), (session) => session.queuedBytes),
    ],
    ['retained messages/count', () => retained.count],
    ['subscriptions/count', () => router.subscriptionCount],
    ['shared_subscriptions/count', () => router.sharedSubscriptionCount],
  ]
}

/** What Mosquitto has no topics for: what acknowledgements survive, and how the store keeps up. */
export function storeFigures(store: Store, durability: () => Durability): Entry[] {
  return [
    ['store/durability', durability],
    ['store/healthy', () => String(store.pressure().isHealthy)],
    ['store/pending/messages', () => store.pressure().pendingUnits],
    ['store/pending/bytes', () => store.pressure().pendingBytes],
  ]
}

/** A file of a listener that ends some day, by the name it has in a topic. */
export interface EndingFigure {
  readonly listener: string
  readonly kind: 'certificate' | 'ca' | 'crl'
  /** Whole days, negative when it has ended; undefined if it does not end. */
  readonly daysLeft: () => number | undefined
}

export function certificateFigures(files: readonly EndingFigure[]): Entry[] {
  return files.map(({ listener, kind, daysLeft }) => [
    `listeners/${listener}/${kind}/days`,
    () => daysLeft() ?? '',
  ])
}

/** What protects clients from each other: how often each limit was reached, and how the broker keeps up. */
export function protectionFigures({ counters, protection }: ConnectionContext): Entry[] {
  const { bans, halfOpen, overload } = protection
  const { limitsReached } = counters
  const names = Object.keys(limitsReached) as LimitName[]
  return [
    ...names.map((name): Entry => [`limits/${kebab(name)}`, () => limitsReached[name]]),
    ['bans/count', () => bans.size],
    ['connections/half-open', () => halfOpen.count],
    ['overload/state', () => overload.state],
    ['overload/event-loop-delay', () => overload.delayMs],
    ['overload/memory-percent', () => overload.memoryPercent],
  ]
}

function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

function processFigures({ clock, version }: FigureParts): Entry[] {
  const startedAt = clock.now()
  return [
    ['heap/current', () => process.memoryUsage.rss()],
    ['heap/maximum', () => process.resourceUsage().maxRSS * 1024],
    ['uptime', () => `${Math.floor((clock.now() - startedAt) / 1000)} seconds`],
    ['version', () => `noctule version ${version}`],
  ]
}

function loadFigures({ counters }: FigureParts): { figures: Entry[]; averages: LoadAverage[] } {
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
  const figures: Entry[] = []
  for (const [name, total] of Object.entries(totals)) {
    const average = new LoadAverage(total)
    averages.push(average)
    for (const period of loadPeriods) {
      figures.push([`load/${name}/${period}`, () => average.get(period).toFixed(2)])
    }
  }
  return { figures, averages }
}

function sum(values: Iterable<number>): number
function sum<T>(items: Iterable<T>, valueOf: (item: T) => number): number
function sum<T>(items: Iterable<T>, valueOf = (item: T) => item as number): number {
  let total = 0
  for (const item of items) total += valueOf(item)
  return total
}
