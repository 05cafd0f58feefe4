/**
 * A value per Topic Name, in a tree of levels: names are stored, filters asked. The mirror image of
 * `router/topic-trie.ts`.
 *
 * A name that shares no further level with another ends in one node, its `tail` being the levels below:
 *
 *     a/b/c/d                    root ── a (tail b/c/d)
 *     a/b/c/d, a/b/x/y           root ── a ── b ─┬─ c (tail d)
 *                                                └─ x (tail y)
 *
 * With that, a million retained messages cost 246 to 287 bytes each beside their payloads, depending on
 * how their names branch: spec/retained/retained-million.spec.ts.
 */

import { childAt, childrenOf, type LevelMap, withChild, withoutChild } from '../util/level-map.ts'
import { StringPool } from '../util/own-string.ts'

/** In place of a depth: everything below the node matches. */
const WHOLE_BRANCH = -1

export class RetainedTrie<V> {
  readonly #root = new NameNode<V>('', undefined)
  readonly #strings = new StringPool()
  #size = 0
  // Work space, empty between two calls.
  readonly #levels: string[] = []
  readonly #nodes: NameNode<V>[] = []
  readonly #depths: number[] = []

  get size(): number {
    return this.#size
  }

  /** Sets the value of a Topic Name and returns the one it replaces. */
  set(topicName: string, value: V): V | undefined {
    const node = this.#reach(topicName)
    const before = node.value
    if (before === undefined) this.#size++
    node.value = value
    return before
  }

  get(topicName: string): V | undefined {
    let node = this.#root
    for (let start = 0; ; ) {
      const end = topicName.indexOf('/', start)
      const child = childAt(node.children, levelAt(topicName, start, end))
      if (child === undefined) return undefined
      if (end === -1) return child.tail === undefined ? child.value : undefined
      start = end + 1
      if (child.tail !== undefined)
        return isRest(topicName, start, child.tail) ? child.value : undefined
      node = child
    }
  }

  /** Removes a Topic Name and returns its value. */
  delete(topicName: string): V | undefined {
    const path = this.#nodes
    const node = this.#walk(topicName, path)
    const value = node?.value
    if (node !== undefined && value !== undefined) {
      this.#size--
      node.value = undefined
      prune(path)
    }
    path.length = 0
    return value
  }

  /** Gives every value, in no particular order. The trie must not change meanwhile. */
  *values(): Generator<V, undefined> {
    const nodes = [this.#root]
    for (let node = nodes.pop(); node !== undefined; node = nodes.pop()) {
      if (node.value !== undefined) yield node.value
      nodes.push(...childrenOf(node.children))
    }
    return undefined
  }

  /** Returns the values whose names match a valid Topic Filter, in no particular order. */
  match(topicFilter: string): V[] {
    const found: V[] = []
    const levels = this.#levels
    for (let start = 0, end = 0; end !== -1; start = end + 1) {
      end = topicFilter.indexOf('/', start)
      levels.push(levelAt(topicFilter, start, end))
    }
    this.#visit(this.#root, 0)
    for (let node = this.#nodes.pop(); node !== undefined; node = this.#nodes.pop()) {
      const depth = this.#depths.pop()!
      if (node.tail === undefined) this.#matchNode(node, depth, found)
      else if (tailMatches(node.tail, levels, depth)) found.push(node.value!)
    }
    levels.length = 0
    return found
  }

  /** Takes the value of a node that `depth` levels of the filter lead to, and goes on below it. */
  #matchNode(node: NameNode<V>, depth: number, found: V[]): void {
    const levels = this.#levels
    const level = levels[depth]
    const isBranch = depth === WHOLE_BRANCH || level === '#'
    // "a/#" matches "a" too.
    if ((isBranch || depth === levels.length) && node.value !== undefined) found.push(node.value)
    if (isBranch) this.#visitChildren(node, WHOLE_BRANCH)
    else if (level === '+') this.#visitChildren(node, depth + 1)
    else if (level !== undefined) this.#visit(childAt(node.children, level), depth + 1)
  }

