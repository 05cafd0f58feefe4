/** From the keys of the configuration to what each room wants to know. */

import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import type { BrokerConfiguration, ListenerConfiguration } from '../config/options.ts'
import type { ConnectionLimits } from '../connection/context.ts'
import type { AccessHooks } from '../security/access.ts'

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
  const isOpen = isLoopback(listener) && hooks.authenticate === undefined && !provesUserNames
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
  }
}

/** Whether clients prove who they are by a certificate or a pre-shared key, before any password. */
export function provesNames(listener: ListenerConfiguration | undefined): boolean {
  if (listener?.type !== 'tls' && listener?.type !== 'wss') return false
  return listener.userNameFromCertificate !== 'no' || listener.pskFile !== undefined
}

/** Whether only programs of this machine reach the listener; the host's own transports are as near. */
export function isLoopback(listener: ListenerConfiguration | undefined): boolean {
  if (listener === undefined || listener.type === 'unix') return true
  return /^(localhost|127(\.\d+){3}|::1|\[::1\])$/.test(listener.host)
}

/** Half of what the process may use (the container, the machine, V8's heap), unless configured. */
export function memoryBudgetBytes({ memory }: BrokerConfiguration): number {
  if (memory.budgetBytes > 0) return memory.budgetBytes
  const constrained = process.constrainedMemory()
  const isConstrained = constrained !== undefined && constrained > 0 && constrained < totalmem()
  const memoryLimit = isConstrained ? constrained : totalmem()
  return Math.min(memoryLimit, getHeapStatistics().heap_size_limit) / 2
}
