/**
 * The port between the broker and its store: what a durable session needs, and nothing of how it is kept.
 *
 * No promise per message: `write` is called any number of times in a turn of the event loop, the store
 * sends all of them as one batch when the turn ends, and reports each through the `Sink`. The unit itself
 * is the token by which it is recognised. An acknowledgement to a client waits for `done`.
 */

import type { Buffer } from 'node:buffer'
import type { Qos } from '../protocol/packets.ts'
import type { Subscription } from '../protocol/subscription.ts'

/** Position of a message in its session's queue: dense per incarnation, so that a gap shows. */
export type Seq = number

/** How much a kept promise survives: nothing, a killed process, a power cut, a lost machine. */
export type Durability = 'volatile' | 'process' | 'disk' | 'replicated'

/** A durable session as the store knows it. */
export interface SessionRef {
  readonly clientIdentifier: string
  /** Never repeats for a Client Identifier: a late write for an older life of the session is refused. */
  readonly incarnation: number
  /** Grows with each claim: writes of a former owner are refused. */
  readonly epoch: number
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

/** What `claim` hands to the session's new owner. */
export interface Claimed {
  readonly ref: SessionRef
  /** Whether state of an earlier connection is resumed. */
  readonly present: boolean
  /** Last seq given out in this incarnation; 0 at first. */
  readonly lastSeq: Seq
  /** Low-water mark: all up to here is acknowledged. */
  readonly lowWaterMark: Seq
  /** QoS 2 messages for which PUBREC came: PUBREL is re-sent, never PUBLISH [MQTT-4.3.3-6]. */
  readonly released: readonly Seq[]
  /** Packet Identifiers of inbound QoS 2 messages whose PUBREL has not come. */
  readonly inbound: readonly number[]
  readonly subscriptions: readonly Subscription[]
}

export interface SessionChange {
  readonly subscribe?: readonly Subscription[]
  readonly unsubscribe?: readonly string[]
  /** `null` deletes it. */
  readonly will?: StoredWill | null
  readonly expirySeconds?: number
}

export interface ReleaseOptions {
  /** When the session ends, in ms since 1970; Infinity: never; 0: now, with all it has. */
  readonly expiresAt: number
}

/** What a store tells at start-up, one item at a time. */
export type ReplayItem =
  | {
      readonly kind: 'session'
      readonly ref: SessionRef
      readonly subscriptions: readonly Subscription[]
      readonly expiresAt: number
      readonly queued: number
    }
  | {
      readonly kind: 'retained'
      readonly topic: string
      readonly body: Buffer
      readonly qos: Qos
      readonly expiresAt: number
    }

export interface Pressure {
  /** Units written but not reported. */
  readonly pendingUnits: number
  readonly pendingBytes: number
  readonly isHealthy: boolean
}

export interface Store {
  /** Opens the store and says what its promises survive. */
  open(): Promise<{ durability: Durability }>
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

  /** Adds to this turn's batch. The sink hears of it in a later step of the same or another turn. */
  write(unit: Unit, sink: Sink): void
  /**
   * Moves queued messages to another session: appended there first, as `to` wants them, then removed
   * here. Resolves to the entries as they stand in the new queue.
   */
  handOver(from: SessionRef, seqs: readonly Seq[], to: Target): Promise<QueueEntry[]>
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

  pressure(): Pressure
}

/** A store could not do what it was asked. `code` is stable. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: 'closed' | 'full' | 'unavailable'

  constructor(code: StoreError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
