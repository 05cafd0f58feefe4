/**
 * PUBLISH from the client: validate, resolve the alias, authorize, recognise a QoS 2 duplicate, route,
 * acknowledge. The hot path of the broker: synchronous unless a hook answers with a promise.
 */

import { isUtf8 } from 'node:buffer'
import { decodePublish, PublishHeader } from '../codec/publish-decoder.ts'
import { ProtocolError } from '../protocol/errors.ts'
import type { Message } from '../protocol/message.ts'
import type { MqttVersion } from '../protocol/packets.ts'
import { ReasonCode, refusalFor } from '../protocol/reason-codes.ts'
import { isSystemTopic, isWithinLimits } from '../protocol/topics.ts'
import type { Publication, PublicationObserver } from '../router/publication.ts'
import type { Router } from '../router/router.ts'
import {
  type AccessHooks,
  type Answer,
  type ClientInfo,
  type Decision,
  denial,
  isFailure,
  toDecision,
} from '../security/access.ts'
import { whoJudgesPublish } from '../security/client-acl.ts'
import {
  type AcknowledgementType,
  OwedAcknowledgements,
  type OwedHandle,
} from '../session/owed-acknowledgements.ts'
import type { Session } from '../session/session.ts'
import type { StoreError } from '../storage/storage.ts'
import { MemoryLevel } from '../util/memory-budget.ts'
import type { Connection } from './connection.ts'
import { reportDenied } from './log.ts'
import { NamesAhead } from './names-ahead.ts'
import type { Negotiated } from './negotiated.ts'
import { Pause } from './pause.ts'
import { handleRun } from './publish-run.ts'
import { findFullRetained } from './retained-room.ts'
import { InboundAliases } from './topic-aliases.ts'

/**
 * So long a client of 3.x waits whose message nobody could be asked about. Sent away at once it would be back
 * at once, over and over, and banned for it.
 */
const UNJUDGED_PAUSE_MS = 10_000

/** The client's messages of one connection: its aliases, and what we owe it. */
export class InboundFlow implements PublicationObserver {
  /** What the client's last PUBLISH said. */
  readonly header: PublishHeader
  readonly #owed: OwedAcknowledgements
  readonly #connection: Connection
  readonly #version: MqttVersion
  #aliases: InboundAliases | undefined
  /** PUBLISH packets at QoS 1 and 2 that the client may count as unacknowledged (section 4.9). */
  #unacknowledged = 0

