/** What the parts of the storage contract share: units to write, and someone who notes the reports. */

import { Buffer } from 'node:buffer'
import type { ExecutionContext } from 'ava'
import type { Subscription } from '../../lib/protocol/subscription.ts'
import type {
  Claimed,
  QueueEntry,
  ReplayItem,
  SessionRef,
  Sink,
  Store,
  StoredRetained,
  StoredSession,
  StoredWill,
  StoreError,
  StoreEvents,
  Target,
  Unit,
} from '../../lib/storage/storage.ts'
import type { ManualClock } from '../support/clock.ts'

/** One test: what it is given is empty, and opened for it alone. */
export type ContractTest = (t: ExecutionContext, store: Store, clock: ManualClock) => Promise<void>

export const NEVER: number = Number.POSITIVE_INFINITY

/** For stores of which nothing is expected to happen by itself. */
export const noEvents: StoreEvents = {
  healthChanged: () => {},
  lost: (error) => {
    throw error
  },
  emptied: async () => {},
}

/** Notes what the store reports, and lets a test wait for it. */
export class Recorder implements Sink {
  readonly events: string[] = []
  /** Of each unit, the seq of each target. */
  readonly seqs: Map<Unit, number[]> = new Map()
  #settle = new Map<Unit, (error: StoreError | undefined) => void>()

  stored(unit: Unit, target: number, seq: number): void {
    this.events.push(`${unit.topic} stored for ${target} at ${seq}`)
    const seqs = this.seqs.get(unit) ?? []
    seqs[target] = seq
    this.seqs.set(unit, seqs)
  }

  done(unit: Unit): void {
    this.events.push(`${unit.topic} done`)
    this.#settle.get(unit)?.(undefined)
  }

  failed(unit: Unit, error: StoreError): void {
    this.events.push(`${unit.topic} failed: ${error.code}`)
    this.#settle.get(unit)?.(error)
  }

  /** Resolves, to the error if there is one, when `unit` is reported as a whole. */
  settled(unit: Unit): Promise<StoreError | undefined> {
    return new Promise((resolve) => this.#settle.set(unit, resolve))
  }
}

export function unitOf(
  topic: string,
  targets: readonly Target[],
  change: Partial<Unit> = {},
): Unit {
  const plain = { expiresAt: NEVER, qos: 1, retain: undefined } as const
  const nobody = { publisher: undefined, willOf: undefined }
  return { topic, body: Buffer.from(`body of ${topic}`), targets, ...plain, ...nobody, ...change }
}

export function targetOf(session: SessionRef, change: Partial<Target> = {}): Target {
  const plain = { qos: 1, retain: false, subscriptionIdentifiers: undefined } as const
  return { session, ...plain, share: undefined, ...change }
}

/** Writes one unit and waits; returns the seqs it was stored at. */
export async function write(store: Store, unit: Unit): Promise<number[]> {
  const sink = new Recorder()
  const settled = sink.settled(unit)
  store.write(unit, sink)
  const error = await settled
  if (error !== undefined) throw error
  // Targets that are gone left holes.
  return Object.values(sink.seqs.get(unit) ?? [])
}

export async function writeEach(store: Store, ref: SessionRef, ...topics: string[]): Promise<void> {
  for (const topic of topics) await write(store, unitOf(topic, [targetOf(ref)]))
}

export function claim(store: Store, client = 'c', cleanStart = false): Promise<Claimed> {
  return store.claim(client, { cleanStart, expirySeconds: 100, will: undefined })
}

/** Gives a session up, of which nothing was sent. */
export function release(store: Store, ref: SessionRef, expiresAt: number): Promise<void> {
  return store.release(ref, { expiresAt, willAt: undefined, sentTo: 0 })
}

export function queueOf(store: Store, ref: SessionRef, after = 0): Promise<QueueEntry[]> {
  return store.readQueue(ref, after, 1_000, 1e9)
}

/** Hands messages over; returns them as they stand in the other queue. */
export async function handOver(
  store: Store,
  from: SessionRef,
  seqs: readonly number[],
  to: Target,
): Promise<QueueEntry[]> {
  const moved: QueueEntry[] = []
  await store.handOver(from, seqs, to, (entry) => moved.push(entry))
  return moved
}

/** What waits for a session, as "seq:topic". */
export async function waiting(store: Store, ref: SessionRef): Promise<string[]> {
  const entries = await queueOf(store, ref)
  return entries.map(({ seq, body }) => `${seq}:${body.toString().slice('body of '.length)}`)
}

export async function replay(store: Store): Promise<ReplayItem[]> {
  const items: ReplayItem[] = []
  await store.replay((item) => items.push(item))
  return items
}

export async function sessionsOf(store: Store): Promise<StoredSession[]> {
  return (await replay(store)).flatMap((item) => (item.kind === 'session' ? item.session : []))
}

export async function retainedOf(store: Store): Promise<StoredRetained[]> {
  const items = (await replay(store)).flatMap((item) =>
    item.kind === 'retained' ? item.message : [],
  )
  return items.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}

export function willTo(topic: string): StoredWill {
  const body = Buffer.from(`will of ${topic}`)
  return { topic, body, qos: 1, retain: true, delaySeconds: 2, expirySeconds: undefined }
}

/** What a queue holds, but for the place in it. */
export function entryOf(content: string): Omit<QueueEntry, 'seq'> {
  const { session: _, ...plain } = targetOf({ clientIdentifier: '', incarnation: 0, epoch: 0 })
  return { ...plain, expiresAt: NEVER, body: Buffer.from(`body of ${content}`) }
}

export function subscriptionTo(
  topicFilter: string,
  change: Partial<Subscription> = {},
): Subscription {
  const plain = { qos: 1, noLocal: false, retainAsPublished: false } as const
  return { topicFilter, ...plain, subscriptionIdentifier: 0, ...change }
}

export function sorted(numbers: readonly number[]): number[] {
  return numbers.toSorted((a, b) => a - b)
}

export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
