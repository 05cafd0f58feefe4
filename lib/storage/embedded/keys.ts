/**
 * The keys of the embedded store. Everything stands in one ordered tree, so that what is read together
 * stands together: a queue is one range, and so is all else that an incarnation has.
 *
 *     M name                    what is said of the store itself
 *     S client identifier       a session
 *     P incarnation             how far its queue is acknowledged
 *     T incarnation filter      a subscription
 *     R incarnation seq         PUBREC came for a message
 *     I incarnation identifier  an inbound QoS 2 message whose PUBREL has not come
 *     Q incarnation seq         a message in a queue
 *     D incarnation             an incarnation that ended and is to be swept
 *     N topic                   a retained message
 *
 * Numbers have six bytes, the highest first: they sort as they count. LMDB takes keys of up to 511 bytes:
 * longer names stand as their SHA-256, and in full in the record.
 */

import { Buffer } from 'node:buffer'
import { hash } from 'node:crypto'

export const Kind = {
  Meta: 0x4d,
  Session: 0x53,
  Progress: 0x50,
  Subscription: 0x54,
  Released: 0x52,
  Inbound: 0x49,
  Entry: 0x51,
  Discarded: 0x44,
  Retained: 0x4e,
} as const
export type Kind = (typeof Kind)[keyof typeof Kind]

/** What an incarnation has: all of it goes when the incarnation is swept. */
export const KINDS_OF_INCARNATION: readonly Kind[] = [
  Kind.Progress,
  Kind.Subscription,
  Kind.Released,
  Kind.Inbound,
  Kind.Entry,
]

const NUMBER_BYTES = 6
const NAME_BYTES_MAX = 255
/** The largest number of six bytes; an incarnation and a seq stay below it. */
export const NUMBER_MAX: number = 2 ** 48 - 1

/**
 * What LMDB is asked for, in the form it takes; for one question, as it writes `values` into it. All have one shape,
 * so that what reads them is compiled once.
 */
export interface KeyRange {
  readonly start: Buffer
  /** Not included. */
  readonly end: Buffer
  readonly limit: number
  readonly reverse: boolean
  values: boolean
}

/** The key of what belongs to an incarnation. */
export function keyOf(kind: Kind, incarnation: number): Buffer {
  const key = Buffer.allocUnsafe(1 + NUMBER_BYTES)
  key[0] = kind
  key.writeUIntBE(incarnation, 1, NUMBER_BYTES)
  return key
}

/** The key of what has a number within an incarnation: a seq, a Packet Identifier. */
export function numberedKey(kind: Kind, incarnation: number, number: number): Buffer {
  const key = Buffer.allocUnsafe(1 + 2 * NUMBER_BYTES)
  key[0] = kind
  key.writeUIntBE(incarnation, 1, NUMBER_BYTES)
  key.writeUIntBE(number, 1 + NUMBER_BYTES, NUMBER_BYTES)
  return key
}

export function metaKey(name: string): Buffer {
  return Buffer.concat([Buffer.of(Kind.Meta), Buffer.from(name)])
}

export function sessionKey(clientIdentifier: string): Buffer {
  return namedKey(Buffer.of(Kind.Session), clientIdentifier)
}

export function retainedKey(topic: string): Buffer {
  return namedKey(Buffer.of(Kind.Retained), topic)
}

export function subscriptionKey(incarnation: number, topicFilter: string): Buffer {
  return namedKey(keyOf(Kind.Subscription, incarnation), topicFilter)
}

/** Whether a name stands in full in its record, as its key has but its hash. */
export function isHashed(name: string): boolean {
  return Buffer.byteLength(name) > NAME_BYTES_MAX
}

/** The name in a key; undefined where the record has it. */
export function nameIn(key: Buffer): string | undefined {
  const start = key[0] === Kind.Subscription ? 1 + NUMBER_BYTES : 1
  return key[start] === 0 ? key.toString('utf8', start + 1) : undefined
}

export function incarnationIn(key: Buffer): number {
  return readNumber(key, 1)
}

export function numberIn(key: Buffer): number {
  return readNumber(key, 1 + NUMBER_BYTES)
}

/** In two parts: read as one, a small number comes as a double, which the code that takes it was not compiled for. */
function readNumber(key: Buffer, at: number): number {
  const high = key.readUInt16BE(at)
  const low = key.readUInt32BE(at + 2)
  return high === 0 ? low : high * 2 ** 32 + low
}

/** Of what is asked for, as much as there is. */
const ALL = Number.POSITIVE_INFINITY

/** What is stored, whatever it is. */
export function everything(limit: number = ALL): KeyRange {
  return rangeOf(Buffer.of(0), Buffer.of(0xff), limit)
}

export function allOf(kind: Kind, limit: number = ALL): KeyRange {
  return rangeOf(Buffer.of(kind), Buffer.of(kind + 1), limit)
}

/** What an incarnation has of a kind. */
export function allOfIncarnation(kind: Kind, incarnation: number, limit: number = ALL): KeyRange {
  return rangeOf(keyOf(kind, incarnation), keyOf(kind, incarnation + 1), limit)
}

/** The messages of a queue behind `after`, up to and with `last`. */
export function entriesBetween(
  incarnation: number,
  after: number,
  last: number,
  limit: number = ALL,
): KeyRange {
  const end =
    last >= NUMBER_MAX
      ? keyOf(Kind.Entry, incarnation + 1)
      : numberedKey(Kind.Entry, incarnation, last + 1)
  return rangeOf(numberedKey(Kind.Entry, incarnation, after + 1), end, limit)
}

/** The last key behind `after`, up to and with `last`. */
export function lastBetween(after: Buffer, last: Buffer): KeyRange {
  return { start: last, end: after, limit: 1, reverse: true, values: true }
}

function rangeOf(start: Buffer, end: Buffer, limit: number): KeyRange {
  return { start, end, limit, reverse: false, values: true }
}

function namedKey(prefix: Buffer, name: string): Buffer {
  return isHashed(name)
    ? Buffer.concat([prefix, Buffer.of(1), hash('sha256', name, 'buffer')])
    : Buffer.concat([prefix, Buffer.of(0), Buffer.from(name)])
}