  constructor(connection: Connection) {
    this.#connection = connection
    this.header = new PublishHeader(
      new NamesAhead(connection.decoder, connection.context.router.topicNames),
    )
    this.#version = (connection.negotiated as Negotiated).version
    this.#owed = new OwedAcknowledgements((type, packetIdentifier, reasonCode) => {
      if (type === 'puback' || reasonCode >= 0x80) this.credit(1)
      connection.outlet.sendAcknowledgement(type, packetIdentifier, reasonCode)
      if (this.#owed.length <= connection.context.limits.receiveMaximum / 2) {
        connection.unpause(Pause.OwedAcknowledgements)
      }
    })
  }

  /** Returns the Topic Name that `alias` stands for. */
  resolveAlias(alias: number, topicName: string): string {
    this.#aliases ??= new InboundAliases(this.#connection.context.limits.topicAliasMaximum)
    return this.#aliases.resolve(alias, topicName)
  }

  /** How many more PUBLISH packets at QoS 1 and 2 the client may send before we acknowledge one. */
  get room(): number {
    return this.#connection.context.limits.receiveMaximum - this.#unacknowledged
  }

  /** Counts PUBLISH packets at QoS 1 or 2 against the Receive Maximum that we announced. */
  debit(count: number): void {
    const { receiveMaximum } = this.#connection.context.limits
    this.#unacknowledged += count
    if (this.#unacknowledged > receiveMaximum && this.#version === 5) {
      throw new ProtocolError(
        ReasonCode.ReceiveMaximumExceeded,
        `more than ${receiveMaximum} messages unacknowledged`, // [MQTT-3.3.4-7]
      )
    }
  }

  /** PUBACK, PUBCOMP, or a PUBREC of 0x80 or more has been sent. */
  credit(count: number): void {
    this.#unacknowledged = Math.max(0, this.#unacknowledged - count)
  }

  /** Whether nothing is owed before what comes now. */
  get acknowledgesAtOnce(): boolean {
    return this.#owed.isIdle
  }

  /** Acknowledges when everything before is acknowledged. */
  acknowledge(type: AcknowledgementType, packetIdentifier: number, reasonCode: number): void {
    this.#owed.acknowledge(type, packetIdentifier, reasonCode)
    this.#slow()
  }

  /** Acknowledges, in its turn, when `publication` is where it has to be. */
  acknowledgeAfter(
    publication: Publication,
    type: AcknowledgementType,
    packetIdentifier: number,
  ): void {
    publication.observer = this
    publication.handle = this.#owed.add(type, packetIdentifier)
    this.#slow()
  }

  /** Bounds what is owed to a client that knows no Receive Maximum. */
  #slow(): void {
    const isFull = this.#owed.length >= this.#connection.context.limits.receiveMaximum
    if (isFull && this.#version < 5) this.#connection.pause(Pause.OwedAcknowledgements)
  }

  /** The client has sent a message again that is on its way into the store: one answer waits for both. */
  acknowledgeAgain(publication: Publication, packetIdentifier: number): void {
    const owed = this.#owed.add('pubrec', packetIdentifier)
    publication.tell({
      published: () => this.#owed.settle(owed, ReasonCode.Success),
      publicationFailed: (_, { message }) => this.#endFor(message),
    })
    this.#slow()
  }

  #endFor(reason: string): void {
    this.#connection.end(ReasonCode.UnspecifiedError, `the store did not take a message: ${reason}`)
  }

  published(publication: Publication): void {
    const { publisher } = publication
    if (publisher !== undefined) {
      this.#connection.session?.inbound.settle(publisher.packetIdentifier)
    }
    this.#owed.settle(publication.handle as OwedHandle, ReasonCode.Success)
    this.#connection.unpause(Pause.Store)
  }

  publicationFailed(publication: Publication, error: StoreError): void {
    const { publisher, handle } = publication
    const { session, context } = this.#connection
    if (publisher !== undefined) {
      session?.inbound.delete(publisher.packetIdentifier)
      session?.inbound.settle(publisher.packetIdentifier)
    }
    if (error.code !== 'full') this.#endFor(error.message)
    else if (this.#version === 5) {
      this.#owed.settle(handle as OwedHandle, ReasonCode.QuotaExceeded)
      this.#connection.unpause(Pause.Store)
    } else {
      // 3.x has no way to say it: no acknowledgement, and a pause before the client tries again.
      const rule = `the store did not take a message: ${error.message}`
      const end = () => this.#connection.end(ReasonCode.QuotaExceeded, rule)
      context.timers.after(context.limits.storeTimeoutMs, end)
    }
  }
}

