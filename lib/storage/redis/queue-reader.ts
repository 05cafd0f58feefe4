/** Reads queues, which changes nothing and so goes past the lanes. */

import type { QueueEntry, Seq } from '../storage.ts'
import type { Client } from './connection.ts'
import { PackReader } from './pack.ts'
import { ownCopy, readFrame } from './records.ts'

/**
 * A page of this size, as most are, is kept whole until its last message is sent: a copy of each would cost
 * more than all else about reading it. Messages of larger pages get memory of their own.
 */
const SHARED_PAGE_BYTES_MAX = 64 * 1024

/** Reads in order, from `first` to `last`; at most `max` entries and, but for the first, `maxBytes`. */
export async function readEntries(
  client: Client,
  queueKey: string,
  incarnation: number,
  range: { readonly first: Seq; readonly last: Seq },
  max: number,
  maxBytes: number,
): Promise<QueueEntry[]> {
  const end = Number.isFinite(range.last) ? `${incarnation}-${range.last}` : `(${incarnation + 1}-0`
  const bytesMax = Math.min(maxBytes, Number.MAX_SAFE_INTEGER)
  const found = await client.noctuleReadBuffer(
    1,
    [queueKey],
    [`${incarnation}-${range.first}`, end, max, bytesMax],
  )
  const entries: QueueEntry[] = []
  const reader = new PackReader(found)
  const isShared = found.length <= SHARED_PAGE_BYTES_MAX
  for (let rest = reader.startArray(); rest > 0; rest -= 2) {
    const entry = readFrame(reader.number(), reader.bytes())
    // What cannot be read is found, and removed, by `check`.
    if (entry === undefined) continue
    entries.push(isShared ? entry : { ...entry, body: ownCopy(entry.body) })
  }
  return entries
}
