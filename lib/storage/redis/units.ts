/**
 * Units on their way into Redis. Where all of a unit lies in one lane it is one operation, which is applied
 * as a whole or not at all; on a Cluster split-unit.ts takes the others.
 */

import { type Sink, StoreError, type Target, type Unit } from '../storage.ts'
import type { Batch, Growth, Operation } from './batch.ts'
import { Code, Outcome } from './codes.ts'
import type { Keys } from './keys.ts'
import type { PackReader } from './pack.ts'
import { writeFrame, writeHeader } from './records.ts'
import type { KnownSessions } from './sessions.ts'

/** What a unit needs to know of its store. */
export interface UnitParts {
  readonly keys: Keys
  readonly sessions: KnownSessions
  /** The unit is about to be reported. */
  readonly reported: (unit: Unit) => void
}

export class WholeUnit implements Operation {
  readonly growth: Growth
  readonly bytes: number
  readonly writesBack: boolean
  readonly isCancelled = false
  readonly #unit: Unit
  readonly #sink: Sink
  readonly #parts: UnitParts

  constructor(unit: Unit, sink: Sink, parts: UnitParts) {
    this.#unit = unit
    this.#sink = sink
    this.#parts = parts
    const { targets, publisher, retain } = unit
    const grows = targets.length > 0 || publisher !== undefined || retain === 'set'
    this.growth = grows ? 'needed' : 'none'
    this.bytes = unit.body.length
    this.writesBack = unit.isGivenBack === true
  }

  encode(batch: Batch): void {
    const unit = this.#unit
    const { targets, body } = unit
    if (unit.publisher !== undefined) encodeReceive(batch, unit.publisher, this.#parts.keys, true)
    if (unit.willOf !== undefined) encodeClearWill(batch, unit, this.#parts.keys)
    if (unit.retain !== undefined) encodeRetain(batch, unit, this.#parts.keys)
    if (targets.length === 0) return
    batch.code(Code.Append)
    batch.bytes(body)
    batch.number(targets.length)
    for (let i = 0; i < targets.length; i++) {
      encodeTarget(batch, targets[i]!, unit, this.#parts.sessions)
    }
  }

  settle(results: PackReader): void {
    const unit = this.#unit
    if (unit.publisher !== undefined) results.number()
    let worst: number = Outcome.Gone
    for (let i = 0; i < unit.targets.length; i++) {
      const seq = results.number()
      if (seq < worst) worst = seq
      noteOutcome(this.#sink, unit, i, seq, this.#parts.sessions)
    }
    this.#parts.reported(unit)
    if (worst < Outcome.Gone) this.#sink.failed(unit, errorOf(worst))
    else this.#sink.done(unit)
  }

  fail(error: StoreError): void {
    this.#parts.reported(this.#unit)
    this.#sink.failed(this.#unit, error)
  }
}

/** Writes a target behind the body: queue, id and header. */
export function encodeTarget(
  batch: Batch,
  target: Target,
  unit: Unit,
  sessions: KnownSessions,
  tokensKey?: string,
): void {
  const known = sessions.of(target.session)
  const isPresent = known.incarnation === target.session.incarnation
  if (isPresent) known.totalBytes += unit.body.length
  batch.key(known.queueKey)
  if (tokensKey !== undefined) batch.key(tokensKey)
  batch.text(isPresent ? known.idPrefix : `${target.session.incarnation}-*`)
  writeHeader(batch, target, unit.expiresAt, known.totalBytes)
}

/** Tells the sink, and the session, of what came of a target. */
export function noteOutcome(
  sink: Sink,
  unit: Unit,
  target: number,
  seq: number,
  sessions: KnownSessions,
): void {
  const { session } = unit.targets[target]!
  if (seq === Outcome.Gone) return sessions.forget(session)
  if (seq < Outcome.Gone) return
  const known = sessions.of(session)
  if (known.incarnation === session.incarnation && seq > known.lastSeq) known.lastSeq = seq
  sink.stored(unit, target, seq)
}

export function encodeReceive(
  batch: Batch,
  { session, packetIdentifier }: NonNullable<Unit['publisher']>,
  keys: Keys,
  isDone: boolean,
): void {
  const { clientIdentifier, incarnation, epoch } = session
  const group = keys.groupOf(clientIdentifier)
  batch.code(Code.Receive)
  batch.key(keys.session(group, clientIdentifier))
  batch.key(keys.inbound(group, clientIdentifier))
  batch.text(String(incarnation))
  batch.text(String(epoch))
  batch.text(String(packetIdentifier))
  batch.boolean(isDone)
}

export function encodeClearWill(batch: Batch, unit: Unit, keys: Keys): void {
  const { clientIdentifier, incarnation, epoch } = unit.willOf!
  batch.code(Code.ClearWill)
  batch.key(keys.session(keys.groupOf(clientIdentifier), clientIdentifier))
  batch.text(String(incarnation))
  batch.text(String(epoch))
}

export function encodeRetain(batch: Batch, unit: Unit, keys: Keys): void {
  const key = keys.retained(keys.groupOf(unit.topic))
  if (unit.retain === 'clear') {
    batch.code(Code.ClearRetained)
    batch.key(key)
    batch.list([unit.topic])
    return
  }
  const standing = {
    qos: unit.qos,
    retain: true,
    subscriptionIdentifiers: undefined,
    share: undefined,
  }
  batch.code(Code.Retain)
  batch.key(key)
  batch.text(unit.topic)
  writeFrame(batch, standing, unit.expiresAt, 0, unit.body)
}

export function errorOf(outcome: number): StoreError {
  return outcome === Outcome.Full
    ? new StoreError('full', 'Redis has no memory left: raise its maxmemory.')
    : new StoreError('unavailable', 'Redis refused to add to a queue.')
}
