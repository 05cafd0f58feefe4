/**
 * One level of the Topic Filters in the trie, with those subscribed to the filter that ends here.
 *
 * While a single filter goes on from here, its remaining levels are kept as text, the `tail`: a filter of
 * 200 levels that nobody shares costs one node to keep and one to visit.
 */

import { childAt, type LevelMap, withChild, withoutChild } from '../util/level-map.ts'
import { type Receiver, type Receivers, receiversFrom } from './receivers.ts'

const NO_GROUPS: readonly never[] = []

export class FilterNode<S, G> {
  readonly level: string
  readonly parent: FilterNode<S, G> | undefined
  /** Children but for the wildcards. */
  children: LevelMap<FilterNode<S, G>>
  plus: FilterNode<S, G> | undefined
  hash: FilterNode<S, G> | undefined
  #groups: Set<G> | undefined
  /** The levels behind this one, as in the filter; then the node has no children. */
  tail: string | undefined
  /** Most filters have one subscriber, which needs no map. */
  #lone: Receiver<S> | undefined
  #more: Map<S, Receiver<S>> | undefined
  /** What `receivers` returned, until it changes. */
  #receivers: Receivers<S, G> | undefined

  constructor(level: string, parent: FilterNode<S, G> | undefined, tail?: string) {
    this.level = level
    this.parent = parent
    this.children = undefined
    this.plus = undefined
    this.hash = undefined
    this.#groups = undefined
    this.tail = tail
    this.#lone = undefined
    this.#more = undefined
    this.#receivers = undefined
  }

  get isUsed(): boolean {
    return this.#lone !== undefined || this.#more !== undefined || this.#groups !== undefined
  }

  get hasChildren(): boolean {
    return this.children !== undefined || this.plus !== undefined || this.hash !== undefined
  }

  child(level: string): FilterNode<S, G> | undefined {
    if (level === '+') return this.plus
    if (level === '#') return this.hash
    return childAt(this.children, level)
  }

  attach(child: FilterNode<S, G>): void {
    if (child.level === '+') this.plus = child
    else if (child.level === '#') this.hash = child
    else this.children = withChild(this.children, child)
  }

  detach(child: FilterNode<S, G>): void {
    if (child === this.plus) this.plus = undefined
    else if (child === this.hash) this.hash = undefined
    else this.children = withoutChild(this.children, child)
  }

  /** Gives its subscribers to `other`, which has none. */
  moveSubscribersTo(other: FilterNode<S, G>): void {
    other.#groups = this.#groups
    other.#lone = this.#lone
    other.#more = this.#more
    this.#groups = undefined
    this.#lone = undefined
    this.#more = undefined
    this.#receivers = undefined
  }

  /** Sets the receiver of its subscriber; says whether there was one. */
  setReceiver(receiver: Receiver<S>): boolean {
    this.#receivers = undefined
    const { subscriber } = receiver
    if (this.#more?.has(subscriber)) {
      this.#more.set(subscriber, receiver)
      return true
    }
    const existed = this.#lone?.subscriber === subscriber
    if (existed || this.#lone === undefined) {
      this.#lone = receiver
    } else {
      this.#more ??= new Map()
      this.#more.set(subscriber, receiver)
    }
    return existed
  }

  deleteReceiver(subscriber: S): boolean {
    this.#receivers = undefined
    if (this.#lone?.subscriber === subscriber) {
      this.#lone = undefined
      return true
    }
    if (this.#more === undefined || !this.#more.delete(subscriber)) return false
    if (this.#more.size === 0) this.#more = undefined
    return true
  }

  addGroup(group: G): void {
    this.#receivers = undefined
    this.#groups ??= new Set()
    this.#groups.add(group)
  }

  /** Says whether it was there. */
  deleteGroup(group: G): boolean {
    this.#receivers = undefined
    if (this.#groups?.delete(group) !== true) return false
    if (this.#groups.size === 0) this.#groups = undefined
    return true
  }

  /** Who gets messages that match this filter alone. The result never changes and may be kept. */
  receivers(): Receivers<S, G> {
    this.#receivers ??= receiversFrom(this.#listReceivers(), this.#listGroups())
    return this.#receivers
  }

  #listGroups(): readonly G[] {
    return this.#groups === undefined ? NO_GROUPS : [...this.#groups]
  }

  #listReceivers(): Receiver<S>[] {
    const receivers = this.#more === undefined ? [] : [...this.#more.values()]
    if (this.#lone !== undefined) receivers.push(this.#lone)
    return receivers
  }
}
