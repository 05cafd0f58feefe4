/** What each change adds to a batch: the records on disk, and the numbers in memory that go with them. */

import type { Buffer } from 'node:buffer'
import type {
  QueueEntry,
  Seq,
  SessionChange,
  StoredRetained,
  StoredSession,
  Target,
  Unit,
} from '../storage.ts'
import type { Batch } from './batch.ts'
import { encodeEntry } from './entry-record.ts'
import { Kind, numberedKey, retainedKey, sessionKey, subscriptionKey } from './keys.ts'
import { encodeRetained, encodeSession, encodeSubscription } from './records.ts'
import type { SessionState } from './session-state.ts'

export function putSession(batch: Batch, state: SessionState): void {
  batch.put(sessionKey(state.clientIdentifier), encodeSession(state))
}

export function changeSession(batch: Batch, state: SessionState, change: SessionChange): void {
  const { incarnation } = state
  const { subscribe = [], unsubscribe = [], will, expirySeconds } = change
  for (const subscription of subscribe) {
    const key = subscriptionKey(incarnation, subscription.topicFilter)
    batch.put(key, encodeSubscription(subscription))
  }
  for (const topicFilter of unsubscribe) batch.remove(subscriptionKey(incarnation, topicFilter))
  if (will === undefined && expirySeconds === undefined) return
  if (will !== undefined) state.will = will ?? undefined
  if (expirySeconds !== undefined) state.expirySeconds = expirySeconds
  putSession(batch, state)
}

/** Puts a message at the end of a queue; returns where. */
export function appendEntry(
  batch: Batch,
  state: SessionState,
  target: Omit<Target, 'session'>,
  { expiresAt, body }: { readonly expiresAt: number; readonly body: Buffer },
): Seq {
  const seq = state.append(body.length)
  const record = encodeEntry(target, expiresAt, body, state.count, state.bytes)
  batch.put(numberedKey(Kind.Entry, state.incarnation, seq), record)
  return seq
}

export function putInbound(batch: Batch, state: SessionState, packetIdentifier: number): void {
  state.inbound.add(packetIdentifier)
  batch.putMark(numberedKey(Kind.Inbound, state.incarnation, packetIdentifier))
}

export function putReleased(batch: Batch, state: SessionState, seqs: readonly Seq[]): void {
  for (const seq of seqs) {
    if (seq <= state.lowWaterMark || seq > state.lastSeq || state.hidden.has(seq)) continue
    state.released.add(seq)
    batch.putMark(numberedKey(Kind.Released, state.incarnation, seq))
  }
}

export function changeRetained(
  batch: Batch,
  change: Unit['retain'],
  message: StoredRetained,
): void {
  if (change === 'set') batch.put(retainedKey(message.topic), encodeRetained(message))
  else if (change === 'clear') batch.remove(retainedKey(message.topic))
}

/** Makes a new session what it was elsewhere. */
export function adoptSession(batch: Batch, state: SessionState, stored: StoredSession): void {
  const { lastSeq, lowWaterMark, sentTo, will, expirySeconds, left } = stored
  Object.assign(state, { lastSeq, lowWaterMark, sentTo, will, expirySeconds, left })
  state.trimmedTo = lowWaterMark
  changeSession(batch, state, { subscribe: stored.subscriptions })
  putReleased(batch, state, stored.released)
  for (const packetIdentifier of stored.inbound) putInbound(batch, state, packetIdentifier)
  putSession(batch, state)
  batch.putProgress(state)
}

/** Puts entries where they stood elsewhere. */
export function adoptEntries(
  batch: Batch,
  state: SessionState,
  entries: readonly QueueEntry[],
): void {
  for (const entry of entries) {
    const { seq, expiresAt, body } = entry
    state.count++
    state.bytes += body.length
    state.lastSeq = Math.max(state.lastSeq, seq)
    const record = encodeEntry(entry, expiresAt, body, state.count, state.bytes)
    batch.put(numberedKey(Kind.Entry, state.incarnation, seq), record)
  }
}
