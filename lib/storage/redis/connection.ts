/**
 * The connection to Redis, through ioredis: a single server, one that Sentinels name, or a Cluster.
 *
 * What ioredis would do by itself to commands without answer is turned off, as lanes send again what they
 * know to be unanswered: an offline queue, resending and retries would reorder, and hide that Redis is away.
 */

import type { Buffer } from 'node:buffer'
import type { Cluster, Redis, RedisOptions } from 'ioredis'
import type { Clock } from '../../util/clock.ts'
import { StoreError } from '../storage.ts'
import { scripts } from './scripts.ts'

/** A script, called with the number of keys, the keys, and its arguments. */
type CallScript<Reply> = (
  keyCount: number,
  keys: readonly string[],
  args: readonly (string | number | Buffer)[],
) => Promise<Reply>

export interface ScriptCommands {
  readonly noctuleBatchBuffer: CallScript<Buffer>
  readonly noctuleDrainBuffer: CallScript<Buffer>
  readonly noctuleBegin: CallScript<string[]>
  readonly noctuleFetch: CallScript<number>
  readonly noctuleOwn: CallScript<number>
  readonly noctuleRenew: CallScript<string | null>
  readonly noctuleGiveBack: CallScript<null>
  readonly noctuleReadBuffer: CallScript<Buffer>
  readonly noctuleTellBuffer: CallScript<Buffer>
}

export type Client = (Redis | Cluster) & ScriptCommands

/** What a URL says. */
export interface Place {
  readonly kind: 'single' | 'sentinel' | 'cluster'
  readonly isTls: boolean
  readonly hosts: readonly { readonly host: string; readonly port: number }[]
  readonly database: number
  /** The name the Sentinels know the server by. */
  readonly masterName: string
  readonly username: string
  readonly password: string
}

const REDIS_PORT = 6379
const SENTINEL_PORT = 26379

/** A server that says nothing for so long, although asked, is taken for gone. */
const SILENCE_MAX_MS = 10_000

const RECONNECT_MAX_MS = 1_000

/**
 * Reads `redis://`, `rediss://`, `redis+sentinel://HOST,HOST/NAME/DB`, `redis+cluster://HOST,HOST`. Throws
 * `StoreError`, in which `option` is what has to be corrected.
 */
