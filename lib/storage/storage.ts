/**
 * The port between the broker and its store: what a durable session needs, and nothing of how it is kept.
 *
 * No promise per message: `write` is called any number of times in a turn of the event loop, the store
 * sends all of them as one batch when the turn ends, and reports each through the `Sink`. The unit itself
 * is the token by which it is recognised. An acknowledgement to a client waits for `done`.
 */

import type { Buffer } from 'node:buffer'
import { TWO_BYTE_INTEGER_MAX } from '../protocol/limits.ts'
import type { Qos } from '../protocol/packets.ts'
import type { Subscription } from '../protocol/subscription.ts'

/** Position of a message in its session's queue: dense per incarnation, so that a gap shows. */
export type Seq = number

/** The Packet Identifier of a message follows from its position. */
export function packetIdentifierOf(seq: Seq): number {
  return 1 + (seq % TWO_BYTE_INTEGER_MAX)
}

/** How much a kept promise survives: nothing, a killed process, a power cut, a lost machine. */
export type Durability = 'volatile' | 'process' | 'disk' | 'replicated'

/** From the weakest to the strongest. */
export const durabilities: readonly Durability[] = ['volatile', 'process', 'disk', 'replicated']

/** Whether what a store gives is less than what somebody asks for, if anybody does. */
export function isWeaker(given: Durability, asked: Durability | undefined): boolean {
  return asked !== undefined && durabilities.indexOf(given) < durabilities.indexOf(asked)
}

/** A durable session as the store knows it. */
export interface SessionRef {
  readonly clientIdentifier: string
  /** Never repeats for a Client Identifier: a late write for an older life of the session is refused. */
  readonly incarnation: number
  /** Grows with each claim: writes of a former owner are refused. */
  readonly epoch: number
}

/** The session as whoever claims it next knows it. */
export function nextOwner({ clientIdentifier, incarnation, epoch }: SessionRef): SessionRef {
  return { clientIdentifier, incarnation, epoch: epoch + 1 }
}

/** One receiver of a unit. */
export interface Target {
  readonly session: SessionRef
  readonly qos: Qos
  readonly retain: boolean
  readonly subscriptionIdentifiers: readonly number[] | undefined
  /** `$share/NAME/FILTER` of the shared subscription that chose this receiver. */
  readonly share: string | undefined
}

/** All that one PUBLISH makes durable, atomically. */
export interface Unit {
  readonly topic: string
  /** Topic, properties and payload in wire form (protocol/message.ts), in memory of its own. */
  readonly body: Buffer
  /** Milliseconds since 1970; Infinity when the message does not expire. */
  readonly expiresAt: number
  readonly qos: Qos
  readonly targets: readonly Target[]
  /** What happens to the retained message of the topic. */
  readonly retain: 'set' | 'clear' | undefined
  /** Set for a QoS 2 PUBLISH of a durable session: remembers the identifier until PUBREL. */
  readonly publisher:
    | { readonly session: SessionRef; readonly packetIdentifier: number }
    | undefined
  /** Set when this is the Will Message of a session: the session has none from now on. */
  readonly willOf: SessionRef | undefined
  /** Set for a retained message that a store has lost, see `StoreEvents.emptied`. */
  readonly isGivenBack?: boolean
}

export interface Sink {
  /** `unit.targets[target]` is durable in its queue at `seq`. Not called if that session is gone. */
  stored(unit: Unit, target: number, seq: Seq): void
  /** All of the unit is durable. Comes after its last `stored`. */
  done(unit: Unit): void
  /** Nothing may be acknowledged; the unit may or may not have been written. */
  failed(unit: Unit, error: StoreError): void
}

/** A message in a durable session's queue. */
export interface QueueEntry extends Omit<Target, 'session'> {
  readonly seq: Seq
  readonly expiresAt: number
  readonly body: Buffer
}

/** The entry that stands for a message in a receiver's queue. */
export function entryFor(
  target: Omit<Target, 'session'>,
  seq: Seq,
  expiresAt: number,
  body: Buffer,
): QueueEntry {
  const { qos, retain, subscriptionIdentifiers, share } = target
  return { seq, qos, retain, subscriptionIdentifiers, share, expiresAt, body }
}

