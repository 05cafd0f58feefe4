/**
 * The messages of one session that are under way to its client at QoS 1 and 2: sends them as the client's
 * window allows, takes its acknowledgements, and tells the store how far it has got.
 *
 * Whoever hands over an acknowledgement that answered something lets the session `pump` then: there is room.
 */

import type { Message } from '../protocol/message.ts'
import type { MessageRun } from '../protocol/message-run.ts'
import type { PacketIdentifierRow } from '../protocol/packet-identifier-row.ts'
import type { Qos } from '../protocol/packets.ts'
import { ReasonCode } from '../protocol/reason-codes.ts'
import type { Share } from '../router/subscriber.ts'
import { packetIdentifierOf, type Seq, type SessionRef } from '../storage/storage.ts'
import type { Delivery } from './delivery.ts'
import { Flight, InFlight } from './in-flight.ts'
import type { Outlet } from './outlet.ts'
import { Releases } from './releases.ts'
import type { SessionParts } from './session-parts.ts'
import { SharedInFlight } from './shared-in-flight.ts'
import { StoredProgress } from './stored-progress.ts'

export class Exchanges {
  /** Set for a session that the store keeps. */
  durable: SessionRef | undefined
  readonly inFlight: InFlight
  readonly progress: StoredProgress
  readonly #inflightMax: number
  readonly #releases: Releases
  /** Made when the first message of a shared subscription is sent. */
  #shared: SharedInFlight | undefined
  #outlet: Outlet | undefined
  /** What may still be sent before an acknowledgement comes (section 4.9). */
  #sendQuota = 0
  #sendQuotaMax = 0

  constructor({ store, limits }: SessionParts, durable: SessionRef | undefined, lowWaterMark: Seq) {
    this.durable = durable
    this.#inflightMax = limits.inflightMax
    // What was in flight before a restart is sent again in order, as it is found in the store.
    this.inFlight = new InFlight(lowWaterMark, lowWaterMark)
    this.progress = new StoredProgress(store, lowWaterMark)
    this.#releases = new Releases(store, () => this.#outlet)
  }

  get outlet(): Outlet | undefined {
    return this.#outlet
  }

  /** Whether the window takes `count` more messages, and `seq` is one that can be sent now. */
  hasRoomFor(seq: Seq, count = 1): boolean {
    return (
      this.#sendQuota >= count && // [MQTT-4.9.0-2] [MQTT-3.3.4-9]
      this.#outlet?.isWritable === true &&
      this.inFlight.hasRoomFor(seq)
    )
  }

  attach(outlet: Outlet): void {
    this.#outlet = outlet
    this.#sendQuotaMax = Math.min(outlet.receiveMaximum, this.#inflightMax) // [MQTT-4.9.0-1]
    this.#sendQuota = this.#sendQuotaMax
  }

  /** The connection is gone; `unsent` are messages that `resume` gave out and that were not sent again. */
  detach(unsent: readonly Delivery[]): void {
    this.#outlet = undefined
    for (const { seq, qos } of unsent) {
      this.inFlight.restore(seq, qos === 1 ? Flight.AwaitsPuback : Flight.AwaitsPubrec)
    }
  }

  /** Sends PUBREL again where it is due; returns the messages that have to be sent again. */
  resume(): Delivery[] {
    const again: Delivery[] = []
    this.inFlight.forEach((seq, state) => {
      if (isReceived(state)) {
        this.sendPubrelAgain(seq)
      } else {
        again.push(this.#resendOf(seq, state === Flight.AwaitsPuback ? 1 : 2)) // [MQTT-4.8.2-4]
      }
    })
    for (const { seq } of again) this.inFlight.restore(seq, Flight.AwaitsResend)
    return again
  }

  #resendOf(seq: Seq, qos: Qos): Delivery {
    return {
      seq,
      message: undefined,
      qos,
      retain: false,
      identifiers: undefined,
      group: this.#shared?.groupOf(seq),
      sent: 'before',
      size: 0,
    }
  }

  sendPubrelAgain(seq: Seq): void {
    this.#outlet?.sendPubrel(packetIdentifierOf(seq), ReasonCode.Success) // [MQTT-4.3.3-6]
    this.inFlight.restore(seq, Flight.AwaitsPubcompAgain)
  }

  /** Sends a message for which there is room. Returns false if the client could not take it, ever. */
  send(
    seq: Seq,
    message: Message,
    qos: Qos,
    retain: boolean,
    isDuplicate: boolean,
    identifiers: readonly number[] | undefined,
    group: Share | undefined,
  ): boolean {
    this.inFlight.begin(seq, qos)
    this.#sendQuota--
    const identifier = packetIdentifierOf(seq)
    const outlet = this.#outlet as Outlet
    if (!outlet.sendPublish(message, qos, retain, isDuplicate, identifier, identifiers)) {
      this.#complete(seq) // [MQTT-3.1.2-25]
      return false
    }
    if (group !== undefined) {
      const isKept = this.durable === undefined
      if (isKept) message.body()
      const kept = isKept ? message : undefined
      const sent = 'before'
      this.#shared ??= new SharedInFlight()
      this.#shared.note({ seq, message: kept, qos, retain, identifiers, group, sent, size: 0 })
    }
    return true
  }

