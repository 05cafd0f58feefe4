/** Waits until replicas have what was written on this connection. */

import type { Client } from './connection.ts'

/** How long one question takes at most; the connection is blocked meanwhile. */
const WAIT_MS = 1_000

/**
 * Resolves when so many replicas have everything that `client` wrote before this call. Rejects with a
 * sentence if they have not in time: it is no loss to ask again.
 */
export async function confirmReplicas(client: Client, count: number): Promise<void> {
  const servers = client.isCluster && 'nodes' in client ? client.nodes('master') : [client]
  const confirmed = await Promise.all(
    servers.map((server) => server.call('WAIT', count, WAIT_MS) as Promise<number>),
  )
  const fewest = Math.min(...confirmed)
  if (fewest < count) {
    throw new Error(`NOREPLICAS ${fewest} of ${count} replicas have confirmed (store.waitReplicas)`)
  }
}
