/** How what the broker asks about one session is laid out for the script, and how the answer is read. */

import {
  type Claimed,
  type ClaimOptions,
  nextOwner,
  type QueueEntry,
  type ReleaseOptions,
  type Seq,
  type SessionChange,
  type SessionRef,
  type StoredSession,
  StoreError,
} from '../storage.ts'
import type { Batch } from './batch.ts'
import { Code } from './codes.ts'
import type { Keys } from './keys.ts'
import type { KnownSession } from './known-session.ts'
import type { RequestOptions } from './operations.ts'
import {
  type Described,
  encodeSubscription,
  encodeWill,
  readDescription,
  writeFrame,
} from './records.ts'

const nothing = (): void => {}

export function claimRequest(
  keys: Keys,
  clientIdentifier: string,
  { cleanStart, expirySeconds, will }: ClaimOptions,
  incarnation: number,
  now: number,
  learn: (described: Described, ref: SessionRef) => void,
): RequestOptions<Claimed> {
  return {
    growth: 'avoidable',
    encode(batch) {
      batch.code(Code.Claim)
      encodeKeys(batch, keys, clientIdentifier)
      batch.boolean(cleanStart)
      batch.boolean(batch.isFull)
      batch.number(now)
      batch.text(String(incarnation))
      batch.text(String(expirySeconds))
      if (will === undefined) batch.boolean(false)
      else batch.bytes(encodeWill(will))
    },
    read(results) {
      const present = results.number()
      if (present < 0) {
        throw new StoreError(
          'full',
          'Redis has no memory left for a new session: raise its maxmemory.',
        )
      }
      const described = readDescription(clientIdentifier, results.array())
      const { session } = described
      const ref = nextOwner(session.ref)
      learn(described, ref)
      return { ...session, ref, present: present === 1 }
    },
  }
}

export function updateRequest(
  keys: Keys,
  ref: SessionRef,
  { subscribe = [], unsubscribe = [], will, expirySeconds, sentTo }: SessionChange,
): RequestOptions<void> {
  const grows = subscribe.length > 0 || (will !== undefined && will !== null)
  return {
    growth: grows ? 'needed' : 'none',
    encode(batch) {
      batch.code(Code.Update)
      batch.key(keys.session(keys.groupOf(ref.clientIdentifier), ref.clientIdentifier))
      encodeOwner(batch, ref)
      const hasWill = will !== undefined && will !== null
      const texts = subscribe.map((subscription) => [
        `f:${subscription.topicFilter}`,
        encodeSubscription(subscription),
      ])
      if (expirySeconds !== undefined) texts.push(['x', String(expirySeconds)])
      if (sentTo !== undefined) texts.push(['s', String(sentTo)])
      batch.number(2 * (texts.length + (hasWill ? 1 : 0)))
      for (const text of texts.flat()) batch.text(text)
      if (hasWill) {
        batch.text('w')
        batch.bytes(encodeWill(will))
      }
      const gone = unsubscribe.map((topicFilter) => `f:${topicFilter}`)
      batch.list(will === null ? [...gone, 'w'] : gone)
    },
    read: nothing,
  }
}

export function releaseRequest(
  keys: Keys,
  ref: SessionRef,
  { expiresAt, willAt, sentTo }: ReleaseOptions,
  ended: () => void,
): RequestOptions<void> {
  return {
    encode(batch) {
      batch.code(Code.GiveUp)
      encodeKeys(batch, keys, ref.clientIdentifier)
      encodeOwner(batch, ref)
      batch.boolean(expiresAt === 0)
      batch.text(time(expiresAt))
      if (willAt === undefined) batch.boolean(false)
      else batch.text(time(willAt))
      batch.text(sentTo === undefined ? '' : String(sentTo))
    },
    read() {
      if (expiresAt === 0) ended()
    },
  }
}

export function markReleasedRequest(
  keys: Keys,
  ref: SessionRef,
  known: KnownSession,
  seqs: readonly Seq[],
): RequestOptions<void> {
  return {
    encode(batch) {
      batch.code(Code.Release)
      batch.key(known.queueKey)
      batch.key(keys.released(known.group, ref.clientIdentifier))
      batch.key(keys.session(known.group, ref.clientIdentifier))
      encodeOwner(batch, ref)
      batch.list(seqs)
    },
    read: nothing,
  }
}