  /** Sends a run for which there is room, from `seq` on. Returns false if each message has to be looked at. */
  sendRun(seq: Seq, run: MessageRun, qos: Qos): boolean {
    const outlet = this.#outlet as Outlet
    if (!outlet.sendRun(run, qos, packetIdentifierOf(seq))) return false
    for (let i = 0; i < run.count; i++) this.inFlight.begin(seq + i, qos)
    this.#sendQuota -= run.count
    return true
  }

  /** A message that an earlier connection left unacknowledged is not sent again. */
  withhold(seq: Seq, qos: Qos): void {
    this.#shared?.settle(seq)
    if (qos === 2) {
      // Its client may know the identifier, and would take a later message with it for this one.
      this.sendPubrelAgain(seq)
      return
    }
    this.inFlight.begin(seq, qos)
    this.#sendQuota--
    this.#complete(seq)
  }

  /** PUBACK came. Says whether it answered a message in flight. */
  handlePuback(packetIdentifier: number): boolean {
    const seq = this.inFlight.seqOf(packetIdentifier)
    if (this.inFlight.stateOf(seq) !== Flight.AwaitsPuback) return false
    this.#complete(seq) // [MQTT-4.4.0-2] [MQTT-4.8.2-6]
    return true
  }

  /** As `handlePuback` for the first of a row that answer a message in flight; returns how many those are. */
  handlePubacks(row: PacketIdentifierRow): number {
    let count = 0
    while (count < row.count && this.handlePuback(row.at(count))) count++
    return count
  }

  /** PUBREC came. Says whether it answered a message in flight. */
  handlePubrec(packetIdentifier: number, reasonCode: number): boolean {
    const seq = this.inFlight.seqOf(packetIdentifier)
    const state = this.inFlight.stateOf(seq)
    if (isReceived(state)) {
      this.#outlet?.sendPubrel(packetIdentifier, ReasonCode.Success)
      return true
    }
    if (state !== Flight.AwaitsPubrec) return false
    if (reasonCode >= 0x80) {
      this.#complete(seq) // [MQTT-4.4.0-2] [MQTT-4.8.2-6]
      return true
    }
    this.inFlight.receive(seq)
    this.#shared?.settle(seq)
    if (this.durable !== undefined) this.#releases.add(this.durable, seq)
    else this.#outlet?.sendPubrel(packetIdentifier, ReasonCode.Success) // [MQTT-4.3.3-4]
    return true
  }

  /** As `handlePubrec` for the first of a row that answer a message of a volatile session; returns how many those are. */
  handlePubrecs(row: PacketIdentifierRow): number {
    let count = 0
    for (; count < row.count; count++) {
      const seq = this.inFlight.seqOf(row.at(count))
      if (this.inFlight.stateOf(seq) !== Flight.AwaitsPubrec) break
      this.inFlight.receive(seq)
      this.#shared?.settle(seq)
    }
    if (count > 0) this.#outlet?.sendPubrels(row.upTo(count)) // [MQTT-4.3.3-4]
    return count
  }

  /** PUBCOMP came. Says whether it answered a PUBREL. */
  handlePubcomp(packetIdentifier: number): boolean {
    const seq = this.inFlight.seqOf(packetIdentifier)
    const state = this.inFlight.stateOf(seq)
    if (!isReceived(state)) return false
    this.#complete(seq)
    return true
  }

  /** As `handlePubcomp` for the first of a row that answer a PUBREL; returns how many those are. */
  handlePubcomps(row: PacketIdentifierRow): number {
    let count = 0
    while (count < row.count && this.handlePubcomp(row.at(count))) count++
    return count
  }

  #complete(seq: Seq): void {
    const wasCounted = this.inFlight.stateOf(seq) !== Flight.AwaitsPubcompAgain
    this.inFlight.complete(seq)
    this.#shared?.settle(seq)
    if (wasCounted && this.#sendQuota < this.#sendQuotaMax) this.#sendQuota++
    if (this.durable !== undefined) {
      this.progress.note(this.durable, seq, this.inFlight.lowWaterMark)
    }
  }

  /** Messages for which PUBREC came and PUBCOMP has not. */
  released(): Seq[] {
    const released: Seq[] = []
    this.inFlight.forEach((seq, state) => {
      if (isReceived(state)) released.push(seq)
    })
    return released
  }

  /** The store has lost what was sent and would have to be sent again. Returns how many messages that are. */
  forgetUnreceived(): number {
    const lost: Seq[] = []
    this.inFlight.forEach((seq, state) => {
      if (!isReceived(state)) lost.push(seq)
    })
    for (const seq of lost) {
      this.inFlight.complete(seq)
      this.#shared?.settle(seq)
    }
    return lost.length
  }

  /** Takes out, as the session ends, all that was sent of shared subscriptions. */
  takeShared(): Delivery[] {
    return this.#shared?.takeAll() ?? []
  }
}

/** Whether PUBREC came: PUBREL is due, or on its way. */
function isReceived(state: Flight): boolean {
  return state === Flight.AwaitsPubcomp || state === Flight.AwaitsPubcompAgain
}
