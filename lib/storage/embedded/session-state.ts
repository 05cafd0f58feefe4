/**
 * What the embedded store keeps in memory of each session. Nobody else writes to the directory, so these
 * numbers are the truth, and nothing is read on the way of a message.
 */

import type { Left, Seq, SessionRef, StoredWill } from '../storage.ts'
import type { ProgressRecord, SessionRecord } from './records.ts'

/** A set of numbers that is empty with most sessions, and then costs next to nothing. */
class SeqSet {
  #numbers: Set<number> | undefined

  has(number: number): boolean {
    return this.#numbers !== undefined && this.#numbers.has(number)
  }

  add(number: number): void {
    this.#numbers ??= new Set()
    this.#numbers.add(number)
  }

  /** Whether it was there. */
  delete(number: number): boolean {
    return this.#numbers !== undefined && this.#numbers.delete(number)
  }

  values(): number[] {
    return this.#numbers === undefined ? [] : [...this.#numbers]
  }
}

/** What a session costs in memory while nobody is connected to it: measured with 100,000 of them. */
export const SESSION_STATE_BYTES = 512

export class SessionState implements SessionRecord, ProgressRecord {
  readonly clientIdentifier: string
  readonly incarnation: number
  epoch = 0
  expirySeconds = 0
  sentTo: Seq | undefined = 0
  left: Left | undefined
  will: StoredWill | undefined
  lastSeq: Seq = 0
  lowWaterMark: Seq = 0
  count = 0
  bytes = 0
  /** Up to here no entry is left in the tree, or its removal is on its way. */
  trimmedTo: Seq = 0
  /** QoS 2 messages for which PUBREC came. */
  readonly released: SeqSet = new SeqSet()
  readonly inbound: SeqSet = new SeqSet()
  /** Discarded, but not yet gone from the tree: readers pass over them. */
  readonly hidden: SeqSet = new SeqSet()
  /** Those of them whose removal is not on its way. */
  discarded: Seq[] = []
  /** How many entries were acknowledged or discarded since the last time they were removed. */
  unflushed = 0
  /** The session has ended, or begun anew. */
  isGone = false

  constructor(clientIdentifier: string, incarnation: number) {
    this.clientIdentifier = clientIdentifier
    this.incarnation = incarnation
  }

  get ref(): SessionRef {
    const { clientIdentifier, incarnation, epoch } = this
    return { clientIdentifier, incarnation, epoch }
  }

  /**
   * How far the low-water mark holds whatever becomes of the batch under way. What is discarded may be
   * written elsewhere in the same batch, so until that is durable it has to stay.
   */
  get firmMark(): Seq {
    let mark = this.lowWaterMark
    for (const seq of this.hidden.values()) if (seq <= mark) mark = seq - 1
    return mark
  }

  /** Counts one more message in, and returns its seq. */
  append(bodyBytes: number): Seq {
    this.count++
    this.bytes += bodyBytes
    return ++this.lastSeq
  }
}
