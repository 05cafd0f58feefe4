/** Subscribers that never read, and for whom so much was sent already that the system takes no more for them. */

import { Client } from './client.ts'
import { publishTemplate } from './packets.ts'
import { type Routes, TOPIC_ROOT } from './routes.ts'
import type { Run } from './run.ts'

const STUFFING_TOPIC = `${TOPIC_ROOT}/stuffing`
const STUFFING_PAYLOAD_BYTES = 65_536

/** More than the buffers of a socket grow to, on both sides together. */
const STUFFING_MESSAGES = 256

/** They subscribe to what the first subscriber gets. */
export async function addDead(run: Run, routes: Routes): Promise<Client[]> {
  const { load } = run
  const dead = Array.from({ length: load.deadSubscribers }, (_, i) => new Client(run, `dead ${i}`))
  await run.each(dead, async (client) => {
    await client.connect()
    await client.subscribe([...routes.filtersOf(0), STUFFING_TOPIC], load.qos)
    client.fallSilent()
  })
  if (dead.length > 0) await stuff(run)
  return dead
}

async function stuff(run: Run): Promise<void> {
  const { bytes } = publishTemplate({
    protocolVersion: run.load.protocolVersion,
    topic: STUFFING_TOPIC,
    qos: 0,
    payloadBytes: STUFFING_PAYLOAD_BYTES,
    userProperties: 0,
    topicAlias: undefined,
    isRetained: false,
  })
  const writer = new Client(run, 'stuffer 0')
  await writer.connect()
  for (let i = 0; i < STUFFING_MESSAGES; i++) writer.send(bytes)
  // Its answer comes when the broker has been through all that.
  await writer.ping()
  await writer.disconnect()
}