/** The Will Message of a session, in stored form. */
export interface StoredWill {
  readonly topic: string
  readonly body: Buffer
  readonly qos: Qos
  readonly retain: boolean
  readonly delaySeconds: number
  /** Message Expiry Interval, counted from publication; undefined when it does not expire. */
  readonly expirySeconds: number | undefined
}

export interface ClaimOptions {
  readonly cleanStart: boolean
  /** 0xFFFFFFFF: never. */
  readonly expirySeconds: number
  readonly will: StoredWill | undefined
}

/** All that is kept of a session, but for the messages in its queue. */
export interface StoredSession {
  readonly ref: SessionRef
  readonly subscriptions: readonly Subscription[]
  readonly will: StoredWill | undefined
  /** Session Expiry Interval; 0: only a will is kept, for a client whose session ends with its connection. */
  readonly expirySeconds: number
  /** Set once no connection has it; undefined also where a connection ended together with its broker. */
  readonly left: Left | undefined
  /** Last seq given out in this incarnation; 0 at first. */
  readonly lastSeq: Seq
  /** Low-water mark: all up to here is acknowledged. */
  readonly lowWaterMark: Seq
  /** Last seq that the client was sent; undefined where the last owner did not get to say it. */
  readonly sentTo: Seq | undefined
  /** QoS 2 messages for which PUBREC came: PUBREL is re-sent, never PUBLISH [MQTT-4.3.3-6]. */
  readonly released: readonly Seq[]
  /** Packet Identifiers of inbound QoS 2 messages whose PUBREL has not come. */
  readonly inbound: readonly number[]
  /** Entries in the queue; may count some that are gone from its middle. */
  readonly queued: number
  /** Bytes of their bodies, as exact as `queued`. */
  readonly queuedBytes: number
}

/** What is to become of a session that no connection has. */
export interface Left {
  /** When it ends, in ms since 1970; Infinity: never. */
  readonly expiresAt: number
  /** When its will is due, in ms since 1970; undefined where it has none. */
  readonly willAt: number | undefined
}

/** What `claim` hands to the session's new owner: the session as it stood before, in its new epoch. */
export interface Claimed extends StoredSession {
  /** Whether state of an earlier connection is resumed. */
  readonly present: boolean
}

export interface SessionChange {
  readonly subscribe?: readonly Subscription[]
  readonly unsubscribe?: readonly string[]
  /** `null` deletes it. */
  readonly will?: StoredWill | null
  readonly expirySeconds?: number
  /** Last seq that the client was sent: its broker stops, and keeps the session as connected. */
  readonly sentTo?: Seq
}

/** How a session is given up; with `expiresAt: 0` it ends now, with all it has. */
export interface ReleaseOptions extends Left {
  /** Last seq that the client was sent; undefined where nobody knows. */
  readonly sentTo: Seq | undefined
}

/** A retained message as the store keeps it. */
export interface StoredRetained {
  readonly topic: string
  readonly body: Buffer
  readonly qos: Qos
  readonly expiresAt: number
}

/** What a store tells at start-up, one item at a time. */
export type ReplayItem =
  | { readonly kind: 'session'; readonly session: StoredSession }
  | { readonly kind: 'retained'; readonly message: StoredRetained }

/** Whom a store tells of what it did not ask for. */
export interface StoreEvents {
  /**
   * The store has stopped to take anything, or takes it again. What was written stays pending meanwhile.
   * `reason` is a sentence for the log: what happened, where, what to do.
   */
  readonly healthChanged: (isHealthy: boolean, reason: string) => void
  /** The store cannot go on, or belongs to somebody else now: whoever uses it must stop. */
  readonly lost: (error: StoreError) => void
  /**
   * What is behind the store has come back without what it kept, which may be all or a part. Whoever uses it
   * gives back by `adopt` and `adoptQueue` what it still knows of the sessions that `isLost` names, and all
   * retained messages by units that say so; everything else waits until the promise resolves. An adopted
   * session keeps its `ref`, so what was written for it still fits.
   */
  readonly emptied: (isLost: (clientIdentifier: string) => boolean) => Promise<void>
}

/** What was found that should not be there. */
export interface StoreFinding {
  /** A sentence for people. */
  readonly what: string
  /** How often. */
  readonly count: number
}

