/** Looks at what Redis really gives before anything is entrusted to it. */

import { type Durability, type Opened, StoreError } from '../storage.ts'
import type { Client } from './connection.ts'

interface Server {
  info(section: string): Promise<string>
  config(subcommand: 'GET', parameter: string): Promise<unknown>
}

const strengths: readonly Durability[] = ['volatile', 'process', 'disk', 'replicated']

/** Redis 7.0 brought `XADD key ID-*` and flags of scripts. */
const VERSION_MIN = 7

/**
 * Says what the promises of this Redis survive; of a Cluster, of its weakest server. Throws `StoreError` if
 * it would lose what it was given, or cannot do what we need.
 */
export async function checkServers(client: Client, replicas: number): Promise<Opened> {
  const servers: readonly Server[] =
    client.isCluster && 'nodes' in client ? client.nodes('master') : [client]
  const found = await Promise.all(servers.map((server) => checkServer(server, replicas)))
  const weakest = found.toSorted(
    (a, b) => strengths.indexOf(a.durability) - strengths.indexOf(b.durability),
  )[0]
  if (weakest === undefined)
    throw new StoreError('unavailable', 'The Redis Cluster has no servers.')
  return weakest
}

async function checkServer(server: Server, replicas: number): Promise<Opened> {
  const facts = await readFacts(server)
  if (facts === undefined) {
    return {
      durability: 'volatile',
      detail: 'Redis does not say how it is set up (INFO is forbidden): nothing can be relied on',
    }
  }
  checkVersion(facts)
  checkEviction(facts)
  if (replicas === 0) return persistenceOf(server, facts)
  const connected = Number(facts.get('connected_slaves') ?? 0)
  if (connected < replicas) {
    throw new StoreError(
      'unavailable',
      `Redis has ${connected} replicas; store.waitReplicas wants ${replicas}.`,
    )
  }
  return {
    durability: 'replicated',
    detail: `Redis confirms each write after ${replicas} of ${connected} replicas have it`,
  }
}

async function readFacts(server: Server): Promise<Map<string, string> | undefined> {
  try {
    const lines = (await server.info('all')).split('\r\n')
    return new Map(
      lines.flatMap((line) => {
        const colon = line.indexOf(':')
        return colon === -1 ? [] : [[line.slice(0, colon), line.slice(colon + 1)] as const]
      }),
    )
  } catch (error) {
    if (error instanceof Error && /^(?:NOPERM|ERR) /.test(error.message)) return undefined
    throw error
  }
}

function checkVersion(facts: ReadonlyMap<string, string>): void {
  if (facts.has('valkey_version')) return
  const version = facts.get('redis_version') ?? ''
  if (Number.parseInt(version, 10) < VERSION_MIN) {
    throw new StoreError('unusable', `Redis is ${version}; at least 7.0, or Valkey, is needed.`)
  }
}

/** Evicted queues and sessions would be acknowledged messages that are lost. */
function checkEviction(facts: ReadonlyMap<string, string>): void {
  const policy = facts.get('maxmemory_policy') ?? 'noeviction'
  if (policy !== 'noeviction') {
    throw new StoreError(
      'unusable',
      `Redis may throw away what it keeps: set its maxmemory-policy to noeviction, it is ${policy}.`,
    )
  }
}

/** Snapshots do not help an acknowledgement: they lose what came after the last one. */
async function persistenceOf(server: Server, facts: ReadonlyMap<string, string>): Promise<Opened> {
  if (facts.get('aof_enabled') !== '1') {
    return {
      durability: 'volatile',
      detail: 'Redis keeps everything in memory: set its appendonly to yes',
    }
  }
  const policy = await appendPolicyOf(server)
  switch (policy) {
    case 'always':
      return { durability: 'disk', detail: 'Redis syncs each write (appendfsync always)' }
    case 'everysec':
      return {
        durability: 'process',
        detail: 'Redis syncs once a second (appendfsync everysec): a power cut loses up to 2 s',
      }
    case undefined:
      return {
        durability: 'process',
        detail: 'Redis writes an append-only file, but does not say how often it syncs it',
      }
    default:
      return {
        durability: 'process',
        detail: `Redis leaves syncing to the system (appendfsync ${policy})`,
      }
  }
}

/** Undefined where managed servers keep it to themselves. */
async function appendPolicyOf(server: Server): Promise<string | undefined> {
  try {
    const answer = await server.config('GET', 'appendfsync')
    return Array.isArray(answer) ? String(answer[1]) : undefined
  } catch {
    return undefined
  }
}
