/** Reading what is kept: at start-up, for the owner of a session, and for tools. */

import { Buffer } from 'node:buffer'
import type { Subscription } from '../../protocol/subscription.ts'
import type { QueueEntry, ReplayItem, Seq, StoredSession } from '../storage.ts'
import type { Database } from './database.ts'
import { decodeEntry, totalsOf } from './entry-record.ts'
import {
  allOf,
  allOfIncarnation,
  entriesBetween,
  incarnationIn,
  KINDS_OF_INCARNATION,
  Kind,
  keyOf,
  lastBetween,
  metaKey,
  NUMBER_MAX,
  numberedKey,
  numberIn,
  sessionKey,
} from './keys.ts'
import { RecordError, RecordReader, RecordWriter } from './record-fields.ts'
import { decodeProgress, decodeRetained, decodeSession, decodeSubscription } from './records.ts'
import { SessionState } from './session-state.ts'

export interface Loaded {
  readonly sessions: Map<string, SessionState>
  /** Incarnations that ended and are not swept yet. */
  readonly discarded: readonly number[]
  /** Sessions with messages that are acknowledged and not removed yet. */
  readonly untrimmed: readonly SessionState[]
  /** No incarnation up to here is given out any more. */
  readonly incarnationsTaken: number
}

/** Called with what cannot be read, where reading goes on without it. */
export type OnDamage = (what: string) => void

const INCARNATIONS = metaKey('incarnations')

/** The record, and its key, that says which incarnations are taken. */
export function incarnationsRecord(taken: number): readonly [key: Buffer, value: Buffer] {
  return [INCARNATIONS, new RecordWriter().number(taken).finish()]
}

/** Reads all that is kept of sessions, but for subscriptions and messages. */
export function loadSessions(database: Database, onDamage: OnDamage): Loaded {
  const sessions = new Map<string, SessionState>()
  const lives = new Map<number, SessionState>()
  for (const { key, value } of database.getRange(allOf(Kind.Session))) {
    readRecord(onDamage, 'a session', () => {
      const { clientIdentifier, incarnation, ...rest } = decodeSession(key, value)
      const state = Object.assign(new SessionState(clientIdentifier, incarnation), rest)
      sessions.set(clientIdentifier, state)
      lives.set(incarnation, state)
    })
  }
  for (const { key, value } of database.getRange(allOf(Kind.Progress))) {
    const state = lives.get(incarnationIn(key))
    if (state === undefined) continue
    readRecord(onDamage, 'how far a queue is acknowledged', () => {
      Object.assign(state, decodeProgress(key, value))
    })
  }
  for (const key of database.getKeys(allOf(Kind.Released))) {
    lives.get(incarnationIn(key))?.released.add(numberIn(key))
  }
  for (const key of database.getKeys(allOf(Kind.Inbound))) {
    lives.get(incarnationIn(key))?.inbound.add(numberIn(key))
  }
  const untrimmed = [...lives.values()].filter((state) => readEnds(database, state, onDamage))
  const discarded = [...database.getKeys(allOf(Kind.Discarded))].map(incarnationIn)
  return { sessions, discarded, untrimmed, incarnationsTaken: readIncarnations(database, onDamage) }
}

/** Not what the record says alone: where it is damaged, no incarnation may come again that is still there. */
function readIncarnations(database: Database, onDamage: OnDamage): number {
  let highest = 0
  for (const kind of [...KINDS_OF_INCARNATION, Kind.Discarded]) {
    const { start, end } = allOf(kind)
    for (const key of database.getKeys(lastBetween(start, end)))
      highest = Math.max(highest, incarnationIn(key))
  }
  const record = database.getBinary(INCARNATIONS)
  if (record === undefined) return highest
  const taken = readRecord(onDamage, 'the number of incarnations', () =>
    new RecordReader(INCARNATIONS, record).number(),
  )
  return Math.max(highest, taken ?? 0)
}

