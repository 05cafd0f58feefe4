/**
 * The lines of an export, JSON each: a header, then sessions, each with the messages of its queue behind
 * it, then retained messages, then a trailer with counts, by which a file that lacks its end is recognised.
 *
 *     {"kind":"header","format":"noctule-store","version":1,"time":"2026-01-31T12:00:00.000Z","program":"0.1.0"}
 *     {"kind":"session","clientIdentifier":"meter-7","expirySeconds":3600,"lastSeq":2,"lowWaterMark":0,…}
 *     {"kind":"message","seq":1,"qos":1,"retain":false,"expiresAt":"never","body":"AAF4AGhp"}
 *     {"kind":"retained","topic":"x","qos":1,"expiresAt":1790000000000,"body":"AAF4AGhp"}
 *     {"kind":"trailer","sessions":1,"subscriptions":0,"messages":1,"retained":1}
 *
 * What a store leaves undefined is left out. A body is topic, properties and payload (protocol/message.ts).
 */

import type { Buffer } from 'node:buffer'
import { TWO_BYTE_INTEGER_MAX, VARIABLE_BYTE_INTEGER_MAX } from '../protocol/limits.ts'
import { isBody } from '../protocol/message.ts'
import type { Qos } from '../protocol/packets.ts'
import type { Subscription } from '../protocol/subscription.ts'
import { isTopicFilter, isTopicName } from '../protocol/topics.ts'
import { LineError, LineFields, timeField } from './line-fields.ts'
import type { Left, QueueEntry, StoredRetained, StoredSession, StoredWill } from './storage.ts'

const FORMAT = 'noctule-store'

/** Changes when older programs can no longer read what is written. */
const FORMAT_VERSION = 1

const SEQ_MAX = Number.MAX_SAFE_INTEGER
const FOUR_BYTE_INTEGER_MAX = 0xffff_ffff

/** How much there is of each: what the trailer says. */
export interface ExportCounts {
  sessions: number
  subscriptions: number
  /** In queues. */
  messages: number
  retained: number
}

export function noCounts(): ExportCounts {
  return { sessions: 0, subscriptions: 0, messages: 0, retained: 0 }
}

export type ExportRecord =
  | { readonly kind: 'header' }
  | { readonly kind: 'session'; readonly session: StoredSession }
  | { readonly kind: 'message'; readonly entry: QueueEntry }
  | { readonly kind: 'retained'; readonly message: StoredRetained }
  | { readonly kind: 'trailer'; readonly counts: ExportCounts }

/** Returns the first line, with what people may want to know: when, and by which version. */
export function headerLine(timeMs: number, program: string): string {
  const time = new Date(timeMs).toISOString()
  return line('header', { format: FORMAT, version: FORMAT_VERSION, time, program })
}

/** Returns the line of a session: what it is called in its store (incarnation, epoch) means nothing elsewhere. */
export function sessionLine(session: StoredSession): string {
  const { ref, expirySeconds, lastSeq, lowWaterMark, sentTo, released, inbound } = session
  const { left, will, subscriptions } = session
  return line('session', {
    clientIdentifier: ref.clientIdentifier,
    expirySeconds,
    lastSeq,
    lowWaterMark,
    sentTo,
    released,
    inbound,
    left: left && {
      expiresAt: timeField(left.expiresAt),
      willAt: left.willAt === undefined ? undefined : timeField(left.willAt),
    },
    will: will && { ...will, body: will.body.toString('base64') },
    subscriptions,
  })
}

export function messageLine(entry: QueueEntry): string {
  const { seq, qos, retain, subscriptionIdentifiers, share, expiresAt, body } = entry
  return line('message', {
    seq,
    qos,
    retain,
    subscriptionIdentifiers,
    share,
    expiresAt: timeField(expiresAt),
    body: body.toString('base64'),
  })
}

export function retainedLine({ topic, qos, expiresAt, body }: StoredRetained): string {
  return line('retained', {
    topic,
    qos,
    expiresAt: timeField(expiresAt),
    body: body.toString('base64'),
  })
}

export function trailerLine(counts: ExportCounts): string {
  return line('trailer', counts)
}

/** Reads one line; throws `LineError`. */
export function readLine(bytes: Buffer): ExportRecord {
  const fields = LineFields.parse(bytes)
  const record = readRecord(fields)
  // A header may say more than we know: it is for people.
  if (record.kind !== 'header') fields.end()
  return record
}

function line(kind: ExportRecord['kind'], fields: object): string {
  return `${JSON.stringify({ kind, ...fields })}\n`
}

function readRecord(fields: LineFields): ExportRecord {
  const kind = fields.text('kind')
  switch (kind) {
    case 'header':
      return readHeader(fields)
    case 'session':
      return { kind, session: readSession(fields) }
    case 'message':
      return { kind, entry: readEntry(fields) }
    case 'retained':
      return { kind, message: readRetained(fields) }
    case 'trailer':
      return { kind, counts: readCounts(fields) }
    default:
      throw new LineError(`there is no kind "${kind}"`)
  }
}

