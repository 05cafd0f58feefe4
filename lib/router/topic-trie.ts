/**
 * Every subscription of the broker, in a tree of the levels of their Topic Filters. Filters are stored,
 * Topic Names asked; `retained/retained-trie.ts` is the mirror image.
 *
 *     a/b, a/+, a/#, +/b        root ─┬─ a ─┬─ b
 *                                     │     ├─ plus
 *                                     │     └─ hash
 *                                     └─ plus ── b
 *
 * The levels that only one filter has are the text of its last node (`FilterNode.tail`).
 * A match visits each node at most once, as only one path leads there: however many wildcards, it costs
 * no more than the nodes that fit the topic. No node without a purpose stays.
 */

import type { Subscription } from '../protocol/subscription.ts'
import { childAt } from '../util/level-map.ts'
import { ownString, StringPool } from '../util/own-string.ts'
import { FilterNode } from './filter-node.ts'
import {
  mergeReceivers,
  type Receiver,
  type Receivers,
  receiverOf,
  receiversFrom,
} from './receivers.ts'

const NO_RECEIVERS: Receivers<never, never> = receiversFrom([], [])

export class TopicTrie<S, G> {
  readonly #root = new FilterNode<S, G>('', undefined)
  readonly #strings = new StringPool()
  #subscriptionCount = 0
  #nodeCount = 0
  // Work space of `match`, empty between two calls.
  readonly #levels: string[] = []
  readonly #nodes: FilterNode<S, G>[] = []
  readonly #depths: number[] = []
  readonly #matched: FilterNode<S, G>[] = []

  /** Subscriptions that are not shared. */
  get subscriptionCount(): number {
    return this.#subscriptionCount
  }

  /** Nodes in use, for tests and figures. */
  get nodeCount(): number {
    return this.#nodeCount
  }

  /** Adds or replaces a subscription to a valid filter; says whether it existed. */
  subscribe(topicFilter: string, subscriber: S, subscription: Subscription): boolean {
    const node = this.#reach(topicFilter)
    const existed = node.setReceiver(receiverOf(subscriber, subscription))
    if (!existed) this.#subscriptionCount++
    return existed
  }

  /** Ends a subscription; says whether it existed. */
  unsubscribe(topicFilter: string, subscriber: S): boolean {
    const node = this.#find(topicFilter)
    if (node === undefined || !node.deleteReceiver(subscriber)) return false
    this.#subscriptionCount--
    this.#prune(node)
    return true
  }

  /** Adds a shared group under the filter behind its share name. */
  addGroup(topicFilter: string, group: G): void {
    this.#reach(topicFilter).addGroup(group)
  }

  /** Removes a shared group; says whether it was there. */
  removeGroup(topicFilter: string, group: G): boolean {
    const node = this.#find(topicFilter)
    if (node === undefined || !node.deleteGroup(group)) return false
    this.#prune(node)
    return true
  }

  /** Returns who gets messages of `topicName`. The result never changes and may be kept. */
  match(topicName: string): Receivers<S, G> {
    this.#collect(topicName)
    const matched = this.#matched
    if (matched.length === 0) return NO_RECEIVERS
    const receivers = matched.length === 1 ? matched[0]!.receivers() : merge(matched)
    empty(matched)
    return receivers
  }