export function handlePublish(connection: Connection): Promise<void> | undefined {
  const { context, decoder, inboundFlow } = connection
  const { header } = inboundFlow
  const message = decodePublish(
    decoder.bytes,
    decoder.start,
    decoder.bodyStart,
    decoder.end,
    connection.negotiated!.version,
    connection.receivedAt,
    header,
  )
  context.counters.publishBytesReceived += message.payloadLength
  const { packetIdentifier, isPayloadUtf8 } = header
  if (header.topicAlias !== 0) {
    message.topic = inboundFlow.resolveAlias(header.topicAlias, message.topic)
  }
  const session = connection.session as Session
  if (message.qos > 0) inboundFlow.debit(1)
  // At QoS 1 a known identifier is a new message, DUP or not [MQTT-4.3.2-5].
  if (message.qos === 2 && session.inbound.has(packetIdentifier)) {
    const pending = session.inbound.pendingOf(packetIdentifier)
    if (pending !== undefined) inboundFlow.acknowledgeAgain(pending, packetIdentifier)
    else inboundFlow.acknowledge('pubrec', packetIdentifier, ReasonCode.Success) // [MQTT-4.3.3-10]
    return undefined
  }
  const fault = findFault(connection, message, isPayloadUtf8)
  if (fault !== undefined) return refuse(connection, message, packetIdentifier, fault)
  // Whoever still owes us acknowledgements must be read, else its messages would stay for ever.
  if (context.budget.level >= MemoryLevel.PauseReaders && session.inFlightCount === 0) {
    connection.pause(Pause.Memory)
  }
  const asked = whoJudgesPublish(context.hooks, connection.client as ClientInfo)
  if (asked.authorizePublish === undefined) {
    if (!handleRun(connection, session, message))
      accept(connection, session, message, packetIdentifier)
    return undefined
  }
  return authorize(connection, session, message, packetIdentifier, asked)
}

/** Why a well-formed message is not taken; undefined: it is. Limits that were announced end the connection. */
function findFault(
  connection: Connection,
  message: Message,
  isPayloadUtf8: boolean,
): Decision | undefined {
  const { limits } = connection.context
  if (message.qos > limits.maximumQos) {
    throw new ProtocolError(ReasonCode.QosNotSupported, 'QoS above connection.maximumQos') // [MQTT-3.2.2-11]
  }
  if (message.retain) {
    if (!limits.retainAvailable) {
      throw new ProtocolError(
        ReasonCode.RetainNotSupported,
        'RETAIN where retained messages are off',
      ) // [MQTT-3.2.2-14]
    }
    const full = message.payloadLength > 0 ? findFullRetained(connection, message) : undefined
    if (full !== undefined) return full
  }
  const { topic } = message
  if (topic.charCodeAt(0) === 0x24 && isSystemTopic(topic)) {
    return denial(ReasonCode.NotAuthorized, '$SYS belongs to the broker')
  }
  if (!isWithinLimits(topic, limits)) {
    return denial(
      ReasonCode.TopicNameInvalid,
      'topic beyond connection.topicLevelsMax or topicBytesMax',
    )
  }
  if (isPayloadUtf8 && !isUtf8(message.payload)) {
    return denial(ReasonCode.PayloadFormatInvalid, 'the payload is not the UTF-8 it says it is')
  }
  return undefined
}

function authorize(
  connection: Connection,
  session: Session,
  message: Message,
  packetIdentifier: number,
  asked: AccessHooks,
): Promise<void> | undefined {
  const { topic, qos, retain, payload } = message
  const client = connection.client as ClientInfo
  const answer = asked.authorizePublish?.(client, { topic, qos, retain, payload })
  if (answer instanceof Promise) {
    message.body() // Nobody knows how long the answer takes: the chunk is not kept for it.
    return answer.then((late) => {
      if (connection.state !== 'connected') return undefined
      return decide(connection, session, message, packetIdentifier, late)
    })
  }
  return decide(connection, session, message, packetIdentifier, answer)
}

function decide(
  connection: Connection,
  session: Session,
  message: Message,
  packetIdentifier: number,
  answer: Answer | undefined,
): Promise<void> | undefined {
  const decision = answer === true ? undefined : toDecision(answer)
  if (decision !== undefined && !decision.isAllowed) {
    return refuse(connection, message, packetIdentifier, decision)
  }
  accept(connection, session, message, packetIdentifier)
  return undefined
}

