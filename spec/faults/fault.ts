/** What can happen to a broker and its store. */

import { Buffer } from 'node:buffer'
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from '../../lib/util/random.ts'
import { RedisCluster, SentinelSetup, untilReply } from '../support/redis-cluster.ts'
import { RedisServer } from '../support/redis-server.ts'
import type { Verdict } from './verdict.ts'
import type { World } from './world.ts'

/** What a fault may do with the clients while it strikes. */
export interface Clients {
  /** The broker is down: a client that has a will and was killed with it does not come back. */
  died(): void
  /** Publishes nothing until all is acknowledged and nothing waits for those who are connected. */
  catchUp(): Promise<void>
  /** The store has lost what waits in it: the others may miss what was acknowledged by now. */
  concede(): Promise<void>
}

export interface Report {
  /** Sentences for people. */
  readonly remarks: readonly string[]
  /** Promises that were broken. */
  readonly broken: readonly string[]
}

export interface Fault {
  readonly name: string
  readonly store: string
  /** Whether the broker dies, and wills of connected clients have to wait for its return. */
  readonly killsBroker: boolean
  /** Makes the store ready; returns the broker's flags. */
  prepare(): Promise<readonly string[]>
  /** Does it, and makes everything work again. */
  strike(world: World, random: Random, clients: Clients): Promise<void>
  /** What it has found in the end, beside what became of the messages. */
  report?(world: World, verdict: Verdict): Report
  remove(): Promise<void>
}

async function killBroker(world: World, _: Random, clients: Clients): Promise<void> {
  await world.killBroker()
  world.strikes++
  clients.died()
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
export const TAKES_NOTHING = 'the store takes nothing'

/** How long a disk stays full. */
const FULL_MS = 1_500

/** A file system of its own that is filled to the last byte; the broker is killed in it every other time. */
export class DiskFull implements Fault {
  readonly name = 'disk full'
  readonly store = 'disk'
  readonly killsBroker = false
  #directory = ''

  async prepare(): Promise<readonly string[]> {
    this.#directory = mkdtempSync(join(tmpdir(), 'noctule-full-'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', this.#directory])
    return [`--store=disk:${this.#directory}/data`]
  }

  async strike(world: World, random: Random): Promise<void> {
    const filler = join(this.#directory, 'filler')
    const isFull = world.untilLogged(TAKES_NOTHING, () => fill(filler))
    // Pages that are free inside of the file may do for a while.
    await Promise.race([isFull, delay(FULL_MS)])
    world.strikes++
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

export abstract class RedisFault implements Fault {
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

  abstract strike(world: World, random: Random, clients: Clients): Promise<void>

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
    world.strikes++
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
    world.strikes++
    await delay(OUT_OF_MEMORY_MS)
    await this.redis.command('CONFIG', 'SET', 'maxmemory', '0')
  }
}

/** Longer than the broker waits before it ends the connection of an MQTT 3.1.1 publisher. */
const OUT_OF_MEMORY_MS = 1_300

/** The master dies, Sentinels put its replica in its place, and it comes back as a replica of that. */
export class SentinelFailover implements Fault {
  readonly name = 'Sentinel failover'
  readonly store = 'redis+sentinel, waitReplicas 1'
  readonly killsBroker = false
  #setup: SentinelSetup | undefined
  #roles: { master: RedisServer; replica: RedisServer } | undefined

  async prepare(): Promise<readonly string[]> {
    const setup = await SentinelSetup.start()
    this.#setup = setup
    this.#roles = { master: setup.master, replica: setup.replica }
    return [`--store=${setup.url}`, '--store.waitReplicas=1']
  }

  async strike(world: World): Promise<void> {
    const { master, replica } = this.#roles as { master: RedisServer; replica: RedisServer }
    await master.kill()
    world.strikes++
    const isIn = (text: string) => (reply: string) => reply.includes(text)
    await this.#setup?.untilMaster(replica)
    await master.start(['--replicaof', `127.0.0.1 ${replica.port}`])
    await untilReply(master, ['INFO', 'replication'], isIn('master_link_status:up'))
    this.#roles = { master: replica, replica: master }
  }

  async remove(): Promise<void> {
    await this.#setup?.remove()
  }
}

/** Slots of a Cluster, with all they hold, move from server to server. */
export class SlotsMoved implements Fault {
  readonly name = 'Cluster slots moved'
  readonly store = 'redis+cluster'
  readonly killsBroker = false
  #cluster: RedisCluster | undefined
  /** Slots that are not where they began. */
  readonly #owners = new Map<string, RedisServer>()

  async prepare(): Promise<readonly string[]> {
    this.#cluster = await RedisCluster.start()
    return [`--store=${this.#cluster.url}`]
  }

  async strike(world: World, random: Random): Promise<void> {
    const cluster = this.#cluster as RedisCluster
    const { servers } = cluster
    for (let i = 0; i < SLOTS_AT_ONCE; i++) {
      const tag = `{${random.below(GROUPS)}}`
      const slot = (await servers[0]!.command('CLUSTER', 'KEYSLOT', tag)).slice(1).trim()
      const from = this.#owners.get(slot) ?? servers[Math.floor((Number(slot) * 3) / SLOTS)]!
      const others = servers.filter((server) => server !== from)
      const to = others[random.below(others.length)]!
      await cluster.moveSlot(slot, from, to)
      this.#owners.set(slot, to)
    }
    world.strikes++
  }

  async remove(): Promise<void> {
    await this.#cluster?.remove()
  }
}

const SLOTS = 16_384
const SLOTS_AT_ONCE = 8

/** Groups into which the store divides its keys; each lies in one slot. */
const GROUPS = 64
