/**
 * What Mosquitto has no topics for, in `$SYS/brokers/<node>/` and as metrics: the store, certificates, what protects
 * clients from each other, what was refused and dropped, and the process.
 */

import { getHeapStatistics } from 'node:v8'
import type { ConnectionContext } from '../connection/context.ts'
import { reasonCodeName, reasonCodesOf } from '../protocol/reason-codes.ts'
import { type Durability, durabilities } from '../storage/storage.ts'
import type { RefusedPacket } from '../util/counters.ts'
import {
  counter,
  counts,
  type Figure,
  gauge,
  labelValue,
  type Reading,
  states,
  sum,
  topic,
} from './figure.ts'

/** A file of a listener that ends some day, by the name it has in a topic. */
export interface EndingFigure {
  readonly listener: string
  readonly kind: 'certificate' | 'ca' | 'crl'
  /** In ms since 1970, and whole days, negative when it has ended; undefined if it does not end. */
  readonly end: () => { readonly endsAt: number; readonly daysLeft: number } | undefined
}

export interface NodeParts {
  readonly context: ConnectionContext
  readonly version: string
  readonly nodeName: string
  /** What acknowledgements survive. */
  readonly durability: () => Durability
  readonly endingFiles: readonly EndingFigure[]
}

export function nodeFigures(parts: NodeParts): Figure[] {
  const { context, endingFiles } = parts
  return [
    ...storeFigures(parts),
    ...certificateFigures(endingFiles),
    ...limitFigures(context),
    ...overloadFigures(context),
    ...refusalFigures(context),
    ...lossFigures(context),
    ...processFigures(parts),
  ]
}

function storeFigures({ context: { store }, durability }: NodeParts): Figure[] {
  return [
    topic('store/durability', durability),
    gauge(
      'noctule_store_durability',
      'What acknowledgements survive: 1 for the level that holds.',
      ...states('level', durabilities, durability),
    ),
    gauge('noctule_store_healthy', 'Whether the store takes what it is given: 1 or 0.', {
      value: () => Number(store.pressure().isHealthy),
      topics: ['store/healthy'],
      shown: () => String(store.pressure().isHealthy),
    }),
    gauge('noctule_store_pending_messages', 'Messages on their way into the store.', {
      value: () => store.pressure().pendingUnits,
      topics: ['store/pending/messages'],
    }),
    gauge('noctule_store_pending_bytes', 'Bytes on their way into the store.', {
      value: () => store.pressure().pendingBytes,
      topics: ['store/pending/bytes'],
    }),
  ]
}

/** As a metric it is a time, since Prometheus counts in seconds: days are `(… - time()) / 86400`. */
function certificateFigures(files: readonly EndingFigure[]): Figure[] {
  // A metric without labels would be 0 then, which is long ago.
  if (files.length === 0) return []
  return [
    gauge(
      'noctule_certificate_expiry_timestamp_seconds',
      'When a certificate, authority or revocation list of a listener ends, in seconds since 1970.',
      ...files.map(({ listener, kind, end }): Reading => {
        const seconds = () => {
          const { endsAt } = end() ?? {}
          return endsAt === undefined ? undefined : endsAt / 1000
        }
        return {
          value: seconds,
          labels: { listener, file: kind },
          topics: [`listeners/${listener}/${kind}/days`],
          shown: () => end()?.daysLeft ?? '',
        }
      }),
    ),
  ]
}

function limitFigures({ counters, protection }: ConnectionContext): Figure[] {
  return [
    counter(
      'noctule_limits_reached_total',
      'How often somebody was refused, slowed or ended by a limit.',
      ...counts('limit', counters.limitsReached, 'limits'),
    ),
    gauge('noctule_bans', 'Bans that are in force.', {
      value: () => protection.bans.size,
      topics: ['bans/count'],
    }),
    gauge('noctule_connections_half_open', 'Connections that have not said who they are.', {
      value: () => protection.halfOpen.count,
      topics: ['connections/half-open'],
    }),
  ]
}

