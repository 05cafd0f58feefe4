/** The records of the embedded store, but for those of queues: what they say, and how it is laid out. A batch
 * seals them (batch.ts). */

import { Buffer } from 'node:buffer'
import type { Qos } from '../../protocol/packets.ts'
import type { Subscription } from '../../protocol/subscription.ts'
import type { Left, Seq, StoredRetained, StoredWill } from '../storage.ts'
import { isHashed, nameIn } from './keys.ts'
import { RecordError, RecordReader, RecordWriter } from './record-fields.ts'

/** The value of a record that says all by being there. */
export const PRESENT: Buffer = Buffer.from([1])

export interface SessionRecord {
  readonly clientIdentifier: string
  readonly incarnation: number
  readonly epoch: number
  readonly expirySeconds: number
  readonly sentTo: Seq | undefined
  readonly left: Left | undefined
  readonly will: StoredWill | undefined
}

/** How far a queue is acknowledged, and how far it ever reached: what is left of one that is empty. */
export interface ProgressRecord {
  readonly lowWaterMark: Seq
  readonly lastSeq: Seq
  /** How many messages the queue was ever given, and how many bytes. */
  readonly count: number
  readonly bytes: number
}

const HAS_LEFT = 1
const HAS_WILL = 2

export function encodeSession(session: SessionRecord): Buffer {
  const { clientIdentifier, left, will } = session
  const writer = new RecordWriter()
    .text(clientIdentifier)
    .byte((left === undefined ? 0 : HAS_LEFT) | (will === undefined ? 0 : HAS_WILL))
    .number(session.incarnation)
    .number(session.epoch)
    .number(session.expirySeconds)
    .optionalNumber(session.sentTo)
  if (left !== undefined) writer.number(left.expiresAt).optionalNumber(left.willAt)
  if (will !== undefined) {
    writer
      .text(will.topic)
      .blob(will.body)
      .byte(will.qos)
      .byte(Number(will.retain))
      .number(will.delaySeconds)
      .optionalNumber(will.expirySeconds)
  }
  return writer.finish()
}

export function decodeSession(key: Buffer, record: Buffer): SessionRecord {
  const reader = new RecordReader(key, record)
  const clientIdentifier = reader.text()
  const flags = reader.byte()
  return {
    clientIdentifier,
    incarnation: reader.number(),
    epoch: reader.number(),
    expirySeconds: reader.number(),
    sentTo: reader.optionalNumber(),
    left:
      flags & HAS_LEFT
        ? { expiresAt: reader.number(), willAt: reader.optionalNumber() }
        : undefined,
    will: flags & HAS_WILL ? readWill(reader) : undefined,
  }
}

function readWill(reader: RecordReader): StoredWill {
  return {
    topic: reader.text(),
    // The record is as small as the will: it may be kept with it.
    body: reader.blob(),
    qos: qosOf(reader.byte()),
    retain: reader.byte() === 1,
    delaySeconds: reader.number(),
    expirySeconds: reader.optionalNumber(),
  }
}

export function encodeProgress(progress: ProgressRecord): Buffer {
  return new RecordWriter()
    .number(progress.lowWaterMark)
    .number(progress.lastSeq)
    .number(progress.count)
    .number(progress.bytes)
    .finish()
}

export function decodeProgress(key: Buffer, record: Buffer): ProgressRecord {
  const reader = new RecordReader(key, record)
  return {
    lowWaterMark: reader.number(),
    lastSeq: reader.number(),
    count: reader.number(),
    bytes: reader.number(),
  }
}

const NO_LOCAL = 1
const RETAIN_AS_PUBLISHED = 2
const IS_PLAIN = 4

export function encodeSubscription(subscription: Subscription): Buffer {
  const { topicFilter, noLocal, retainAsPublished, isPlain } = subscription
  return new RecordWriter()
    .byte(subscription.qos)
    .byte(
      (noLocal ? NO_LOCAL : 0) |
        (retainAsPublished ? RETAIN_AS_PUBLISHED : 0) |
        (isPlain ? IS_PLAIN : 0),
    )
    .number(subscription.subscriptionIdentifier)
    .text(isHashed(topicFilter) ? topicFilter : '')
    .finish()
}

export function decodeSubscription(key: Buffer, record: Buffer): Subscription {
  const reader = new RecordReader(key, record)
  const qos = qosOf(reader.byte())
  const flags = reader.byte()
  const subscriptionIdentifier = reader.number()
  const nameInRecord = reader.text()
  return {
    topicFilter: nameIn(key) ?? nameInRecord,
    qos,
    noLocal: (flags & NO_LOCAL) !== 0,
    retainAsPublished: (flags & RETAIN_AS_PUBLISHED) !== 0,
    subscriptionIdentifier,
    ...(flags & IS_PLAIN ? { isPlain: true as const } : undefined),
  }
}

export function encodeRetained({ topic, body, qos, expiresAt }: StoredRetained): Buffer {
  return new RecordWriter()
    .byte(qos)
    .number(expiresAt)
    .text(isHashed(topic) ? topic : '')
    .blob(body)
    .finish()
}

/** The body is a view into the record, which is hardly longer. */
export function decodeRetained(key: Buffer, record: Buffer): StoredRetained {
  const reader = new RecordReader(key, record)
  const qos = qosOf(reader.byte())
  const expiresAt = reader.number()
  const nameInRecord = reader.text()
  return { topic: nameIn(key) ?? nameInRecord, body: reader.blob(), qos, expiresAt }
}

/** `value` as a QoS; throws `RecordError` where it is none. */
export function qosOf(value: number): Qos {
  if (value > 2) throw new RecordError('not a QoS')
  return value as Qos
}
