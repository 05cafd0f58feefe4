/** Looks through all keys of the store for what should not be there, and removes it if asked to. */

import type { Cluster, Redis } from 'ioredis'
import type { StoreFinding } from '../storage.ts'
import type { Client } from './connection.ts'
import type { Keys } from './keys.ts'
import { type Packed, PackReader } from './pack.ts'
import { readDescription, readFrame, readRetained } from './records.ts'
import { keysToTell } from './replay.ts'

/** Keys, members or entries looked at in one go. */
const PAGE = 250

/** What is found, and in which order it is told. */
const sentences = {
  session: 'sessions that cannot be read',
  orphan: 'keys of sessions that do not exist',
  unlisted: 'sessions that are missing in the list of their group',
  listed: 'entries in the list of a group whose session does not exist',
  mark: 'marks of received messages that are no longer in their queue',
  frame: 'messages in queues that cannot be read',
  retained: 'retained messages that cannot be read',
} as const
type Kind = keyof typeof sentences

/** Resolves to what was found, and how often; nobody else may use the store meanwhile. */
export async function checkAll(
  client: Client,
  keys: Keys,
  isRepairing: boolean,
): Promise<StoreFinding[]> {
  const check = new Check(client, keys, isRepairing)
  await check.run()
  return check.findings
}

class Check {
  readonly #client: Client
  readonly #keys: Keys
  readonly #isRepairing: boolean
  readonly #counts = new Map<Kind, number>()

  constructor(client: Client, keys: Keys, isRepairing: boolean) {
    this.#client = client
    this.#keys = keys
    this.#isRepairing = isRepairing
  }

  get findings(): StoreFinding[] {
    const kinds = Object.keys(sentences) as Kind[]
    return kinds.flatMap((kind) => {
      const count = this.#counts.get(kind) ?? 0
      return count === 0 ? [] : [{ what: sentences[kind], count }]
    })
  }

  async run(): Promise<void> {
    // Lists first: a session that is listed but not there is one finding, not several.
    for (let group = 0; group < this.#keys.groups; group++) {
      // oxlint-disable-next-line no-await-in-loop -- One group at a time, as others may need Redis.
      await this.#checkList(group)
      // oxlint-disable-next-line no-await-in-loop -- As above.
      await this.#checkRetained(group)
    }
    await this.#checkKeys()
  }

  async #checkList(group: number): Promise<void> {
    const list = this.#keys.sessions(group)
    const clients: string[] = []
    let cursor = '0'
    do {
      // oxlint-disable-next-line no-await-in-loop -- Pages are bounded one after the other.
      const [next, found] = await this.#client.zscan(list, cursor, 'COUNT', PAGE)
      cursor = next
      for (let i = 0; i < found.length; i += 2) clients.push(found[i] as string)
    } while (cursor !== '0')
    for (let start = 0; start < clients.length; start += PAGE) {
      // oxlint-disable-next-line no-await-in-loop -- As above.
      await this.#checkSessions(group, clients.slice(start, start + PAGE))
    }
  }

  async #checkSessions(group: number, clients: readonly string[]): Promise<void> {
    const keys = keysToTell(this.#keys, group, clients)
    const told = new PackReader(await this.#client.noctuleTellBuffer(keys.length, keys, []))
    told.startArray()
    for (const client of clients) {
      const description = told.array()
      // oxlint-disable-next-line no-await-in-loop -- One session at a time, as others may need Redis.
      await this.#checkSession(group, client, description)
    }
  }

  async #checkSession(group: number, client: string, description: Packed[]): Promise<void> {
    const keys = keysToTell(this.#keys, group, [client])
    const isThere = (description[0] as Packed[]).length > 0
    const released = releasedOf(client, description)
    if (released !== undefined) {
      await this.#checkQueue(group, client, released)
      return
    }
    await this.#found(isThere ? 'session' : 'listed', async () => {
      await this.#client.del(...keys)
      await this.#client.zrem(this.#keys.sessions(group), client)
    })
  }

  async #checkQueue(group: number, client: string, released: readonly number[]): Promise<void> {
    const queue = this.#keys.queue(group, client)
    const seqs = new Set<number>()
    let from = '-'
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- Pages are bounded one after the other.
      const page = await this.#client.xrangeBuffer(queue, from, '+', 'COUNT', PAGE)
      for (const [idBytes, fields] of page) {
        const id = String(idBytes)
        from = `(${id}`
        const frame = fields[1]
        if (frame === undefined || readFrame(0, frame) === undefined) {
          // oxlint-disable-next-line no-await-in-loop -- As above.
          await this.#found('frame', () => this.#client.xdel(queue, id))
        } else {
          seqs.add(Number(id.slice(id.indexOf('-') + 1)))
        }
      }
      if (page.length === 0) break
    }
    const marks = released.filter((seq) => !seqs.has(seq))
    for (const mark of marks) {
      // oxlint-disable-next-line no-await-in-loop -- There are few, if any.
      await this.#found('mark', () => this.#client.zrem(this.#keys.released(group, client), mark))
    }
  }

  async #checkRetained(group: number): Promise<void> {
    const key = this.#keys.retained(group)
    let cursor = '0'
    do {
      // oxlint-disable-next-line no-await-in-loop -- Pages are bounded one after the other.
      const [next, found] = await this.#client.hscanBuffer(key, cursor, 'COUNT', PAGE)
      cursor = String(next)
      for (let i = 0; i + 1 < found.length; i += 2) {
        const topic = String(found[i])
        if (readRetained(topic, found[i + 1] as Buffer) !== undefined) continue
        // oxlint-disable-next-line no-await-in-loop -- As above.
        await this.#found('retained', () => this.#client.hdel(key, topic))
      }
    } while (cursor !== '0')
  }

  /** Goes through the names of all keys, on each server of a Cluster. */
  async #checkKeys(): Promise<void> {
    const servers: readonly (Redis | Cluster)[] =
      'nodes' in this.#client ? this.#client.nodes('master') : [this.#client]
    const pattern = `${this.#keys.prefix.replaceAll(/[*?[\]\\^]/g, '\\$&')}{*`
    for (const server of servers) {
      let cursor = '0'
      do {
        // oxlint-disable-next-line no-await-in-loop -- Pages are bounded one after the other.
        const [next, found] = await (server as Redis).scan(cursor, 'MATCH', pattern, 'COUNT', PAGE)
        cursor = next
        // oxlint-disable-next-line no-await-in-loop -- As above.
        await Promise.all(found.map((key) => this.#checkKey(key)))
      } while (cursor !== '0')
    }
  }

  async #checkKey(key: string): Promise<void> {
    const match = /^\{(\d+)\}:([mqrid]):(.*)$/s.exec(key.slice(this.#keys.prefix.length))
    if (match === null) return
    const [, digits, kind, client = ''] = match
    const group = Number(digits)
    const session = this.#keys.session(group, client)
    if (kind === 'm') {
      const list = this.#keys.sessions(group)
      if ((await this.#client.zscore(list, client)) !== null) return
      await this.#found('unlisted', () => this.#client.zadd(list, 'inf', client))
    } else if ((await this.#client.exists(session)) === 0) {
      await this.#found('orphan', () => this.#client.del(key))
    }
  }

  async #found(kind: Kind, repair: () => Promise<unknown>): Promise<void> {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1)
    if (this.#isRepairing) await repair()
  }
}

/** The marks of a session; undefined if what Redis has of it is no session of ours. */
function releasedOf(client: string, description: Packed[]): readonly number[] | undefined {
  try {
    return readDescription(client, description).session.released
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}
