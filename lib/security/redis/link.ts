/**
 * The way to the Redis that accounts are kept in: questions that are answered in time or not at all, and
 * the changes as they happen, on a connection of their own.
 */

import type { Cluster, Redis } from 'ioredis'
import {
  connectTo,
  describePlace,
  type Place,
  parseUrl,
  untilReady,
} from '../../storage/redis/connection.ts'
import { StoreError } from '../../storage/storage.ts'
import type { Clock } from '../../util/clock.ts'
import { AccountKeys, type Change } from './keys.ts'

/** How long Redis is asked to wait for a change before it answers that there is none. */
const WAIT_MS = 1000
/** How many fields of a hash are read at once. */
const PAGE = 100

export interface LinkOptions {
  readonly url: string
  readonly keyPrefix: string
  readonly timeoutMs: number
  readonly clock: Clock
}

type Client = Redis | Cluster

export class AccountsLink {
  readonly keys: AccountKeys
  /** Where it is, without password. */
  readonly place: string
  readonly #options: LinkOptions
  readonly #place: Place
  readonly #client: Client
  #watcher: Client | undefined
  #isClosed = false

  private constructor(options: LinkOptions, place: Place, client: Client) {
    this.#options = options
    this.#place = place
    this.#client = client
    this.keys = new AccountKeys(options.keyPrefix)
    this.place = describePlace(place)
  }

  /** Rejects with a `StoreError` if Redis cannot be reached, or refuses us. */
  static async open(options: LinkOptions): Promise<AccountsLink> {
    const place = parseUrl(options.url, 'security.redisUrl')
    return new AccountsLink(options, place, await openClient(place, options))
  }

  /** Asks Redis; rejects with a `StoreError` if it is away or has not answered in time. */
  ask<T>(command: (client: Client) => Promise<T>): Promise<T> {
    return this.#inTime(command(this.#client), this.#options.timeoutMs)
  }

  /** Reads a hash a page after the other; a field may come twice, while others change the hash. */
  async *scan(key: string): AsyncGenerator<readonly [field: string, value: string]> {
    let cursor = '0'
    do {
      const from = cursor
      // oxlint-disable-next-line no-await-in-loop -- A page tells where the next one begins.
      const [next, flat] = await this.ask((client) => client.hscan(key, from, 'COUNT', PAGE))
      cursor = next
      for (let i = 0; i + 1 < flat.length; i += 2) yield [flat[i] as string, flat[i + 1] as string]
    } while (cursor !== '0')
  }

  /** The identifier of the newest change; undefined if there was none ever. */
  async newestChange(): Promise<string | undefined> {
    const [newest] = await this.ask((client) =>
      client.xrevrange(this.keys.changes, '+', '-', 'COUNT', 1),
    )
    return newest?.[0]
  }

  /**
   * Waits a moment for changes after the one that was read last. Undefined if that one is not there any
   * more, so that others may be missing.
   */
  async changesAfter(last: string): Promise<readonly Change[] | undefined> {
    const { changes } = this.keys
    const watcher = (this.#watcher ??= await this.#openWatcher())
    const timeoutMs = WAIT_MS + this.#options.timeoutMs
    const reply = await this.#inTime(
      watcher.xread('COUNT', PAGE, 'BLOCK', WAIT_MS, 'STREAMS', changes, last),
      timeoutMs,
    )
    const known = await this.#inTime(watcher.xrange(changes, last, last), timeoutMs)
    if (known.length === 0) return undefined
    return (reply?.[0]?.[1] ?? []).map(([id, fields]) => toChange(id, fields))
  }

  close(): void {
    this.#isClosed = true
    this.#client.disconnect()
    this.#watcher?.disconnect()
  }

  async #openWatcher(): Promise<Client> {
    const watcher = await openClient(this.#place, this.#options)
    if (!this.#isClosed) return watcher
    watcher.disconnect()
    throw new StoreError('closed', 'the accounts are closed')
  }

  async #inTime<T>(answer: Promise<T>, timeoutMs: number): Promise<T> {
    let cancelTimer: () => void = () => {}
    const late = new Promise<never>((_, reject) => {
      cancelTimer = this.#options.clock.after(timeoutMs, () =>
        reject(new StoreError('unavailable', `${this.place} has not answered in time`)),
      )
    })
    try {
      return await Promise.race([answer, late])
    } catch (error) {
      if (error instanceof StoreError) throw error
      throw new StoreError('unavailable', `${this.place} ${describe(error as Error)}`)
    } finally {
      cancelTimer()
    }
  }
}

async function openClient(place: Place, { clock, timeoutMs }: LinkOptions): Promise<Client> {
  const client = await connectTo(place, timeoutMs)
  try {
    await untilReady(client, describePlace(place), clock, timeoutMs)
    return client
  } catch (error) {
    client.disconnect()
    throw error
  }
}

/** What Redis says itself is worth repeating; its client speaks of its own options. */
function describe({ name, message }: Error): string {
  return name === 'ReplyError' ? `refuses us: ${message}` : 'cannot be reached'
}

/** What a newer version may write there is taken for the change that has most read again. */
function toChange(id: string, fields: readonly string[]): Change {
  const at = (field: string) =>
    fields[fields.findIndex((one, i) => i % 2 === 0 && one === field) + 1]
  const [change, name] = [at('change'), at('name')]
  const isOfUser = (change === 'credentials' || change === 'roles') && name !== undefined
  return isOfUser ? { id, change, name } : { id, change: 'rules' }
}
