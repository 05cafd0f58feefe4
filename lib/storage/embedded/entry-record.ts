/**
 * The record of a message in a queue. It is written once for each message and each receiver, so it has a
 * layout of its own, with no field that a plain message does not need.
 *
 *     5 bytes   head of every record (record-fields.ts)
 *     1         QoS, and which of the fields below are there
 *     6         how many messages the queue was ever given, with this one
 *     6         how many bytes their bodies have together
 *     8         when it expires, in ms since 1970
 *     2 + 4n    Subscription Identifiers
 *     2 + n     `$share/NAME/FILTER`
 *     rest      body
 *
 * The running totals say how long a queue is by its two ends: nobody has to read it for that.
 */

import { Buffer } from 'node:buffer'
import type { QueueEntry } from '../storage.ts'
import { numberIn } from './keys.ts'
import { checkRecord, RECORD_HEAD_BYTES, RecordError } from './record-fields.ts'
import { qosOf } from './records.ts'

/** How long a queue is, with and up to an entry. */
export interface EntryTotals {
  readonly count: number
  readonly bytes: number
  /** Of this entry alone. */
  readonly bodyBytes: number
}

const QOS_BITS = 3
const RETAIN = 4
const HAS_IDENTIFIERS = 8
const HAS_SHARE = 16
const EXPIRES = 32

const COUNT_AT = RECORD_HEAD_BYTES + 1
const BYTES_AT = COUNT_AT + 6
const FIELDS_AT = BYTES_AT + 6

/** Lays out an entry; the record has memory of its own, and is yet to be sealed. */
export function encodeEntry(
  entry: Omit<QueueEntry, 'seq' | 'body' | 'expiresAt'>,
  expiresAt: number,
  body: Buffer,
  count: number,
  bytes: number,
): Buffer {
  const { qos, retain, subscriptionIdentifiers, share } = entry
  const shareBytes = share === undefined ? 0 : Buffer.byteLength(share)
  let length = FIELDS_AT + body.length
  if (expiresAt !== Number.POSITIVE_INFINITY) length += 8
  if (subscriptionIdentifiers !== undefined) length += 2 + 4 * subscriptionIdentifiers.length
  if (share !== undefined) length += 2 + shareBytes
  const record = Buffer.allocUnsafe(length)
  let flags = retain ? qos | RETAIN : qos
  let at = FIELDS_AT
  if (expiresAt !== Number.POSITIVE_INFINITY) {
    flags |= EXPIRES
    at = record.writeDoubleBE(expiresAt, at)
  }
  if (subscriptionIdentifiers !== undefined) {
    flags |= HAS_IDENTIFIERS
    at = record.writeUInt16BE(subscriptionIdentifiers.length, at)
    for (const identifier of subscriptionIdentifiers) at = record.writeUInt32BE(identifier, at)
  }
  if (share !== undefined) {
    flags |= HAS_SHARE
    at = record.writeUInt16BE(shareBytes, at)
    at += record.write(share, at)
  }
  body.copy(record, at)
  record[RECORD_HEAD_BYTES] = flags
  record.writeUIntBE(count, COUNT_AT, 6)
  record.writeUIntBE(bytes, BYTES_AT, 6)
  return record
}

/** Reads an entry; its body is a view into the record. Throws `RecordError` where it is damaged. */
export function decodeEntry(key: Buffer, record: Buffer): QueueEntry {
  checkEntry(key, record)
  const flags = record[RECORD_HEAD_BYTES]!
  let at = FIELDS_AT
  let expiresAt = Number.POSITIVE_INFINITY
  let subscriptionIdentifiers: number[] | undefined
  let share: string | undefined
  if (flags & EXPIRES) {
    expiresAt = record.readDoubleBE(at)
    at += 8
  }
  if (flags & HAS_IDENTIFIERS) {
    const length = record.readUInt16BE(at)
    at += 2
    subscriptionIdentifiers = []
    for (let i = 0; i < length; i++, at += 4) subscriptionIdentifiers.push(record.readUInt32BE(at))
  }
  if (flags & HAS_SHARE) {
    const end = at + 2 + record.readUInt16BE(at)
    share = record.toString('utf8', at + 2, end)
    at = end
  }
  return {
    seq: numberIn(key),
    qos: qosOf(flags & QOS_BITS),
    retain: (flags & RETAIN) !== 0,
    subscriptionIdentifiers,
    share,
    expiresAt,
    body: record.subarray(at),
  }
}

/** Reads the running totals alone. Throws `RecordError` where the record is damaged. */
export function totalsOf(key: Buffer, record: Buffer): EntryTotals {
  checkEntry(key, record)
  const flags = record[RECORD_HEAD_BYTES]!
  let at = FIELDS_AT
  if (flags & EXPIRES) at += 8
  if (flags & HAS_IDENTIFIERS) at += 2 + 4 * record.readUInt16BE(at)
  if (flags & HAS_SHARE) at += 2 + record.readUInt16BE(at)
  return {
    count: record.readUIntBE(COUNT_AT, 6),
    bytes: record.readUIntBE(BYTES_AT, 6),
    bodyBytes: record.length - at,
  }
}

// A record that is whole was written by `encodeEntry`: its fields cannot reach beyond its end.
function checkEntry(key: Buffer, record: Buffer): void {
  checkRecord(key, record)
  if (record.length < FIELDS_AT) throw new RecordError('too short for a message')
}
