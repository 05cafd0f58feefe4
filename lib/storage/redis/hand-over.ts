/**
 * Messages of a shared subscription go from one session's queue to another's. In one lane that is one step.
 * Between the lanes of a Cluster it is three: appended there under a token, removed here, token forgotten.
 * A broker that dies in between finds the token at its next start, and removes what is left here.
 */

import type { QueueEntry, Seq, SessionRef, Target } from '../storage.ts'
import type { Backend } from './backend.ts'
import { Code } from './codes.ts'
import type { KnownSession } from './known-session.ts'
import type { Packed } from './pack.ts'
import { readEntries } from './queue-reader.ts'
import { writeFrame, writeHeader } from './records.ts'

/** Moves the entries at `seqs`; resolves to them as they stand in the queue of `to`. */
export async function handOver(
  backend: Backend,
  from: SessionRef,
  seqs: readonly Seq[],
  to: Target,
): Promise<QueueEntry[]> {
  const { sessions } = backend
  const source = sessions.of(from)
  if (source.incarnation !== from.incarnation) return []
  const found = await Promise.all(
    [...new Set(seqs)].map((seq) =>
      backend.ask(() =>
        readEntries(
          backend.client,
          source.queueKey,
          from.incarnation,
          { first: seq, last: seq },
          1,
          Number.POSITIVE_INFINITY,
        ),
      ),
    ),
  )
  const entries = found.flat()
  if (entries.length === 0) return []
  const isOneLane =
    backend.laneOf(from.clientIdentifier) === backend.laneOf(to.session.clientIdentifier)
  const placed = isOneLane
    ? await moveInLane(backend, source, entries, to)
    : await moveBetweenLanes(backend, source, entries, to)
  const { qos, retain, subscriptionIdentifiers, share } = to
  const target = sessions.of(to.session)
  return entries.flatMap((entry, i) => {
    const seq = placed[i] ?? 0
    if (seq <= 0) return []
    target.lastSeq = Math.max(target.lastSeq, seq)
    return [{ ...entry, seq, qos, retain, subscriptionIdentifiers, share }]
  })
}

/** The token under which a message that is handed over is appended, see `unfinishedIn`. */
function tokenOf(
  { clientIdentifier, incarnation }: Pick<SessionRef, 'clientIdentifier' | 'incarnation'>,
  seq: Seq,
): string {
  return `h:${incarnation}:${seq}:${clientIdentifier}`
}

/** A message that stands in the queue of its receiver, and perhaps still where it came from. */
export interface UnfinishedHandOver {
  readonly source: SourcePlace
  readonly receiver: string
}

interface SourcePlace extends SessionRef {
  readonly seq: Seq
}

/** What the tokens of a session, with their seqs, say of hand-overs that a crash has interrupted. */
export function unfinishedIn(tokens: readonly Packed[], receiver: string): UnfinishedHandOver[] {
  return tokens.flatMap((token, i) => {
    const match = i % 2 === 0 ? /^h:(\d+):(\d+):(.*)$/s.exec(String(token)) : null
    if (match === null) return []
    const [, incarnation, seq, clientIdentifier = ''] = match
    const source = {
      clientIdentifier,
      incarnation: Number(incarnation),
      epoch: 0,
      seq: Number(seq),
    }
    return [{ source, receiver }]
  })
}

function moveInLane(
  backend: Backend,
  source: KnownSession,
  entries: readonly QueueEntry[],
  to: Target,
): Promise<number[]> {
  const target = backend.sessions.of(to.session)
  return backend.insist(source.clientIdentifier, {
    growth: 'needed',
    bytes: entries.reduce((sum, { body }) => sum + body.length, 0),
    encode(batch) {
      for (const { seq, expiresAt, body } of entries) {
        target.totalBytes += body.length
        batch.code(Code.Move)
        batch.key(source.queueKey)
        batch.key(backend.keys.released(source.group, source.clientIdentifier))
        batch.text(`${source.incarnation}-${seq}`)
        batch.text(String(seq))
        batch.key(target.queueKey)
        batch.text(`${to.session.incarnation}-*`)
        writeFrame(batch, to, expiresAt, target.totalBytes, body)
      }
    },
    read: (results) => entries.map(() => results.number()),
  })
}

async function moveBetweenLanes(
  backend: Backend,
  source: KnownSession,
  entries: readonly QueueEntry[],
  to: Target,
): Promise<number[]> {
  const target = backend.sessions.of(to.session)
  const { clientIdentifier } = to.session
  const tokensKey = backend.keys.tokens(target.group, clientIdentifier)
  const placed = await backend.insist<number[]>(clientIdentifier, {
    growth: 'needed',
    bytes: entries.reduce((sum, { body }) => sum + body.length, 0),
    encode(batch) {
      for (const { seq, expiresAt, body } of entries) {
        target.totalBytes += body.length
        batch.code(Code.AppendOnce)
        batch.text(tokenOf(source, seq))
        batch.bytes(body)
        batch.number(1)
        batch.key(target.queueKey)
        batch.key(tokensKey)
        batch.text(`${to.session.incarnation}-*`)
        writeHeader(batch, to, expiresAt, target.totalBytes)
      }
    },
    read: (results) => entries.map(() => results.number()),
  })
  const moved = entries.flatMap(({ seq }, i) => (placed[i]! > 0 ? seq : []))
  if (moved.length > 0) await finishHandOver(backend, source, moved, clientIdentifier)
  return placed
}

/** Removes messages that stand in another queue already, then the tokens there that say so. */
export async function finishHandOver(
  backend: Backend,
  source: Pick<SessionRef, 'clientIdentifier' | 'incarnation'>,
  seqs: readonly Seq[],
  receiver: string,
): Promise<void> {
  const { keys } = backend
  const { clientIdentifier } = source
  const group = keys.groupOf(clientIdentifier)
  await backend.insist(clientIdentifier, {
    encode(batch) {
      batch.code(Code.Discard)
      batch.key(keys.queue(group, clientIdentifier))
      batch.key(keys.released(group, clientIdentifier))
      batch.text(String(source.incarnation))
      batch.list(seqs)
    },
    read() {},
  })
  await backend.insist(receiver, {
    encode(batch) {
      for (const seq of seqs) {
        batch.code(Code.ForgetToken)
        batch.key(keys.tokens(keys.groupOf(receiver), receiver))
        batch.text(tokenOf(source, seq))
      }
    },
    read() {},
  })
}
