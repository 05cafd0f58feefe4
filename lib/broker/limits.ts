/** From the keys of the configuration to what each room wants to know. */

import { getHeapStatistics } from 'node:v8'
import type { BrokerConfiguration, ListenerConfiguration } from '../config/options.ts'
import { hasLimits, type ScopeLimits } from '../connection/account.ts'
import type { ConnectionLimits } from '../connection/context.ts'
import type { AccessHooks } from '../security/access.ts'
import { memoryLimitBytes } from '../util/system-load.ts'

/**
 * The limits of connections: those of the configuration, with what a listener has of its own. Where one of
 * `hooks` knows users, or the listener does, a client has to be one, unless it is said otherwise.
 */
export function limitsOf(
  configuration: BrokerConfiguration,
  listener: ListenerConfiguration | undefined,
  hooks: AccessHooks,
): ConnectionLimits {
  const { connection, session, security, store } = configuration
  const provesUserNames = provesNames(listener)
  const knowsUsers =
    hooks.authenticate !== undefined || hooks.authenticationMethods !== undefined || provesUserNames
  const isOpen = isLoopback(listener) && !knowsUsers
  return {
    ...connection,
    maximumPacketSizeBytes: listener?.maximumPacketSizeBytes ?? connection.maximumPacketSizeBytes,
    sessionExpiryMaxSeconds: session.expiryMaxSeconds,
    sessionExpiryV3Seconds: session.v3SessionExpirySeconds,
    willDelayMaxSeconds: session.willDelayMaxSeconds,
    subscriptionsMax: session.subscriptionsMax,
    allowAnonymous: listener?.allowAnonymous ?? security.allowAnonymous ?? isOpen,
    provesUserNames,
    unauthorizedPublishV3: security.unauthorizedPublishV3,
    storeTimeoutMs: store.timeoutMs,
    storePendingUnitsMax: store.pendingUnitsMax,
    storePendingBytesMax: store.pendingBytesMax,
    ...ownLimits(listener),
    listener: listenerLimits(listener),
  }
}

/** Whether clients prove who they are by a certificate or a pre-shared key, before any password. */
export function provesNames(listener: ListenerConfiguration | undefined): boolean {
  if (listener?.type !== 'tls' && listener?.type !== 'wss') return false
  return listener.userNameFromCertificate !== 'no' || listener.pskFile !== undefined
}

/** `connectionsMax` of a listener is kept by its acceptor. */
function listenerLimits(listener: ListenerConfiguration | undefined): ScopeLimits | undefined {
  if (listener === undefined) return undefined
  const limits = { ...scopeLimits(listener), connectionsMax: 0 }
  return hasLimits(limits) ? limits : undefined
}

/** The limits of a client, user, address or listener, without what else is said of it. */
export function scopeLimits(limits: ScopeLimits): ScopeLimits {
  return {
    connectionsPerSecond: limits.connectionsPerSecond,
    messagesInPerSecond: limits.messagesInPerSecond,
    bytesInPerSecond: limits.bytesInPerSecond,
    messagesOutPerSecond: limits.messagesOutPerSecond,
    bytesOutPerSecond: limits.bytesOutPerSecond,
    retainedMessagesMax: limits.retainedMessagesMax,
    retainedBytesMax: limits.retainedBytesMax,
    connectionsMax: limits.connectionsMax ?? 0,
    subscriptionsMax: limits.subscriptionsMax ?? 0,
    queuedBytesMax: limits.queuedBytesMax ?? 0,
  }
}

/** What a listener says of what `connection` and `session` say for all. */
function ownLimits(listener: ListenerConfiguration | undefined): Partial<ConnectionLimits> {
  if (listener === undefined) return {}
  const { topicLevelsMax, topicBytesMax, receiveMaximum } = listener
  const { keepAliveMinSeconds, keepAliveMaxSeconds, sessionExpiryMaxSeconds } = listener
  const own = {
    topicLevelsMax,
    topicBytesMax,
    receiveMaximum,
    keepAliveMinSeconds,
    keepAliveMaxSeconds,
    sessionExpiryMaxSeconds,
  }
  return Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined))
}

/** Whether only programs of this machine reach the listener; the host's own transports are as near. */
export function isLoopback(listener: ListenerConfiguration | undefined): boolean {
  if (listener === undefined || listener.type === 'unix') return true
  return isLoopbackHost(listener.host)
}

/** Whether what is bound to `host` is reached from this machine alone. */
export function isLoopbackHost(host: string): boolean {
  return /^(localhost|127(\.\d+){3}|::1|\[::1\])$/.test(host)
}

/** Half of what the process may use (the container, the machine, V8's heap), unless configured. */
export function memoryBudgetBytes({ memory }: BrokerConfiguration): number {
  if (memory.budgetBytes > 0) return memory.budgetBytes
  return Math.min(memoryLimitBytes(), getHeapStatistics().heap_size_limit) / 2
}
