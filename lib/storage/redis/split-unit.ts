/**
 * A unit whose parts lie in several lanes of a Cluster, which no script can apply as a whole.
 *
 *     1  the publisher's lane   the Packet Identifier is noted as received, not yet as done
 *        the topic's lane       the retained message is set or cleared
 *     2  the receivers' lanes   messages are queued, for QoS 2 under a token: there is none twice
 *     3  the publisher's lane   the Packet Identifier is done, or the will is published
 *     4  lazily                 tokens are forgotten
 *
 * A message is reported as soon as it is queued, so that those of a session are reported in their order.
 * While a publisher's unit is in step 1 its later ones go in steps too: none overtakes another.
 *
 * After a crash before 3 the client sends its PUBLISH again, gets the same number in 1, and with it the
 * same token in 2. After 3 its PUBLISH is known to be a duplicate, so that no token is needed any more.
 */

import type { Sink, StoreError, Unit } from '../storage.ts'
import type { Batch, Growth, Operation } from './batch.ts'
import { Code, Outcome } from './codes.ts'
import type { Keys } from './keys.ts'
import type { Lane } from './lane.ts'
import type { Lanes } from './lanes.ts'
import { LazyRequest } from './operations.ts'
import type { PackReader } from './pack.ts'
import type { KnownSessions } from './sessions.ts'
import {
  encodeClearWill,
  encodeReceive,
  encodeRetain,
  encodeTarget,
  errorOf,
  noteOutcome,
  type UnitParts,
} from './units.ts'

/** Returns the lane of a unit that can go in one step; undefined if it cannot. */
export function laneOfUnit(
  unit: Unit,
  keys: Keys,
  lanes: Lanes,
  sessions: KnownSessions,
): Lane | undefined {
  if (lanes.all.length === 1) return lanes.all[0]
  const { publisher } = unit
  if (publisher !== undefined && sessions.of(publisher.session).receiving > 0) return undefined
  const found = new Set<Lane>()
  const add = (name: string): unknown => found.add(lanes.of(keys.groupOf(name)))
  for (const { session } of unit.targets) add(session.clientIdentifier)
  if (unit.publisher !== undefined) add(unit.publisher.session.clientIdentifier)
  if (unit.willOf !== undefined) add(unit.willOf.clientIdentifier)
  if (unit.retain !== undefined) add(unit.topic)
  if (found.size > 1) return undefined
  const [only = lanes.all[0]] = found
  return only
}

export class SplitUnit {
  readonly #unit: Unit
  readonly #sink: Sink
  readonly #parts: UnitParts
  readonly #lanes: Lanes
  /** How many parts of the present step are not durable yet. */
  #missing = 0
  #error: StoreError | undefined
  #token: string | undefined
  constructor(unit: Unit, sink: Sink, parts: UnitParts, lanes: Lanes) {
    this.#unit = unit
    this.#sink = sink
    this.#parts = parts
    this.#lanes = lanes
  }

