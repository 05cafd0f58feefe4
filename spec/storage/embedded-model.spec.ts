import { Buffer } from 'node:buffer'
import test from 'ava'
import fc from 'fast-check'
import { MemoryStore } from '../../lib/storage/memory.ts'
import type { SessionRef, Store, StoredSession } from '../../lib/storage/storage.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'
import { ManualClock } from '../support/clock.ts'
import {
  claim,
  handOver,
  NEVER,
  noEvents,
  replay,
  sorted,
  subscriptionTo,
  targetOf,
  unitOf,
  write,
} from './contract-support.ts'
import { makeEmbedded, storeDirectory } from './embedded-support.ts'

const CLIENTS = ['a', 'b', 'c'] as const

const client = fc.constantFrom(...CLIENTS)
const seq = fc.integer({ min: 1, max: 30 })
const seqs = fc.array(seq, { maxLength: 6 })
const identifier = fc.integer({ min: 1, max: 4 })

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('write'), to: fc.subarray([...CLIENTS]) }) },
  fc.record({ do: fc.constant('claim'), client, cleanStart: fc.boolean() }),
  fc.record({ do: fc.constant('release'), client, isOver: fc.boolean() }),
  fc.record({ do: fc.constant('acknowledge'), client, seq }),
  fc.record({ do: fc.constant('discard'), client, seqs }),
  fc.record({ do: fc.constant('mark'), client, seqs }),
  fc
    .record({ do: fc.constant('hand over'), from: client, seqs, client })
    .filter((handing) => handing.from !== handing.client),
  fc.record({ do: fc.constant('receive'), client, identifier }),
  fc.record({ do: fc.constant('forget'), client, identifier }),
  fc.record({ do: fc.constant('subscribe'), client, filter: fc.constantFrom('x', 'y') }),
  fc.record({ do: fc.constant('unsubscribe'), client, filter: fc.constantFrom('x', 'y') }),
  fc.record({ do: fc.constant('retain'), how: fc.constantFrom('set', 'clear'), topic: client }),
  fc.record({ do: fc.constant('reopen') }),
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** A store, and who owns its sessions at present. */
class Owner {
  store: Store
  readonly #refs = new Map<string, SessionRef>()

  constructor(store: Store) {
    this.store = store
  }

  ref(name: string): SessionRef {
    return this.#refs.get(name)!
  }

  async claim(name: string, cleanStart: boolean): Promise<unknown> {
    const {
      ref,
      queued: _queued,
      queuedBytes: _bytes,
      subscriptions,
      ...told
    } = await claim(this.store, name, cleanStart)
    this.#refs.set(name, ref)
    const filters = subscriptions.map(({ topicFilter }) => topicFilter).toSorted()
    const { released, inbound } = told
    return { ...told, filters, released: sorted(released), inbound: sorted(inbound) }
  }

  async take(next: Step, number: number): Promise<unknown> {
    const { store } = this
    const unit = { body: Buffer.from(`body ${number}`) }
    if ('to' in next) {
      return write(
        store,
        unitOf(
          't',
          next.to.map((name) => targetOf(this.ref(name))),
          unit,
        ),
      )
    }
    if ('cleanStart' in next) return this.claim(next.client, next.cleanStart)
    if ('isOver' in next) {
      const ref = this.ref(next.client)
      await store.release(ref, { expiresAt: next.isOver ? 0 : NEVER, willAt: undefined, sentTo: 1 })
      return undefined
    }
    if ('how' in next) {
      return write(store, unitOf(next.topic, [], { ...unit, retain: next.how }))
    }
    if ('from' in next) {
      return handOver(store, this.ref(next.from), next.seqs, targetOf(this.ref(next.client)))
    }
    if ('client' in next) return this.#change(next)
    return undefined
  }

  async #change(next: Extract<Step, { client: string }>): Promise<unknown> {
    const ref = this.ref(next.client)
    const { store } = this
    if ('seq' in next)
      store.acknowledgeTo(ref, Math.min(next.seq, await this.#lastSeq(next.client)))
    else if ('identifier' in next && next.do === 'forget')
      await store.forgetInbound(ref, next.identifier)
    else if ('identifier' in next) {
      const publisher = { session: ref, packetIdentifier: next.identifier }
      await write(store, unitOf('q', [], { publisher }))
    } else if ('filter' in next && next.do === 'subscribe') {
      await store.update(ref, { subscribe: [subscriptionTo(next.filter)] })
    } else if ('filter' in next) await store.update(ref, { unsubscribe: [next.filter] })
    else if ('seqs' in next && next.do === 'mark') await store.markReleased(ref, next.seqs)
    else if ('seqs' in next) store.discard(ref, next.seqs)
    return undefined
  }

  /** All that is kept, but for what may differ: incarnations, and how exact a length is. */
  async picture(): Promise<unknown> {
    const items = await replay(this.store)
    const sessions = items.flatMap((item) => (item.kind === 'session' ? item.session : []))
    const retained = items.flatMap((item) => (item.kind === 'retained' ? item.message : []))
    const told = await Promise.all(sessions.map((session) => this.#describe(session)))
    return {
      sessions: told.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
      retained: retained.toSorted((a, b) => (a.topic < b.topic ? -1 : 1)),
    }
  }

  async #describe(session: StoredSession): Promise<{ name: string; [fact: string]: unknown }> {
    const { ref, queued, queuedBytes: _, released, inbound, subscriptions, ...rest } = session
    const queue = await this.store.readQueue(ref, 0, 1_000, 1e9)
    const filters = subscriptions.map(({ topicFilter }) => topicFilter).toSorted()
    return {
      name: ref.clientIdentifier,
      ...rest,
      queue,
      filters,
      released: sorted(released),
      inbound: sorted(inbound),
      isLong: queued >= queue.length,
    }
  }

  async #lastSeq(name: string): Promise<number> {
    const items = await replay(this.store)
    const found = items.find(
      (item) => item.kind === 'session' && item.session.ref.clientIdentifier === name,
    )
    return found?.kind === 'session' ? found.session.lastSeq : 0
  }
}

test('whatever is done to it, and however often it is opened again, it keeps what the store in memory keeps', async (t) => {
  const numRuns = Number(process.env['RUNS'] ?? 40)
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
      const clock = new ManualClock()
      const directory = storeDirectory(t)
      const open = async () => {
        const store = makeEmbedded(directory, { clock, durability: 'process' })
        await store.open(noEvents)
        return store
      }
      const model = new Owner(new MemoryStore(clock, new MemoryBudget(1e9)))
      const real = new Owner(await open())
      for (const name of CLIENTS) for (const owner of [model, real]) await owner.claim(name, false)

      for (const [number, next] of steps.entries()) {
        if (next.do === 'reopen') {
          await real.store.close()
          real.store = await open()
        }
        const [expected, told] = [await model.take(next, number), await real.take(next, number)]
        t.deepEqual(told, expected)
        t.deepEqual(await real.picture(), await model.picture())
      }
      t.deepEqual(await real.store.check({ repair: false }), [])
      await real.store.close()
    }),
    { numRuns },
  )
})
