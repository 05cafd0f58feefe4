import { Buffer } from 'node:buffer'
import test, { type ExecutionContext } from 'ava'
import type { EmbeddedStore } from '../../lib/storage/embedded/embedded-store.ts'
import type { SessionRef } from '../../lib/storage/storage.ts'
import { nextTurn } from '../support/turns.ts'
import {
  claim,
  Recorder,
  release,
  sessionsOf,
  subscriptionTo,
  targetOf,
  unitOf,
} from './contract-support.ts'
import { openEmbedded, storeDirectory } from './embedded-support.ts'

const SESSIONS = 20_000
const MESSAGES_EACH = 10

/** Makes sessions with a subscription and some messages each. */
async function fill(store: EmbeddedStore, sessions: number, each: number): Promise<SessionRef[]> {
  const refs: SessionRef[] = []
  for (let i = 0; i < sessions; i += 1_000) {
    const names = Array.from({ length: Math.min(1_000, sessions) }, (_, j) => `client ${i + j}`)
    const some = await Promise.all(names.map(async (name) => (await claim(store, name)).ref))
    const subscribe = [subscriptionTo('a/+')]
    await Promise.all(some.map((ref) => store.update(ref, { subscribe })))
    refs.push(...some)
    const sink = new Recorder()
    const body = Buffer.alloc(200)
    const units = Array.from({ length: each }, () =>
      unitOf(
        'a',
        some.map((ref) => targetOf(ref)),
        { body },
      ),
    )
    const settled = units.map((unit) => sink.settled(unit))
    for (const unit of units) store.write(unit, sink)
    await Promise.all(settled)
  }
  return refs
}

/** How long the event loop was kept, in ms, at the longest. */
async function longestTurn(until: () => Promise<boolean>): Promise<number> {
  let longest = 0
  let before = performance.now()
  const watch = () => {
    const now = performance.now()
    longest = Math.max(longest, now - before)
    before = now
  }
  const timer = setInterval(watch, 1)
  while (!(await until())) {
    // Looking takes a while of its own, which is not the store's.
    before = performance.now()
    for (let i = 0; i < 200; i++) await nextTurn()
  }
  clearInterval(timer)
  return longest
}

function isQuick(t: ExecutionContext, what: string, ms: number, most: number): void {
  t.log(`${what}: ${ms.toFixed(0)} ms`)
  t.true(ms < most, `${what} took ${ms} ms`)
}

test(`${SESSIONS} sessions with ${SESSIONS * MESSAGES_EACH} messages are there again in little time`, async (t) => {
  const directory = storeDirectory(t)
  const first = await openEmbedded(t, directory, { durability: 'process' })
  await fill(first, SESSIONS, MESSAGES_EACH)
  await first.close()

  const start = performance.now()
  const second = await openEmbedded(t, directory)
  const sessions = await sessionsOf(second)

  isQuick(t, 'opened and replayed', performance.now() - start, 15_000)
  t.is(sessions.length, SESSIONS)
  t.true(
    sessions.every(
      ({ queued, queuedBytes, subscriptions }) =>
        queued === MESSAGES_EACH &&
        queuedBytes === 200 * MESSAGES_EACH &&
        subscriptions.length === 1,
    ),
  )
})

test('the end of a session with 200,000 messages keeps nobody waiting', async (t) => {
  const store = await openEmbedded(t, storeDirectory(t), { durability: 'process' })
  const [ref] = await fill(store, 1, 1)
  const sink = new Recorder()
  const targets = Array.from({ length: 1_000 }, () => targetOf(ref!))
  for (let i = 0; i < 200; i++) {
    const unit = unitOf('a', targets, { body: Buffer.alloc(50) })
    const settled = sink.settled(unit)
    store.write(unit, sink)
    await settled
  }

  const start = performance.now()
  await release(store, ref!, 0)
  isQuick(t, 'ended', performance.now() - start, 2_000)
  const longest = await longestTurn(async () => (await store.countRecords()).Discarded === 0)

  isQuick(t, 'longest turn while it was swept', longest, 500)
  t.is((await store.countRecords()).Entry, 0)
})
