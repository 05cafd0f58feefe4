/**
 * The messages at QoS 1 and 2 that wait for a session's client: bounded by number and bytes.
 *
 * Messages that were sent before (`isDuplicate`) stand in front and do not count: the bounds drop only
 * what was never sent.
 */

import type { MemoryBudget } from '../util/memory-budget.ts'
import { RingQueue } from '../util/ring-queue.ts'
import type { Delivery } from './delivery.ts'

/** What happens to a message that finds the queue full. */
export const queuePolicies = ['drop-oldest', 'drop-newest', 'disconnect'] as const
export type QueuePolicy = (typeof queuePolicies)[number]

export interface QueueLimits {
  readonly queueMessagesMax: number
  readonly queueBytesMax: number
  readonly queuePolicy: QueuePolicy
}

export class MessageQueue {
  readonly #limits: QueueLimits
  readonly #budget: MemoryBudget
  readonly #deliveries = new RingQueue<Delivery>()
  #duplicates = 0
  #shared = 0
  #bytes = 0

  constructor(limits: QueueLimits, budget: MemoryBudget) {
    this.#limits = limits
    this.#budget = budget
  }

  get length(): number {
    return this.#deliveries.length
  }

  /** Whether anything of a shared subscription waits that was never sent. */
  get hasUnsentShared(): boolean {
    return this.#shared > 0
  }

  /** Bytes of the messages that count, in memory or not. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether a message of `size` would exceed a bound. */
  isFullFor(size: number): boolean {
    const counted = this.#deliveries.length - this.#duplicates
    return (
      counted >= this.#limits.queueMessagesMax ||
      // A single message larger than the whole bound is still taken by an empty queue.
      (counted > 0 && this.#bytes + size > this.#limits.queueBytesMax)
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

  /** Adds a message where its number says: mostly at the end. */
  insert(delivery: Delivery): void {
    const { length } = this.#deliveries
    if (length > 0 && this.at(length - 1).seq > delivery.seq) this.putBack([delivery])
    else this.push(delivery)
  }

  shift(): Delivery | undefined {
    const delivery = this.#deliveries.shift()
    if (delivery !== undefined) this.#count(delivery, -1)
    return delivery
  }

  /** Removes the oldest message that was never sent. */
  dropOldest(): Delivery | undefined {
    if (this.#deliveries.length === this.#duplicates) return undefined
    const oldest = this.#deliveries.removeAt(this.#duplicates)
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
  putInFront(duplicates: readonly Delivery[]): void {
    const rest = [...this.#deliveries]
    this.#deliveries.clear()
    for (const delivery of duplicates) this.push(delivery)
    for (const delivery of rest) this.#deliveries.push(delivery)
  }

  /** Puts back what was taken out, where its number says; without numbers, in front of what waits. */
  putBack(deliveries: readonly Delivery[]): void {
    const all = [...deliveries, ...this.removeIf(() => true)]
    const rank = ({ isDuplicate, seq }: Delivery): number => (isDuplicate ? -1 : seq)
    for (const delivery of all.toSorted((a, b) => rank(a) - rank(b))) this.push(delivery)
  }

  /** Forgets the messages themselves; the store has them. */
  evict(): void {
    for (let i = 0; i < this.#deliveries.length; i++) this.setMessage(this.at(i), undefined)
  }

  /** Gives a delivery its message, or takes it away, and keeps the memory budget true. */
  setMessage(delivery: Delivery, message: Delivery['message']): void {
    const wasResident = delivery.message !== undefined
    const isResident = message !== undefined
    delivery.message = message
    if (wasResident !== isResident) this.#budget.hold(isResident ? delivery.size : -delivery.size)
  }

  #count(delivery: Delivery, sign: 1 | -1): void {
    if (delivery.isDuplicate) this.#duplicates += sign
    else {
      this.#bytes += sign * delivery.size
      if (delivery.group !== undefined) this.#shared += sign
    }
    if (delivery.message !== undefined) this.#budget.hold(sign * delivery.size)
  }
}