  /** Sets it going; the sink hears of it as of any other. */
  start(): void {
    const { publisher } = this.#unit
    if (publisher === undefined) {
      this.#send([...this.#appendParts(), ...this.#retainParts()], () => this.#conclude())
      return
    }
    const { session } = publisher
    const known = this.#parts.sessions.of(session)
    known.receiving++
    const receive = new Part(
      'needed',
      (batch) => encodeReceive(batch, publisher, this.#parts.keys, false),
      (results) => {
        const number = results.number()
        // A former owner's PUBLISH is queued as ever, but remembered by nobody.
        if (number > 0) this.#token = `${session.incarnation}:${number}`
      },
    )
    const parts: [Lane, Part][] = [[this.#laneOf(session.clientIdentifier), receive]]
    this.#send(
      [...parts, ...this.#retainParts()],
      () => this.#send(this.#appendParts(), () => this.#conclude()),
      () => known.receiving--,
    )
  }

  #retainParts(): [Lane, Part][] {
    const { topic, retain } = this.#unit
    if (retain === undefined) return []
    const growth = retain === 'set' ? 'needed' : 'none'
    const encode = (batch: Batch): void => encodeRetain(batch, this.#unit, this.#parts.keys)
    return [[this.#laneOf(topic), new Part(growth, encode)]]
  }

  #appendParts(): [Lane, Part][] {
    const { targets } = this.#unit
    const byLane = new Map<Lane, number[]>()
    for (const [i, { session }] of targets.entries()) {
      const lane = this.#laneOf(session.clientIdentifier)
      const indexes = byLane.get(lane)
      if (indexes === undefined) byLane.set(lane, [i])
      else indexes.push(i)
    }
    return [...byLane].map(([lane, indexes]) => [lane, this.#appendPart(indexes)])
  }

  #appendPart(indexes: readonly number[]): Part {
    const { keys, sessions } = this.#parts
    const unit = this.#unit
    return new Part(
      'needed',
      (batch) => {
        const token = this.#token
        batch.code(token === undefined ? Code.Append : Code.AppendOnce)
        if (token !== undefined) batch.text(token)
        batch.bytes(unit.body)
        batch.number(indexes.length)
        for (const i of indexes) {
          const { clientIdentifier } = unit.targets[i]!.session
          const tokensKey = keys.tokens(keys.groupOf(clientIdentifier), clientIdentifier)
          encodeTarget(
            batch,
            unit.targets[i]!,
            unit,
            sessions,
            token === undefined ? undefined : tokensKey,
          )
        }
      },
      (results) => {
        for (const i of indexes) {
          const outcome = results.number()
          if (outcome < Outcome.Gone) this.#error ??= errorOf(outcome)
          noteOutcome(this.#sink, unit, i, outcome, sessions)
        }
      },
      unit.body.length,
    )
  }

  #conclude(): void {
    const { publisher, willOf } = this.#unit
    const { keys } = this.#parts
    const parts: [Lane, Part][] = []
    if (publisher !== undefined) {
      const encode = (batch: Batch): void => encodeReceive(batch, publisher, keys, true)
      const read = (results: PackReader): void => void results.number()
      parts.push([this.#laneOf(publisher.session.clientIdentifier), new Part('none', encode, read)])
    }
    if (willOf !== undefined) {
      const encode = (batch: Batch): void => encodeClearWill(batch, this.#unit, keys)
      parts.push([this.#laneOf(willOf.clientIdentifier), new Part('none', encode)])
    }
    this.#send(parts, () => {
      this.#forgetTokens()
      this.#parts.reported(this.#unit)
      this.#sink.done(this.#unit)
    })
  }

  #forgetTokens(): void {
    const token = this.#token
    if (token === undefined) return
    const { keys } = this.#parts
    for (const clientIdentifier of new Set(
      this.#unit.targets.map(({ session }) => session.clientIdentifier),
    )) {
      const group = keys.groupOf(clientIdentifier)
      const encode = (batch: Batch): void => {
        batch.code(Code.ForgetToken)
        batch.key(keys.tokens(group, clientIdentifier))
        batch.text(token)
      }
      this.#lanes.add(this.#lanes.of(group), new LazyRequest(encode, () => {}))
    }
  }

  /** Sends one step; the next comes when all of it is durable. `settled` hears of the end of either kind. */
  #send(parts: readonly [Lane, Part][], next: () => void, settled: () => void = () => {}): void {
    if (parts.length === 0) return next()
    this.#missing = parts.length
    for (const [lane, part] of parts) {
      part.onSettled = (error) => {
        this.#error ??= error
        if (--this.#missing > 0) return
        settled()
        if (this.#error === undefined) return next()
        this.#parts.reported(this.#unit)
        this.#sink.failed(this.#unit, this.#error)
      }
      this.#lanes.add(lane, part)
    }
  }

  #laneOf(name: string): Lane {
    return this.#lanes.of(this.#parts.keys.groupOf(name))
  }
}

/** What of a unit lies in one lane. */
class Part implements Operation {
  readonly growth: Growth
  readonly bytes: number
  readonly writesBack = false
  readonly isCancelled = false
  onSettled: (error: StoreError | undefined) => void = () => {}
  readonly #encode: (batch: Batch) => void
  readonly #read: (results: PackReader) => void

  constructor(
    growth: Growth,
    encode: (batch: Batch) => void,
    read: (results: PackReader) => void = () => {},
    bytes = 0,
  ) {
    this.growth = growth
    this.bytes = bytes
    this.#encode = encode
    this.#read = read
  }

  encode(batch: Batch): void {
    this.#encode(batch)
  }

  settle(results: PackReader): void {
    this.#read(results)
    this.onSettled(undefined)
  }

  fail(error: StoreError): void {
    this.onSettled(error)
  }
}
