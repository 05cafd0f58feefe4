/**
 * What is kept in Redis, byte by byte. A message in a queue, and a retained one, is a frame:
 *
 *      0     1  version in the upper half; 3: has a share, 2: retain, 0-1: QoS
 *      1     6  bytes of all bodies that this queue was given, this one included
 *      7     6  when the message expires, in ms since 1970; all ones: never
 *     13     3  length of what stands between header and body:
 *                 2  number of Subscription Identifiers, 4 each; then the share, UTF-8
 *     16        body
 *
 * Scripts know the total, which gives the bytes of a queue from its two ends.
 */

import { Buffer } from 'node:buffer'
import type { Qos } from '../../protocol/packets.ts'
import type { Subscription } from '../../protocol/subscription.ts'
import type {
  Left,
  QueueEntry,
  Seq,
  StoredRetained,
  StoredSession,
  StoredWill,
  Target,
} from '../storage.ts'
import { type Packed, PackReader, PackWriter } from './pack.ts'

const VERSION = 1

/** As scripts know it too. */
const HEADER_BYTES = 16

const NEVER = Number.POSITIVE_INFINITY
const NEVER_MARK = 2 ** 48 - 1

/** How a message stands in a queue, but for its place. */
export type Standing = Omit<Target, 'session'>

/** Writes the header of a frame as one string, whose body a script adds. */
export function writeHeader(
  writer: PackWriter,
  standing: Standing,
  expiresAt: number,
  totalBytes: number,
): void {
  writer.startBytes(headerBytes(standing))
  appendHeader(writer, standing, expiresAt, totalBytes)
}

/** Writes a whole frame as one string. */
export function writeFrame(
  writer: PackWriter,
  standing: Standing,
  expiresAt: number,
  totalBytes: number,
  body: Buffer,
): void {
  writer.startBytes(headerBytes(standing) + body.length)
  appendHeader(writer, standing, expiresAt, totalBytes)
  writer.append(body)
}

/** Returns what a frame holds, its body as a view of it; undefined if it is no frame of ours. */
export function readFrame(seq: Seq, frame: Buffer): QueueEntry | undefined {
  if (!isFrame(frame)) return undefined
  const flags = frame[0] as number
  const expiry = frame.readUIntBE(7, 6)
  const bodyStart = HEADER_BYTES + frame.readUIntBE(13, 3)
  let subscriptionIdentifiers: number[] | undefined
  let share: string | undefined
  if (bodyStart > HEADER_BYTES) {
    const count = frame.readUInt16BE(HEADER_BYTES)
    const shareStart = HEADER_BYTES + 2 + 4 * count
    if (count > 0) {
      subscriptionIdentifiers = []
      for (let at = HEADER_BYTES + 2; at < shareStart; at += 4) {
        subscriptionIdentifiers.push(frame.readUInt32BE(at))
      }
    }
    if (flags & 8) share = frame.toString('utf8', shareStart, bodyStart)
  }
  return {
    seq,
    qos: (flags & 3) as Qos,
    retain: (flags & 4) !== 0,
    subscriptionIdentifiers,
    share,
    expiresAt: expiry === NEVER_MARK ? NEVER : expiry,
    body: frame.subarray(bodyStart),
  }
}

/** Returns the retained message of a topic, in memory of its own; undefined if it is no frame of ours. */
export function readRetained(topic: string, frame: Buffer): StoredRetained | undefined {
  const entry = readFrame(0, frame)
  if (entry === undefined) return undefined
  const { qos, expiresAt } = entry
  return { topic, body: ownCopy(entry.body), qos, expiresAt }
}

/** For what outlives the chunk that the socket read. */
export function ownCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(copy)
  return copy
}

export function encodeSubscription(subscription: Subscription): string {
  const { qos, noLocal, retainAsPublished, subscriptionIdentifier } = subscription
  const { isPlain, owesRetained } = subscription
  const asked = qos | (noLocal ? 4 : 0) | (retainAsPublished ? 8 : 0)
  const flags = asked | (isPlain === true ? 16 : 0) | (owesRetained === true ? 32 : 0)
  return `${flags} ${subscriptionIdentifier}`
}

export function decodeSubscription(topicFilter: string, kept: string): Subscription {
  const [flags = Number.NaN, subscriptionIdentifier = Number.NaN] = kept.split(' ').map(Number)
  if (!(flags < 64 && subscriptionIdentifier >= 0)) throw new RangeError('not a subscription')
  const subscription: Subscription = {
    topicFilter,
    qos: (flags & 3) as Qos,
    noLocal: (flags & 4) !== 0,
    retainAsPublished: (flags & 8) !== 0,
    subscriptionIdentifier,
  }
  return {
    ...subscription,
    ...(flags & 16 ? { isPlain: true as const } : undefined),
    ...(flags & 32 ? { owesRetained: true as const } : undefined),
  }
}

export function encodeWill(will: StoredWill): Buffer {
  const writer = new PackWriter()
  writer.text(will.topic)
  writer.bytes(will.body)
  writer.number(will.qos)
  writer.boolean(will.retain)
  writer.number(will.delaySeconds)
  // One more than there is, so that 0 can say: does not expire.
  writer.number(will.expirySeconds === undefined ? 0 : will.expirySeconds + 1)
  return writer.written
}

