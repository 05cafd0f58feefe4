/** The queue of a durable session, of which only a window is in memory, while the store takes its time. */

import { Buffer } from 'node:buffer'
import test from 'ava'
import { composeBody, Message } from '../../lib/protocol/message.ts'
import { RetainedMessages } from '../../lib/retained/retained-messages.ts'
import { Router } from '../../lib/router/router.ts'
import type { Outlet } from '../../lib/session/outlet.ts'
import { Session } from '../../lib/session/session.ts'
import { MemoryStore } from '../../lib/storage/memory.ts'
import { Counters } from '../../lib/util/counters.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'
import { seededRandom } from '../../lib/util/random.ts'
import { ManualClock } from '../support/clock.ts'
import { nextTurn } from '../support/turns.ts'

/** A store that gives pages of a queue when the test lets it. */
class HeldReads extends MemoryStore {
  isHolding = false
  reads = 0
  #goOn: (() => void)[] = []

  override async readQueue(...parameters: Parameters<MemoryStore['readQueue']>) {
    this.reads++
    const entries = await super.readQueue(...parameters)
    if (this.isHolding) await new Promise<void>((resolve) => this.#goOn.push(resolve))
    return entries
  }

  async letGo(): Promise<void> {
    for (const goOn of this.#goOn.splice(0)) goOn()
    await nextTurn()
  }
}

/** Notes what it is sent, and acknowledges it when told to. */
class Client implements Outlet {
  readonly receiveMaximum: number
  readonly isSlowed = false
  readonly isWritable = true
  readonly got: number[] = []
  readonly #unacknowledged: number[] = []

  constructor(receiveMaximum: number) {
    this.receiveMaximum = receiveMaximum
  }

  sendPublish(message: Message, ...rest: unknown[]): boolean {
    this.got.push(Number(message.payload))
    this.#unacknowledged.push(rest[3] as number)
    return true
  }

  sendRun(): boolean {
    return false
  }

  sendPubrel(): void {}
  sendPubrels(): void {}
  endFor(): void {}

  acknowledge(session: Session): void {
    for (const identifier of this.#unacknowledged.splice(0)) {
      session.exchanges?.handlePuback(identifier)
      session.pump()
    }
  }
}

async function makeSession(): Promise<{
  readonly store: HeldReads
  readonly session: Session
  readonly budget: MemoryBudget
  readonly queue: (count: number) => Promise<void>
}> {
  const clock = new ManualClock()
  const budget = new MemoryBudget(1e12)
  const store = new HeldReads(clock, new MemoryBudget(1e12))
  const retained = new RetainedMessages({ messagesMax: 1, bytesMax: 1 }, budget)
  const router = new Router(
    { sharedStrategy: 'round-robin', retainedExpirySeconds: 0 },
    { store, retained, clock, random: seededRandom(1), budget },
  )
  const limits = {
    queueMessagesMax: 100_000,
    queueBytesMax: 1e9,
    queuePolicy: 'drop-oldest' as const,
    inflightMax: 65_535,
  }
  const common = { router, retained, store, clock, counters: new Counters(), budget, limits }
  const options = { cleanStart: true, expirySeconds: 100, will: undefined }
  const session = new Session('c', { ...common, dropped() {} }, await store.claim('c', options))
  let last = 0
  const queue = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const body = composeBody('a', Buffer.alloc(0), Buffer.from(`${++last}`))
      const message = Message.fromBody(body, 1, false, Number.POSITIVE_INFINITY)
      router.deliverTo(session, message, 1, false, undefined, { share: '$share/g/a' })
    }
    await nextTurn()
  }
  return { store, session, budget, queue }
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i)
}

async function drain(session: Session): Promise<number[]> {
  const client = new Client(50)
  session.attach(client)
  session.resume()
  for (let before = -1; client.got.length > before; ) {
    before = client.got.length
    await nextTurn()
    client.acknowledge(session)
    await nextTurn()
  }
  return client.got
}

test('what is put back while a page behind it is read is not passed over', async (t) => {
  const { store, session, queue } = await makeSession()
  await queue(300)
  const client = new Client(1)
  session.attach(client)
  session.resume()
  await nextTurn()
  const shared = session.shared!
  const taken = shared.takeUnsent()
  store.isHolding = true
  client.acknowledge(session)
  session.putBackShared(taken)
  shared.free(taken.length)
  session.detach()
  await nextTurn()

  await store.letGo()
  store.isHolding = false

  t.deepEqual(client.got, [1, 2])
  t.deepEqual(await drain(session), numbers(2, 300))
})

test('a client that leaves and comes back while a page is read gets everything once', async (t) => {
  const { store, session, queue } = await makeSession()
  await queue(600)
  store.isHolding = true
  session.attach(new Client(10))
  session.resume()
  session.detach()
  const client = new Client(10)
  session.attach(client)
  session.resume()
  await queue(10)
  store.isHolding = false
  await store.letGo()
  session.detach()

  t.deepEqual(client.got, numbers(1, 10))
  t.deepEqual(await drain(session), numbers(1, 610))
})

test('to learn what waits in the store, it is read once, and not kept in memory', async (t) => {
  const { store, session, budget, queue } = await makeSession()
  const unused = budget.usedBytes
  await queue(1_000)

  await session.readBacklog()

  t.is(store.reads, 4)
  t.is(budget.usedBytes, unused)
  t.is(session.shared?.takeUnsent().length, 1_000)
})
