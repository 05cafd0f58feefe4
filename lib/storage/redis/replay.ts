/** Reads everything kept at start-up, in bounded pages; queues stay where they are but for their ends. */

import type { Logger } from '../../util/logger.ts'
import type { ReplayItem } from '../storage.ts'
import type { Client } from './connection.ts'
import type { Keys } from './keys.ts'
import { type Packed, PackReader } from './pack.ts'
import { type Described, readDescription, readRetained } from './records.ts'

/** Sessions, or retained messages, of one page. */
const PAGE = 250

/** How many groups are read at once. */
const GROUPS_AT_ONCE = 4

export interface ReplayParts {
  readonly client: Client
  readonly keys: Keys
  readonly log: Logger
  readonly now: number
  readonly onItem: (item: ReplayItem) => void
  readonly onSession: (described: Described, tokens: readonly Packed[]) => void
}

/** Tells all sessions and all retained messages that have not expired. */
export async function replayAll(parts: ReplayParts): Promise<void> {
  let next = 0
  const readGroups = async (): Promise<void> => {
    while (next < parts.keys.groups) {
      const group = next++
      // oxlint-disable-next-line no-await-in-loop -- Pages are bounded one after the other.
      await replaySessions(group, parts)
      // oxlint-disable-next-line no-await-in-loop -- As above.
      await replayRetained(group, parts)
    }
  }
  await Promise.all(Array.from({ length: GROUPS_AT_ONCE }, readGroups))
}

/** The keys of sessions of one group as the script `tell` wants them. */
export function keysToTell(keys: Keys, group: number, clients: readonly string[]): string[] {
  return clients.flatMap((client) => [
    keys.session(group, client),
    keys.queue(group, client),
    keys.released(group, client),
    keys.inbound(group, client),
    keys.tokens(group, client),
  ])
}

async function replaySessions(group: number, parts: ReplayParts): Promise<void> {
  const { client, keys, log, onItem, onSession } = parts
  for (let start = 0; ; start += PAGE) {
    // oxlint-disable-next-line no-await-in-loop -- Pages are bounded one after the other.
    const clients = await client.zrange(
      keys.sessions(group),
      String(start),
      String(start + PAGE - 1),
    )
    if (clients.length === 0) return
    const toTell = keysToTell(keys, group, clients)
    // oxlint-disable-next-line no-await-in-loop -- As above.
    const told = new PackReader(await client.noctuleTellBuffer(toTell.length, toTell, []))
    told.startArray()
    for (const clientIdentifier of clients) {
      const description = told.array()
      let described: Described
      try {
        described = readDescription(clientIdentifier, description)
      } catch (error) {
        log.warn({ client: clientIdentifier, error }, 'a session in Redis cannot be read')
        continue
      }
      onSession(described, description[8] as Packed[])
      onItem({ kind: 'session', session: described.session })
    }
  }
}

async function replayRetained(group: number, parts: ReplayParts): Promise<void> {
  const { client, keys, log, now, onItem } = parts
  let cursor = '0'
  do {
    // oxlint-disable-next-line no-await-in-loop -- Pages are bounded one after the other.
    const [next, found] = await client.hscanBuffer(keys.retained(group), cursor, 'COUNT', PAGE)
    cursor = String(next)
    for (let i = 0; i + 1 < found.length; i += 2) {
      const topic = String(found[i])
      const message = readRetained(topic, found[i + 1] as Buffer)
      if (message === undefined) log.warn({ topic }, 'a retained message in Redis cannot be read')
      else if (message.expiresAt > now) onItem({ kind: 'retained', message })
    }
  } while (cursor !== '0')
}