function readHeader(fields: LineFields): ExportRecord {
  const format = fields.text('format')
  if (format !== FORMAT) throw new LineError(`format must be "${FORMAT}"; found "${format}"`)
  const version = fields.whole('version', 1, SEQ_MAX)
  if (version <= FORMAT_VERSION) return { kind: 'header' }
  throw new LineError(
    `it is of version ${version}, and this program knows versions up to ${FORMAT_VERSION}: use the newer one that wrote it`,
  )
}

function readSession(fields: LineFields): StoredSession {
  const lastSeq = fields.whole('lastSeq', 0, SEQ_MAX)
  return {
    ref: { clientIdentifier: fields.text('clientIdentifier'), incarnation: 0, epoch: 0 },
    expirySeconds: fields.whole('expirySeconds', 0, FOUR_BYTE_INTEGER_MAX),
    lastSeq,
    lowWaterMark: fields.whole('lowWaterMark', 0, lastSeq),
    sentTo: fields.has('sentTo') ? fields.whole('sentTo', 0, lastSeq) : undefined,
    released: fields.wholes('released', 1, lastSeq),
    inbound: fields.wholes('inbound', 1, TWO_BYTE_INTEGER_MAX),
    left: fields.has('left') ? readLeft(fields.group('left')) : undefined,
    will: fields.has('will') ? readWill(fields.group('will')) : undefined,
    subscriptions: fields.groups('subscriptions').map(readSubscription),
    // Its messages have lines of their own.
    queued: 0,
    queuedBytes: 0,
  }
}

function readLeft(fields: LineFields): Left {
  const left = {
    expiresAt: fields.time('expiresAt'),
    willAt: fields.has('willAt') ? fields.time('willAt') : undefined,
  }
  fields.end()
  return left
}

function readWill(fields: LineFields): StoredWill {
  const topic = readTopic(fields)
  const will = {
    topic,
    body: readBody(fields, topic),
    qos: readQos(fields),
    retain: fields.toggle('retain'),
    delaySeconds: fields.whole('delaySeconds', 0, FOUR_BYTE_INTEGER_MAX),
    expirySeconds: fields.has('expirySeconds')
      ? fields.whole('expirySeconds', 0, FOUR_BYTE_INTEGER_MAX)
      : undefined,
  }
  fields.end()
  return will
}

function readSubscription(fields: LineFields): Subscription {
  const topicFilter = fields.text('topicFilter')
  if (!isTopicFilter(topicFilter)) throw new LineError(`"${topicFilter}" is no Topic Filter`)
  const isPlain = fields.has('isPlain') && fields.toggle('isPlain')
  const owesRetained = fields.has('owesRetained') && fields.toggle('owesRetained')
  const subscription = {
    topicFilter,
    qos: readQos(fields),
    noLocal: fields.toggle('noLocal'),
    retainAsPublished: fields.toggle('retainAsPublished'),
    subscriptionIdentifier: fields.whole('subscriptionIdentifier', 0, VARIABLE_BYTE_INTEGER_MAX),
  }
  fields.end()
  return {
    ...subscription,
    ...(isPlain && { isPlain }),
    ...(owesRetained && { owesRetained }),
  }
}

function readEntry(fields: LineFields): QueueEntry {
  return {
    seq: fields.whole('seq', 1, SEQ_MAX),
    qos: readQos(fields),
    retain: fields.toggle('retain'),
    subscriptionIdentifiers: fields.has('subscriptionIdentifiers')
      ? fields.wholes('subscriptionIdentifiers', 1, VARIABLE_BYTE_INTEGER_MAX)
      : undefined,
    share: fields.has('share') ? fields.text('share') : undefined,
    expiresAt: fields.time('expiresAt'),
    body: readBody(fields),
  }
}

function readRetained(fields: LineFields): StoredRetained {
  const topic = readTopic(fields)
  const body = readBody(fields, topic)
  return { topic, body, qos: readQos(fields), expiresAt: fields.time('expiresAt') }
}

function readCounts(fields: LineFields): ExportCounts {
  const count = (name: string) => fields.whole(name, 0, SEQ_MAX)
  return {
    sessions: count('sessions'),
    subscriptions: count('subscriptions'),
    messages: count('messages'),
    retained: count('retained'),
  }
}

function readQos(fields: LineFields): Qos {
  return fields.whole('qos', 0, 2) as Qos
}

function readTopic(fields: LineFields): string {
  const topic = fields.text('topic')
  if (!isTopicName(topic)) throw new LineError(`"${topic}" is no Topic Name`)
  return topic
}

/** A body that is none would be found when the broker starts, or as late as a client is to get it. */
function readBody(fields: LineFields, topic?: string): Buffer {
  const body = fields.bytes('body')
  if (isBody(body, topic)) return body
  throw new LineError('body is no message with topic, properties and payload')
}
