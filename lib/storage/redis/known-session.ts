/** What the store itself remembers of each durable session: where it is, and what has not been sent yet. */

import type { Seq, SessionRef } from '../storage.ts'
import type { Described } from './records.ts'

export class KnownSession {
  readonly clientIdentifier: string
  readonly group: number
  readonly queueKey: string
  incarnation: number
  /** How Redis is asked for the next id: `INCARNATION-*`. */
  idPrefix: string
  /** Highest seq known to be given out. */
  lastSeq: Seq
  /** Bytes of all bodies that the queue was given. */
  totalBytes: number
  lowWaterMark: Seq
  /** The mark that Redis was told last. */
  sentMark: Seq
  /** Seqs that Redis has not been told to remove. */
  discards: Seq[]
  /** How many discards are under way. */
  discarding: number
  /** Units it has published, on a Cluster, that are not noted as received yet. */
  receiving: number
  /** Whether it stands in the list of those that have something to send. */
  isLazy: boolean

  constructor(clientIdentifier: string, group: number, queueKey: string, incarnation: number) {
    this.clientIdentifier = clientIdentifier
    this.group = group
    this.queueKey = queueKey
    this.incarnation = incarnation
    this.idPrefix = `${incarnation}-*`
    this.lastSeq = 0
    this.totalBytes = 0
    this.lowWaterMark = 0
    this.sentMark = 0
    this.discards = []
    this.discarding = 0
    this.receiving = 0
    this.isLazy = false
  }

  /** It is as Redis describes it. */
  learn({ session, totalBytes }: Described, ref: SessionRef): void {
    if (this.incarnation !== ref.incarnation) this.begin(ref.incarnation)
    this.lastSeq = Math.max(this.lastSeq, session.lastSeq)
    this.totalBytes = Math.max(this.totalBytes, totalBytes)
    this.lowWaterMark = Math.max(this.lowWaterMark, session.lowWaterMark)
    this.sentMark = Math.max(this.sentMark, session.lowWaterMark)
  }

  /** Another life of the session begins. */
  begin(incarnation: number): void {
    this.incarnation = incarnation
    this.idPrefix = `${incarnation}-*`
    this.lastSeq = 0
    this.totalBytes = 0
    this.lowWaterMark = 0
    this.sentMark = 0
    this.discards = []
  }
}
