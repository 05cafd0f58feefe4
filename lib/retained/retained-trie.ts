/**
 * Retained messages by level of their Topic Name: the mirror image of the router's tree. Looking up a
 * filter visits the levels it names and whatever its wildcards stand for, and nothing else.
 */

import { Buffer } from 'node:buffer'

/** V8 makes a longer substring a window into the whole string, which would stay in memory with it. */
const SLICE_MIN_LENGTH = 13

export class RetainedNode<V> {
  children: Map<string, RetainedNode<V>> | undefined
  value: V | undefined
}

export class RetainedTrie<V> {
  readonly #root = new RetainedNode<V>()
  #size = 0

  get size(): number {
    return this.#size
  }

  get(topicName: string): V | undefined {
    let node: RetainedNode<V> | undefined = this.#root
    for (const level of topicName.split('/')) {
      node = node.children?.get(level)
      if (node === undefined) return undefined
    }
    return node.value
  }

  set(topicName: string, value: V): void {
    let node = this.#root
    for (const level of topicName.split('/')) {
      let child = node.children?.get(level)
      if (child === undefined) {
        child = new RetainedNode()
        node.children ??= new Map()
        node.children.set(ownString(level), child)
      }
      node = child
    }
    if (node.value === undefined) this.#size++
    node.value = value
  }

  delete(topicName: string): V | undefined {
    const levels = topicName.split('/')
    const path = [this.#root]
    for (const level of levels) {
      const child = path.at(-1)?.children?.get(level)
      if (child === undefined) return undefined
      path.push(child)
    }
    const last = path.at(-1) as RetainedNode<V>
    const { value } = last
    if (value === undefined) return undefined
    last.value = undefined
    this.#size--
    prune(path, levels)
    return value
  }

  /** Returns the values of all topics that `topicFilter` matches. */
  match(topicFilter: string): V[] {
    const levels = topicFilter.split('/')
    const found: V[] = []
    let reached = [this.#root]
    for (const [depth, level] of levels.entries()) {
      if (level === '#') {
        for (const node of reached) collectBelow(node, depth === 0, found)
        return found
      }
      reached = level === '+' ? childrenOf(reached, depth === 0) : exactly(reached, level)
    }
    for (const { value } of reached) if (value !== undefined) found.push(value)
    return found
  }
}

function exactly<V>(nodes: readonly RetainedNode<V>[], level: string): RetainedNode<V>[] {
  const next: RetainedNode<V>[] = []
  for (const node of nodes) {
    const child = node.children?.get(level)
    if (child !== undefined) next.push(child)
  }
  return next
}

function childrenOf<V>(nodes: readonly RetainedNode<V>[], isFirst: boolean): RetainedNode<V>[] {
  const next: RetainedNode<V>[] = []
  for (const { children } of nodes) {
    if (children === undefined) continue
    for (const [level, child] of children) if (!(isFirst && isHidden(level))) next.push(child)
  }
  return next
}

/** Adds the values at and below `top`. */
function collectBelow<V>(top: RetainedNode<V>, isRoot: boolean, found: V[]): void {
  const stack = isRoot ? childrenOf([top], true) : [top]
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (node.value !== undefined) found.push(node.value)
    if (node.children === undefined) continue
    for (const child of node.children.values()) stack.push(child)
  }
}

/** A wildcard at the first level does not match `$` [MQTT-4.7.2-1]. */
function isHidden(level: string): boolean {
  return level.startsWith('$')
}

function prune<V>(path: readonly RetainedNode<V>[], levels: readonly string[]): void {
  for (let depth = levels.length; depth > 0; depth--) {
    const node = path[depth] as RetainedNode<V>
    if (node.value !== undefined || node.children !== undefined) return
    const parent = path[depth - 1] as RetainedNode<V>
    parent.children?.delete(levels[depth - 1]!)
    if (parent.children?.size === 0) parent.children = undefined
  }
}

function ownString(level: string): string {
  return level.length < SLICE_MIN_LENGTH ? level : Buffer.from(level).toString()
}
