/** A Redis Cluster, or servers watched by Sentinels, of a test's own. */

import { RedisServer } from './redis-server.ts'

const SLOTS = 16_384

export class RedisCluster {
  readonly servers: readonly RedisServer[]

  private constructor(servers: readonly RedisServer[]) {
    this.servers = servers
  }

  /** Starts three servers that share the slots, and waits until all of them know. */
  static async start(settings: readonly string[] = []): Promise<RedisCluster> {
    const all = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000', ...settings]
    const servers = await Promise.all(Array.from({ length: 3 }, () => RedisServer.start(all)))
    const [first] = servers as [RedisServer]
    await Promise.all(
      servers.map((server, i) => {
        const [from, to] = [i, i + 1].map((n) => Math.floor((n * SLOTS) / servers.length))
        return server.command('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to! - 1))
      }),
    )
    await Promise.all(
      servers.map((server, i) => server.command('CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1))),
    )
    for (const server of servers)
      await first.command('CLUSTER', 'MEET', '127.0.0.1', String(server.port))
    const cluster = new RedisCluster(servers)
    await cluster.untilOk()
    return cluster
  }

  get url(): string {
    return `redis+cluster://${this.servers.map(({ port }) => `127.0.0.1:${port}`).join(',')}`
  }

  /** Resolves when every server serves all slots and knows the others. */
  async untilOk(): Promise<void> {
    for (const server of this.servers) {
      await untilReply(
        server,
        ['CLUSTER', 'INFO'],
        (reply) => reply.includes('cluster_state:ok') && reply.includes('cluster_known_nodes:3'),
      )
    }
  }

  /**
   * Moves a slot with all its keys to another server, as operators' tools do. Resolves when all servers see
   * it there: moved on before that, a slot may end with nobody, as each takes an older word of the other
   * for the newest.
   */
  async moveSlot(slot: string, source: RedisServer, target: RedisServer): Promise<void> {
    const [from, to] = [await nodeIdOf(source), await nodeIdOf(target)]
    await tell(target, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', from)
    await tell(source, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', to)
    for (;;) {
      const reply = await source.command('CLUSTER', 'GETKEYSINSLOT', slot, '1')
      const key = reply.split('\r\n')[2]
      if (key === undefined) break
      await tell(source, 'MIGRATE', '127.0.0.1', String(target.port), key, '0', '5000')
    }
    const others = this.servers.filter((server) => server !== source && server !== target)
    for (const server of [target, source, ...others])
      await tell(server, 'CLUSTER', 'SETSLOT', slot, 'NODE', to)
    await this.#untilAgreed()
  }

  async #untilAgreed(): Promise<void> {
    for (;;) {
      const views = await Promise.all(this.servers.map(viewOf))
      if (new Set(views).size === 1) return
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async remove(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.remove()))
  }
}

/** How a server sees the Cluster: who has which slots, and since which configuration. */
async function viewOf(server: RedisServer): Promise<string> {
  const nodes = (await server.command('CLUSTER', 'NODES')).split('\n')
  const seen = nodes.flatMap((line) => {
    const [id, , , , , , epoch, , ...slots] = line.trim().split(' ')
    return epoch === undefined ? [] : [[id, epoch, ...slots].join(' ')]
  })
  return seen.toSorted().join('\n')
}

async function nodeIdOf(server: RedisServer): Promise<string> {
  return (await server.command('CLUSTER', 'MYID')).split('\r\n')[1]!
}

/** Sends what has to be carried out. */
async function tell(server: RedisServer, ...words: readonly string[]): Promise<void> {
  const reply = await server.command(...words)
  if (reply.startsWith('-')) throw new Error(`${words.join(' ')}: ${reply}`)
}

/**
 * A server, its replica, and a Sentinel that puts the replica in its place when it dies. One, as several
 * may split their votes, and try again only seconds later.
 */
export class SentinelSetup {
  readonly master: RedisServer
  readonly replica: RedisServer
  readonly #sentinel: RedisServer

  private constructor(master: RedisServer, replica: RedisServer, sentinel: RedisServer) {
    this.master = master
    this.replica = replica
    this.#sentinel = sentinel
  }

  static async start(): Promise<SentinelSetup> {
    const master = await RedisServer.start()
    const replica = await RedisServer.start(['--replicaof', `127.0.0.1 ${master.port}`])
    await untilReply(replica, ['INFO', 'replication'], (reply) =>
      reply.includes('master_link_status:up'),
    )
    const sentinel = await RedisServer.startSentinel(master.port)
    await untilReply(sentinel, ['INFO', 'sentinel'], (reply) => reply.includes('slaves=1'))
    return new SentinelSetup(master, replica, sentinel)
  }

  get url(): string {
    return `redis+sentinel://127.0.0.1:${this.#sentinel.port}/kept`
  }

  /** Resolves when the Sentinel names `server` to whoever asks for the master, and has its replica. */
  async untilMaster(server: RedisServer): Promise<void> {
    const words = ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'kept']
    await untilReply(this.#sentinel, words, (reply) => reply.includes(`\r\n${server.port}\r\n`))
    await untilReply(this.#sentinel, ['INFO', 'sentinel'], (reply) => reply.includes('slaves=1'))
  }

  async remove(): Promise<void> {
    const all = [this.#sentinel, this.replica, this.master]
    await Promise.all(all.map((server) => server.remove()))
  }
}

/** Asks until the reply is what is waited for: a server tells nobody by itself. */
export async function untilReply(
  server: RedisServer,
  words: readonly string[],
  holds: (reply: string) => boolean,
): Promise<void> {
  while (!holds(await server.command(...words))) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
