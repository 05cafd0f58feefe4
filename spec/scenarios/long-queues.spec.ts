/** Queues that are longer than the memory that a broker may use. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type Broker, createBroker } from '../../lib/index.ts'
import { connectClient } from '../support/client.ts'
import { durable } from '../support/messages.ts'

const MESSAGES = 30_000
const PAYLOAD_BYTES = 200

/** A third of what the messages would count for if they were in memory. */
const BUDGET_BYTES = 8 * 1024 ** 2

async function start(t: ExecutionContext, directory: string): Promise<Broker> {
  const broker = await createBroker({
    listeners: [],
    store: { url: `disk:${directory}`, durability: 'process' },
    memory: { budgetBytes: BUDGET_BYTES },
    session: { queueMessagesMax: 1_000_000, queueBytesMax: 1_000_000_000 },
  })
  t.teardown(() => broker.close())
  return broker
}

async function publishAll(broker: Broker): Promise<void> {
  for (let from = 0; from < MESSAGES; from += 1_000) {
    const some = Array.from({ length: 1_000 }, (_, i) =>
      broker.publish({ topic: 'a', payload: `${from + i}`.padEnd(PAYLOAD_BYTES), qos: 1 }),
    )
    await Promise.all(some)
  }
}

test('a queue on the disk takes no memory, is there after a restart, and is read in order', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'noctule-long-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const first = await start(t, directory)
  const before = await connectClient(t, first, durable(5, 'c'))
  await before.subscribe(t, 'a', { qos: 1 })
  before.destroy()
  await before.closed()
  await publishAll(first)
  await first.close()

  const broker = await start(t, directory)
  const client = await connectClient(t, broker, durable(5, 'c'))
  let next = 0
  while (next < MESSAGES) {
    const packet = await client.next()
    if (packet?.cmd !== 'publish' || Number(String(packet.payload)) !== next) break
    next++
    client.send({ cmd: 'puback', messageId: packet.messageId })
  }

  t.is(next, MESSAGES)
  t.is(broker.counters.publishDropped + first.counters.publishDropped, 0)
  client.destroy()
})
