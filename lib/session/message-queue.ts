/**
 * The messages at QoS 1 and 2 that wait for a session's client: bounded by number and bytes.
 *
 * Messages that were sent before stand in front and do not count: the bounds drop only what the client
 * does not know of. Of a durable session only some are here, the `backlog` behind them is the store's; the
 * bounds hold for both together.
 */

import type { QueueEntry } from '../storage/storage.ts'
import type { MemoryBudget } from '../util/memory-budget.ts'
import { negated } from '../util/negated.ts'
import { RingQueue } from '../util/ring-queue.ts'
import type { Backlog } from './backlog.ts'
import { type Delivery, isDroppable } from './delivery.ts'
import type { Holder } from './holder.ts'

/** What happens to a message that finds the queue full. */
const queuePolicies = ['drop-oldest', 'drop-newest', 'disconnect'] as const
export type QueuePolicy = (typeof queuePolicies)[number]

export interface QueueLimits {
  readonly queueMessagesMax: number
  readonly queueBytesMax: number
  readonly queuePolicy: QueuePolicy
}

export class MessageQueue {
  readonly #limits: QueueLimits
  readonly #budget: MemoryBudget
  readonly #backlog: Backlog
  readonly #deliveries = new RingQueue<Delivery>()
  /** Those that count. */
  #droppable = 0
  #shared = 0
  #bytes = 0
  #holder: Holder | undefined

  constructor(limits: QueueLimits, budget: MemoryBudget, backlog: Backlog) {
    this.#limits = limits
    this.#budget = budget
    this.#backlog = backlog
    backlog.onBytes = (bytes) => this.#holder?.holdQueued(bytes)
  }

  /** Who answers for what waits here, and may have a bound of its own. */
  set holder(holder: Holder | undefined) {
    this.#holder?.holdQueued(negated(this.bytes))
    this.#holder = holder
    holder?.holdQueued(this.bytes)
  }

  /** How many are here, the backlog aside. */
  get length(): number {
    return this.#deliveries.length
  }

  /** Whether anything of a shared subscription may wait that was never sent. */
  get hasUnsentShared(): boolean {
    return this.#shared > 0 || this.#backlog.mayHaveShared
  }

  /** How many messages count. */
  get count(): number {
    return this.#droppable + this.#backlog.count
  }

  /** Bytes of the messages that count. */
  get bytes(): number {
    return this.#bytes + this.#backlog.bytes
  }

  /** Whether a message of `size` would exceed a bound. */
  isFullFor(size: number): boolean {
    const { count } = this
    return (
      count >= this.#limits.queueMessagesMax ||
      // A single message larger than the whole bound is still taken by an empty queue.
      (count > 0 && this.bytes + size > this.#limits.queueBytesMax) ||
      this.#holder?.hasRoomToQueue(size) === false
    )
  }

  /** Whether a bound is exceeded: the store alone knew what to drop. */
  get isOverfull(): boolean {
    const { count } = this
    return (
      count > this.#limits.queueMessagesMax ||
      (count > 1 && this.bytes > this.#limits.queueBytesMax) ||
      (count > 0 && this.#holder?.hasRoomToQueue(0) === false)
    )
  }

  peek(): Delivery | undefined {
    return this.#deliveries.peek()
  }

  at(index: number): Delivery {
    return this.#deliveries.at(index)!
  }

  push(delivery: Delivery): void {
    this.#deliveries.push(delivery)
    this.#count(delivery, 1)
  }

  shift(): Delivery | undefined {
    const delivery = this.#deliveries.shift()
    if (delivery !== undefined) this.#count(delivery, -1)
    return delivery
  }

  /** Removes the oldest message that the bounds may drop. */
  dropOldest(): Delivery | undefined {
    if (this.#droppable === 0) return undefined
    let index = 0
    while (!isDroppable(this.at(index))) index++
    const oldest = this.#deliveries.removeAt(index)
    if (oldest !== undefined) this.#count(oldest, -1)
    return oldest
  }

  /** Removes and returns every delivery for which `matches` holds, in order. */
  removeIf(matches: (delivery: Delivery) => boolean): Delivery[] {
    const removed: Delivery[] = []
    this.#deliveries.removeIf((delivery) => {
      if (!matches(delivery)) return false
      removed.push(delivery)
      return true
    })
    for (const delivery of removed) this.#count(delivery, -1)
    return removed
  }

  /** Puts messages of an earlier connection in front of everything else. */
  putInFront(sentBefore: readonly Delivery[]): void {
    const rest = [...this.#deliveries]
    this.#deliveries.clear()
    for (const delivery of sentBefore) this.push(delivery)
    for (const delivery of rest) this.#deliveries.push(delivery)
  }

  /** Puts back what was taken out, where its number says; without numbers, in front of what waits. */
  putBack(deliveries: readonly Delivery[]): void {
    const all = [...deliveries, ...this.removeIf(() => true)]
    for (const delivery of all.toSorted(byRank)) this.push(delivery)
  }

  /** What is here with its message, in the form of a store. */
  entries(): QueueEntry[] {
    const entries: QueueEntry[] = []
    for (const { seq, message, qos, retain, identifiers, group } of this.#deliveries) {
      if (message === undefined) continue
      const { expiresAt } = message
      const wanted = { qos, retain, subscriptionIdentifiers: identifiers, share: group?.share }
      entries.push({ seq, ...wanted, expiresAt, body: message.body() })
    }
    return entries
  }

  /** Gives a delivery its message, or takes it away, and keeps the memory budget true. */
  setMessage(delivery: Delivery, message: Delivery['message']): void {
    const wasResident = delivery.message !== undefined
    const isResident = message !== undefined
    delivery.message = message
    if (wasResident !== isResident)
      this.#budget.hold(isResident ? delivery.size : negated(delivery.size))
  }

  #count(delivery: Delivery, sign: 1 | -1): void {
    const bytes = sign === 1 ? delivery.size : negated(delivery.size)
    if (isDroppable(delivery)) {
      this.#droppable += sign
      this.#bytes += bytes
      this.#holder?.holdQueued(bytes)
      if (delivery.group !== undefined) this.#shared += sign
    }
    if (delivery.message !== undefined) this.#budget.hold(bytes)
  }
}

/** What has no number was never sent, and comes last. */
function byRank(a: Delivery, b: Delivery): number {
  if (a.seq === 0 || b.seq === 0) return Number(a.seq === 0) - Number(b.seq === 0)
  return a.seq - b.seq
}
