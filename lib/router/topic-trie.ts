/**
 * The subscriptions of the broker by level of their Topic Filter. Matching a topic visits the nodes that
 * match it level by level, in two reused arrays: no recursion, and no more work than there are nodes
 * that match.
 *
 *     a/+/c, a/b, a/#          (root) ─ a ─┬─ + ─ c •
 *                                          ├─ b •
 *                                          └─ # •
 */

import type { Subscription } from '../protocol/subscription.ts'
import { ReceiverBuilder, type Receivers } from './receivers.ts'

class Node<S, G> {
  children: Map<string, Node<S, G>> | undefined
  subscriptions: Map<S, Subscription> | undefined
  groups: Set<G> | undefined

  get isEmpty(): boolean {
    return (
      this.children === undefined && this.subscriptions === undefined && this.groups === undefined
    )
  }

  child(level: string): Node<S, G> {
    this.children ??= new Map()
    let child = this.children.get(level)
    if (child === undefined) {
      child = new Node()
      this.children.set(level, child)
    }
    return child
  }

  remove(level: string): void {
    this.children?.delete(level)
    if (this.children?.size === 0) this.children = undefined
  }
}

const NOBODY: Receivers<never, never> = { single: [], groups: [] }

export class TopicTrie<S, G> {
  readonly #root = new Node<S, G>()
  #subscriptionCount = 0
  // The nodes that match the levels so far, and those that match one level more.
  #reached: Node<S, G>[] = []
  #reaching: Node<S, G>[] = []

  /** Subscriptions, shared ones aside. */
  get subscriptionCount(): number {
    return this.#subscriptionCount
  }

  /** Counts the nodes, root and all, by visiting each: the tests see by it that none stays behind. */
  countNodes(): number {
    let count = 0
    const stack = [this.#root]
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      count++
      for (const child of node.children?.values() ?? []) stack.push(child)
    }
    return count
  }

  /** Adds or replaces; says whether `subscriber` was subscribed to this very filter. */
  subscribe(topicFilter: string, subscriber: S, subscription: Subscription): boolean {
    const node = this.#nodeOf(topicFilter)
    node.subscriptions ??= new Map()
    const existed = node.subscriptions.has(subscriber)
    node.subscriptions.set(subscriber, subscription)
    if (!existed) this.#subscriptionCount++
    return existed
  }

  unsubscribe(topicFilter: string, subscriber: S): boolean {
    return this.#removeAt(topicFilter, (node) => {
      if (node.subscriptions?.delete(subscriber) !== true) return false
      if (node.subscriptions.size === 0) node.subscriptions = undefined
      this.#subscriptionCount--
      return true
    })
  }

  addGroup(topicFilter: string, group: G): void {
    const node = this.#nodeOf(topicFilter)
    node.groups ??= new Set()
    node.groups.add(group)
  }

  removeGroup(topicFilter: string, group: G): void {
    this.#removeAt(topicFilter, (node) => {
      if (node.groups?.delete(group) !== true) return false
      if (node.groups.size === 0) node.groups = undefined
      return true
    })
  }

  /** Returns who gets messages of `topicName`. Levels are compared as they are [MQTT-4.7.3-4]. */
  match(topicName: string): Receivers<S, G> {
    const levels = topicName.split('/')
    const found: Node<S, G>[] = []
    this.#reached = [this.#root]
    for (let depth = 0; depth < levels.length && this.#reached.length > 0; depth++) {
      // A wildcard at the first level does not match `$` [MQTT-4.7.2-1].
      const takesWildcards = depth > 0 || !topicName.startsWith('$')
      this.#descend(levels[depth]!, takesWildcards, found)
    }
    for (const node of this.#reached) {
      if (hasReceivers(node)) found.push(node)
      // "a/#" matches "a" itself (section 4.7.1.2).
      const multi = node.children?.get('#')
      if (multi !== undefined) found.push(multi)
    }
    this.#reached = []
    this.#reaching = []
    return found.length === 0 ? NOBODY : gather(found)
  }

  #descend(level: string, takesWildcards: boolean, found: Node<S, G>[]): void {
    const reaching = this.#reaching
    reaching.length = 0
    for (const { children } of this.#reached) {
      if (children === undefined) continue
      const exact = children.get(level)
      if (exact !== undefined) reaching.push(exact)
      if (!takesWildcards) continue
      const single = children.get('+')
      if (single !== undefined) reaching.push(single)
      const multi = children.get('#')
      if (multi !== undefined) found.push(multi)
    }
    this.#reaching = this.#reached
    this.#reached = reaching
  }

  #nodeOf(topicFilter: string): Node<S, G> {
    let node = this.#root
    for (const level of topicFilter.split('/')) node = node.child(level)
    return node
  }

  /** Lets `remove` take something out of the filter's node, and then removes what is empty. */
  #removeAt(topicFilter: string, remove: (node: Node<S, G>) => boolean): boolean {
    const levels = topicFilter.split('/')
    let node: Node<S, G> | undefined = this.#root
    const path = [node]
    for (const level of levels) {
      node = node.children?.get(level)
      if (node === undefined) return false
      path.push(node)
    }
    if (!remove(node)) return false
    for (let depth = levels.length; depth > 0 && path[depth]!.isEmpty; depth--) {
      path[depth - 1]!.remove(levels[depth - 1]!)
    }
    return true
  }
}

function hasReceivers<S, G>(node: Node<S, G>): boolean {
  return node.subscriptions !== undefined || node.groups !== undefined
}

/** Merges the subscriptions of each subscriber. */
function gather<S, G>(found: readonly Node<S, G>[]): Receivers<S, G> {
  const builders = new Map<S, ReceiverBuilder<S>>()
  const groups: G[] = []
  for (const node of found) {
    // One by one: the arguments of a call stand on the stack, and there may be any number.
    for (const group of node.groups ?? []) groups.push(group)
    if (node.subscriptions === undefined) continue
    for (const [subscriber, subscription] of node.subscriptions) {
      let builder = builders.get(subscriber)
      if (builder === undefined) {
        builder = new ReceiverBuilder(subscriber)
        builders.set(subscriber, builder)
      }
      builder.add(subscription)
    }
  }
  return { single: Array.from(builders.values(), (builder) => builder.build()), groups }
}
