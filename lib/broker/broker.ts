/**
 * The broker: builds the rooms, wires them together, starts, drains, stops. It knows no protocol.
 */

import { EventEmitter } from 'node:events'
import type { BrokerConfiguration, ListenerConfiguration } from '../config/options.ts'
import { reloadInto } from '../config/reload.ts'
import type { Connection } from '../connection/connection.ts'
import type { ConnectionContext } from '../connection/context.ts'
import { Pause } from '../connection/pause.ts'
import { createFigures, type Figures } from '../monitor/figures.ts'
import { type MetricsServer, serveMetrics } from '../monitor/metrics-server.ts'
import { SystemTopics } from '../monitor/system-topics.ts'
import { Message } from '../protocol/message.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import { isTopicFilter, parseSharedFilter } from '../protocol/topics.ts'
import type { AccessHooks } from '../security/access.ts'
import { AccessSources } from '../security/access-sources.ts'
import { makeMemoryStore } from '../storage/load.ts'
import type { Store, StoreError } from '../storage/storage.ts'
import type { MakeStore } from '../storage/store-parts.ts'
import type { Transport } from '../transport/transport.ts'
import { type Clock, systemClock } from '../util/clock.ts'
import { Counters } from '../util/counters.ts'
import { LimitedLog } from '../util/limited-log.ts'
import { type Logger, silentLogger } from '../util/logger.ts'
import { MemoryLevel } from '../util/memory-budget.ts'
import { type Random, systemRandom } from '../util/random.ts'
import { type SystemLoad, systemLoad } from '../util/system-load.ts'
import { VERSION } from '../util/version.ts'
import { within } from '../util/within.ts'
import { Acceptor } from './acceptor.ts'
import type { PublishInput } from './application-message.ts'
import { createContext } from './create-context.ts'
import { doorkeeperOf } from './doorkeeper.ts'
import { type BrokerEvents, observersOf, type Tell, tellOn } from './events.ts'
import { ExpiryReport, endingFiles } from './expiry-report.ts'
import { HostMessages } from './host-messages.ts'
import { limitsOf, provesNames } from './limits.ts'
import { type OpenListener, openListeners } from './listeners.ts'
import { endBanned, endIdentities, LiveAccess } from './live-access.ts'
import { LocalSubscription, type MessageHandler } from './local-subscription.ts'
import type { Overload } from './overload.ts'
import { checkReach } from './safe-start.ts'
import { StoredState } from './stored-state.ts'

/** How long a store may take to close, at least. */
const STORE_CLOSE_MIN_MS = 5_000

/** What the host program may hand in beside the configuration. */
export interface BrokerParts {
  /** Who may connect, publish and subscribe; default: the configuration decides. */
  readonly hooks?: AccessHooks | undefined
  /** Default: silent. */
  readonly logger?: Logger | undefined
  /** Default: the system's. Tests bring their own. */
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
  /** How much the process has to do. Default: what the system says. */
  readonly load?: SystemLoad | undefined
  /**
   * Collects the young objects of V8, called for each 6 MiB that are read and written. Default: V8 does so when it wants,
   * which costs more where payloads are large. `noctule start` brings one; with `node --expose-gc` it is
   * `() => gc({ type: "minor" })`.
   */
  readonly collectYoung?: (() => void) | undefined
  /** For tests: a store that can be slow or fail. Default: the one of the configuration. */
  readonly storage?: Store | undefined
}

export class Broker extends EventEmitter<BrokerEvents> implements AsyncDisposable {
  /** The configuration in force, defaults included. */
  get configuration(): BrokerConfiguration {
    return this.#configuration
  }
  #configuration: BrokerConfiguration
  /** What has happened so far, as plain numbers. */
  readonly counters: Counters = new Counters()
  readonly #log: Logger
  /** All who are asked: the host program first, then whom the configuration names. */
  readonly #hooks: AccessHooks
  readonly #sources: AccessSources
  readonly #context: ConnectionContext
  readonly #figures: Figures
  readonly #systemTopics: SystemTopics
  readonly #stored: StoredState
  readonly #expiry: ExpiryReport
  readonly #overload: Overload
  readonly #tell: Tell
  #metrics: MetricsServer | undefined
  #listeners: OpenListener[] = []
  readonly #acceptors: Acceptor[] = []
  /** Of transports that the host program brings. */
  readonly #ownAcceptor: Acceptor
  readonly #hostMessages: HostMessages
  #closing: Promise<void> | undefined