/** Routes a message, and acknowledges it when it is where it has to be. */
function accept(
  connection: Connection,
  session: Session,
  message: Message,
  packetIdentifier: number,
): void {
  const { router, observers } = connection.context
  const { qos } = message
  observers.published?.(message, connection.client as ClientInfo)
  if (qos === 0) {
    route(connection, message, session)
    return
  }
  const isExactlyOnce = qos === 2
  const inbound =
    isExactlyOnce && session.durable !== undefined
      ? { publisher: { session: session.durable, packetIdentifier } }
      : undefined
  const publication = route(connection, message, session, inbound) // [MQTT-4.5.0-1]
  // Now, as what could not be routed must not be taken for known when it comes again.
  if (isExactlyOnce) session.inbound.add(packetIdentifier)
  const type = isExactlyOnce ? 'pubrec' : 'puback' // [MQTT-3.3.4-1]
  const { inboundFlow } = connection
  if (publication === undefined) {
    const isHeard = router.lastMatchCount > 0
    inboundFlow.acknowledge(
      type,
      packetIdentifier,
      isHeard ? ReasonCode.Success : ReasonCode.NoMatchingSubscribers,
    ) // [MQTT-4.3.2-4] [MQTT-4.3.3-8]
  } else {
    if (inbound !== undefined) session.inbound.setPending(packetIdentifier, publication)
    inboundFlow.acknowledgeAfter(publication, type, packetIdentifier)
    slowForStore(connection)
  }
}

/** Routes a message; a retained one counts for who publishes it, where that is limited. */
function route(
  connection: Connection,
  message: Message,
  session: Session,
  inbound?: Parameters<Router['route']>[2],
): Publication | undefined {
  const { router, retained, protection } = connection.context
  const owners = message.retain ? protection.retainedOwners : undefined
  if (owners === undefined) return router.route(message, session, inbound)
  const { version } = retained
  const publication = router.route(message, session, inbound)
  owners.note(connection.accounts, message, version)
  return publication
}

/**
 * A store that has much to write, or takes nothing now, slows those who publish to it until what this one
 * published is safe.
 */
function slowForStore(connection: Connection): void {
  const { store, limits } = connection.context
  const { pendingUnits, pendingBytes, isHealthy } = store.pressure()
  if (
    !isHealthy ||
    pendingUnits > limits.storePendingUnitsMax ||
    pendingBytes > limits.storePendingBytesMax
  ) {
    connection.pause(Pause.Store)
  }
}

/** A message that is not taken: MQTT 5.0 says why and goes on; 3.x cannot say it. */
function refuse(
  connection: Connection,
  message: Message,
  packetIdentifier: number,
  decision: Decision,
): Promise<void> | undefined {
  const reasonCode = refusalFor('puback', decision.reasonCode) // [MQTT-3.4.2-1] [MQTT-3.5.2-1]
  const rule = decision.rule ?? 'not authorized'
  reportDenied(connection, 'publish', message.topic, reasonCode, decision)
  const { inboundFlow } = connection
  if (connection.negotiated?.version === 5) {
    if (message.qos > 0) {
      inboundFlow.acknowledge(message.qos === 1 ? 'puback' : 'pubrec', packetIdentifier, reasonCode) // [MQTT-4.3.3-9]
    } else if (reasonCode === ReasonCode.PayloadFormatInvalid) {
      throw new ProtocolError(reasonCode, rule)
    }
    return undefined
  }
  // Nobody has refused it: without an acknowledgement the client sends it again.
  if (message.qos > 0 && isFailure(decision)) return endUnjudged(connection, rule)
  if (connection.context.limits.unauthorizedPublishV3 === 'disconnect') {
    throw new ProtocolError(reasonCode, rule)
  }
  if (message.qos === 1) inboundFlow.acknowledge('puback', packetIdentifier, ReasonCode.Success)
  if (message.qos === 2) {
    ;(connection.session as Session).inbound.add(packetIdentifier)
    inboundFlow.acknowledge('pubrec', packetIdentifier, ReasonCode.Success)
  }
  return undefined
}

/** Ends a connection of 3.x later, reading nothing until then. */
function endUnjudged(connection: Connection, rule: string): Promise<void> {
  return new Promise((resolve) => {
    connection.context.timers.after(UNJUDGED_PAUSE_MS, () => {
      connection.end(ReasonCode.ServerUnavailable, `nobody could be asked: ${rule}`)
      resolve()
    })
  })
}
