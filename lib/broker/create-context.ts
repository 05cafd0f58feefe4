/** Builds the rooms of a broker and joins them to what its connections share. */

import { PublishEncoder } from '../codec/publish-encoder.ts'
import type { BrokerConfiguration } from '../config/options.ts'
import type { Connection } from '../connection/connection.ts'
import type { ConnectionContext } from '../connection/context.ts'
import { RetainedMessages } from '../retained/retained-messages.ts'
import { Router } from '../router/router.ts'
import type { RetainedAccounts } from '../session/holder.ts'
import { SessionRegistry } from '../session/session-registry.ts'
import type { Store } from '../storage/storage.ts'
import type { MakeStore } from '../storage/store-parts.ts'
import { Flusher } from '../transport/flusher.ts'
import type { Clock } from '../util/clock.ts'
import type { Counters } from '../util/counters.ts'
import type { LimitedLog } from '../util/limited-log.ts'
import type { Logger } from '../util/logger.ts'
import { MemoryBudget } from '../util/memory-budget.ts'
import { OutsideMemory } from '../util/outside-memory.ts'
import type { Random } from '../util/random.ts'
import type { SystemLoad } from '../util/system-load.ts'
import { Timers } from '../util/timers.ts'
import { releaseChunk } from '../util/words.ts'
import { DropReport } from './drop-report.ts'
import type { Tell } from './events.ts'
import { memoryBudgetBytes } from './limits.ts'
import { Overload } from './overload.ts'
import { createProtection } from './protection.ts'
import { RetainedExpiry } from './retained-expiry.ts'

/** What is there before the rooms are. */
export interface Ground
  extends Pick<ConnectionContext, 'limits' | 'hooks' | 'rules' | 'observers' | 'systemTopics'> {
  readonly configuration: BrokerConfiguration
  readonly connections: Set<Connection>
  readonly counters: Counters
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly limitedLog: LimitedLog
  readonly tell: Tell
  readonly load: SystemLoad
  readonly collectYoung: (() => void) | undefined
  /** Used instead of what `makeStore` makes. */
  readonly storage: Store | undefined
  readonly makeStore: MakeStore
}

/** What the connections share, and what only the broker itself starts and stops. */
export function createContext(ground: Ground): { context: ConnectionContext; overload: Overload } {
  const { configuration, clock, log } = ground
  const timers = new Timers(clock)
  const budget = new MemoryBudget(memoryBudgetBytes(configuration))
  const store =
    ground.storage ?? ground.makeStore({ configuration: configuration.store, clock, budget, log })
  const retained = new RetainedMessages(configuration.retained, budget)
  new RetainedExpiry({ retained, store, clock, timers }).start()
  const base = { timers, budget, store, retained }
  const router = createRouter(ground, base)
  const overload = new Overload(configuration.overload, {
    load: ground.load,
    budget,
    store,
    storeLimits: configuration.store,
    log,
  })
  const protection = createProtection(configuration, { ...base, clock, log, overload })
  const context = {
    limits: ground.limits,
    hooks: ground.hooks,
    rules: ground.rules,
    observers: ground.observers,
    systemTopics: ground.systemTopics,
    connections: ground.connections,
    counters: ground.counters,
    limitedLog: ground.limitedLog,
    clock,
    log,
    ...base,
    router,
    registry: createRegistry(ground, base, router, protection.retainedOwners),
    ...createWriting(router, new OutsideMemory(ground.collectYoung)),
    protection,
  }
  return { context, overload }
}

type Base = Pick<ConnectionContext, 'timers' | 'budget' | 'store' | 'retained'>

function createRouter({ configuration, clock, random }: Ground, base: Base): Router {
  const options = {
    sharedStrategy: configuration.shared.strategy,
    retainedExpirySeconds: configuration.retained.defaultExpirySeconds,
  }
  return new Router(options, { ...base, clock, random })
}

function createRegistry(
  ground: Ground,
  base: Base,
  router: Router,
  retainedAccounts: RetainedAccounts | undefined,
): SessionRegistry {
  const { configuration, clock, counters, log, tell } = ground
  const drops = new DropReport(log, base.timers, counters)
  return new SessionRegistry({
    ...base,
    router,
    clock,
    counters,
    limits: configuration.session,
    dropped: (session, message, why) => {
      drops.note(session, message, why)
      tell('dropped', session.clientIdentifier, message?.topic, why)
    },
    retainedAccounts,
    willRestartGraceSeconds: configuration.session.willRestartGraceSeconds,
    storeTimeoutMs: configuration.store.timeoutMs,
    expired: ({ clientIdentifier }) => log.info({ client: clientIdentifier }, 'session expired'),
  })
}

/** With the turn ends what encoder, router and codec remember: it would pin the chunk of the last message. */
function createWriting(
  router: Router,
  outside: OutsideMemory,
): Pick<ConnectionContext, 'encoder' | 'flusher' | 'outside'> {
  const encoder = new PublishEncoder()
  const endTurn = (flush: () => void) =>
    setImmediate(() => {
      encoder.release()
      router.topicNames.release()
      releaseChunk()
      flush()
    })
  return { encoder, flusher: new Flusher(endTurn, outside), outside }
}
