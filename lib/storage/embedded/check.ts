/** Looks for what should not be there: left by a slip of ours, a damaged disk, or hands. */

import { Buffer } from 'node:buffer'
import type { StoreFinding } from '../storage.ts'
import type { Database } from './database.ts'
import { decodeEntry, type EntryTotals, encodeEntry, totalsOf } from './entry-record.ts'
import { allOf, entriesBetween, incarnationIn, Kind, numberIn } from './keys.ts'
import { loadSessions } from './loading.ts'
import { RecordError } from './record-fields.ts'
import { decodeProgress, decodeRetained, decodeSession, decodeSubscription } from './records.ts'
import type { SessionState } from './session-state.ts'

/** A key, and what it is to have; undefined: it is to go. */
export type Repair = readonly [key: Buffer, value: Buffer | undefined]

export type RecordCounts = Readonly<Record<keyof typeof Kind, number>>

export interface Checked {
  readonly findings: StoreFinding[]
  readonly repairs: readonly Repair[]
}

type Entry = { readonly key: Buffer; readonly value: Buffer }

/** Goes over all records, which takes as long as reading the whole file. */
export function checkStore(database: Database): Checked {
  return new Check(database).run()
}

/** How many records there are of each kind. */
export function countRecords(database: Database): RecordCounts {
  const counts = Object.entries(Kind).map(([name, kind]) => [
    name,
    database.getKeysCount(allOf(kind)),
  ])
  return Object.fromEntries(counts) as RecordCounts
}

class Check {
  readonly #database: Database
  readonly #lives = new Map<number, SessionState>()
  /** Being swept: what they have is no finding. */
  readonly #discarded: ReadonlySet<number>
  readonly #counts = new Map<string, number>()
  readonly #repairs: Repair[] = []

  constructor(database: Database) {
    this.#database = database
    const { sessions, discarded } = loadSessions(database, () => {})
    for (const state of sessions.values()) this.#lives.set(state.incarnation, state)
    this.#discarded = new Set(discarded)
  }

  run(): Checked {
    this.#records(Kind.Session, 'session that cannot be read', ({ key, value }) =>
      decodeSession(key, value),
    )
    this.#records(Kind.Retained, 'retained message that cannot be read', ({ key, value }) =>
      decodeRetained(key, value),
    )
    this.#records(Kind.Progress, 'mark of a queue that cannot be read', ({ key, value }) =>
      decodeProgress(key, value),
    )
    this.#records(Kind.Subscription, 'subscription that cannot be read', ({ key, value }) =>
      decodeSubscription(key, value),
    )
    this.#records(Kind.Inbound, 'Packet Identifier that cannot be read', () => {})
    this.#records(Kind.Released, 'PUBREC for a message that is not there', ({ key }) =>
      this.#checkReleased(key),
    )
    this.#entries()
    const findings = [...this.#counts].map(([what, count]) => ({ what, count }))
    return { findings, repairs: this.#repairs }
  }

  /** Finds what cannot be read, and what belongs to no session. */
  #records(kind: Kind, what: string, read: (entry: Entry) => unknown): void {
    const isOfSession = kind !== Kind.Session && kind !== Kind.Retained
    for (const entry of this.#database.getRange(allOf(kind))) {
      if (isOfSession && !this.#belongs(entry.key)) continue
      try {
        read(entry)
      } catch (error) {
        if (!(error instanceof RecordError)) throw error
        this.#found(what, [entry.key, undefined])
      }
    }
  }

  #checkReleased(key: Buffer): void {
    const seq = numberIn(key)
    const range = { ...entriesBetween(incarnationIn(key), seq - 1, seq), limit: 1 }
    if (this.#database.getKeysCount(range) === 0) throw new RecordError('no message')
  }

  #entries(): void {
    let before: (EntryTotals & { incarnation: number; seq: number }) | undefined
    for (const { key, value } of this.#database.getRange(allOf(Kind.Entry))) {
      const incarnation = incarnationIn(key)
      const seq = numberIn(key)
      if (!this.#belongs(key) || this.#isAcknowledged(incarnation, seq)) continue
      try {
        let totals = totalsOf(key, value)
        if (before !== undefined && before.incarnation === incarnation) {
          totals = this.#checkTotals(key, value, before, totals)
        }
        before = { ...totals, incarnation, seq }
      } catch (error) {
        if (!(error instanceof RecordError)) throw error
        this.#found('message that cannot be read', [key, undefined])
      }
    }
  }

  /** Totals grow by each entry; where some are gone in between, by more. Returns what they should be. */
  #checkTotals(
    key: Buffer,
    value: Buffer,
    before: EntryTotals & { seq: number },
    totals: EntryTotals,
  ): EntryTotals {
    const seq = numberIn(key)
    const count = before.count + 1
    const bytes = before.bytes + totals.bodyBytes
    const isDense = seq === before.seq + 1
    const isRight = isDense
      ? totals.count === count && totals.bytes === bytes
      : totals.count >= count && totals.bytes >= bytes
    if (isRight) return totals
    const entry = decodeEntry(key, value)
    const repaired = encodeEntry(entry, entry.expiresAt, entry.body, count, bytes)
    this.#found('message with wrong totals', [key, repaired])
    return { count, bytes, bodyBytes: totals.bodyBytes }
  }

  /** Acknowledged messages are removed in the background: they are no finding. */
  #isAcknowledged(incarnation: number, seq: number): boolean {
    return seq <= (this.#lives.get(incarnation)?.lowWaterMark ?? 0)
  }

  #belongs(key: Buffer): boolean {
    const incarnation = incarnationIn(key)
    if (this.#lives.has(incarnation)) return true
    if (!this.#discarded.has(incarnation)) {
      this.#found('record of a session that does not exist', [key, undefined])
    }
    return false
  }

  #found(what: string, repair: Repair): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1)
    this.#repairs.push(repair)
  }
}
