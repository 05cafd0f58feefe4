/** What a generator is told to do, and what it tells afterwards: plain data that crosses process borders. */

import type { Qos } from '../../protocol/packets.ts'

/** What happens: messages flow, queues fill and drain, retained messages are asked for, clients come, or come and go. */
export type Shape = 'messages' | 'queue' | 'retained' | 'idle' | 'churn'

/** Who gets whose messages; see topology.ts. */
export type Topology = 'pairs' | 'fan-in' | 'fan-out' | 'table' | 'shared'

export interface Load {
  readonly shape: Shape
  readonly topology: Topology
  /** 4 is MQTT 3.1.1. */
  readonly protocolVersion: 4 | 5
  readonly qos: Qos
  /** 1 to 65,535 clients that publish. */
  readonly publishers: number
  /** 1 to 65,534 clients that subscribe; for `idle` and `churn`, clients that are there at once. */
  readonly subscribers: number
  /** Size of a payload, from 16 bytes on: it says when, by whom and as which one it was sent. */
  readonly payloadBytes: number
  /** QoS 1 and 2: messages of one publisher that are not acknowledged yet, at most; 1 to 65,535. */
  readonly windowMessages: number
  /** Messages of one publisher that have not reached all their receivers yet, at most; to 1,024; 0: any number. */
  readonly underWayMessages: number
  /** So many messages, or as many as its windows take, a publisher sends at once or none; 1: as soon as it may. */
  readonly burstMessages: number
  /** Messages a second, of all publishers together, whether the broker keeps up or not; 0: as fast as it goes. */
  readonly ratePerSecond: number
  /** Sessions of subscribers outlive their connections. */
  readonly isDurable: boolean
  /** Topics of all publishers of `pairs` together, each used in turn, matched by one `+` for each pair. */
  readonly topics: number
  /** Filters of all subscribers of `table` together. */
  readonly filters: number
  /** MQTT 5.0: User Properties on each message. */
  readonly userProperties: number
  /** MQTT 5.0: publishers send, and subscribers take, Topic Aliases. */
  readonly hasTopicAliases: boolean
  /** Subscribers besides, which read nothing once they have subscribed. */
  readonly deadSubscribers: number
  /** After so many deliveries somebody subscribes to another filter and leaves it again; 0: nobody does. */
  readonly deliveriesPerResubscribe: number
  /** `queue`: messages that wait in all; `retained`: messages that are kept. */
  readonly messages: number
}

/** Where the broker is reached. */
export interface Target {
  readonly protocol: 'mqtt' | 'mqtts' | 'ws' | 'wss'
  readonly host: string
  readonly port: number
  /** Of a WebSocket, with its slash. */
  readonly path: string
  readonly username?: string
  readonly password?: string
  /** Take any certificate. */
  readonly isInsecure: boolean
}

/** Whose CPU time and memory are read: processes on this machine. Empty: nobody's. */
export interface Watched {
  readonly broker: readonly number[]
  /** The broker's store, where that is a process of its own. */
  readonly store: readonly number[]
  /** The core that the broker has for itself, if it has one. */
  readonly core?: number
}

export interface Job {
  readonly load: Load
  readonly target: Target
  readonly watched: Watched
  /** Time before anything counts. */
  readonly warmupMs: number
  readonly durationMs: number
}

/** Counts of a whole run, warm-up included. */
export interface Counts {
  readonly sent: number
  /** Deliveries that had to come of what was sent. */
  readonly expected: number
  /** Deliveries that came, each counted once. */
  readonly delivered: number
  /** What was expected and did not come, or not whole. */
  readonly lost: number
  readonly duplicated: number
  /** Came behind a later one of the same publisher. */
  readonly reordered: number
  /** Whose payload was not what was sent. */
  readonly corrupted: number
  /** Came to somebody else. */
  readonly misrouted: number
  /** PUBACK and PUBCOMP that ended an exchange. */
  readonly acknowledged: number
}

/** Microseconds from the moment when a message was due to its receipt, right to 1 %. */
export interface Latency {
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
}

/** A span of time and what was done in it. */
export interface Span {
  readonly seconds: number
  /** Deliveries; for `idle` and `churn`, connections. */
  readonly operations: number
  /** CPU time of all threads; undefined when nobody may read it. */
  readonly brokerCpuUs?: number
  readonly storeCpuUs?: number
  readonly generatorCpuUs: number
  /** How much of the broker's core others used, 0 to 1; undefined when it has none of its own. */
  readonly othersShare?: number
}

export interface Outcome {
  readonly counts: Counts
  /** What was measured. */
  readonly span: Span
  /** `queue`: how its messages were taken. */
  readonly filling?: Span
  readonly latency?: Latency
  /** Resident memory at the end of the span, and what it grew by. */
  readonly residentBytes?: number
  readonly grownBytes?: number
  /** What is not as the load asked for. */
  readonly notes: readonly string[]
}

/** The last and only line a generator prints. */
export type Answer = { readonly outcome: Outcome } | { readonly failure: string }