  #visitChildren(node: NameNode<V>, depth: number): void {
    for (const child of childrenOf(node.children)) {
      const isSystem = node === this.#root && child.level.charCodeAt(0) === 0x24 /* $ */
      if (!isSystem) this.#visit(child, depth) // [MQTT-4.7.2-1]
    }
  }

  #visit(node: NameNode<V> | undefined, depth: number): void {
    if (node === undefined) return
    this.#nodes.push(node)
    this.#depths.push(depth)
  }

  /** Returns the node of a name, made if need be. Levels are taken as they stand [MQTT-4.7.3-4]. */
  #reach(topicName: string): NameNode<V> {
    let node = this.#root
    for (let start = 0; ; ) {
      const end = topicName.indexOf('/', start)
      const level = levelAt(topicName, start, end)
      const child = childAt(node.children, level)
      if (child === undefined) {
        const tail = end === -1 ? undefined : this.#strings.own(topicName.slice(end + 1))
        const leaf = new NameNode<V>(this.#strings.own(level), tail)
        node.children = withChild(node.children, leaf)
        return leaf
      }
      const hasSameTail = end !== -1 && isRest(topicName, end + 1, child.tail)
      if (hasSameTail) return child
      this.#unfold(child)
      if (end === -1) return child
      node = child
      start = end + 1
    }
  }

  /** Moves the value of a node with a tail one level down, as another name passes through it. */
  #unfold(node: NameNode<V>): void {
    const { tail } = node
    if (tail === undefined) return
    const end = tail.indexOf('/')
    const rest = end === -1 ? undefined : this.#strings.own(tail.slice(end + 1))
    const child = new NameNode<V>(this.#strings.own(levelAt(tail, 0, end)), rest)
    child.value = node.value
    node.tail = undefined
    node.value = undefined
    node.children = child
  }

  /** Returns the node of a name, and all on the way to it, root first, in `path`. */
  #walk(topicName: string, path: NameNode<V>[]): NameNode<V> | undefined {
    let node = this.#root
    path.push(node)
    for (let start = 0; ; ) {
      const end = topicName.indexOf('/', start)
      const child = childAt(node.children, levelAt(topicName, start, end))
      if (child === undefined) return undefined
      path.push(child)
      if (end === -1) return child.tail === undefined ? child : undefined
      start = end + 1
      if (child.tail !== undefined) return isRest(topicName, start, child.tail) ? child : undefined
      node = child
    }
  }
}

class NameNode<V> {
  readonly level: string
  /** The levels below, of a node that has a value and no children; may be empty, as levels may. */
  tail: string | undefined
  value: V | undefined
  children: LevelMap<NameNode<V>>

  constructor(level: string, tail: string | undefined) {
    this.level = level
    this.tail = tail
    this.value = undefined
    this.children = undefined
  }
}

function levelAt(topic: string, start: number, end: number): string {
  return end === -1 ? topic.slice(start) : topic.slice(start, end)
}

/** Says whether `tail` is what `topicName` has from `start`. */
function isRest(topicName: string, start: number, tail: string | undefined): boolean {
  return tail?.length === topicName.length - start && topicName.startsWith(tail, start)
}

/** Removes the last node of `path`, and those above it, that are of no use any more. */
function prune<V>(path: readonly NameNode<V>[]): void {
  for (let i = path.length - 1; i > 0; i--) {
    const node = path[i]!
    if (node.value !== undefined || node.children !== undefined) return
    const parent = path[i - 1]!
    parent.children = withoutChild(parent.children, node)
  }
}

/** Says whether the levels of `tail` match those of the filter from `depth` on. */
function tailMatches(tail: string, levels: readonly string[], depth: number): boolean {
  if (depth === WHOLE_BRANCH) return true
  let at = depth
  for (let start = 0, end = 0; end !== -1; start = end + 1, at++) {
    const level = levels[at]
    if (level === '#') return true
    if (level === undefined) return false
    end = tail.indexOf('/', start)
    const length = (end === -1 ? tail.length : end) - start
    const isEqual = level.length === length && tail.startsWith(level, start)
    if (level !== '+' && !isEqual) return false
  }
  return at === levels.length || levels[at] === '#'
}