  /** `makeStore` makes the store of the configuration (`loadStore`), unless `parts` bring one. */
  constructor(
    configuration: BrokerConfiguration,
    parts: BrokerParts = {},
    makeStore: MakeStore = makeMemoryStore,
  ) {
    super()
    this.#configuration = configuration
    this.#log = parts.logger ?? silentLogger
    this.#tell = tellOn(this, this.#log)
    const log = this.#log
    const clock = parts.clock ?? systemClock
    const limitedLog = new LimitedLog(log, clock)
    const connections = new Set<Connection>()
    const rules = new LiveAccess(connections)
    const sourceParts = { clock, log, limitedLog, changes: rules }
    this.#sources = new AccessSources(configuration.security, sourceParts)
    this.#hooks = this.#sources.behind(parts.hooks ?? {})
    const { context, overload } = createContext({
      configuration,
      limits: limitsOf(configuration, undefined, this.#hooks),
      hooks: this.#hooks,
      rules,
      observers: observersOf(
        this,
        this.#tell,
        () => this.#systemTopics,
        () => this.#context.router,
      ),
      systemTopics: { retained: (topicFilter) => this.#systemTopics.retained(topicFilter) },
      connections,
      counters: this.counters,
      clock,
      random: parts.random ?? systemRandom,
      log,
      limitedLog,
      tell: this.#tell,
      load: parts.load ?? systemLoad,
      collectYoung: parts.collectYoung,
      storage: parts.storage,
      makeStore,
    })
    this.#context = context
    this.#hostMessages = new HostMessages(context.router, clock, context.budget)
    this.#overload = overload
    context.protection.bans.onChanged = () => void endBanned(context)
    this.#stored = new StoredState(this.#context, configuration)
    this.#expiry = new ExpiryReport({
      ...this.#context,
      ends: () => this.#listeners.flatMap((listener) => listener.fileEnds()),
      warningDays: () => this.#configuration.security.certificateWarningDays,
    })
    this.#figures = createFigures({
      context,
      version: VERSION,
      nodeName: configuration.monitor.nodeName,
      durability: () => this.#stored.durability,
      endingFiles: endingFiles(configuration.listeners, this.#expiry),
    })
    this.#systemTopics = new SystemTopics(configuration.monitor, context, this.#figures)
    this.#ownAcceptor = this.#acceptorFor(undefined)
    this.#context.budget.onLevel = (level) => this.#changeMemoryLevel(level)
  }

  /**
   * Reads users and rules, opens the store, takes up what it has kept, and opens the listeners. Throws
   * `ConfigurationError` if it would serve strangers without asking who they are, a file of
   * `security` cannot be used or the library for metrics is missing, `StoreError` if the store cannot be used,
   * `ListenError` if a listener cannot be opened, `Error` if it was closed meanwhile; then the broker is closed.
   */
  async start(): Promise<void> {
    try {
      checkReach(this.configuration, this.#hooks)
      await this.#sources.open(this.#hooks, this.configuration.listeners.every(provesNames))
      await this.#context.protection.bans.open()
      await this.#stored.open((error) => void this.#fail(error))
      await this.#openDoors()
    } catch (error) {
      await this.close()
      throw error
    }
    for (const { name, url } of this.#listeners)
      this.#log.info({ listener: name, url }, 'listening')
    this.#expiry.check()
  }

  async #openDoors(): Promise<void> {
    if (this.#closing !== undefined) await closeOpened([])
    this.#systemTopics.start()
    this.#overload.start()
    const { listeners, monitor } = this.configuration
    const metrics = await serveMetrics(monitor.metrics, this.#figures.all, this.#context)
    if (this.#closing !== undefined) await closeOpened([metrics])
    this.#metrics = metrics
    const parts = {
      ...this.#context,
      doorkeeper: doorkeeperOf(this.#context),
      certificatesChanged: () => this.#expiry.check(),
      identitiesChanged: endIdentities(this.#context.connections),
    }
    const acceptFor = (listener: ListenerConfiguration) => this.#acceptorFor(listener).accept
    const opened = await openListeners(listeners, parts, acceptFor)
    if (this.#closing !== undefined) await closeOpened(opened)
    this.#listeners = opened
  }

  /** The store cannot go on: nothing may be acknowledged any more. */
  async #fail(error: StoreError): Promise<void> {
    this.#log.error({ rule: error.message }, 'the store is lost: the broker stops')
    try {
      await this.close()
    } finally {
      this.#tell('failed', error)
    }
  }

  /** Where the broker listens, as URLs, with the ports that were really chosen. */
  get urls(): readonly string[] {
    return this.#listeners.map(({ url }) => url)
  }

  /** Where metrics are, with the port that was really chosen; undefined if `monitor.metrics.port` is unset. */
  get metricsUrl(): string | undefined {
    return this.#metrics?.url
  }

  /** Number of clients connected now. */
  get clientCount(): number {
    return this.#context.registry.onlineCount
  }

  /** Serves a client on a transport of the host's own, with the limits of no listener in particular. */
  accept(transport: Transport): void {
    this.#ownAcceptor.accept(transport)
  }

  /**
   * Publishes a message as the host program. Resolves when it has been routed and, at QoS 1 and 2 and
   * for retained messages, when it is as durable as the store promises; rejects with `StoreError` if the
   * store did not take it, with `TypeError` for a topic that cannot be published to.
   *
   * What is published by a handler or listener is routed in a later turn, in its order, when the message
   * is with all its receivers that it answers.
   */
  publish(input: PublishInput): Promise<void> {
    return this.#hostMessages.publish(input)
  }

  /**
   * Calls `handler` for each message that matches `topicFilter`, from any client or `publish`; first
   * for the retained ones. Ends with `unsubscribe()` of what it returns, or with `using`.
   * Throws `TypeError` for what is not a Topic Filter.
   */
  subscribe(topicFilter: string, handler: MessageHandler): LocalSubscription {
    const plainFilter = parseSharedFilter(topicFilter)?.topicFilter ?? topicFilter
    if (!isTopicFilter(plainFilter)) throw new TypeError(`"${topicFilter}" is not a Topic Filter.`)
    const subscription = new LocalSubscription(
      this.#context.router,
      topicFilter,
      handler,
      (error) => this.#log.error({ err: error, topicFilter }, 'a subscribe() handler threw'),
    )
    if (plainFilter === topicFilter) this.#deliverRetained(subscription)
    return subscription
  }

  /** Ends a session with all it has, and its connection if there is one. Says whether it existed. */
  discardSession(clientIdentifier: string): Promise<boolean> {
    return this.#context.registry.discard(clientIdentifier)
  }

  /**
   * Takes over what may change while running (`compareForReload` says what) and reads certificates, CAs
   * and the files of `security` and of metrics again. Limits hold for connections to come; connections stay. Throws
   * `ListenError` if a certificate cannot be used, `ConfigurationError` if strangers would be served
   * unasked, and then keeps everything as it was.
   */
  async reload(configuration: BrokerConfiguration): Promise<void> {
    const reloaded = reloadInto(this.#configuration, configuration)
    checkReach(reloaded, this.#hooks)
    const prepared = this.#listeners.map((listener) => listener.prepareCertificates())
    for (const putInForce of await Promise.all(prepared)) putInForce()
    this.#configuration = reloaded
    for (const acceptor of this.#acceptors) acceptor.reload()
    await this.#sources.reload(reloaded.security)
    await this.#context.protection.bans.reload()
    await this.#metrics?.reload()
  }

  /**
   * Stops accepting, says DISCONNECT 0x8B (0x9C with a Server Reference) to MQTT 5.0 clients, gives connections a bounded time to take
   * what is written, then closes the store. May be called more than once.
   */
  close(): Promise<void> {
    if (this.#closing !== undefined) return this.#closing
    // Known before it begins: who is told that a connection has ended may close the broker, too.
    let begun: (stopped: Promise<void>) => void = () => {}
    this.#closing = new Promise((resolve) => (begun = resolve))
    begun(this.#stop())
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #stop(): Promise<void> {
    const { registry, store, flusher, timers, protection } = this.#context
    this.#systemTopics.stop()
    this.#expiry.stop()
    this.#overload.stop()
    protection.bans.close()
    const sourcesClosed = this.#sources.close()
    const listenersClosed = [...this.#listeners, this.#metrics].map((listener) => listener?.close())
    registry.stop()
    const connections = [...this.#context.connections]
    const { serverReference } = this.configuration.connection
    const reasonCode =
      serverReference === undefined ? ReasonCode.ServerShuttingDown : ReasonCode.UseAnotherServer
    for (const connection of connections) {
      connection.end(reasonCode, 'the broker is shutting down')
    }
    flusher.flushNow()
    await this.#drain(connections)
    await Promise.all([...listenersClosed, sourcesClosed])
    await this.#bounded(
      registry.whenEnded(),
      'sessions that were ending are ended at the next start',
    )
    await this.#bounded(
      store.close(),
      'the store did not close: what it was given last may be missing',
    )
    timers.close()
  }

  /** Waits for the store as long as for clients, or `STORE_CLOSE_MIN_MS`: a disk may hang for ever. */
  async #bounded(work: Promise<void>, consequence: string): Promise<void> {
    const timeoutMs = Math.max(this.configuration.shutdown.drainTimeoutMs, STORE_CLOSE_MIN_MS)
    const { timers } = this.#context
    const tooLate = () => new Error(`nothing was heard of the store for ${timeoutMs} ms`)
    await within(work, timers, timeoutMs, tooLate).catch(({ message }: Error) =>
      this.#log.warn({ rule: message }, consequence),
    )
  }

  /** Waits until all connections are closed; after `shutdown.drainTimeoutMs` breaks those that are not. */
  async #drain(connections: readonly Connection[]): Promise<void> {
    const cancel = this.#context.clock.after(this.configuration.shutdown.drainTimeoutMs, () => {
      for (const { transport } of connections) transport.destroy()
    })
    const closed = connections.map(
      (connection) => new Promise<void>((resolve) => connection.onceClosed(resolve)),
    )
    await Promise.all(closed)
    cancel()
  }

  #acceptorFor(listener: ListenerConfiguration | undefined): Acceptor {
    const limitsNow = (of: ListenerConfiguration | undefined) =>
      limitsOf(this.configuration, of, this.#hooks)
    const acceptor = new Acceptor(this.#context, listener, limitsNow)
    this.#acceptors.push(acceptor)
    return acceptor
  }

  #deliverRetained(subscription: LocalSubscription): void {
    const { retained, clock } = this.#context
    for (const match of retained.lookup(subscription.topicFilter, clock.now())) {
      // A handler may publish to a topic that is still to come.
      if (!match.isCurrent) continue
      const message = Message.fromBody(retained.bodyOf(match), match.qos, true, match.expiresAt)
      subscription.deliver(message, match.qos, true)
    }
  }

  /** When there is room again, whoever was paused for memory goes on. */
  #changeMemoryLevel(level: MemoryLevel): void {
    const { budget, limitedLog } = this.#context
    const { usedBytes, limitBytes } = budget
    // Not from within whatever took or released the bytes: that may be a packet half written.
    setImmediate(() => {
      limitedLog.warn('memory', { level, usedBytes, limitBytes }, 'memory budget level changed')
      if (level >= MemoryLevel.PauseReaders) return
      for (const connection of this.#context.connections) connection.unpause(Pause.Memory)
    })
  }
}

/** Closes what a broker has opened that somebody closed meanwhile, and throws an error that says so. */
async function closeOpened(
  opened: readonly ({ close(): Promise<void> } | undefined)[],
): Promise<never> {
  await Promise.all(opened.map(async (one) => one?.close()))
  throw new Error('The broker was closed while it started.')
}
