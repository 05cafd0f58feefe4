/** What can happen to a broker and its store. */

import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from '../../lib/util/random.ts'
import { RedisServer } from '../support/redis-server.ts'
import type { World } from './world.ts'

export interface Fault {
  readonly name: string
  readonly store: string
  /** Whether the broker dies, and wills of connected clients have to wait for its return. */
  readonly killsBroker: boolean
  /** Makes the store ready; returns the broker's flags. */
  prepare(): Promise<readonly string[]>
  /** Does it, and makes everything work again. `died` is called while the broker is down. */
  strike(world: World, random: Random, died: () => void): Promise<void>
  remove(): Promise<void>
}

async function killBroker(world: World, _: Random, died: () => void): Promise<void> {
  await world.killBroker()
  world.kills++
  died()
  await world.startBroker()
}

/** kill -9 of the broker on a store that needs nothing beside it. */
export function brokerKilled(url: string, flags: readonly string[] = []): Fault {
  return {
    name: 'broker killed',
    store: [url, ...flags].join(' '),
    killsBroker: true,
    prepare: async () => [`--store=${url}`, ...flags],
    strike: killBroker,
    remove: async () => {},
  }
}

type Appending = 'always' | 'everysec'

abstract class RedisFault implements Fault {
  abstract readonly name: string
  abstract readonly killsBroker: boolean
  readonly store: string
  readonly #appending: Appending
  #redis: RedisServer | undefined

  constructor(appending: Appending) {
    this.#appending = appending
    this.store = `redis, AOF ${appending}`
  }

  protected get redis(): RedisServer {
    return this.#redis as RedisServer
  }

  async prepare(): Promise<readonly string[]> {
    this.#redis = await RedisServer.start(['--appendonly', 'yes', '--appendfsync', this.#appending])
    return [`--store=${this.#redis.url}`]
  }

  abstract strike(world: World, random: Random, died: () => void): Promise<void>

  async remove(): Promise<void> {
    await this.#redis?.remove()
  }
}

export class BrokerKilledOnRedis extends RedisFault {
  readonly name = 'broker killed'
  readonly killsBroker = true
  readonly strike: Fault['strike'] = killBroker
}

export class RedisKilled extends RedisFault {
  readonly name: string
  readonly killsBroker = false
  readonly #downMs: number

  /** Redis is gone for `downMs` each time. */
  constructor(appending: Appending, downMs = 0) {
    super(appending)
    this.#downMs = downMs
    this.name = downMs === 0 ? 'Redis killed' : `Redis gone for ${downMs / 1000} s`
  }

  async strike(world: World): Promise<void> {
    await this.redis.kill()
    world.kills++
    await delay(this.#downMs)
    await this.redis.start()
  }
}
