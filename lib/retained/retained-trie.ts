/**
 * Retained messages by level of their Topic Name: the mirror image of the router's tree. Looking up a
 * filter visits the levels it names and whatever its wildcards stand for, and nothing else.
 *
 * Most nodes of a large tree have one child (`devices/4711/state`), which needs no map:
 *
 *     a/b/c, a/b/d, x/y        (root) ═ map ═╦═ a ── b ═ map ═╦═ c •
 *                                            ║                ╚═ d •
 *                                            ╚═ x ── y •
 */

import { Buffer } from 'node:buffer'

/** V8 makes a longer substring a window into the whole string, which would stay in memory with it. */
const SLICE_MIN_LENGTH = 13

/** Names of levels that nodes share, as "state" or "temperature" come again and again; 32 bytes each. */
const SHARED_LEVELS_MAX = 4_096
const SHARED_LEVEL_MAX_LENGTH = 32

class RetainedNode<V> {
  readonly level: string
  children: RetainedNode<V> | Map<string, RetainedNode<V>> | undefined
  value: V | undefined

  constructor(level: string) {
    this.level = level
  }

  child(level: string): RetainedNode<V> | undefined {
    const { children } = this
    if (children instanceof Map) return children.get(level)
    return children?.level === level ? children : undefined
  }

  add(child: RetainedNode<V>): void {
    const { children } = this
    if (children === undefined) this.children = child
    else if (children instanceof Map) children.set(child.level, child)
    else this.children = new Map([children, child].map((each) => [each.level, each]))
  }

  /** Removes a child that is there. */
  remove(level: string): void {
    if (!(this.children instanceof Map)) {
      this.children = undefined
      return
    }
    this.children.delete(level)
    if (this.children.size > 1) return
    for (const last of this.children.values()) this.children = last
  }

  /** Adds the children to `into`. */
  collect(into: RetainedNode<V>[]): void {
    if (this.children instanceof Map) for (const child of this.children.values()) into.push(child)
    else if (this.children !== undefined) into.push(this.children)
  }
}

export class RetainedTrie<V> {
  readonly #root = new RetainedNode<V>('')
  readonly #sharedLevels = new Map<string, string>()
  #size = 0

  get size(): number {
    return this.#size
  }

  get(topicName: string): V | undefined {
    let node: RetainedNode<V> | undefined = this.#root
    for (const level of topicName.split('/')) {
      node = node.child(level)
      if (node === undefined) return undefined
    }
    return node.value
  }

  set(topicName: string, value: V): void {
    let node = this.#root
    for (const level of topicName.split('/')) {
      let child = node.child(level)
      if (child === undefined) {
        child = new RetainedNode(this.#keptLevel(level))
        node.add(child)
      }
      node = child
    }
    if (node.value === undefined) this.#size++
    node.value = value
  }

  delete(topicName: string): V | undefined {
    let node: RetainedNode<V> | undefined = this.#root
    const path = [node]
    for (const level of topicName.split('/')) {
      node = node.child(level)
      if (node === undefined) return undefined
      path.push(node)
    }
    const { value } = node
    if (value === undefined) return undefined
    node.value = undefined
    this.#size--
    prune(path)
    return value
  }

  /** Returns the values of all topics that `topicFilter` matches. */
  match(topicFilter: string): V[] {
    const found: V[] = []
    let reached = [this.#root]
    for (const level of topicFilter.split('/')) {
      if (level === '#') {
        for (const node of reached) this.#collectBelow(node, found)
        return found
      }
      reached = level === '+' ? this.#childrenOf(reached) : exactly(reached, level)
    }
    for (const { value } of reached) if (value !== undefined) found.push(value)
    return found
  }

  /** Counts the nodes, root and all, by visiting each: the tests see by it that none stays behind. */
  countNodes(): number {
    let count = 0
    const stack = [this.#root]
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      count++
      node.collect(stack)
    }
    return count
  }

  #childrenOf(nodes: readonly RetainedNode<V>[]): RetainedNode<V>[] {
    const next: RetainedNode<V>[] = []
    for (const node of nodes) node.collect(next)
    // A wildcard at the first level does not match `$` [MQTT-4.7.2-1].
    return nodes[0] === this.#root ? next.filter(({ level }) => !level.startsWith('$')) : next
  }

  /** Adds the values at and below `top`. */
  #collectBelow(top: RetainedNode<V>, found: V[]): void {
    const stack = top === this.#root ? this.#childrenOf([top]) : [top]
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if (node.value !== undefined) found.push(node.value)
      node.collect(stack)
    }
  }

  /** The level as a string that holds no more than itself, the same for many nodes where possible. */
  #keptLevel(level: string): string {
    const shared = this.#sharedLevels.get(level)
    if (shared !== undefined) return shared
    const own =
      level.length < SLICE_MIN_LENGTH ? level : Buffer.from(level, 'utf16le').toString('utf16le')
    if (own.length <= SHARED_LEVEL_MAX_LENGTH && this.#sharedLevels.size < SHARED_LEVELS_MAX) {
      this.#sharedLevels.set(own, own)
    }
    return own
  }
}

function exactly<V>(nodes: readonly RetainedNode<V>[], level: string): RetainedNode<V>[] {
  const next: RetainedNode<V>[] = []
  for (const node of nodes) {
    const child = node.child(level)
    if (child !== undefined) next.push(child)
  }
  return next
}

/** Removes the nodes at the end of `path` that hold nothing. */
function prune<V>(path: readonly RetainedNode<V>[]): void {
  for (let depth = path.length - 1; depth > 0; depth--) {
    const { level, value, children } = path[depth]!
    if (value !== undefined || children !== undefined) return
    path[depth - 1]!.remove(level)
  }
}