export function parseUrl(url: string, option = 'store.url'): Place {
  const notUnderstood = (reason: string) =>
    new StoreError('unusable', `${option} cannot be understood: ${reason}.`)
  const match =
    /^redis(?<tls>s?)(?:\+(?<kind>sentinel|cluster))?:\/\/(?:(?<username>[^:@/]*)(?::(?<password>[^@/]*))?@)?(?<hosts>[^/?#]*)(?<path>\/[^?#]*)?$/.exec(
      url,
    )?.groups
  if (match === undefined) throw notUnderstood('it has another form')
  const kind = (match['kind'] ?? 'single') as Place['kind']
  const defaultPort = kind === 'sentinel' ? SENTINEL_PORT : REDIS_PORT
  const hosts = (match['hosts'] || 'localhost').split(',').flatMap((text) => {
    const host = parseHost(text, defaultPort)
    if (host !== undefined) return [host]
    // What is quoted could be a part of a password.
    throw notUnderstood(
      'a host in it is no HOST:PORT; in names and passwords write / as %2F, @ as %40, : as %3A',
    )
  })
  if (kind === 'single' && hosts.length > 1) throw notUnderstood('it names several servers')
  const path = (match['path'] ?? '').split('/').filter((part) => part !== '')
  const masterName = kind === 'sentinel' ? decodeURIComponent(path.shift() ?? '') : ''
  if (kind === 'sentinel' && masterName === '')
    throw notUnderstood('the name that the Sentinels watch is missing, as in /mymaster')
  const database = Number(path.shift() ?? 0)
  if (!Number.isInteger(database) || path.length > 0 || (kind === 'cluster' && database > 0))
    throw notUnderstood('what follows the last / is no database')
  return {
    kind,
    isTls: match['tls'] === 's',
    hosts,
    database,
    masterName,
    username: decodeURIComponent(match['username'] ?? ''),
    password: decodeURIComponent(match['password'] ?? ''),
  }
}

/** Where that is, for people: without password. */
export function describePlace({ kind, hosts, masterName }: Place): string {
  const names = hosts.map(({ host, port }) => `${host}:${port}`).join(', ')
  if (kind === 'sentinel') return `Redis "${masterName}" of the Sentinels ${names}`
  return kind === 'cluster' ? `the Redis Cluster at ${names}` : `Redis at ${names}`
}

/** Makes the client of a store. */
export async function connect(place: Place, timeoutMs: number): Promise<Client> {
  const client = await connectTo(place, timeoutMs)
  for (const [name, script] of Object.entries(scripts)) client.defineCommand(name, script)
  return client as unknown as Client
}

/** Makes a client that connects by itself, and again, until it is disconnected. */
export async function connectTo(place: Place, timeoutMs: number): Promise<Redis | Cluster> {
  const { Redis: RedisClient, Cluster: ClusterClient } = await loadClient()
  const options = {
    protocol: 2 as const,
    disableClientInfo: true,
    connectionName: 'noctule',
    connectTimeout: timeoutMs,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // What is unanswered when a connection ends is rejected at once.
    maxRetriesPerRequest: 0,
    maxLoadingRetryTime: RECONNECT_MAX_MS,
    retryStrategy: reconnectDelayMs,
    // After a failover the server at the other end may be a replica now: ask anew who is in charge.
    reconnectOnError: ({ message }: Error) => message.startsWith('READONLY'),
    socketTimeout: SILENCE_MAX_MS,
    ...(place.username !== '' && { username: place.username }),
    ...(place.password !== '' && { password: place.password }),
    ...(place.isTls && { tls: {} }),
  }
  return place.kind === 'cluster'
    ? new ClusterClient([...place.hosts], { redisOptions: options, ...clusterOptions })
    : new RedisClient(serverOptions(place, options))
}

/** Resolves when the connection stands; rejects if it does not in time, or never will. */
export function untilReady(
  client: Redis | Cluster,
  place: string,
  clock: Clock,
  timeoutMs: number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let reason = 'no answer'
    const cancelTimer = clock.after(timeoutMs, () => {
      reject(new StoreError('unavailable', `${place} cannot be reached: ${reason}.`))
    })
    client.on('error', ({ message }: Error) => {
      reason = message
      if (!/^(?:NOAUTH|WRONGPASS|NOPERM|ERR invalid DB|ERR DB index)/.test(message)) return
      cancelTimer()
      reject(new StoreError('unusable', `${place} refuses us: ${message.replace(/\.$/, '')}.`))
    })
    client.once('ready', () => {
      cancelTimer()
      resolve()
    })
  })
}

/** The types of ioredis tell a reply mapping that is left out from one that is undefined. */
type ServerOptions = Omit<RedisOptions, 'replyMapping'>

function serverOptions(place: Place, options: ServerOptions): ServerOptions {
  if (place.kind === 'single') return { ...options, ...place.hosts[0], db: place.database }
  return {
    ...options,
    sentinels: [...place.hosts],
    name: place.masterName,
    db: place.database,
    enableTLSForSentinelMode: place.isTls,
    ...(place.isTls && { sentinelTLS: {} }),
    sentinelRetryStrategy: () => RECONNECT_MAX_MS / 4,
  }
}

const clusterOptions = {
  enableOfflineQueue: false,
  clusterRetryStrategy: reconnectDelayMs,
  // A node that took over is known to the others, whichever is asked.
  slotsRefreshInterval: 5_000,
}

function reconnectDelayMs(times: number): number {
  return Math.min(50 * 2 ** Math.min(times, 6), RECONNECT_MAX_MS)
}

async function loadClient(): Promise<Pick<typeof import('ioredis'), 'Redis' | 'Cluster'>> {
  try {
    return await import('ioredis')
  } catch (error) {
    throw new StoreError(
      'unusable',
      'The package ioredis, which Redis needs, is not installed: npm install ioredis.',
      { cause: error },
    )
  }
}

/** Undefined for what is no HOST:PORT. */
function parseHost(text: string, defaultPort: number): Place['hosts'][number] | undefined {
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<name>[^:]+))(?::(?<port>\d+))?$/.exec(text)?.groups
  const port = Number(match?.['port'] ?? defaultPort)
  if (match === undefined || port < 1 || port > 65_535) return undefined
  return { host: (match['v6'] ?? match['name']) as string, port }
}