function overloadFigures({ protection: { overload }, budget }: ConnectionContext): Figure[] {
  return [
    topic('overload/state', () => overload.state),
    gauge(
      'noctule_overloaded',
      'What there is too much of: 1 while new clients are refused, or publishers paused, for it.',
      ...states('cause', ['event loop', 'store', 'memory'], () => overload.state),
    ),
    gauge('noctule_event_loop_delay_seconds', 'How late the event loop was last.', {
      value: () => overload.delayMs / 1000,
      topics: ['overload/event-loop-delay'],
      shown: () => overload.delayMs,
    }),
    gauge('noctule_memory_used_ratio', 'How much of its memory the process has, 1 being all.', {
      value: () => overload.memoryPercent / 100,
      topics: ['overload/memory-percent'],
      shown: () => overload.memoryPercent,
    }),
    gauge(
      'noctule_memory_budget_used_bytes',
      'Bytes of messages and buffers that count for memory.budgetBytes.',
      { value: () => budget.usedBytes },
    ),
    gauge('noctule_memory_budget_bytes', 'memory.budgetBytes, or what was chosen for it.', {
      value: () => budget.limitBytes,
    }),
  ]
}

const carriers = { connect: 'connack', publish: 'puback', subscribe: 'suback' } as const

function refusalFigures({ counters }: ConnectionContext): Figure[] {
  const { refused, disconnected } = counters
  const packets = Object.keys(refused) as RefusedPacket[]
  return [
    ...packets.map((packet) => topic(`refused/${packet}`, () => sum(refused[packet]))),
    counter(
      'noctule_refused_total',
      'CONNECT packets, messages and Topic Filters that were refused.',
      ...packets.flatMap((packet) =>
        reasonReadings(refused[packet], carriers[packet], `refused/${packet}`, { packet }),
      ),
    ),
    counter(
      'noctule_disconnects_total',
      'Clients whose connection the broker has ended.',
      ...reasonReadings(disconnected, 'disconnect', 'disconnected', {}),
    ),
    counter('noctule_protocol_errors_total', 'Connections that ended by a fault of the client.', {
      value: () => counters.protocolErrors,
      topics: ['protocol-errors/count'],
    }),
  ]
}

/** One for each reason that `carrier` can say, and one for all others: whoever decides may have codes of its own. */
function reasonReadings(
  ofCode: Float64Array,
  carrier: keyof typeof reasonCodesOf,
  root: string,
  labels: Readonly<Record<string, string>>,
): Reading[] {
  const codes = [...reasonCodesOf[carrier]].filter((code) => code >= 0x80)
  const reading = (reason: string, value: () => number): Reading => ({
    value,
    labels: { ...labels, reason },
    topics: [`${root}/${reason}`],
  })
  const count = (code: number) => ofCode[code] as number
  return [
    ...codes.map((code) => reading(labelValue(reasonCodeName(code) ?? ''), () => count(code))),
    reading('other', () => sum(ofCode) - sum(codes, count)),
  ]
}

function lossFigures({ counters }: ConnectionContext): Figure[] {
  return [
    counter(
      'noctule_publish_dropped_total',
      'Messages that were not delivered to a client.',
      ...counts('reason', counters.dropped, 'dropped'),
    ),
    counter(
      'noctule_messages_lost_total',
      'Messages that waited and were lost: with a store that came back without them, or at QoS 2 with the session of a shared subscription.',
      { value: () => counters.storeLost, labels: { cause: 'store' } },
      { value: () => counters.sharedLost, labels: { cause: 'session' } },
    ),
  ]
}

/** By the names that dashboards for Node know. */
function processFigures({ version, nodeName }: NodeParts): Figure[] {
  const cpuSeconds = () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  }
  return [
    gauge('noctule_build_info', 'Which program this is; always 1.', {
      value: () => 1,
      labels: { version, node: nodeName, nodejs: process.version },
    }),
    counter('process_cpu_seconds_total', 'CPU time of the process, in user and system mode.', {
      value: cpuSeconds,
    }),
    counter(
      'nodejs_eventloop_active_seconds_total',
      'How long the event loop had something to do; its rate is the share of one processor.',
      { value: () => performance.eventLoopUtilization().active / 1000 },
    ),
    gauge('nodejs_heap_size_total_bytes', "Size of V8's heap.", {
      value: () => getHeapStatistics().total_heap_size,
    }),
    gauge('nodejs_heap_size_used_bytes', "Bytes that are used of V8's heap.", {
      value: () => getHeapStatistics().used_heap_size,
    }),
    gauge('nodejs_external_memory_bytes', "Bytes outside of V8's heap that its objects hold.", {
      value: () => getHeapStatistics().external_memory,
    }),
  ]
}
