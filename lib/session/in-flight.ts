/**
 * The messages at QoS 1 and 2 that a session has sent and its client has not acknowledged.
 *
 * A message has a sequence number, dense per session, and its Packet Identifier follows from that:
 * `1 + seq % 65535`. As the span from the oldest unacknowledged message stays below 65,535, no live
 * identifier is ever given out twice [MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1], not even after a crash.
 */

import { TWO_BYTE_INTEGER_MAX } from '../protocol/limits.ts'
import type { Qos } from '../protocol/packets.ts'
import { packetIdentifierOf, type Seq } from '../storage/storage.ts'

/** Where the exchange of one message stands. */
export const Flight = {
  /** Not in flight: never sent, acknowledged, or a hole in the numbering. */
  None: 0,
  AwaitsPuback: 1,
  AwaitsPubrec: 2,
  AwaitsPubcomp: 3,
  /** Sent on an earlier connection; waits for its turn to be sent again. */
  AwaitsResend: 4,
  /** PUBREL was sent again: its PUBLISH took nothing of this connection's send quota. */
  AwaitsPubcompAgain: 5,
} as const
export type Flight = (typeof Flight)[keyof typeof Flight]

const flights: readonly Flight[] = Object.values(Flight)

const CAPACITY_MIN = 16
/** As much is kept when nothing is in flight: usual windows do not shrink and grow all the time. */
const CAPACITY_KEPT_MAX = 64
const NO_STATES = new Uint8Array(0)

export class InFlight {
  /** Everything up to here is acknowledged or was never sent. */
  lowWaterMark: Seq
  /** Messages sent on this connection or before, and not completed. */
  count = 0
  #last: Seq
  /** State of `seq` at `seq & (length - 1)`; spans lowWaterMark + 1 to #last, all else is `None`. */
  #states: Uint8Array = NO_STATES

  /**
   * `last` is the last message that was ever sent, not the last that waits: what is not restored of the
   * messages up to it counts as done, and the low-water mark moves over it.
   */
  constructor(lowWaterMark: Seq, last: Seq) {
    this.lowWaterMark = lowWaterMark
    this.#last = last
  }

  /** The last sequence number in use. */
  get last(): Seq {
    return this.#last
  }

  /** Whether `seq` still gets a Packet Identifier of its own. */
  hasRoomFor(seq: Seq): boolean {
    return this.count === 0 || seq - this.lowWaterMark < TWO_BYTE_INTEGER_MAX
  }

  /** Notes that `seq` has been sent, for the first time, in ascending order, or again. */
  begin(seq: Seq, qos: Qos): void {
    this.restore(seq, qos === 1 ? Flight.AwaitsPuback : Flight.AwaitsPubrec) // [MQTT-4.3.2-3] [MQTT-4.3.3-3]
  }

  /** Puts a message of an earlier connection into `state`; the first time, in ascending order. */
  restore(seq: Seq, state: Flight): void {
    this.#reach(seq)
    if (this.stateOf(seq) === Flight.None) this.count++
    this.#states[seq & (this.#states.length - 1)] = state
  }

  stateOf(seq: Seq): Flight {
    if (this.count === 0 || seq <= this.lowWaterMark || seq > this.#last) return Flight.None
    return flights[this.#states[seq & (this.#states.length - 1)]!]!
  }

  /** Whether `seq` was sent on an earlier connection and waits to be sent again. */
  isAwaitingResend(seq: Seq): boolean {
    return this.stateOf(seq) === Flight.AwaitsResend
  }

  /** The sequence number that a Packet Identifier stands for; 0 when there is none. */
  seqOf(packetIdentifier: number): Seq {
    const base = this.lowWaterMark + 1
    const offset =
      (packetIdentifier - packetIdentifierOf(base) + TWO_BYTE_INTEGER_MAX) % TWO_BYTE_INTEGER_MAX
    const seq = base + offset
    return seq > this.#last ? 0 : seq
  }

  /** PUBREC came: only PUBCOMP ends it now. */
  receive(seq: Seq): void {
    this.#states[seq & (this.#states.length - 1)] = Flight.AwaitsPubcomp // [MQTT-4.3.3-5]
  }

  /** The exchange of `seq` is over. Moves the low-water mark over everything completed. */
  complete(seq: Seq): void {
    if (this.stateOf(seq) === Flight.None) return
    const mask = this.#states.length - 1
    this.#states[seq & mask] = Flight.None
    this.count--
    if (this.count === 0) {
      this.lowWaterMark = this.#last
      if (this.#states.length > CAPACITY_KEPT_MAX) this.#states = NO_STATES
      return
    }
    while (this.#states[(this.lowWaterMark + 1) & mask] === Flight.None) this.lowWaterMark++
  }

  /** Calls back for each message that is not completed, oldest first. */
  forEach(visit: (seq: Seq, state: Flight) => void): void {
    if (this.count === 0) return
    for (let seq = this.lowWaterMark + 1; seq <= this.#last; seq++) {
      const state = this.stateOf(seq)
      if (state !== Flight.None) visit(seq, state)
    }
  }

  /** Makes `seq` part of the span. */
  #reach(seq: Seq): void {
    // Nothing is in flight: what lies between was never sent or is done with.
    if (this.count === 0 && seq > this.#last) this.lowWaterMark = seq - 1
    const span = Math.max(seq, this.#last) - this.lowWaterMark
    if (span > this.#states.length) this.#grow(span)
    if (seq > this.#last) this.#last = seq
  }

  #grow(span: number): void {
    let capacity = Math.max(CAPACITY_MIN, this.#states.length)
    while (capacity < span) capacity *= 2
    const states = new Uint8Array(capacity)
    this.forEach((seq, state) => {
      states[seq & (capacity - 1)] = state
    })
    this.#states = states
  }
}
