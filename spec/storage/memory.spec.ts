import { Buffer } from 'node:buffer'
import test from 'ava'
import { KEPT_OVERHEAD_BYTES } from '../../lib/protocol/message.ts'
import { MemoryStore } from '../../lib/storage/memory.ts'
import type { SessionRef, Sink, Unit } from '../../lib/storage/storage.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'
import { ManualClock } from '../support/clock.ts'
import { storageContract } from './contract.ts'
import { handOver, release, targetOf, unitOf as unitFor } from './contract-support.ts'

storageContract('memory', async (_, clock) => {
  const store = new MemoryStore(clock, new MemoryBudget(1e9))
  await store.open()
  return store
})

const claim = { cleanStart: false, expirySeconds: 100, will: undefined }
const silent: Sink = { stored() {}, done() {}, failed() {} }

function makeStore(): { store: MemoryStore; budget: MemoryBudget; clock: ManualClock } {
  const clock = new ManualClock()
  const budget = new MemoryBudget(1e9)
  return { store: new MemoryStore(clock, budget), budget, clock }
}

function unitOf(topic: string, sessions: readonly SessionRef[], change: Partial<Unit> = {}): Unit {
  const targets = sessions.map((session) => targetOf(session))
  return unitFor(topic, targets, { body: Buffer.alloc(1_000), ...change })
}

async function flush(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

test('a store in memory promises that nothing survives', async (t) => {
  t.is((await makeStore().store.open()).durability, 'volatile')
})

test('what waits for sessions counts in the memory budget until it is acknowledged, discarded, handed over or gone', async (t) => {
  const { store, budget } = makeStore()
  const { ref: a } = await store.claim('a', claim)
  const { ref: b } = await store.claim('b', claim)
  for (let i = 0; i < 4; i++) store.write(unitOf('x', [a, b]), silent)
  await flush()
  const full = budget.usedBytes
  t.true(full >= 8_000)

  await handOver(store, a, [4], targetOf(b))
  t.is(budget.usedBytes, full)

  store.acknowledgeTo(a, 2)
  store.discard(a, [3, 3, 99])
  // The bodies are still waiting for the other session: a body counts once, its places count each.
  t.is(budget.usedBytes, full - 3 * KEPT_OVERHEAD_BYTES)

  await release(store, b, 0)
  t.is(budget.usedBytes, 0)
})

test('retained messages count in the memory budget until they are replaced or cleared', async (t) => {
  const { store, budget } = makeStore()
  store.write(unitOf('x', [], { retain: 'set' }), silent)
  store.write(unitOf('x', [], { retain: 'set', body: Buffer.alloc(4_000) }), silent)
  await flush()
  t.true(budget.usedBytes >= 4_000 && budget.usedBytes < 5_000)

  store.write(unitOf('x', [], { retain: 'clear' }), silent)
  store.write(unitOf('x', [], { retain: 'clear' }), silent)
  await flush()
  t.is(budget.usedBytes, 0)
})

test('retained messages of ever new topics do not stay when they have expired', async (t) => {
  const { store, budget, clock } = makeStore()
  for (let i = 0; i < 200; i++) {
    const expiresAt = clock.now() + 500
    for (let j = 0; j < 100; j++)
      store.write(unitOf(`${i}/${j}`, [], { retain: 'set', expiresAt }), silent)
    await clock.advance(1_000)
  }

  // 20,000 were set; the last hundred and some that were not looked for yet may be there.
  t.true(budget.usedBytes < 5_000 * 2_000)
})
