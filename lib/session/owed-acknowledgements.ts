/**
 * The acknowledgements one connection still owes, in the order their PUBLISH packets came.
 *
 * The store completes in any order; a PUBACK or PUBREC leaves only when everything before it has
 * completed. Bounded by the Receive Maximum: the connection stops reading, or closes, before `add` overflows.
 */

import { RingQueue } from '../util/ring-queue.ts'

export type AcknowledgementType = 'puback' | 'pubrec'

interface Owed {
  readonly type: AcknowledgementType
  readonly packetIdentifier: number
  /** Undefined until it is known what to say. */
  reasonCode: number | undefined
}

export type SendAcknowledgement = (
  type: AcknowledgementType,
  packetIdentifier: number,
  reasonCode: number,
) => void

/** Stands for one acknowledgement that waits for the store. */
export type OwedHandle = Owed

export class OwedAcknowledgements {
  readonly #send: SendAcknowledgement
  readonly #owed = new RingQueue<Owed>()
  /** Sending may make room to read on, and so come back here: what comes then waits its turn. */
  #isSending = false

  constructor(send: SendAcknowledgement) {
    this.#send = send
  }

  get length(): number {
    return this.#owed.length
  }

  /** Whether what comes now is sent at once. */
  get isIdle(): boolean {
    return this.#owed.length === 0 && !this.#isSending
  }

  /** Owes an acknowledgement whose reason code comes with `settle`. */
  add(type: AcknowledgementType, packetIdentifier: number): OwedHandle {
    const owed: Owed = { type, packetIdentifier, reasonCode: undefined }
    this.#owed.push(owed)
    return owed
  }

  /** Sends at once if nothing is owed before it, else in its turn. */
  acknowledge(type: AcknowledgementType, packetIdentifier: number, reasonCode: number): void {
    if (!this.isIdle) {
      this.#owed.push({ type, packetIdentifier, reasonCode })
      return
    }
    this.#isSending = true
    this.#send(type, packetIdentifier, reasonCode)
    this.#isSending = false
    this.#sendSettled()
  }

  settle(owed: OwedHandle, reasonCode: number): void {
    owed.reasonCode = reasonCode
    if (!this.#isSending) this.#sendSettled()
  }

  /** Sends everything in front that is known. */
  #sendSettled(): void {
    this.#isSending = true
    let first = this.#owed.peek()
    while (first !== undefined && first.reasonCode !== undefined) {
      this.#owed.shift()
      this.#send(first.type, first.packetIdentifier, first.reasonCode)
      first = this.#owed.peek()
    }
    this.#isSending = false
  }
}
