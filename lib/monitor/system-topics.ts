/**
 * `$SYS`: figures under `$SYS/broker/` and `$SYS/brokers/<node>/`, published each interval where they
 * changed, and the presence of clients under `$SYS/brokers/<node>/clients/<client>/`.
 *
 * Nothing here enters a store. A figure is computed when somebody is subscribed to it, or subscribes.
 */

import { Buffer } from 'node:buffer'
import type { Connection } from '../connection/connection.ts'
import type { ConnectionContext, ConnectionEnd } from '../connection/context.ts'
import { TWO_BYTE_INTEGER_MAX } from '../protocol/limits.ts'
import { composeBody, Message } from '../protocol/message.ts'
import { describeReasonCode } from '../protocol/reason-codes.ts'
import { matchesTopic } from '../protocol/topics.ts'
import type { Timer } from '../util/timers.ts'
import type { Figures } from './figures.ts'

interface SystemTopicsOptions {
  /** Seconds between updates; 0: no figures. */
  readonly sysIntervalSeconds: number
  /** Whether the coming and going of clients is published. */
  readonly presence: boolean
  /** Name of this broker in the topics of presence. */
  readonly nodeName: string
}

const NO_PROPERTIES = Buffer.alloc(0)

export class SystemTopics {
  readonly #options: SystemTopicsOptions
  readonly #context: ConnectionContext
  readonly #figures: Figures
  /** What each topic said last. */
  readonly #published = new Map<string, string>()
  #timer: Timer | undefined
  #updatedAt = 0

  constructor(options: SystemTopicsOptions, context: ConnectionContext, figures: Figures) {
    this.#options = options
    this.#context = context
    this.#figures = figures
  }

  start(): void {
    if (this.#options.sysIntervalSeconds === 0) return
    this.#updatedAt = this.#context.clock.now()
    this.#wait()
  }

  stop(): void {
    this.#timer?.cancel()
  }

  /** The retained messages of `$SYS` that match, made as they are asked for. */
  retained(topicFilter: string): Iterator<Message, undefined> | undefined {
    return topicFilter.startsWith('$SYS') ? this.#matching(topicFilter) : undefined
  }

  clientConnected(connection: Connection): void {
    if (!this.#options.presence) return
    const topic = this.#presenceTopic(connection, 'connected')
    if (topic === undefined || !this.#context.router.hasReceivers(topic)) return
    this.#publish(topic, connectedFacts(connection))
  }

  clientDisconnected(connection: Connection, end: ConnectionEnd): void {
    if (!this.#options.presence) return
    const topic = this.#presenceTopic(connection, 'disconnected')
    if (topic === undefined || !this.#context.router.hasReceivers(topic)) return
    const facts = {
      ...clientFacts(connection),
      reason: describeReasonCode(end.reasonCode),
      rule: end.rule,
      dropped: connection.session?.droppedCount,
      disconnected_at: this.#context.clock.now(),
    }
    this.#publish(topic, JSON.stringify(facts), false)
  }

  *#matching(topicFilter: string): Generator<Message, undefined> {
    if (this.#options.sysIntervalSeconds > 0) {
      for (const [topic, valueOf] of this.#figures.topics) {
        if (!matchesTopic(topicFilter, topic)) continue
        const value = String(valueOf())
        // Whoever is told this must be told again, should the figure return to what was published last.
        if (this.#published.get(topic) !== value) this.#published.delete(topic)
        yield systemMessage(topic, value, true)
      }
    }
    if (this.#options.presence && this.#mayMatchPresence(topicFilter)) {
      const only = clientOf(topicFilter)
      for (const connection of this.#context.connections) {
        if (connection.state !== 'connected') continue
        if (only !== undefined && connection.client?.clientIdentifier !== only) continue
        const topic = this.#presenceTopic(connection, 'connected')
        if (topic !== undefined && matchesTopic(topicFilter, topic)) {
          yield systemMessage(topic, connectedFacts(connection), true)
        }
      }
    }
    return undefined
  }

  /** Judges a filter by its other levels before any client is looked at. */
  #mayMatchPresence(topicFilter: string): boolean {
    const levels = topicFilter.split('/')
    if (levels.length > 4 && levels[4] !== '#') levels[4] = '+'
    return matchesTopic(
      levels.join('/'),
      `$SYS/brokers/${this.#options.nodeName}/clients/x/connected`,
    )
  }

  /** Ticks on whole multiples of the interval, as Mosquitto does. */
  #wait(): void {
    const intervalMs = this.#options.sysIntervalSeconds * 1000
    const delayMs = intervalMs - (this.#context.clock.now() % intervalMs)
    this.#timer = this.#context.timers.after(delayMs, () => {
      this.#update()
      this.#wait()
    })
  }

  #update(): void {
    const now = this.#context.clock.now()
    const elapsedMs = now - this.#updatedAt
    this.#updatedAt = now
    if (elapsedMs > 0) for (const load of this.#figures.loads) load.update(elapsedMs)
    for (const [topic, valueOf] of this.#figures.topics) {
      if (!this.#context.router.hasReceivers(topic)) continue
      const value = String(valueOf())
      if (this.#published.get(topic) === value) continue
      this.#published.set(topic, value)
      this.#publish(topic, value)
    }
  }

  #publish(topic: string, payload: string, retain = true): void {
    this.#context.router.routeVolatile(systemMessage(topic, payload, retain))
  }

  /** Undefined for a client whose identifier, encoded, is too long for a Topic Name. */
  #presenceTopic(connection: Connection, event: 'connected' | 'disconnected'): string | undefined {
    const client = encodeURIComponent(connection.client?.clientIdentifier ?? '')
    const topic = `$SYS/brokers/${this.#options.nodeName}/clients/${client}/${event}`
    return topic.length > TWO_BYTE_INTEGER_MAX ? undefined : topic
  }
}

/** The client that a filter of presence names; undefined if it names none. */
function clientOf(topicFilter: string): string | undefined {
  const level = topicFilter.split('/')[4]
  if (level === undefined || level === '+' || level === '#') return undefined
  try {
    return decodeURIComponent(level)
  } catch {
    return level // No identifier is encoded so: it matches nobody.
  }
}

function systemMessage(topic: string, payload: string, retain: boolean): Message {
  const body = composeBody(topic, NO_PROPERTIES, Buffer.from(payload))
  return Message.fromBody(body, 0, retain, Number.POSITIVE_INFINITY)
}

function connectedFacts(connection: Connection): string {
  return JSON.stringify({
    ...clientFacts(connection),
    keepalive: connection.negotiated?.keepAliveSeconds,
    expiry_interval: connection.session?.expirySeconds,
    connected_at: connection.connectedAt,
  })
}

function clientFacts({ client, transport }: Connection): Record<string, unknown> {
  return {
    clientid: client?.clientIdentifier,
    username: client?.userName,
    ipaddress: transport.peer.address,
    sockport: transport.peer.port,
    listener: transport.peer.listener,
    proto_ver: client?.protocolVersion,
  }
}