export function forgetInboundRequest(
  keys: Keys,
  ref: SessionRef,
  packetIdentifier: number,
): RequestOptions<void> {
  const group = keys.groupOf(ref.clientIdentifier)
  return {
    encode(batch) {
      batch.code(Code.ForgetInbound)
      batch.key(keys.session(group, ref.clientIdentifier))
      batch.key(keys.inbound(group, ref.clientIdentifier))
      encodeOwner(batch, ref)
      batch.text(String(packetIdentifier))
    },
    read: nothing,
  }
}

export function adoptRequest(
  keys: Keys,
  session: StoredSession,
  ref: SessionRef,
): RequestOptions<SessionRef> {
  const { subscriptions, will, expirySeconds, left, lastSeq, lowWaterMark, sentTo } = session
  return {
    growth: 'needed',
    writesBack: true,
    encode(batch) {
      batch.code(Code.Adopt)
      encodeKeys(batch, keys, ref.clientIdentifier)
      encodeOwner(batch, ref)
      batch.text(time(left?.expiresAt ?? Number.POSITIVE_INFINITY))
      batch.text(String(lastSeq))
      const fields: (readonly [string, string | Buffer])[] = subscriptions.map(
        (subscription) =>
          [`f:${subscription.topicFilter}`, encodeSubscription(subscription)] as const,
      )
      fields.push(['x', String(expirySeconds)], ['a', String(lowWaterMark)])
      if (sentTo !== undefined) fields.push(['s', String(sentTo)])
      if (will !== undefined) fields.push(['w', encodeWill(will)])
      if (left !== undefined) fields.push(['le', time(left.expiresAt)])
      if (left?.willAt !== undefined) fields.push(['lw', time(left.willAt)])
      batch.number(2 * fields.length)
      for (const [name, value] of fields) {
        batch.text(name)
        if (typeof value === 'string') batch.text(value)
        else batch.bytes(value)
      }
      batch.list(session.released)
      batch.list(session.inbound)
    },
    read: () => ref,
  }
}

export function adoptQueueRequest(
  known: KnownSession,
  { incarnation }: SessionRef,
  entries: readonly QueueEntry[],
): RequestOptions<void> {
  return {
    growth: 'needed',
    writesBack: true,
    bytes: entries.reduce((sum, { body }) => sum + body.length, 0),
    encode(batch) {
      batch.code(Code.AdoptQueue)
      batch.key(known.queueKey)
      batch.text(String(incarnation))
      batch.number(entries.length)
      for (const entry of entries) {
        known.totalBytes += entry.body.length
        batch.text(String(entry.seq))
        writeFrame(batch, entry, entry.expiresAt, known.totalBytes, entry.body)
      }
    },
    read: nothing,
  }
}

/** Raises the number that a queue gives out next above what it gave out already. */
export function raiseRequest({
  queueKey,
  incarnation,
  lastSeq,
}: KnownSession): RequestOptions<void> {
  return {
    encode(batch) {
      batch.code(Code.Raise)
      batch.key(queueKey)
      batch.text(String(incarnation))
      batch.text(String(lastSeq))
    },
    read: nothing,
  }
}

/** The six keys of a session, and what it is called. */
function encodeKeys(batch: Batch, keys: Keys, clientIdentifier: string): void {
  const group = keys.groupOf(clientIdentifier)
  batch.key(keys.session(group, clientIdentifier))
  batch.key(keys.queue(group, clientIdentifier))
  batch.key(keys.released(group, clientIdentifier))
  batch.key(keys.inbound(group, clientIdentifier))
  batch.key(keys.tokens(group, clientIdentifier))
  batch.key(keys.sessions(group))
  batch.text(clientIdentifier)
}

function encodeOwner(batch: Batch, { incarnation, epoch }: SessionRef): void {
  batch.text(String(incarnation))
  batch.text(String(epoch))
}

/** As Redis and Lua write it. */
function time(ms: number): string {
  return ms === Number.POSITIVE_INFINITY ? 'inf' : String(ms)
}
