/** What is measured. A scenario is data: the shapes of load behind it know nothing of it. */

import type { Load } from './load.ts'

export interface Scenario {
  /** What `--scenario` calls it. */
  readonly name: string
  readonly title: string
  readonly load: Load
  /** Where it has to run; else it runs over whatever there is. */
  readonly transport?: Transport
  /** Whether each message is judged by rules: not of a broker that `--url` names, whose rules are its own. */
  readonly isGuarded?: boolean
  /** Whether it says something of stores: it then runs with each of them. */
  readonly isForStores?: boolean
  /** Part of a quick look. */
  readonly isQuick?: boolean
}

export type Transport = 'tcp' | 'tls' | 'ws'

const plain: Load = {
  shape: 'messages',
  topology: 'pairs',
  protocolVersion: 4,
  qos: 0,
  publishers: 50,
  subscribers: 50,
  payloadBytes: 64,
  windowMessages: 20,
  underWayMessages: 40,
  burstMessages: 1,
  ratePerSecond: 0,
  isDurable: false,
  topics: 1,
  filters: 0,
  userProperties: 0,
  hasTopicAliases: false,
  deadSubscribers: 0,
  deliveriesPerResubscribe: 0,
  messages: 0,
}

const queue: Load = { ...plain, shape: 'queue', qos: 1, isDurable: true, underWayMessages: 0 }

/** In bursts: else how many messages leave in one write, and so their price, hangs on when a publisher looks up. */
const fanOut: Partial<Load> = {
  topology: 'fan-out',
  publishers: 1,
  subscribers: 500,
  underWayMessages: 20,
  burstMessages: 10,
}

export const scenarios: readonly Scenario[] = [
  {
    name: 'qos0-pairs',
    title: 'QoS 0, 50 publishers to 50 subscribers, 64 B',
    load: plain,
    isQuick: true,
  },
  {
    name: 'fan-in',
    title: 'QoS 0, 100 publishers to one subscriber of bench/+',
    load: {
      ...plain,
      topology: 'fan-in',
      publishers: 100,
      subscribers: 1,
    },
  },
  {
    name: 'fan-out',
    title: 'QoS 0, one publisher to 500 subscribers, ten messages at a time',
    load: { ...plain, ...fanOut },
    isQuick: true,
  },
  {
    name: 'qos1-pairs',
    title: 'QoS 1, 50 to 50, 20 unacknowledged each',
    load: { ...plain, qos: 1 },
    isForStores: true,
    isQuick: true,
  },
  {
    name: 'qos2-pairs',
    title: 'QoS 2, 20 to 20, 20 unacknowledged each',
    load: { ...plain, qos: 2, publishers: 20, subscribers: 20 },
    isForStores: true,
    isQuick: true,
  },
  {
    name: 'payload-1k',
    title: 'QoS 0, 50 to 50, 1 KiB',
    load: { ...plain, payloadBytes: 1024 },
    isQuick: true,
  },
  {
    name: 'trickle',
    title: 'QoS 1, 50 to 50, 2,000 messages a second whatever happens',
    load: { ...plain, qos: 1, windowMessages: 100, ratePerSecond: 2000 },
    isForStores: true,
    isQuick: true,
  },
  {
    name: 'filters-100k',
    title: 'QoS 0, 100,000 filters, half with +, over 100 subscribers',
    load: {
      ...plain,
      topology: 'table',
      publishers: 10,
      subscribers: 100,
      filters: 100_000,
      underWayMessages: 200,
    },
    isQuick: true,
  },
  {
    name: 'shared',
    title: 'QoS 0, 50 publishers to a shared subscription of 50',
    load: { ...plain, topology: 'shared' },
  },
  {
    name: 'durable',
    title: 'QoS 1, 50 to 50, sessions that outlive their connections',
    load: { ...plain, qos: 1, isDurable: true },
    isForStores: true,
    isQuick: true,
  },
  {
    name: 'drain-20k',
    title: 'QoS 1, 20,000 messages wait for 50 sessions, which come back',
    load: { ...queue, messages: 20_000 },
    isForStores: true,
  },
  {
    name: 'drain-200k',
    title: 'QoS 1, 200,000 messages wait for 50 sessions, which come back',
    load: { ...queue, messages: 200_000 },
    isForStores: true,
  },
  {
    name: 'retained',
    title: 'QoS 0, 20 subscribers ask for 5,000 retained messages again and again',
    load: { ...plain, shape: 'retained', subscribers: 20, messages: 5000 },
  },
  {
    name: 'churn',
    title: 'connect, subscribe and disconnect, 50 clients at once',
    load: { ...plain, shape: 'churn' },
  },
  {
    name: 'idle',
    title: '19,000 connections, one subscription each, that do nothing',
    load: { ...plain, shape: 'idle', subscribers: 19_000 },
  },
  {
    name: 'v5-properties',
    title: 'MQTT 5.0, QoS 0, 50 to 50, two User Properties and Topic Aliases',
    load: { ...plain, protocolVersion: 5, userProperties: 2, hasTopicAliases: true },
  },
  {
    name: 'v5-plain',
    title: 'MQTT 5.0, QoS 0, 50 to 50, no properties',
    load: { ...plain, protocolVersion: 5 },
  },
  {
    name: 'websocket',
    title: 'QoS 0, 50 to 50, over WebSocket',
    load: plain,
    transport: 'ws',
  },
  {
    name: 'tls',
    title: 'QoS 0, 50 to 50, over TLS',
    load: plain,
    transport: 'tls',
  },
  {
    name: 'acl',
    title: 'QoS 0, 50 to 50, behind an ACL of 101 rules',
    load: plain,
    isGuarded: true,
  },
  {
    name: 'one-at-a-time',
    title: 'QoS 0, one publisher that waits for each delivery',
    load: { ...plain, publishers: 1, subscribers: 1, underWayMessages: 1 },
  },
  {
    name: 'topics-1m',
    title: 'QoS 0, 50 to 50, 1,000,000 topics in turn',
    load: { ...plain, topics: 1_000_000 },
  },
  {
    name: 'subscribe-churn',
    title: 'QoS 0, 50 to 50, and a SUBSCRIBE and UNSUBSCRIBE for each 1,000 messages',
    load: { ...plain, deliveriesPerResubscribe: 1000 },
  },
  {
    name: 'dead-subscriber',
    title: 'QoS 0, 1 KiB, one publisher to 500 subscribers and one that never reads',
    load: { ...plain, ...fanOut, payloadBytes: 1024, deadSubscribers: 1 },
  },
]
