/** Reads queues, which changes nothing and so goes past the lanes. */

import type { QueueEntry, Seq } from '../storage.ts'
import type { Client } from './connection.ts'
import { PackReader } from './pack.ts'
import { readFrame } from './records.ts'

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
  for (let rest = reader.startArray(); rest > 0; rest -= 2) {
    const entry = readFrame(reader.number(), reader.bytes())
    // What cannot be read is found, and removed, by `check`.
    if (entry !== undefined) entries.push(entry)
  }
  return entries
}