/** Reads one session, as far as it takes to read its queue. */
export function loadSession(
  database: Database,
  clientIdentifier: string,
  onDamage: OnDamage,
): SessionState | undefined {
  const key = sessionKey(clientIdentifier)
  const record = database.getBinary(key)
  if (record === undefined) return undefined
  return readRecord(onDamage, 'a session', () => {
    const { incarnation } = decodeSession(key, record)
    const state = new SessionState(clientIdentifier, incarnation)
    const progressKey = keyOf(Kind.Progress, incarnation)
    const progress = database.getBinary(progressKey)
    if (progress !== undefined) Object.assign(state, decodeProgress(progressKey, progress))
    return state
  })
}

/** Takes the numbers of a session from the ends of its queue; whether it begins with what is acknowledged. */
function readEnds(database: Database, state: SessionState, onDamage: OnDamage): boolean {
  state.trimmedTo = state.lowWaterMark
  const [first] = database.getKeys(allOfIncarnation(Kind.Entry, state.incarnation, 1))
  if (first !== undefined) {
    const last = lastEntry(database, state.incarnation, NUMBER_MAX)!
    state.lastSeq = Math.max(state.lastSeq, numberIn(last.key))
    readRecord(onDamage, 'a message', () => {
      const { count, bytes } = totalsOf(last.key, last.value)
      state.count = Math.max(state.count, count)
      state.bytes = Math.max(state.bytes, bytes)
    })
  }
  // A seq that was acknowledged was given out, whatever became of its message.
  state.lastSeq = Math.max(state.lastSeq, state.lowWaterMark)
  if (first === undefined || numberIn(first) > state.lowWaterMark) return false
  state.trimmedTo = numberIn(first) - 1
  return true
}

/** Tells of all sessions, in the order of their incarnations. */
export function replaySessions(
  database: Database,
  sessions: ReadonlyMap<string, SessionState>,
  onItem: (item: ReplayItem) => void,
  onDamage: OnDamage,
): void {
  // Subscriptions stand in this order too: one pass over them is enough.
  const states = [...sessions.values()].toSorted((a, b) => a.incarnation - b.incarnation)
  const iterator = database.getRange(allOf(Kind.Subscription))[Symbol.iterator]()
  let next = iterator.next()
  for (const state of states) {
    const subscriptions: Subscription[] = []
    while (next.done !== true && incarnationIn(next.value.key) <= state.incarnation) {
      const { key, value } = next.value
      if (incarnationIn(key) === state.incarnation) {
        readRecord(onDamage, 'a subscription', () =>
          subscriptions.push(decodeSubscription(key, value)),
        )
      }
      next = iterator.next()
    }
    onItem({ kind: 'session', session: describe(database, state, subscriptions, onDamage) })
  }
  iterator.return?.()
}

/** Tells of all retained messages; returns the topics of those that have expired. */
export function replayRetained(
  database: Database,
  now: number,
  onItem: (item: ReplayItem) => void,
  onDamage: OnDamage,
): string[] {
  const expired: string[] = []
  for (const { key, value } of database.getRange(allOf(Kind.Retained))) {
    readRecord(onDamage, 'a retained message', () => {
      const message = decodeRetained(key, value)
      if (message.expiresAt <= now) expired.push(message.topic)
      else onItem({ kind: 'retained', message })
    })
  }
  return expired
}

export function subscriptionsOf(
  database: Database,
  { incarnation }: SessionState,
  onDamage: OnDamage,
): Subscription[] {
  const subscriptions: Subscription[] = []
  for (const { key, value } of database.getRange(
    allOfIncarnation(Kind.Subscription, incarnation),
  )) {
    readRecord(onDamage, 'a subscription', () => subscriptions.push(decodeSubscription(key, value)))
  }
  return subscriptions
}

/** What others are told of a session: a picture that stays as it is. Its queue counts up to `lastSeq`. */
export function describe(
  database: Database,
  state: SessionState,
  subscriptions: readonly Subscription[],
  onDamage: OnDamage,
  lastSeq: Seq = state.lastSeq,
): StoredSession {
  const { ref, will, expirySeconds, left, lowWaterMark, sentTo, released, inbound } = state
  return {
    ref,
    subscriptions,
    will,
    expirySeconds,
    left,
    lastSeq,
    lowWaterMark,
    sentTo,
    released: released.values(),
    inbound: inbound.values(),
    ...lengthOf(database, state, lastSeq, onDamage),
  }
}