export interface Pressure {
  /** Units written but not reported. */
  readonly pendingUnits: number
  readonly pendingBytes: number
  /** Whether the store takes what it is given; false from `healthChanged(false)` to `healthChanged(true)`. */
  readonly isHealthy: boolean
}

export interface Opened {
  /** What the store's promises survive. */
  readonly durability: Durability
  /** A sentence that says why it is no more than that, and what is there. */
  readonly detail: string
}

export interface Store {
  /** Opens the store. Rejects with `StoreError` if it cannot be used, or is another broker's. */
  open(events: StoreEvents): Promise<Opened>
  /** Writes what is pending, then closes. */
  close(): Promise<void>
  /** Hands over everything kept, before the first client is served. */
  replay(onItem: (item: ReplayItem) => void): Promise<void>

  /** Takes a session, or makes it; `cleanStart` discards what was there, in the same step. */
  claim(clientIdentifier: string, options: ClaimOptions): Promise<Claimed>
  /** Changes a session; durable when the promise resolves. */
  update(session: SessionRef, change: SessionChange): Promise<void>
  /** Gives a session up: its connection is closed. */
  release(session: SessionRef, options: ReleaseOptions): Promise<void>

  /**
   * Adds to this turn's batch. The sink hears of it in a later step of the same or another turn. What is
   * discarded in the same turn goes when the unit is durable, both or neither.
   */
  write(unit: Unit, sink: Sink): void
  /**
   * Moves queued messages to another session: appended there first, as `to` wants them, then removed
   * here. `stored` hears of each, as it stands in the new queue, when it is durable there: in its turn with
   * all else that this queue gets, perhaps before this returns. Resolves when they are gone from the old one.
   */
  handOver(
    from: SessionRef,
    seqs: readonly Seq[],
    to: Target,
    stored: (entry: QueueEntry) => void,
  ): Promise<void>
  /** Reads a queue in order, behind `after`; at most `max` entries and, but for the first, `maxBytes`. */
  readQueue(session: SessionRef, after: Seq, max: number, maxBytes: number): Promise<QueueEntry[]>
  /** Everything up to `lowWaterMark` is acknowledged. Lazy: losing it only re-delivers. */
  acknowledgeTo(session: SessionRef, lowWaterMark: Seq): void
  /** Removes single messages: expired, dropped by policy, or acknowledged behind a stuck one. Lazy. */
  discard(session: SessionRef, seqs: readonly Seq[]): void
  /** Retained messages of these topics have expired. Lazy. */
  discardRetained(topics: readonly string[]): void
  /** PUBREC came for these: durable before PUBREL leaves. */
  markReleased(session: SessionRef, seqs: readonly Seq[]): Promise<void>
  /** PUBREL came: the Packet Identifier is free again; durable before PUBCOMP leaves. */
  forgetInbound(session: SessionRef, packetIdentifier: number): Promise<void>

  /** The same object at each call, which is kept true. */
  pressure(): Pressure

  /**
   * Makes a session exactly as it stood elsewhere, numbering included, in place of one of its Client
   * Identifier; its queue is empty until `adoptQueue`. Resolves to what it is called here.
   */
  adopt(session: StoredSession): Promise<SessionRef>
  /** Puts entries at the end of an adopted session's queue, each at its own seq, in ascending order. */
  adoptQueue(session: SessionRef, entries: readonly QueueEntry[]): Promise<void>
  /** Looks for what should not be there, and removes it if asked to. Nobody else may use the store meanwhile. */
  check(options: { readonly repair: boolean }): Promise<StoreFinding[]>
}

/**
 * A store could not do what it was asked. `code` is stable:
 * - `closed`: it is closed, or closing;
 * - `full`: what is behind it has no room left;
 * - `unavailable`: what is behind it cannot be reached, or did not answer in time;
 * - `in use`: another broker has it;
 * - `unusable`: it is not set up so that a broker can rely on it, or not a store of ours.
 */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: 'closed' | 'full' | 'unavailable' | 'in use' | 'unusable'

  constructor(code: StoreError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** What everybody is told who asks a store that is closed. */
export function closedError(): StoreError {
  return new StoreError('closed', 'The store is closed.')
}

/** What anything that was thrown means: that `what` cannot be used, unless it says so itself. */
export function asStoreError(what: string, cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new StoreError('unavailable', `${what} cannot be used: ${reason}`, { cause })
}
