/** What can happen to a broker and its store. */

import { Buffer } from 'node:buffer'
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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

/** What the broker logs when its store takes nothing any more. */
const TAKES_NOTHING = 'the store takes nothing'

/** How long a disk stays full. */
const FULL_MS = 1_500

/** A file system of its own that is filled to the last byte; the broker is killed in it every other time. */
export class DiskFull implements Fault {
  readonly name = 'disk full'
  readonly store = 'disk'
  readonly killsBroker = false
  readonly #directory = mkdtempSync(join(tmpdir(), 'noctule-full-'))

  async prepare(): Promise<readonly string[]> {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', this.#directory])
    return [`--store=disk:${this.#directory}/data`]
  }

  async strike(world: World, random: Random): Promise<void> {
    const filler = join(this.#directory, 'filler')
    const isFull = world.untilLogged(TAKES_NOTHING, () => fill(filler))
    // Pages that are free inside of the file may do for a while.
    await Promise.race([isFull, delay(FULL_MS)])
    world.kills++
    const isKilled = random.below(2) === 0
    if (isKilled) await world.killBroker()
    rmSync(filler)
    if (isKilled) await world.startBroker()
  }

  async remove(): Promise<void> {
    execFileSync('umount', ['--lazy', this.#directory])
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

/** Writes a file until there is no byte left. */
function fill(path: string): void {
  const file = openSync(path, 'w')
  try {
    for (let size = 65_536; size >= 1; ) {
      try {
        writeSync(file, Buffer.alloc(size))
      } catch {
        size = Math.floor(size / 2)
      }
    }
  } finally {
    closeSync(file)
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

/** Redis refuses what makes it larger, until it has room again. */
export class RedisOutOfMemory extends RedisFault {
  readonly name = 'Redis out of memory'
  readonly killsBroker = false

  constructor() {
    super('everysec')
  }

  async strike(world: World): Promise<void> {
    await this.redis.command('CONFIG', 'SET', 'maxmemory', '1')
    world.kills++
    await delay(OUT_OF_MEMORY_MS)
    await this.redis.command('CONFIG', 'SET', 'maxmemory', '0')
  }
}

/** Longer than the broker waits before it ends the connection of an MQTT 3.1.1 publisher. */
const OUT_OF_MEMORY_MS = 400