  /**
   * Gathers the nodes whose filter matches. Levels are compared as they stand [MQTT-4.7.3-4]: an empty one
   * is a level like any other.
   */
  #collect(topicName: string): void {
    const levels = this.#levels
    splitInto(levels, topicName)
    const isSystem = topicName.charCodeAt(0) === 0x24 /* $ */
    this.#nodes.push(this.#root)
    this.#depths.push(0)
    for (let node = this.#nodes.pop(); node !== undefined; node = this.#nodes.pop()) {
      const depth = this.#depths.pop()!
      if (node.tail !== undefined) {
        if (matchesFrom(levels, depth, node.tail)) this.#note(node)
        continue
      }
      const wildcards = depth > 0 || !isSystem // [MQTT-4.7.2-1]
      // Also at the end of the topic: "a/#" matches "a".
      if (wildcards && node.hash !== undefined) this.#note(node.hash)
      if (depth === levels.length) {
        this.#note(node)
        continue
      }
      if (wildcards) this.#visit(node.plus, depth + 1)
      this.#visit(childAt(node.children, levels[depth]!), depth + 1)
    }
    empty(levels)
  }

  #visit(node: FilterNode<S, G> | undefined, depth: number): void {
    if (node === undefined) return
    this.#nodes.push(node)
    this.#depths.push(depth)
  }

  #note(node: FilterNode<S, G>): void {
    if (node.isUsed) this.#matched.push(node)
  }

  /** Returns the node of a filter, made if need be. */
  #reach(topicFilter: string): FilterNode<S, G> {
    let node = this.#root
    for (let start = 0; ; ) {
      const end = topicFilter.indexOf('/', start)
      const level = end === -1 ? topicFilter.slice(start) : topicFilter.slice(start, end)
      const tail = end === -1 ? undefined : topicFilter.slice(end + 1)
      const child = node.child(level)
      if (child === undefined) return this.#grow(node, level, tail)
      if (child.tail !== undefined) {
        if (child.tail === tail) return child
        this.#unfold(child)
      }
      if (end === -1) return child
      node = child
      start = end + 1
    }
  }

  #find(topicFilter: string): FilterNode<S, G> | undefined {
    let node = this.#root
    for (let start = 0; ; ) {
      const end = topicFilter.indexOf('/', start)
      const child = node.child(
        end === -1 ? topicFilter.slice(start) : topicFilter.slice(start, end),
      )
      if (child === undefined) return undefined
      if (end === -1) return child.tail === undefined ? child : undefined
      if (child.tail !== undefined) {
        return child.tail === topicFilter.slice(end + 1) ? child : undefined
      }
      node = child
      start = end + 1
    }
  }

  #grow(parent: FilterNode<S, G>, level: string, tail: string | undefined): FilterNode<S, G> {
    const ownTail = tail === undefined ? undefined : ownString(tail)
    const node = new FilterNode<S, G>(this.#strings.own(level), parent, ownTail)
    parent.attach(node)
    this.#nodeCount++
    return node
  }

  /** Makes the first level of the tail a node of its own: another filter needs this one. */
  #unfold(node: FilterNode<S, G>): void {
    const tail = node.tail as string
    const end = tail.indexOf('/')
    node.tail = undefined
    const level = end === -1 ? tail : tail.slice(0, end)
    const child = this.#grow(node, level, end === -1 ? undefined : tail.slice(end + 1))
    node.moveSubscribersTo(child)
  }

  /** Removes the node and those above it that are of no use any more. */
  #prune(from: FilterNode<S, G>): void {
    let node = from
    while (node.parent !== undefined && !node.isUsed && !node.hasChildren) {
      node.parent.detach(node)
      this.#nodeCount--
      node = node.parent
    }
  }
}

/** The receivers of several filters, each subscriber once. */
function merge<S, G>(matched: readonly FilterNode<S, G>[]): Receivers<S, G> {
  const all = matched.map((node) => node.receivers())
  const bySubscriber = new Map<S, Receiver<S> | Receiver<S>[]>()
  for (const { single } of all) {
    for (const receiver of single) {
      const before = bySubscriber.get(receiver.subscriber)
      if (before === undefined) bySubscriber.set(receiver.subscriber, receiver)
      else if (Array.isArray(before)) before.push(receiver)
      else bySubscriber.set(receiver.subscriber, [before, receiver])
    }
  }
  const single: Receiver<S>[] = []
  for (const part of bySubscriber.values()) {
    single.push(Array.isArray(part) ? mergeReceivers(part) : part)
  }
  return receiversFrom(
    single,
    all.flatMap(({ groups }) => groups),
  )
}

/** Unlike `length = 0`, it keeps the memory of the list, which the next match needs again. */
function empty(list: unknown[]): void {
  while (list.length > 0) list.pop()
}

function splitInto(levels: string[], topicName: string): void {
  let start = 0
  for (let end = topicName.indexOf('/'); end !== -1; end = topicName.indexOf('/', start)) {
    levels.push(topicName.slice(start, end))
    start = end + 1
  }
  levels.push(topicName.slice(start))
}

/** Says whether the levels of `tail`, a part of a filter, match those from `depth` on. */
function matchesFrom(levels: readonly string[], depth: number, tail: string): boolean {
  let at = depth
  for (let start = 0; ; at++) {
    const found = tail.indexOf('/', start)
    const end = found === -1 ? tail.length : found
    const first = end - start === 1 ? tail.charCodeAt(start) : 0
    if (first === 0x23 /* # */) return true // Also no level at all: "a/#" matches "a".
    if (at === levels.length) return false
    const level = levels[at]!
    const isWild = first === 0x2b /* + */
    if (!isWild && (level.length !== end - start || !tail.startsWith(level, start))) return false
    if (found === -1) return at === levels.length - 1
    start = end + 1
  }
}
