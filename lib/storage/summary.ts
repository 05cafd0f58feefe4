/** What a store keeps, in numbers, and which queues are the longest. */

import type { StoreReader } from './reading.ts'
import type { StoredSession } from './storage.ts'

export interface QueueLength {
  readonly clientIdentifier: string
  readonly messages: number
  readonly bytes: number
}

export interface StoreSummary {
  /** Each session is one of the three. */
  readonly sessions: { connected: number; offline: number; willOnly: number }
  subscriptions: number
  readonly queued: { messages: number; bytes: number }
  readonly retained: { messages: number; bytes: number }
  wills: number
  /** Packet Identifiers of QoS 2 messages from clients, whose PUBREL has not come. */
  inbound: number
  /** QoS 2 messages to clients, whose PUBREC has come. */
  released: number
  /** The session that ends before all others unless its client comes back; `at` in ms since 1970. */
  firstToEnd: { readonly clientIdentifier: string; readonly at: number } | undefined
  /** The longest first. */
  readonly longestQueues: QueueLength[]
}

export async function summarize(
  reader: Pick<StoreReader, 'replay'>,
  longestMax: number,
): Promise<StoreSummary> {
  const summary: StoreSummary = {
    sessions: { connected: 0, offline: 0, willOnly: 0 },
    subscriptions: 0,
    queued: { messages: 0, bytes: 0 },
    retained: { messages: 0, bytes: 0 },
    wills: 0,
    inbound: 0,
    released: 0,
    firstToEnd: undefined,
    longestQueues: [],
  }
  await reader.replay((item) => {
    if (item.kind === 'session') {
      addSession(summary, item.session)
      addQueue(summary.longestQueues, item.session, longestMax)
    } else {
      summary.retained.messages++
      summary.retained.bytes += item.message.body.length
    }
  })
  return summary
}

function addSession(summary: StoreSummary, session: StoredSession): void {
  summary.sessions[stateOf(session)]++
  summary.subscriptions += session.subscriptions.length
  summary.queued.messages += session.queued
  summary.queued.bytes += session.queuedBytes
  if (session.will !== undefined) summary.wills++
  summary.inbound += session.inbound.length
  summary.released += session.released.length
  const at = session.left?.expiresAt ?? Number.POSITIVE_INFINITY
  if (at < (summary.firstToEnd?.at ?? Number.POSITIVE_INFINITY)) {
    summary.firstToEnd = { clientIdentifier: session.ref.clientIdentifier, at }
  }
}

function stateOf({ expirySeconds, left }: StoredSession): keyof StoreSummary['sessions'] {
  if (expirySeconds === 0) return 'willOnly'
  return left === undefined ? 'connected' : 'offline'
}

function addQueue(longest: QueueLength[], session: StoredSession, max: number): void {
  const { ref, queued: messages, queuedBytes: bytes } = session
  const shortest = longest.length < max ? 0 : longest.at(-1)!.messages
  if (messages <= shortest) return
  longest.push({ clientIdentifier: ref.clientIdentifier, messages, bytes })
  longest.sort((a, b) => b.messages - a.messages)
  longest.splice(max)
}
