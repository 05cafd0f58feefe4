/** What is kept of the store as a whole: what it is called, how it is laid out, and its counters. */

import { randomUUID } from 'node:crypto'
import { StoreError } from '../storage.ts'
import type { Client } from './connection.ts'
import { GROUPS, Keys, LAYOUT } from './keys.ts'

/** How many incarnations are fetched at once; what is left of them is lost with the process. */
const BLOCK = 1_000

export class Meta {
  readonly #client: Client
  readonly #id: string
  readonly keys: Keys
  /** Grows with each owner of the store. */
  readonly epoch: number
  #next = 0
  #end = 0
  #fetching: Promise<void> | undefined

  private constructor(client: Client, id: string, keys: Keys, epoch: number) {
    this.#client = client
    this.#id = id
    this.keys = keys
    this.epoch = epoch
  }

  /** Reads it, or makes it in an empty Redis. To be called by whoever has the lease. */
  static async open(client: Client, prefix: string): Promise<Meta> {
    const key = new Keys(prefix).meta
    await client.hsetnx(key, 'id', randomUUID())
    await client.hsetnx(key, 'layout', LAYOUT)
    await client.hsetnx(key, 'groups', GROUPS)
    const epoch = await client.hincrby(key, 'epoch', 1)
    const { id, layout, groups } = await client.hgetall(key)
    if (Number(layout) !== LAYOUT) {
      throw new StoreError(
        'unusable',
        `Redis has a store of layout ${layout} under the key prefix "${prefix}"; this broker knows ${LAYOUT}.`,
      )
    }
    return new Meta(client, id as string, new Keys(prefix, Number(groups)), epoch)
  }

  /** Becomes the owner of groups; false if somebody else is since. */
  async own(groups: readonly number[]): Promise<boolean> {
    const owned = await Promise.all(
      groups.map((group) => this.#client.noctuleOwn(1, [this.keys.lane(group)], [this.epoch])),
    )
    return owned.every((isOurs) => isOurs === 1)
  }

  /** Whether Redis has this very store, another one, or none. */
  async look(): Promise<'same' | 'other' | 'none'> {
    const [id, epoch] = await this.#client.hmget(this.keys.meta, 'id', 'epoch')
    if (id === null || id === undefined) return 'none'
    return id === this.#id && Number(epoch) === this.epoch ? 'same' : 'other'
  }

  /** Groups of which Redis has nothing, not even an owner. */
  async missing(groups: readonly number[]): Promise<number[]> {
    const owners = await Promise.all(
      groups.map((group) => this.#client.hget(this.keys.lane(group), 'e')),
    )
    return groups.filter((_, i) => owners[i] === null)
  }

  /** Writes it again into a Redis that has come back empty; numbering goes on above what was given out. */
  async writeBack(): Promise<void> {
    this.#end += BLOCK
    await this.#client.hset(this.keys.meta, {
      id: this.#id,
      layout: LAYOUT,
      groups: this.keys.groups,
      epoch: this.epoch,
      incarnations: this.#end,
    })
  }

  /** A number that no session was given before. */
  async incarnation(): Promise<number> {
    while (this.#next >= this.#end) {
      this.#fetching ??= this.#fetch()
      // oxlint-disable-next-line no-await-in-loop -- Others may have taken all of a block.
      await this.#fetching
    }
    return ++this.#next
  }

  async #fetch(): Promise<void> {
    try {
      const end = await this.#client.hincrby(this.keys.meta, 'incarnations', BLOCK)
      this.#next = end - BLOCK
      this.#end = end
    } finally {
      this.#fetching = undefined
    }
  }
}
