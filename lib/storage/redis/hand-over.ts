/**
 * Messages of a shared subscription go from one session's queue to another's. In one lane that is one step.
 * Between the lanes of a Cluster it is three: appended there under a token, removed here, token forgotten.
 * A broker that dies in between finds the token at its next start, and removes what is left here.
 */

import { entryFor, type QueueEntry, type Seq, type SessionRef, type Target } from '../storage.ts'
import type { Backend } from './backend.ts'
import type { Batch } from './batch.ts'
import { Code } from './codes.ts'
import type { Keys } from './keys.ts'
import type { KnownSession } from './known-session.ts'
import type { RequestOptions } from './operations.ts'
import type { Packed, PackReader } from './pack.ts'
import { readEntries } from './queue-reader.ts'
import { writeFrame, writeHeader } from './records.ts'

/** Moves the entries at `seqs`, see `Store.handOver`. */
export async function handOver(
  backend: Backend,
  from: SessionRef,
  seqs: readonly Seq[],
  to: Target,
  stored: (entry: QueueEntry) => void,
): Promise<void> {
  const { client, keys, sessions } = backend
  const { incarnation } = from
  const source = sessions.of(from)
  if (source.incarnation !== incarnation) return
  const found = await Promise.all(
    [...new Set(seqs)].map((seq) => {
      const range = { first: seq, last: seq }
      return backend.ask(() =>
        readEntries(client, source.queueKey, incarnation, range, 1, Number.POSITIVE_INFINITY),
      )
    }),
  )
  const entries = found.flat()
  if (entries.length === 0) return
  const target = sessions.of(to.session)
  const read = (results: PackReader): QueueEntry[] =>
    entries.filter((entry) => {
      const seq = results.number()
      if (seq <= 0) return false
      target.lastSeq = Math.max(target.lastSeq, seq)
      stored(entryFor(to, seq, entry.expiresAt, entry.body))
      return true
    })
  const move = { source, entries, to, target, read }
  const isOneLane = backend.lanes.of(source.group) === backend.lanes.of(target.group)
  if (isOneLane) {
    await backend.insist(source.clientIdentifier, moveRequest(keys, move))
    return
  }
  const moved = await backend.insist(target.clientIdentifier, appendRequest(keys, move))
  const movedSeqs = moved.map(({ seq }) => seq)
  if (moved.length > 0) await finishHandOver(backend, source, movedSeqs, target.clientIdentifier)
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

interface Move {
  readonly source: KnownSession
  readonly entries: readonly QueueEntry[]
  readonly to: Target
  readonly target: KnownSession
  /** Returns those that stand in the other queue then. */
  readonly read: (results: PackReader) => QueueEntry[]
}

/** Takes them from one queue to the other of the same lane. */
function moveRequest(keys: Keys, move: Move): RequestOptions<QueueEntry[]> {
  const { source, target, to } = move
  return handOverRequest(move, (batch, { seq, expiresAt, body }) => {
    batch.code(Code.Move)
    batch.key(source.queueKey)
    batch.key(keys.released(source.group, source.clientIdentifier))
    batch.text(`${source.incarnation}-${seq}`)
    batch.text(String(seq))
    batch.key(target.queueKey)
    batch.text(`${to.session.incarnation}-*`)
    writeFrame(batch, to, expiresAt, target.totalBytes, body)
  })
}

/** Appends them in another lane, each under a token. */
function appendRequest(keys: Keys, move: Move): RequestOptions<QueueEntry[]> {
  const { source, target, to } = move
  const tokensKey = keys.tokens(target.group, target.clientIdentifier)
  return handOverRequest(move, (batch, { seq, expiresAt, body }) => {
    batch.code(Code.AppendOnce)
    batch.text(tokenOf(source, seq))
    batch.bytes(body)
    batch.number(1)
    batch.key(target.queueKey)
    batch.key(tokensKey)
    batch.text(`${to.session.incarnation}-*`)
    writeHeader(batch, to, expiresAt, target.totalBytes)
  })
}

function handOverRequest(
  { entries, target, read }: Move,
  encodeEntry: (batch: Batch, entry: QueueEntry) => void,
): RequestOptions<QueueEntry[]> {
  return {
    growth: 'needed',
    bytes: entries.reduce((sum, { body }) => sum + body.length, 0),
    encode(batch) {
      for (const entry of entries) {
        target.totalBytes += entry.body.length
        encodeEntry(batch, entry)
      }
    },
    read,
  }
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