export function decodeWill(kept: Buffer): StoredWill {
  const reader = new PackReader(kept)
  const topic = reader.text()
  const body = Buffer.from(reader.bytes())
  const qos = reader.number() as Qos
  const retain = reader.boolean()
  const delaySeconds = reader.number()
  const expiry = reader.number()
  const expirySeconds = expiry === 0 ? undefined : expiry - 1
  return { topic, body, qos, retain, delaySeconds, expirySeconds }
}

/** A session as a script describes it, and what the store itself wants to know of it. */
export interface Described {
  readonly session: StoredSession
  /** Bytes of all bodies that its queue was given. */
  readonly totalBytes: number
}

/** Reads what the function `describe` of a script tells (scripts.ts). Throws if it is no session of ours. */
export function readDescription(clientIdentifier: string, described: readonly Packed[]): Described {
  const [fields, lastSeq, queued, first, firstLength, last, released, inbound] = described
  const kept = new Map<string, Buffer>()
  const subscriptions: Subscription[] = []
  eachPair(fields, (name, value) => {
    const field = name.toString()
    if (field.startsWith('f:')) {
      subscriptions.push(decodeSubscription(field.slice(2), value.toString()))
    } else {
      kept.set(field, value)
    }
  })
  const number = (field: string): number | undefined => {
    const value = kept.get(field)?.toString()
    if (value === undefined) return undefined
    return value === 'inf' ? NEVER : Number(value)
  }
  const incarnation = number('inc')
  if (incarnation === undefined || number('v') !== VERSION) throw new RangeError('not a session')
  const expiresAt = number('le')
  const left: Left | undefined =
    expiresAt === undefined ? undefined : { expiresAt, willAt: number('lw') }
  const will = kept.get('w')
  const ends = readEnds(first, firstLength, last)
  const inboundIdentifiers: number[] = []
  eachPair(inbound, (name, state) => {
    if (state.toString() === 'd') inboundIdentifiers.push(Number(name))
  })
  const session: StoredSession = {
    ref: { clientIdentifier, incarnation, epoch: number('e') ?? 0 },
    subscriptions,
    will: will && decodeWill(will),
    expirySeconds: number('x') ?? 0,
    left,
    lastSeq: lastSeq as number,
    lowWaterMark: number('a') ?? 0,
    sentTo: number('s'),
    released: (released as Buffer[]).map(Number),
    inbound: inboundIdentifiers,
    queued: queued as number,
    queuedBytes: ends.queuedBytes,
  }
  return { session, totalBytes: ends.totalBytes }
}

function headerBytes({ subscriptionIdentifiers, share }: Standing): number {
  return HEADER_BYTES + extraBytes(subscriptionIdentifiers, share)
}

function extraBytes(identifiers: readonly number[] | undefined, share: string | undefined): number {
  if (identifiers === undefined && share === undefined) return 0
  return 2 + 4 * (identifiers?.length ?? 0) + (share === undefined ? 0 : Buffer.byteLength(share))
}

function appendHeader(
  writer: PackWriter,
  { qos, retain, subscriptionIdentifiers, share }: Standing,
  expiresAt: number,
  totalBytes: number,
): void {
  const length = extraBytes(subscriptionIdentifiers, share)
  writer.byte((VERSION << 4) | (share === undefined ? 0 : 8) | (retain ? 4 : 0) | qos)
  writer.bigEndian(totalBytes, 6)
  writer.bigEndian(Math.min(expiresAt, NEVER_MARK), 6)
  writer.bigEndian(length, 3)
  if (length === 0) return
  writer.bigEndian(subscriptionIdentifiers?.length ?? 0, 2)
  if (subscriptionIdentifiers !== undefined) {
    for (const identifier of subscriptionIdentifiers) writer.bigEndian(identifier, 4)
  }
  if (share !== undefined) writer.appendText(share)
}

function isFrame(frame: Buffer): boolean {
  return (
    frame.length >= HEADER_BYTES &&
    (frame[0] as number) >> 4 === VERSION &&
    HEADER_BYTES + frame.readUIntBE(13, 3) <= frame.length
  )
}

function readEnds(
  first: Packed | undefined,
  firstLength: Packed | undefined,
  last: Packed | undefined,
): { totalBytes: number; queuedBytes: number } {
  // What is no frame of ours is for `check` to remove: the session is none the worse for it.
  const areFrames =
    Buffer.isBuffer(first) &&
    Buffer.isBuffer(last) &&
    Math.min(first.length, last.length) >= HEADER_BYTES
  if (!areFrames) return { totalBytes: 0, queuedBytes: 0 }
  const totalBytes = last.readUIntBE(1, 6)
  const firstBytes = (firstLength as number) - HEADER_BYTES - first.readUIntBE(13, 3)
  // A total begins anew with a queue that nothing is known of, and stands behind for a while then.
  const queuedBytes = Math.max(0, totalBytes - first.readUIntBE(1, 6)) + firstBytes
  return { totalBytes, queuedBytes }
}

function eachPair(flat: Packed | undefined, call: (name: Buffer, value: Buffer) => void): void {
  const list = flat as Buffer[]
  for (let i = 0; i + 1 < list.length; i += 2) call(list[i]!, list[i + 1]!)
}