/** Whether a message is in the tree; reads its key alone. */
export function hasEntry(database: Database, { incarnation }: SessionState, seq: Seq): boolean {
  return database.getKeysCount(entriesBetween(incarnation, seq - 1, seq, 1)) > 0
}

/** How long a queue is, by its two ends. */
function lengthOf(
  database: Database,
  { incarnation, lowWaterMark }: SessionState,
  lastSeq: Seq,
  onDamage: OnDamage,
): { queued: number; queuedBytes: number } {
  const empty = { queued: 0, queuedBytes: 0 }
  if (lastSeq <= lowWaterMark) return empty
  const first = firstEntry(database, incarnation, lowWaterMark)
  if (first === undefined || numberIn(first.key) > lastSeq) return empty
  return (
    readRecord(onDamage, 'a message', () => {
      const last = lastEntry(database, incarnation, lastSeq)!
      const end = totalsOf(last.key, last.value)
      const { count, bytes, bodyBytes } = totalsOf(first.key, first.value)
      return { queued: end.count - count + 1, queuedBytes: end.bytes - bytes + bodyBytes }
    }) ?? empty
  )
}

/** Reads a queue in order, behind `after`; passes over what is discarded, and what is damaged. */
export function readEntries(
  database: Database,
  { incarnation, lowWaterMark, hidden }: SessionState,
  after: Seq,
  limits: { readonly max: number; readonly maxBytes: number },
  onDamage: OnDamage,
): QueueEntry[] {
  const entries: QueueEntry[] = []
  if (limits.max <= 0) return entries
  let bytes = 0
  const range = entriesBetween(incarnation, Math.max(after, lowWaterMark), NUMBER_MAX)
  for (const { key, value } of database.getRange(range)) {
    if (hidden.has(numberIn(key))) continue
    const entry = entryIn(key, value, onDamage)
    if (entry === undefined) continue
    bytes += entry.body.length
    if (bytes > limits.maxBytes && entries.length > 0) break
    entries.push(entry)
    if (entries.length >= limits.max) break
  }
  return entries
}

/** One message; undefined if it is not there. */
export function readEntry(
  database: Database,
  { incarnation, lowWaterMark, hidden }: SessionState,
  seq: Seq,
  onDamage: OnDamage,
): QueueEntry | undefined {
  if (seq <= lowWaterMark || hidden.has(seq)) return undefined
  const key = numberedKey(Kind.Entry, incarnation, seq)
  const record = database.getBinary(key)
  if (record === undefined) return undefined
  return entryIn(key, record, onDamage)
}

/** As `readRecord` has it; without its closure, as a queue may have millions. */
function entryIn(key: Buffer, record: Buffer, onDamage: OnDamage): QueueEntry | undefined {
  try {
    return decodeEntry(key, record)
  } catch (error) {
    noteDamage(error, 'a message', onDamage)
    return undefined
  }
}

interface KeyAndRecord {
  readonly key: Buffer
  readonly value: Buffer
}

function firstEntry(database: Database, incarnation: number, after: Seq): KeyAndRecord | undefined {
  const range = entriesBetween(incarnation, after, NUMBER_MAX, 1)
  for (const found of database.getRange(range)) return found
  return undefined
}

function lastEntry(database: Database, incarnation: number, upTo: Seq): KeyAndRecord | undefined {
  const last = numberedKey(Kind.Entry, incarnation, upTo)
  const range = lastBetween(keyOf(Kind.Entry, incarnation), last)
  for (const found of database.getRange(range)) return found
  return undefined
}

function readRecord<T>(onDamage: OnDamage, what: string, read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    noteDamage(error, what, onDamage)
    return undefined
  }
}

function noteDamage(error: unknown, what: string, onDamage: OnDamage): void {
  if (!(error instanceof RecordError)) throw error
  onDamage(what)
}
