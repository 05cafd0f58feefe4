/** What all connections of a broker share. `broker/` puts it together. */

import type { PublishEncoder } from '../codec/publish-encoder.ts'
import type { ConnectionConfiguration } from '../config/options.ts'
import type { Message } from '../protocol/message.ts'
import type { Qos } from '../protocol/packets.ts'
import type { Subscription } from '../protocol/subscription.ts'
import type { RetainedMessages } from '../retained/retained-messages.ts'
import type { Router } from '../router/router.ts'
import type { AccessHooks, ClientInfo } from '../security/access.ts'
import type { SessionRegistry } from '../session/session-registry.ts'
import type { Store } from '../storage/storage.ts'
import type { Flusher } from '../transport/flusher.ts'
import type { Clock } from '../util/clock.ts'
import type { Counters } from '../util/counters.ts'
import type { LimitedLog } from '../util/limited-log.ts'
import type { Logger } from '../util/logger.ts'
import type { MemoryBudget } from '../util/memory-budget.ts'
import type { OutsideMemory } from '../util/outside-memory.ts'
import type { Timers } from '../util/timers.ts'
import type { ScopeLimits } from './account.ts'
import type { Connection } from './connection.ts'
import type { Protection } from './protection.ts'

/** What the broker allows and announces to the clients of one listener. */
export interface ConnectionLimits extends ConnectionConfiguration {
  readonly sessionExpiryMaxSeconds: number
  readonly sessionExpiryV3Seconds: number
  readonly willDelayMaxSeconds: number
  readonly subscriptionsMax: number
  readonly allowAnonymous: boolean
  /** Whether the transport proves user names: one that CONNECT only claims is not believed. */
  readonly provesUserNames: boolean
  readonly unauthorizedPublishV3: 'acknowledge' | 'disconnect'
  readonly storeTimeoutMs: number
  readonly storePendingUnitsMax: number
  readonly storePendingBytesMax: number
  /** What all clients of the listener may together; undefined: anything. */
  readonly listener: ScopeLimits | undefined
}

/** Told what happens. The two of the hot path are absent while nobody listens, and then cost nothing. */
export interface Observers {
  readonly connected: (connection: Connection, sessionPresent: boolean) => void
  readonly disconnected: (connection: Connection, end: ConnectionEnd) => void
  readonly subscribed: (client: ClientInfo, subscription: Subscription) => void
  readonly unsubscribed: (client: ClientInfo, topicFilter: string) => void
  published?: ((message: Message, client: ClientInfo) => void) | undefined
  delivered?: ((message: Message, qos: Qos, client: ClientInfo) => void) | undefined
}

/** Why a connection ended: the reason code sent or received, and a sentence. */
export interface ConnectionEnd {
  readonly reasonCode: number
  readonly rule: string
  readonly by: 'client' | 'broker' | 'network'
  /** What whoever runs the broker may do about it. */
  readonly hint?: string
}

export interface ConnectionContext {
  readonly limits: ConnectionLimits
  readonly hooks: AccessHooks
  readonly rules: RuleChanges
  readonly observers: Observers
  readonly router: Router
  readonly registry: SessionRegistry
  readonly retained: RetainedMessages
  readonly store: Store
  readonly clock: Clock
  readonly timers: Timers
  readonly counters: Counters
  readonly budget: MemoryBudget
  readonly flusher: Flusher
  /** What is allocated for chunks and slabs. */
  readonly outside: OutsideMemory
  readonly encoder: PublishEncoder
  readonly log: Logger
  readonly limitedLog: LimitedLog
  /** Every connection that is not closed. */
  readonly connections: Set<Connection>
  /** Retained values that are computed when asked for: `$SYS`. */
  readonly systemTopics: SystemTopics
  readonly protection: Protection
}

/** Counts how often rules have changed: an answer of before is asked for again. */
export interface RuleChanges {
  readonly changeCount: number
}

/** `$SYS`: topics whose retained value is computed at the moment somebody subscribes. */
export interface SystemTopics {
  /** Undefined when the filter cannot match any. */
  retained(topicFilter: string): Iterator<Message, undefined> | undefined
}
